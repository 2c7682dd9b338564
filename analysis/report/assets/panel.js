/* The panel: details of one trial, and links to the other trials of its configuration. */

function showPanel(run) {
  const panel = document.querySelector(".panel");
  const { row } = run.selected;
  const { trials } = run.data;
  panel.hidden = row === null;
  document.body.classList.toggle("with-panel", row !== null);
  if (row === null) { panel.replaceChildren(); return; }
  const of = `trial ${plain(trials.number[row])}`;
  const where = `${of}, ${trials.stage[row]}, seed ${trials.seed[row]}, ${fixed(trials.steps[row], 0)} steps`;
  const reason = trials.reason[row] ? `: ${trials.reason[row]}` : "";
  panel.replaceChildren(
    element("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => run.clear() }, "\u2715"),
    element("h2", {}, trials.label[row]),
    element("p", { class: "meta" }, where),
    element("p", { class: "meta" }, element("span", { class: "badge" }, element("i", { class: trials.ending[row] }), trials.ending[row] + reason)),
    ...cropsOf(run, trials.configuration[row], 3),
    ...scoresOf(run, row),
    ...curveOf(run, row),
    ...siblingsOf(run, row),
    ...parametersOf(run, row),
    element("p", { class: "meta" }, `trial ${trials.id[row]}, configuration ${trials.configuration[row]}`),
  );
  panel.scrollTop = 0;
}

function scoresOf(run, row) {
  const facts = run.data.metrics.flatMap((metric, index) => {
    const value = run.data.trials.metrics[index][row];
    if (value === null) return [];
    const over = metric.untouched === null || metric.name === "psnr_gain_db" ? "" : ` (phone image ${metricText(metric, metric.untouched)})`;
    return [element("dt", {}, metric.label), element("dd", {}, metricText(metric, value) + over)];
  });
  return facts.length ? [element("h3", {}, "Scores of this trial"), element("dl", { class: "facts" }, ...facts)] : [];
}

function curveOf(run, row) {
  const { data } = run;
  if (!data.curves[row].length) return [];
  const plot = element("div", { class: "one-curve", "data-trial": data.trials.id[row] });
  const name = run.state.curves?.name ?? 0;
  const drawing = chart(plot, (width) => drawCurves(run, [row], name, width, 190, drawing, true));
  return [element("h3", {}, "Learning curve"), plot];
}

function siblingsOf(run, row) {
  const { trials } = run.data;
  const own = trials.configuration.flatMap((configuration, other) => (configuration === trials.configuration[row] ? [other] : []));
  if (own.length < 2) return [];
  const buttons = own.map((other) => element("button", { type: "button", "aria-pressed": String(other === row), onclick: () => run.selectTrial(other, null) },
    element("span", { class: "badge" }, element("i", { class: trials.ending[other] }), `${trials.stage[other]}, seed ${trials.seed[other]}`)));
  return [element("h3", {}, `The ${own.length} trials of this configuration`), element("div", { class: "siblings" }, ...buttons)];
}

function parametersOf(run, row) {
  const { data } = run;
  const facts = data.parameters.flatMap((name, index) => {
    const value = data.trials.parameters[index][row];
    return value === null ? [] : [element("dt", {}, name), element("dd", {}, plain(value))];
  });
  return facts.length ? [element("h3", {}, "What varies between trials"), element("dl", { class: "facts" }, ...facts)] : [];
}
