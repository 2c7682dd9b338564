/* The table of trials: filter by words and comparisons, sort by a column, show more on demand. */

const PAGE = 25;

function trialsTable(host, run) {
  const columns = trialColumns(run.data);
  const state = run.state.trials ?? { filter: "", sort: 0, down: false, shown: PAGE };
  run.state.trials = state;
  const all = run.data.trials.id.map((_, row) => row);
  // Once, not at every keystroke.
  const words = all.map((row) => searchText(run.data, columns, row));
  const count = element("span", { class: "count", "aria-live": "polite" });
  const search = element("input", { type: "search", value: state.filter, placeholder: "e.g. completed lr<0.001", "aria-label": "Filter the trials",
    autocomplete: "off", spellcheck: "false", oninput: (event) => { state.filter = event.target.value; state.shown = PAGE; draw(); } });
  const head = element("tr");
  const body = element("tbody");
  const more = element("div", { class: "more" });
  host.classList.add("trials");
  host.append(
    element("div", { class: "controls" }, element("label", {}, "filter", search), count),
    element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Trials" },
      element("table", {}, element("thead", {}, head), body)),
    more,
  );
  columns.forEach((column, index) => {
    const sort = () => {
      // Numbers start with the largest, except the first column, which is the order of the search.
      state.down = state.sort === index ? !state.down : column.number && index > 0;
      state.sort = index;
      draw();
    };
    head.append(element("th", { scope: "col", class: column.number ? "number" : null }, element("button", { type: "button", onclick: sort }, column.name)));
  });
  function draw() {
    const { test, wrong } = parseFilter(state.filter, columns, words);
    const found = all.filter(test).sort(comparator(columns[state.sort], state.down));
    count.textContent = wrong || `${fixed(found.length, 0)} of ${fixed(all.length, 0)} trials`;
    [...head.children].forEach((cell, index) => {
      const sorted = index === state.sort;
      if (sorted) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
      cell.firstChild.textContent = columns[index].name + (sorted ? (state.down ? " \u2193" : " \u2191") : "");
    });
    body.replaceChildren(...found.slice(0, state.shown).map((row) => rowOf(run, columns, row)));
    const left = found.length - state.shown;
    more.replaceChildren(...(left > 0 ? [
      element("button", { type: "button", onclick: () => { state.shown += PAGE; draw(); } }, `Show ${Math.min(PAGE, left)} more`),
      element("button", { type: "button", onclick: () => { state.shown = found.length; draw(); } }, `Show all ${fixed(found.length, 0)}`),
    ] : []));
  }
  draw();
  run.listeners.push(() => {
    for (const row of body.children) row.setAttribute("aria-selected", Number(row.dataset.row) === run.selected.row);
  });
}

/* The columns of the table, without those that would be empty or hold a single value. */
function trialColumns(data) {
  const { trials } = data;
  const plainColumn = (name, values, number, text = plain) => ({ name, values, number, text, keys: [name] });
  const found = [plainColumn("no.", trials.number, true)];
  if (trials.name.some((name) => name)) found.push(plainColumn("name", trials.name, false));
  found.push({ ...plainColumn("ending", trials.ending, false), badge: true });
  data.metrics.forEach((metric, index) => {
    if (!data.objectives.includes(index)) return;
    found.push({ name: metric.label, values: trials.metrics[index], number: true, text: (value) => metricText(metric, value), keys: [metric.name, metric.label], unit: metric.unit });
  });
  if (new Set(trials.stage).size > 1) found.push(plainColumn("stage", trials.stage, false));
  if (new Set(trials.seed).size > 1) found.push(plainColumn("seed", trials.seed, true));
  data.parameters.forEach((name, index) => {
    const values = trials.parameters[index];
    found.push(plainColumn(name, values, values.every((value) => value === null || typeof value === "number")));
  });
  found.push(plainColumn("steps", trials.steps, true, (value) => fixed(value, 0)));
  if (trials.wall_s.some((value) => value !== null)) found.push(plainColumn("wall (s)", trials.wall_s, true, seconds));
  return found.filter((column) => column.values.some((value) => value !== null));
}

function rowOf(run, columns, row) {
  const cells = columns.map((column) => {
    const value = column.values[row];
    const text = value === null ? "" : column.text(value);
    const inner = column.badge ? element("span", { class: "badge", title: run.data.trials.reason[row] || null }, element("i", { class: value }), text) : text;
    return element("td", { class: column.number ? "number" : null }, inner);
  });
  const open = () => run.selectTrial(row, line);
  const keys = (event) => {
    const next = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
    if (event.key === "Enter" || event.key === " ") open();
    else if (next) next.focus();
    else return;
    event.preventDefault();
  };
  const line = element("tr", { "data-row": row, "data-trial": run.data.trials.id[row], tabindex: 0, "aria-selected": row === run.selected.row, onclick: open, onkeydown: keys }, ...cells);
  return line;
}

function searchText(data, columns, row) {
  const { trials } = data;
  return [trials.id[row], trials.label[row], trials.reason[row], trials.stage[row], ...columns.map((column) => plain(column.values[row]))].join(" ").toLowerCase();
}

/* A filter: words that must all occur, and comparisons NAME<VALUE, NAME>VALUE, NAME=VALUE on columns. */
function parseFilter(text, columns, words) {
  const tests = [];
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    const parts = /^(.+?)(<=|>=|<|>|=)(.+)$/.exec(word);
    if (!parts) { tests.push((row) => words[row].includes(word)); continue; }
    const [, name, sign, value] = parts;
    const column = columns.find((one) => one.keys.some((key) => key.toLowerCase() === name || key.toLowerCase().split(".").pop() === name));
    if (!column) return { test: () => false, wrong: `no column ${name}` };
    tests.push(comparison(column, sign, value));
  }
  return { test: (row) => tests.every((test) => test(row)), wrong: "" };
}

function comparison(column, sign, value) {
  if (!column.number) return (row) => String(column.values[row] ?? "").toLowerCase() === value;
  // The reader types in the unit of the label. Numbers on the page have six digits, so equality has a tolerance.
  const bound = Number(value) * (column.unit ?? 1);
  const compare = { "<": (one) => one < bound, ">": (one) => one > bound, "<=": (one) => one <= bound, ">=": (one) => one >= bound, "=": (one) => Math.abs(one - bound) <= 1e-6 * Math.abs(bound) };
  return (row) => column.values[row] !== null && compare[sign](column.values[row]);
}

/* Missing values come last in both directions. */
function comparator(column, down) {
  const { values } = column;
  return (a, b) => {
    const [one, two] = [values[a], values[b]];
    if (one === null || two === null) return (one === null) - (two === null) || a - b;
    const order = column.number ? one - two : String(one).localeCompare(String(two), "en", { numeric: true });
    return (down ? -order : order) || a - b;
  };
}
