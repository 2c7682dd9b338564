"""Proposals: the configurations that the search has asked for, each with one trial per seed, and the queue of trials.

No configuration is tried twice. A sampler that proposes one again is given the known result; if it keeps doing so, a
random untried point takes the place of its suggestion.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna

from enhance.config import Scalar
from sweeps.engine.designs import Grid
from sweeps.engine.ledger.writer import Row
from sweeps.engine.run.judge import best, higher_is_better, seed_result
from sweeps.engine.run.study import PriorResult, Search, SeedResult
from sweeps.engine.run.trials import RunContext, Trial, trial_identity
from sweeps.engine.space import Space, chosen, suggest
from sweeps.engine.sweep import Sweep

SAME_AGAIN_LIMIT = 5
"""After this many suggestions in a row that were tried before, a random untried point is taken instead."""

DRAWS = 1000
"""Draws from a space that cannot be listed. If none of them is new, the space counts as used up."""

Results = Callable[[Sequence[Trial]], list[SeedResult]]
"""What the search is told about the trials of one configuration."""


@dataclass
class Candidate:
    """One configuration and its trials. `ticket` is the search's number for it; `told`: the search has its result."""

    ticket: int
    trials: list[Trial] = field(default_factory=list)
    told: bool = False


class Proposals:
    """The search, its candidates by number, all trials by id, and the trials that wait for a worker in `waiting`.

    `ahead` is how many configurations are asked for at a time, `history` what the sampler learns from earlier runs,
    and `journal` the file to which Optuna's study is written as well. `exhausted` says why there is no further
    configuration, "" while there is one; `replaced` counts the suggestions of which an untried point took the place.
    """

    def __init__(
        self,
        sweep: Sweep,
        context: RunContext,
        journal: Path | None = None,
        history: Sequence[PriorResult] = (),
        ahead: int = 1,
    ) -> None:
        self.sweep, self.context, self.ahead = sweep, context, ahead
        self._journal, self._history = journal, history
        self.search = self._build_search(known=0)
        self.candidates: dict[int, Candidate] = {}
        self.trials: dict[str, Trial] = {}
        self.waiting: deque[Trial] = deque()
        self.exhausted = ""
        self.replaced = 0
        # One iterator for the whole run: a point that was passed over had been tried, and is not looked at again.
        self._listed = _list_points(sweep) if _can_be_listed(sweep.space) else None

    @property
    def complete(self) -> bool:
        """Whether every configuration that the budget allows, or the space has, has been proposed."""
        return bool(self.exhausted) or len(self.candidates) >= self.sweep.budget.trials

    @property
    def ended(self) -> bool:
        """Whether every trial has ended."""
        return all(trial.ending for trial in self.trials.values())

    def next_number(self) -> int:
        """The number of the next new configuration."""
        return 1 + max(self.candidates, default=-1)

    # --- asking the search ---------------------------------------------------------------------------------------

    def restart_search(self, known: int) -> None:
        """Replace the search by one that knows only earlier runs. `known` goes into its seed, so that it draws anew."""
        self.search = self._build_search(known)

    def ask(self, number: int, results: Results | None = None) -> Candidate | None:
        """Ask the search for an untried configuration. If there is none, returns None and sets `exhausted`.

        The caller decides whether to `add` it. `results` makes what the search is told when it repeats a configuration.
        """
        for _ in range(SAME_AGAIN_LIMIT):
            if self.search.exhausted:
                self.exhausted = "the design has no further point"
                return None
            ticket, values, label = self.search.ask()
            group = self._seeds(number, values, label)
            known = [self.trials[trial.id] for trial in group if trial.id in self.trials]
            if not known:
                return Candidate(ticket, group)
            # The same point again: the sampler is told the same result, and nothing is computed twice.
            self.search.tell(ticket, (results or self.results)(known))
        return self._ask_for_an_untried_point(number)

    def add(self, number: int, candidate: Candidate) -> None:
        """Take the candidate and its trials into the run. Queuing the trials is left to the caller."""
        self.candidates[number] = candidate
        self.trials |= {trial.id: trial for trial in candidate.trials}

    def tell(self, number: int) -> None:
        """Tell the search how a configuration ended, once its last seed has."""
        candidate = self.candidates[number]
        if not candidate.told and all(trial.ending for trial in candidate.trials):
            candidate.told = True
            self.search.tell(candidate.ticket, self.results(candidate.trials))

    def results(self, trials: Sequence[Trial]) -> list[SeedResult]:
        """What the search is told about the trials of one configuration."""
        return [seed_result(trial, self.sweep) for trial in trials]

    def _build_search(self, known: int) -> Search:
        search = Search(self.sweep, self._journal, known=known)
        for prior in self._history:
            search.remember(prior.values, prior.seeds, elsewhere=True)
        return search

    def _ask_for_an_untried_point(self, number: int) -> Candidate | None:
        # A sampler that repeats itself has run out of ideas, which does not mean that the space has run out of points.
        points = _draw_points(self.sweep, number) if self._listed is None else self._listed
        for values in points:
            group = self._seeds(number, values, label="")
            if not any(trial.id in self.trials for trial in group):
                self.replaced += 1
                return Candidate(self.search.adopt(values), group)
        self.exhausted = "the space has no further configuration"
        return None

    # --- trials --------------------------------------------------------------------------------------------------

    def trial(self, number: int, values: Mapping[str, Scalar], label: str, seed: int) -> Trial:
        """A trial that has not begun."""
        config = self.sweep.config(values)
        return Trial(trial_identity(config, seed, self.context), number, config, values, label, seed)

    def _seeds(self, number: int, values: Mapping[str, Scalar], label: str) -> list[Trial]:
        return [self.trial(number, values, label, seed) for seed in self.sweep.budget.search_seeds]

    def best(self) -> list[Candidate]:
        """The candidates to confirm: the best of those of which every seed was trained to the full budget."""
        last = self.sweep.budget.rung_steps()[-1]
        completed = {
            number: [higher_is_better(trial.reports[last], self.sweep) for trial in candidate.trials]
            for number, candidate in self.candidates.items()
            if all(trial.ending == "completed" and trial.stage == "search" for trial in candidate.trials)
        }
        return [self.candidates[number] for number in best(completed, self.sweep.budget.confirm)]

    # --- resuming ------------------------------------------------------------------------------------------------

    def trial_from_start(self, row: Row) -> Trial:
        """The trial of a row of `starts`, under the identity that it has today."""
        values = {name: row.get(f"config.{name}") for name in self.sweep.space}
        trial = self.trial(row["number"], chosen(self.sweep.space, values), row["label"], row["seed"])
        trial.started, trial.stage = row["started"], row["stage"]
        return trial

    def start_over(self, trial: Trial) -> Trial:
        """The same trial, not begun."""
        fresh = self.trial(trial.number, trial.values, trial.label, trial.seed)
        fresh.stage = trial.stage
        return fresh

    def restore(self, number: int, group: list[Trial]) -> None:
        """Put a configuration of an earlier invocation back where it was, and queue its trials that have not ended."""
        first = group[0]
        # Seeds that had no row in `starts` yet when the driver ended are unknown to the ledger.
        begun = {trial.seed for trial in group}
        missing = [seed for seed in self.sweep.budget.search_seeds if seed not in begun]
        group += [self.trial(number, first.values, first.label, seed) for seed in missing]
        unfinished = [trial for trial in group if not trial.ending]
        # An open configuration must be asked for, so that it can be told later; an ended one is only remembered.
        if unfinished:
            candidate = Candidate(self.search.adopt(first.values, first.label), group)
        else:
            ticket = self.search.remember(first.values, self.results(group), first.label)
            candidate = Candidate(ticket, group, told=True)
        self.add(number, candidate)
        self.waiting.extend(unfinished)


def _can_be_listed(space: Space) -> bool:
    """Whether the points of the space can be listed: it is finite, and not too large."""
    return not Grid().problems(space)


def _list_points(sweep: Sweep) -> Iterator[Mapping[str, Scalar]]:
    """Every point of a space that can be listed, in a random order."""
    points = [values for _, values in Grid().points(sweep.space)]
    order = np.random.default_rng([sweep.search_seed, len(points)]).permutation(len(points))
    yield from (points[index] for index in order)


def _draw_points(sweep: Sweep, number: int) -> Iterator[Mapping[str, Scalar]]:
    """DRAWS random points of any space. They depend on the configuration's `number`, so that a resumed run, which has
    forgotten how often it drew, makes the same draws again.
    """
    seed = int(np.random.SeedSequence([sweep.search_seed, number]).generate_state(1)[0])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(DRAWS):
        yield suggest(study.ask(), sweep.space)
