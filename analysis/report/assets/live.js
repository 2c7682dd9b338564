/* A live page polls its server, reloads when the ledger has grown, and restores what the reader was looking at. */

const KEPT = "teststrip-report";

function storedState() {
  if (!document.body.dataset.live) return {};
  const text = sessionStorage.getItem(KEPT);
  return text ? JSON.parse(text) : {};
}

function follow(runs) {
  const version = document.body.dataset.live;
  if (!version) return;
  const status = document.querySelector(".status");
  const ask = async () => {
    let wait = 2;
    try {
      const answer = await (await fetch("/version", { cache: "no-store" })).json();
      status.textContent = "";
      wait = answer.wait_s;
      // The page is made by the server as a whole, so a reload is all that is needed.
      if (answer.version !== version) {
        const kept = { scroll: [scrollX, scrollY], runs: runs.map((run) => ({ state: run.state, trial: run.selectedTrial() })), open: openDetails() };
        sessionStorage.setItem(KEPT, JSON.stringify(kept));
        location.reload();
        return;
      }
    } catch {
      status.textContent = "The server has stopped; this is its last page.";
    }
    setTimeout(ask, 1000 * wait);
  };
  setTimeout(ask, 1000);
}

function openDetails() {
  return [...document.querySelectorAll("details")].map((details) => details.open);
}

function restore(kept) {
  if (!kept.scroll) return;
  [...document.querySelectorAll("details")].forEach((details, index) => { details.open = kept.open[index] ?? false; });
  // Charts have no height until they are drawn, one frame later.
  requestAnimationFrame(() => requestAnimationFrame(() => scrollTo({ left: kept.scroll[0], top: kept.scroll[1], behavior: "instant" })));
}
