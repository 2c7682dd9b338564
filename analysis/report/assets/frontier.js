/* Scatter plot of the configurations by two metrics. Hover or focus shows details; click or Enter selects. */

const ORDER = "order"; // x axis for sweeps with one objective: the order of the search

function frontierChart(host, run) {
  const { data } = run;
  const views = Object.keys(data.views);
  const state = run.state.frontier ?? {
    view: views[0],
    x: data.objectives.length > 1 ? data.objectives[0] : ORDER,
    y: data.objectives.length > 1 ? data.objectives[1] : data.objectives[0],
    stopped: true, bars: true, all: false,
  };
  run.state.frontier = state;
  const controls = element("div", { class: "controls" });
  const key = element("p", { class: "key" });
  const plot = element("div");
  host.append(controls, key, plot);
  const drawing = chart(plot, (width) => drawFrontier(run, state, width, drawing, key));
  const change = (name) => (value) => {
    // A select box gives its value as text; metrics are numbers.
    state[name] = value === ORDER || name === "view" || typeof value === "boolean" ? value : Number(value);
    drawing.redraw();
  };
  const axes = [...data.metrics.map((metric, index) => [index, metric.label]), [ORDER, "search order"]];
  if (views.length > 1) {
    const name = `view-${run.index}`;
    const texts = { results: "confirmed results", search: "the search's own scores" };
    controls.append(element("fieldset", {}, element("legend", {}, "Scores"),
      ...views.map((view) => checkBox(texts[view], state.view === view, () => change("view")(view), "radio", name))));
  }
  controls.append(
    selectBox("x axis", axes, state.x, change("x")),
    selectBox("y axis", axes, state.y, change("y")),
    checkBox("intervals", state.bars, change("bars")),
    checkBox("stopped trials", state.stopped, change("stopped")),
    checkBox("zoom out", state.all, change("all")),
  );
  run.listeners.push(() => drawing.redraw());
}

function axisOf(run, state, which, points) {
  const { data } = run;
  if (state[which] === ORDER) {
    const value = (point) => point.first;
    return { label: "search order (trial number)", value, ends: () => [null, null], trial: (row) => data.trials.number[row],
      domain: extent(points.map(value), 0.04, false), log: false, whole: true, untouched: null };
  }
  const index = state[which];
  const metric = data.metrics[index];
  const of = (name) => (point) => (point[name][index] === null ? null : point[name][index] / metric.unit);
  const [value, low, high] = [of("mean"), of("low"), of("high")];
  const means = points.map(value);
  const log = metric.cost && spansDecades(means);
  const own = data.trials.metrics[index];
  const trial = (row) => (own[row] === null ? null : own[row] / metric.unit);
  const untouched = metric.untouched === null ? null : metric.untouched / metric.unit;
  const shown = [...means];
  if (!log) {
    // Typical intervals fit; a few very long ones must not squeeze the rest into a corner.
    const half = median(points.map((point) => (high(point) - low(point)) / 2));
    for (const mean of means) if (mean !== null) shown.push(mean - half, mean + half);
  }
  let domain = extent(shown, 0.06, log);
  const span = domain[1] - domain[0];
  // An untouched image that is far off would squeeze all points into a corner.
  const near = untouched !== null && untouched > domain[0] - span && untouched < domain[1] + span;
  if (near || (state.all && untouched !== null)) shown.push(untouched);
  if (state.all) for (const row of run.stopped) shown.push(trial(row));
  domain = extent(shown, 0.06, log);
  const arrow = { "1": " \u2192 better", "-1": " \u2190 better", "0": "" }[metric.direction];
  return { label: metric.label + (which === "x" ? arrow : arrow.replace("\u2192", "\u2191").replace("\u2190", "\u2193")), value,
    ends: (point) => [low(point), high(point)], trial, domain, log, untouched, metric, index };
}

function drawFrontier(run, state, width, drawing, key) {
  const points = run.data.views[state.view];
  const height = Math.round(Math.min(520, Math.max(300, width * 0.58)));
  const x = axisOf(run, state, "x", points);
  const y = axisOf(run, state, "y", points);
  const known = points.filter((point) => [x.value(point), y.value(point)].every(Number.isFinite));
  const frame = plotFrame(width, height, x, y, `Front: ${y.label} against ${x.label}, ${known.length} configurations`);
  const at = (point) => [frame.x(x.value(point)), frame.y(y.value(point))];
  drawStairs(run, state, frame, known, x, y);
  if (state.stopped) drawStopped(run, frame, x, y);
  drawLevels(frame, x, y);
  if (state.bars) for (const point of known) drawBars(frame, point, x, y, at(point), known.length);
  const shapes = drawPoints(run, frame, known, at, drawing);
  drawNumbers(frame, known, at);
  markSelected(run, frame, known, x, y, at);
  hoverNearest(run, frame, known, at, shapes, drawing);
  writeKey(key, run, state, known, x, y, points);
  return frame.svg;
}

