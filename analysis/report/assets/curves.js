/* Learning curves: of all trials, and of a single one in the panel. */

function curvesChart(host, run) {
  const { data } = run;
  if (!data.curve_names.length) return;
  const state = run.state.curves ?? { name: 0, hidden: [] };
  // Kept with the run: a live page restores it after a reload.
  run.state.curves = state;
  const controls = element("div", { class: "controls" });
  const key = element("div", { class: "key" });
  const plot = element("div");
  host.append(controls, plot);
  const rows = data.curves.flatMap((curve, row) => (curve.length ? [row] : []));
  const endings = ENDINGS.filter((ending) => rows.some((row) => data.trials.ending[row] === ending));
  // A selected trial is shown even if its ending is hidden.
  const shown = () => rows.filter((row) => !state.hidden.includes(data.trials.ending[row]) || row === run.selected.row);
  const drawing = chart(plot, (width) => drawCurves(run, shown(), state.name, width, Math.min(440, Math.max(260, width * 0.48)), drawing));
  controls.append(selectBox("show", data.curve_names.map((curve, index) => [index, curve.label]), state.name, (value) => {
    state.name = Number(value);
    drawing.redraw();
  }));
  for (const ending of endings) {
    const box = checkBox(ending, !state.hidden.includes(ending), (on) => {
      state.hidden = on ? state.hidden.filter((one) => one !== ending) : [...state.hidden, ending];
      drawing.redraw();
    });
    box.prepend(element("i", { class: ending, style: "width:.8rem;height:3px" }));
    controls.append(box);
  }
  run.listeners.push(() => drawing.redraw());
}

const ENDINGS = ["completed", "stopped", "diverged", "failed", "refused"];

function drawCurves(run, rows, name, width, height, drawing, alone = false) {
  const { data } = run;
  const curve = data.curve_names[name];
  const metric = data.metrics.find((one) => one.name === curve.metric);
  const lines = rows.map((row) => ({ row, places: data.curves[row].map((report) => [report[0], report[name + 1]]).filter((place) => place[1] !== null) }));
  const drawable = lines.filter((line) => line.places.length);
  const values = drawable.flatMap((line) => line.places.map((place) => place[1]));
  const steps = drawable.flatMap((line) => line.places.map((place) => place[0]));
  const untouched = metric ? metric.untouched : null;
  const most = Math.max(0, ...steps);
  const domain = extent(untouched === null ? values : [...values, untouched], 0.06, false);
  const frame = plotFrame(width, Math.round(height), { label: "step", domain: [0, most * 1.02 || 1], log: false },
    { label: curve.label, domain, log: false }, `${curve.label} over steps, ${drawable.length} trials`);
  if (untouched !== null) {
    const level = frame.y(untouched);
    frame.inner.append(svgElement("path", { class: "level", d: `M${frame.box.left} ${level}H${frame.box.right}` }));
    if (!alone) frame.inner.append(svgElement("text", { class: "untouched-label halo", x: frame.box.left + 6, y: level - frame.box.top < 18 ? level + 14 : level - 6 }, "untouched phone image"));
  }
  const chosen = run.selected.row;
  const path = (line) => line.places.map(([step, value], index) => `${index ? "L" : "M"}${frame.x(step)} ${frame.y(value)}`).join("");
  const dots = (line, r) => line.places.map(([step, value]) => `M${frame.x(step) - r} ${frame.y(value)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`).join("");
  // One element for all curves with the same ending: thousands of them stay fast.
  // Completed trials come last, on top of the others.
  for (const ending of [...ENDINGS].reverse()) {
    const own = drawable.filter((line) => data.trials.ending[line.row] === ending);
    if (!own.length) continue;
    const faint = alone ? 1 : Math.min(0.6, Math.max(0.12, 6 / Math.sqrt(own.length + 20)));
    const radius = alone ? 3 : own.length > 200 ? 1.2 : 2;
    frame.inner.append(svgElement("path", { class: `curve ${ending}`, style: `opacity:${faint}`, d: own.map((line) => path(line) + dots(line, radius)).join("") }));
  }
  const selected = drawable.find((line) => line.row === chosen);
  if (selected && !alone) frame.inner.append(svgElement("path", { class: "curve selected", "data-trial": data.trials.id[chosen], d: path(selected) + dots(selected, 3) }));
  const hovered = svgElement("path", { class: "curve hovered" });
  frame.inner.append(hovered);
  hoverLines(run, frame, drawable, (line) => path(line) + dots(line, 3), hovered, drawing, alone, metric);
  return frame.svg;
}

function hoverLines(run, frame, lines, path, hovered, drawing, alone, metric) {
  const { data } = run;
  const nearest = (event) => {
    const [x, y] = pointerAt(frame.svg, event);
    let [best, distance] = [null, alone ? 60 : 22];
    for (const line of lines) {
      line.places.forEach(([step, value], index) => {
        const [across, up] = [frame.x(step), frame.y(value)];
        const before = index ? line.places[index - 1] : [step, value];
        // A point beats the line through it, by one pixel.
        const away = Math.min(Math.hypot(across - x, up - y), segmentDistance(x, y, frame.x(before[0]), frame.y(before[1]), across, up) + 1);
        if (away < distance) [best, distance] = [{ line, place: [step, value], at: [across, up] }, away];
      });
    }
    return best;
  };
  frame.svg.addEventListener("pointermove", (event) => {
    const found = nearest(event);
    frame.svg.style.cursor = found && !alone ? "pointer" : "";
    hovered.setAttribute("d", found && !alone ? path(found.line) : "");
    if (!found) { drawing.tip(0, 0); return; }
    const { row } = found.line;
    const value = metric ? metricText(metric, found.place[1]) : plain(found.place[1]);
    drawing.tip(...found.at, element("b", {}, data.trials.label[row]),
      element("span", { class: "soft" }, `${value} at step ${fixed(found.place[0], 0)}; seed ${data.trials.seed[row]}, ${data.trials.ending[row]}`));
  });
  frame.svg.addEventListener("pointerleave", () => { hovered.setAttribute("d", ""); drawing.tip(0, 0); });
  frame.svg.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found && !alone) run.selectTrial(found.line.row, null);
  });
}

function segmentDistance(x, y, x0, y0, x1, y1) {
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const share = length ? Math.max(0, Math.min(1, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length)) : 0;
  return Math.hypot(x0 + share * (x1 - x0) - x, y0 + share * (y1 - y0) - y);
}
