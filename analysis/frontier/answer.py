"""The front of one or more runs, for the command, the report and a sweep's closing summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.frontier.chances import Chances, chance_lines, chances
from analysis.frontier.configurations import caveats, configurations, rank, results
from analysis.frontier.pirm import with_pirm
from analysis.ledger.load import Ledger, LedgerError, Objective, objectives_named
from analysis.ledger.names import run_names


@dataclass(frozen=True, eq=False)
class Frontier:
    """The configurations of `ledgers`, the front first. `names` are those of the runs.

    `ranked` has the columns of `configurations.rank`, and `run` (the index of the ledger). Without `search` it holds
    only the rows that `configurations.results` keeps, and `hidden` counts the others.
    """

    ledgers: Sequence[Ledger]
    names: Sequence[str]
    objectives: tuple[Objective, ...]
    search: bool
    ranked: pd.DataFrame
    hidden: int

    @cached_property
    def chances(self) -> Chances:
        """Each row's chance of being on the true front. Takes about a second, since it draws from a model."""
        return chances(self.ledgers, self.ranked, self.objectives, self.search)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """`ranked` with the column `chance` (0 to 1; NaN if unknown)."""
        return self.ranked.assign(chance=self.chances.front)

    @property
    def chance_lines(self) -> list[str]:
        """The knee and the hypervolume in sentences, or why there are no chances."""
        return chance_lines(self.chances, self.ranked)

    @property
    def caveats(self) -> list[str]:
        """Sentences on what makes the rows less comparable than the table suggests, run by run."""
        own = [self.ranked[self.ranked["run"] == index] for index in range(len(self.ledgers))]
        return [text for ledger, rows in zip(self.ledgers, own, strict=True)
                for text in caveats(ledger, rows, self.objectives)]  # fmt: skip


def frontier(
    ledgers: Sequence[Ledger], objectives: Sequence[str] | None = None, search: bool = False, pirm: bool = False
) -> Frontier:
    """The front of `ledgers` in `objectives` (default: the runs' own).

    `search` uses the search's own scores, of all configurations; `pirm` adds the columns of `with_pirm`. With several
    runs, labels start with the run's name. Raises LedgerError if a run is given twice, if the runs differ in their
    objectives or data, and if nothing completed.
    """
    names = run_names([ledger.path for ledger in ledgers])
    common = _common(ledgers, objectives)
    parts = []
    for index, (name, ledger) in enumerate(zip(names, ledgers, strict=True)):
        # The index, not the name: `chances` looks up the ledger of a row by it.
        own = configurations(ledger, search=search).assign(run=index)
        own = with_pirm(own, ledger, search) if pirm else own
        parts.append(own if len(ledgers) == 1 else own.assign(label=f"{name}: " + own["label"]))
    found = pd.concat(parts, ignore_index=True)
    # Over all runs together: confirmed scores of one run are not mixed with another's search scores.
    kept = found if search else results(found)
    return Frontier(ledgers, names, common, search, rank(kept, common), len(found) - len(kept))


def _common(ledgers: Sequence[Ledger], named: Sequence[str] | None) -> tuple[Objective, ...]:
    """The objectives, which all runs must share, as they must their data to be on one front."""
    first = objectives_named(ledgers[0], named)
    for ledger in ledgers[1:]:
        other = objectives_named(ledger, named)
        if other != first:
            said = [", ".join(f"{own.direction} {own.metric}" for own in found) for found in (first, other)]
            raise LedgerError(
                f"the runs have different objectives ({said[0]}; {said[1]}); choose common ones with --objectives"
            )
    read = [ledger.read("trials", ["run.data"]) for ledger in ledgers]
    data = {value for frame in read if "run.data" in frame for value in frame["run.data"].dropna()}
    if len(ledgers) > 1 and len(data) > 1:
        raise LedgerError(f"the runs used {len(data)} different data sets (run.data), so they cannot share a front")
    return first