/* The staircase of the front, drawn only if the axes are the two objectives. */
function drawStairs(run, state, frame, known, x, y) {
  const own = run.data.objectives;
  const plane = new Set([state.x, state.y]);
  if (own.length !== 2 || !own.every((index) => plane.has(index)) || plane.size < 2) return;
  const front = known.filter((point) => point.front).sort((a, b) => x.value(a) - x.value(b));
  if (front.length < 2) return;
  const better = x.metric.direction > 0;
  const steps = front.slice(1).map((point, index) => {
    const before = front[index];
    const corner = better ? [frame.x(x.value(before)), frame.y(y.value(point))] : [frame.x(x.value(point)), frame.y(y.value(before))];
    return `L${corner.join(" ")}L${frame.x(x.value(point))} ${frame.y(y.value(point))}`;
  });
  frame.inner.append(svgElement("path", { class: "stairs", d: `M${frame.x(x.value(front[0]))} ${frame.y(y.value(front[0]))}${steps.join("")}` }));
}

function drawStopped(run, frame, x, y) {
  const places = run.stopped.map((row) => [x.trial(row), y.trial(row)]).filter((place) => place.every((one) => one !== null));
  for (const [across, up] of places) frame.inner.append(svgElement("circle", { class: "early", cx: frame.x(across), cy: frame.y(up), r: 3 }));
}

/* The untouched phone image: a mark if both of its scores are known, else a line. */
function drawLevels(frame, x, y) {
  const { inner, box } = frame;
  const [across, up] = [x.untouched === null ? null : frame.x(x.untouched), y.untouched === null ? null : frame.y(y.untouched)];
  if (across !== null) inner.append(svgElement("path", { class: "level", d: `M${across} ${box.top}V${box.bottom}` }));
  if (up !== null) inner.append(svgElement("path", { class: "level", d: `M${box.left} ${up}H${box.right}` }));
  if (across !== null && up !== null) {
    inner.append(svgElement("path", { class: "untouched", d: `M${across} ${up - 7}l7 7l-7 7l-7 -7z` }));
  }
}

function drawBars(frame, point, x, y, [across, up], count) {
  const [left, right] = x.ends(point).map((end) => (end === null ? null : frame.x(end)));
  const [low, high] = y.ends(point).map((end) => (end === null ? null : frame.y(end)));
  let path = "";
  if (left !== null && right !== null) path += `M${left} ${up}H${right}`;
  if (low !== null && high !== null) path += `M${across} ${low}V${high}`;
  const faint = point.front ? null : `opacity:${Math.min(0.45, 0.45 * Math.sqrt(60 / count))}`;
  if (path) frame.inner.append(svgElement("path", { class: point.front ? "bars front" : "bars", d: path, style: faint }));
}

/* The points, ordered along x. Only one is in the tab order (roving tabindex); arrow keys move between them. */
function drawPoints(run, frame, known, at, drawing) {
  const ordered = [...known].sort((a, b) => at(a)[0] - at(b)[0] || at(a)[1] - at(b)[1]);
  const shapes = new Map();
  const first = ordered.find((point) => point.front) ?? ordered[0];
  for (const point of ordered) {
    const [cx, cy] = at(point);
    shapes.set(point, svgElement("circle", {
      class: point.front ? "point front" : "point", cx, cy, r: point.front ? 6.5 : 4.5, role: "button", tabindex: point === first ? 0 : -1,
      "data-configuration": point.id, "aria-label": ariaLabel(run, point),
      onfocus: () => drawing.tip(cx, cy, ...tipOf(run, point)), onblur: () => drawing.tip(0, 0),
      onkeydown: (event) => moveAmong(event, ordered, point, shapes, at, () => run.selectConfiguration(point.id, event.target)),
    }));
  }
  // The front is drawn last, on top of the others.
  frame.inner.append(...ordered.filter((point) => !point.front).map((point) => shapes.get(point)),
    ...ordered.filter((point) => point.front).map((point) => shapes.get(point)));
  return shapes;
}

/* The numbers of the front, lowest first; a number that would overlap another is left out, and hovering shows it. */
function drawNumbers(frame, known, at) {
  const placed = [];
  const front = known.filter((point) => point.front).sort((a, b) => a.front - b.front);
  for (const point of front) {
    const [across, up] = at(point);
    if (placed.some(([x, y]) => Math.abs(x - across) < 22 && Math.abs(y - up) < 13)) continue;
    placed.push([across, up]);
    frame.inner.append(svgElement("text", { class: "mark halo", x: across + 8, y: up - 8 }, String(point.front)));
  }
}

