/* One object per run on the page: its data, its selection, and the views that listen to it. */

const PARTS = { frontier: frontierChart, curves: curvesChart, trials: trialsTable, pictures: picturesTable };

function startRun(article, kept) {
  const data = JSON.parse(article.querySelector("script.data").textContent);
  const { trials } = data;
  const run = {
    index: Number(article.dataset.run), data, state: kept?.state ?? {}, listeners: [], selected: { row: null, configuration: null }, from: null, host: null,
    stopped: trials.ending.flatMap((ending, row) => (ending === "stopped" ? [row] : [])),
    selectedTrial: () => (run.selected.row === null ? null : trials.id[run.selected.row]),
    selectTrial(row, from) {
      // All runs of a page share one panel.
      for (const other of runs) if (other !== run && other.selected.row !== null) other.clear();
      run.selected = { row, configuration: trials.configuration[row] };
      run.from = from ?? run.from;
      run.host = from?.closest("section") ?? run.host;
      // A link to the trial, without an entry in the history for every click.
      history.replaceState(null, "", `#trial=${trials.id[row]}`);
      for (const listen of run.listeners) listen();
      steady(run.host, () => showPanel(run));
      // Only for a selection by the reader; links and restored pages leave the focus alone.
      if (from) document.querySelector(".panel .close").focus({ preventScroll: true });
    },
    selectConfiguration(id, from) {
      const own = trials.configuration.flatMap((configuration, row) => (configuration === id ? [row] : []));
      // The trial that stands for a configuration: a completed confirmation if there is one.
      const score = (row) => (trials.ending[row] === "completed") + 2 * (trials.stage[row] === "confirm");
      run.selectTrial(own.reduce((best, row) => (score(row) > score(best) ? row : best)), from);
    },
    clear() {
      run.selected = { row: null, configuration: null };
      history.replaceState(null, "", location.pathname + location.search);
      for (const listen of run.listeners) listen();
      steady(run.host, () => showPanel(run));
      refocus(article, run);
    },
  };
  for (const host of article.querySelectorAll(".interactive")) PARTS[host.dataset.part](host, run);
  return run;
}

/* Opening the panel narrows the page, which changes its height: scroll so that what was clicked stays in place. */
function steady(host, change) {
  const before = host?.getBoundingClientRect().top;
  change();
  if (!host) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    scrollBy({ top: host.getBoundingClientRect().top - before, behavior: "instant" });
  }));
}

/* Return the focus to where the selection was made. A chart has been redrawn since, so look its point up again. */
function refocus(article, run) {
  const { from } = run;
  run.from = null;
  if (!from) return;
  const again = from.isConnected ? from : article.querySelector(`[data-configuration="${CSS.escape(from.dataset.configuration ?? "")}"]`);
  if (again) again.focus({ preventScroll: true });
}

function select(runs, trial) {
  for (const run of runs) {
    const row = run.data.trials.id.indexOf(trial);
    if (row >= 0) run.selectTrial(row, null);
  }
}

const kept = storedState();
const runs = [];
for (const article of document.querySelectorAll("article.run")) runs.push(startRun(article, kept.runs?.[runs.length]));
const linked = /^#trial=(\w+)$/.exec(location.hash);
const before = kept.runs?.map((run) => run.trial).find(Boolean);
if (linked || before) select(runs, linked ? linked[1] : before);
restore(kept);
follow(runs);

addEventListener("keydown", (event) => {
  const open = runs.find((run) => run.selected.row !== null);
  if (event.key === "Escape" && open) open.clear();
});
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
