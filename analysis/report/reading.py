"""All that the report needs to know about a run: its ledger, its configurations, and what to show of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.frontier.answer import frontier
from analysis.frontier.configurations import has_confirmations
from analysis.images.answer import Gallery, gallery
from analysis.ledger.load import Ledger, LedgerError, load
from analysis.ledger.location import Location
from analysis.ledger.names import run_names
from analysis.report.pictures import MOST_NETWORKS
from analysis.report.sampling import shown_reports, shown_trials


@dataclass(frozen=True, eq=False)
class Reading:
    """One run. `results` and `search` are frames as `rank` gives them, with the column `chance` of `chances`.

    `results` holds the confirmed configurations, or all of them if none was confirmed. `search` holds the search's own
    scores, or None if nothing was confirmed, since they are the results then. If no configuration completed, `results`
    is None too, and `why` is the reason. `chance_lines` are about the front of the results. `trials` and `reports` are
    those that the page shows; their notes say how these were chosen and are "" if the page shows all. `pictures` are
    those of networks on the front; if there are none it is None, and `pictures_why` is the reason.
    """

    name: str
    ledger: Ledger
    results: pd.DataFrame | None
    chance_lines: Sequence[str]
    search: pd.DataFrame | None
    why: str
    trials: pd.DataFrame
    trials_note: str
    reports: pd.DataFrame
    reports_note: str
    pictures: Gallery | None
    pictures_why: str

    def without_path(self, text: str) -> str:
        """`text` with the run's name in place of its path, which means nothing to a reader on another machine.

        Commands, which stand in backticks, keep the path: without it they would not work on this machine either.
        """
        parts = text.split("`")
        # Split at backticks, the odd parts are the commands.
        parts[::2] = [prose.replace(str(self.ledger.path), self.name) for prose in parts[::2]]
        return "`".join(parts)


def read_all(runs: Sequence[Location]) -> list[Reading]:
    """Read the runs of one page, each under a name of its own. Raises LedgerError as `read` and `run_names` do."""
    return [read(run, name) for run, name in zip(runs, run_names(runs), strict=True)]


def read(run: Location, name: str = "") -> Reading:
    """Read the run at `run`, by default under its folder's name. Raises LedgerError as `load` does."""
    name = name or run_names([run])[0]
    ledger = load(run)
    # Without a completed trial there is no front, but there are curves, endings and costs to show.
    try:
        own, said = _ranked(ledger)
        search = _ranked(ledger, search=True)[0] if has_confirmations(ledger) else None
        why = ""
    except LedgerError as error:
        own, said, search, why = None, [], None, str(error)
    front = set() if own is None else set(own.loc[own["front"], "configuration"])
    trials, trials_note = shown_trials(ledger, front)
    # Of the shown trials only: all reports of a large run do not fit into memory.
    reports, reports_note = shown_reports(trials, ledger.read("reports", ["*"], trials["trial"]))
    pictures, pictures_why = _pictures(ledger)
    parts = (trials, trials_note, reports, reports_note, pictures, pictures_why)
    return Reading(name, ledger, own, said, search, why, *parts)


def _ranked(ledger: Ledger, search: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """The configurations with their chances of being on the front, and sentences on these."""
    found = frontier([ledger], search=search)
    # A page has each run by itself.
    return found.frame.drop(columns="run"), found.chance_lines


def _pictures(ledger: Ledger) -> tuple[Gallery | None, str]:
    try:
        return gallery([ledger], MOST_NETWORKS), ""
    except LedgerError as error:
        return None, str(error)