function moveAmong(event, ordered, point, shapes, at, select) {
  const place = ordered.indexOf(point);
  const higher = [...ordered].sort((a, b) => at(b)[1] - at(a)[1]);
  const level = higher.indexOf(point);
  const next = { ArrowRight: ordered[place + 1], ArrowLeft: ordered[place - 1], ArrowUp: higher[level + 1], ArrowDown: higher[level - 1],
    Home: ordered[0], End: ordered[ordered.length - 1] };
  // Keys that are not handled keep their effect, hence the early return.
  if (event.key === "Enter" || event.key === " ") select();
  else if (event.key in next) {
    if (next[event.key]) {
      shapes.get(point).setAttribute("tabindex", -1);
      shapes.get(next[event.key]).setAttribute("tabindex", 0);
      shapes.get(next[event.key]).focus();
    }
  } else return;
  event.preventDefault();
}

function hoverNearest(run, frame, known, at, shapes, drawing) {
  let near = null;
  const find = (event) => {
    const [x, y] = pointerAt(frame.svg, event);
    let [best, distance] = [null, 26];
    for (const point of known) {
      const [across, up] = at(point);
      // The front is favored by three pixels: its points are larger.
      const away = Math.hypot(across - x, up - y) - (point.front ? 3 : 0);
      if (away < distance) [best, distance] = [point, away];
    }
    return best;
  };
  frame.svg.addEventListener("pointermove", (event) => {
    const found = find(event);
    // The tooltip shows it already.
    if (found === near) return;
    near = found;
    frame.svg.style.cursor = near ? "pointer" : "";
    if (near) drawing.tip(...at(near), ...tipOf(run, near));
    else drawing.tip(0, 0);
  });
  frame.svg.addEventListener("pointerleave", () => { near = null; drawing.tip(0, 0); });
  frame.svg.addEventListener("click", (event) => {
    const found = find(event);
    if (found) run.selectConfiguration(found.id, shapes.get(found));
  });
}

function markSelected(run, frame, known, x, y, at) {
  const chosen = known.find((point) => point.id === run.selected.configuration);
  const row = run.selected.row;
  let place = chosen ? at(chosen) : null;
  if (!chosen && row !== null && run.data.trials.ending[row] === "stopped") {
    const [across, up] = [x.trial(row), y.trial(row)];
    if (across !== null && up !== null) place = [frame.x(across), frame.y(up)];
  }
  if (place) frame.inner.append(svgElement("circle", { class: "ring", cx: place[0], cy: place[1], r: 11 }));
}

function tipOf(run, point) {
  const rows = run.data.metrics.flatMap((metric, index) => {
    if (!run.data.objectives.includes(index)) return [];
    return [element("dt", {}, metric.label), element("dd", {}, estimateText(metric, point.mean[index], point.low[index], point.high[index]))];
  });
  const lost = point.lost ? `, ${point.lost} lost` : "";
  return [
    element("b", {}, point.front ? `${point.front}  ${point.label}` : point.label),
    element("dl", {}, ...rows),
    ...(point.chance === null ? [] : [element("span", { class: "soft" }, `chance of being on the front: ${percent(point.chance)}`)]),
    element("span", { class: "soft" }, `intervals over ${point.over}${lost}`),
    ...cropsOf(run, point.id, 1),
  ];
}

function ariaLabel(run, point) {
  const scores = run.data.objectives.map((index) => {
    const metric = run.data.metrics[index];
    return `${metric.label} ${estimateText(metric, point.mean[index], point.low[index], point.high[index])}`;
  });
  const chance = point.chance === null ? "" : `, chance of being on the front ${percent(point.chance)}`;
  return `${point.front ? `number ${point.front} on the front: ` : ""}${point.label}, ${scores.join(", ")}${chance}`;
}

function writeKey(key, run, state, known, x, y, points) {
  const item = (kind, text, style) => element("span", {}, element("i", { class: kind, style }), text);
  const inside = ([low, high], value) => value >= low && value <= high;
  const placed = run.stopped.map((row) => [x.trial(row), y.trial(row)]).filter((place) => place.every((one) => one !== null));
  const outside = placed.filter(([across, up]) => !inside(x.domain, across) || !inside(y.domain, up)).length;
  const parts = [item("dot", "front", "background:var(--front)")];
  if (known.some((point) => !point.front)) parts.push(item("dot", "completed", "background:var(--stopped)"));
  if (state.stopped && placed.length) {
    parts.push(item("hollow", `stopped early, not comparable${outside ? ` (${outside} of ${placed.length} outside the plot)` : ""}`));
  }
  const off = [x, y].filter((axis) => axis.untouched !== null && !inside(axis.domain, axis.untouched));
  const away = off.length ? ` (outside the plot, at ${off.map((axis) => metricText(axis.metric, axis.untouched * axis.metric.unit)).join(", ")})` : "";
  if (x.untouched !== null || y.untouched !== null) parts.push(item("diamond", `untouched phone image${away}`));
  if (known.length < points.length) parts.push(element("span", {}, `${points.length - known.length} without a finite value are not drawn`));
  key.replaceChildren(...parts);
}
