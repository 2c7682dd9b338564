"""Rungs: the rules by which trials are stopped early, and what each trial has reached at each rung.

A rule judges in two ways. Asynchronously (`judge`), a trial is compared with all that have reached the rung so far: no
trial waits, and the first to arrive always goes on. As a cohort (`cohort`), trials that have all reached the rung are
judged at once, and the order of arrival does not matter. The last rung stops no trial: there is nothing left to save.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import moocore
import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint64]

MINIMUM_PEERS = 5
"""With fewer peers the median rule stops no trial (the `n_startup_trials` of Optuna's MedianPruner)."""

REFERENCE = -0.1
"""The reference point of hypervolume: a tenth of the front's range beyond its worst value, in every objective."""

CONTRIBUTION_LIMIT = 3
"""From four objectives on, a front of 500 costs 155 ms: contributions are no longer O(n log n) (moocore 0.3)."""

ROUNDING = 9
"""Decimals of a spread, so that scaling an objective cannot turn a tie into an order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a trial goes on; its `place` (1 is best) among `of` trials; and `why` it does not, "" if it does."""

    goes_on: bool
    place: int
    of: int
    why: str


class Compared(NamedTuple):
    """A rule's result for one trial; `why` completes the sentence about a trial that is stopped."""

    goes_on: bool
    place: int
    why: str


class Rungs(ABC):
    """What trials have reached at each of `rung_steps` (ascending), and a rule's verdicts on them.

    Values are objectives, signed so that higher is better, the same number for each trial. Recording a report twice, or
    reports in another order, changes no verdict: a resumed run judges as before.
    """

    def __init__(self, rung_steps: tuple[int, ...]) -> None:
        self.rung_steps = rung_steps
        self._rows: dict[str, int] = {}
        self._digests: Digests = np.empty(0, np.uint64)
        # (row, rung, objective), NaN where nothing was reported. One array, since every trial that arrives is compared
        # with all before it, and there may be thousands.
        self._values: Floats = np.empty((0, len(rung_steps), 0))

    def rung(self, step: int) -> int:
        """The index of the rung at `step`; raises ValueError if there is none."""
        if step not in self.rung_steps:
            raise ValueError(f"step {step} is not a rung; the rungs are at {', '.join(map(str, self.rung_steps))}")
        return self.rung_steps.index(step)

    def record(self, trial: str, step: int, values: tuple[float, ...]) -> None:
        """Store what `trial` has reached at the rung of `step`, replacing an earlier report there.

        Raises ValueError if a value is not finite, if the number of values differs from that of earlier trials or is
        zero, and if `step` is not a rung.
        """
        rung = self.rung(step)
        if not values or not np.isfinite(values).all():
            raise ValueError(f"trial {trial} has {values} at step {step}; only finite values can be compared")
        # 0 before the first trial.
        known = self._values.shape[2]
        if known and len(values) != known:
            raise ValueError(f"trial {trial} has {len(values)} objectives at step {step}; those before it have {known}")
        if trial not in self._rows:
            self._add(trial, len(values))
        self._values[self._rows[trial], rung] = values

    def judge(self, trial: str, step: int) -> Verdict:
        """Compare a trial with all that are recorded at `step` so far; raises ValueError if it is not among them."""
        rung = self.rung(step)
        row = self._reported([trial], rung)[0]
        # The array is longer than what is in use. `rows` ascends, so bisection finds the trial's own place in it.
        rows = np.flatnonzero(~np.isnan(self._values[: len(self._rows), rung, 0]))
        return next(self._verdicts(rung, rows, np.searchsorted(rows, [row])))

    def cohort(self, trials: Sequence[str], step: int) -> dict[str, Verdict]:
        """Compare trials with each other; raises ValueError for a repeated one, or one not recorded at `step`."""
        if len(set(trials)) < len(trials):
            raise ValueError(f"the trials of a cohort must differ: {', '.join(trials)}")
        rung = self.rung(step)
        rows = self._reported(trials, rung)
        return dict(zip(trials, self._verdicts(rung, rows, np.arange(len(rows))), strict=True))

    @abstractmethod
    def _compare(self, rung: int, rows: Integers, asked: Integers) -> Iterator[Compared]:
        """Compare the trials at the positions `asked` of `rows` with all trials in `rows`."""

    def _verdicts(self, rung: int, rows: Integers, asked: Integers) -> Iterator[Verdict]:
        last = rung == len(self.rung_steps) - 1
        for goes_on, place, why in self._compare(rung, rows, asked):
            said = f"rung {rung} (step {self.rung_steps[rung]}): place {place} of {len(rows)}, {why}"
            yield Verdict(goes_on or last, place, len(rows), "" if goes_on or last else said)

    def _add(self, trial: str, objectives: int) -> None:
        """Add a row for a new trial. Full tables are doubled, so that the mean cost of a trial stays constant."""
        row = self._rows[trial] = len(self._rows)
        if row == len(self._digests):
            values, digests = self._values, self._digests
            self._values = np.full((max(64, 2 * row), len(self.rung_steps), objectives), np.nan)
            self._digests = np.zeros(len(self._values), np.uint64)
            if row:
                self._values[:row], self._digests[:row] = values, digests
        digest = hashlib.blake2b(trial.encode(), digest_size=8).digest()
        self._digests[row] = int.from_bytes(digest, "big")

    def _reported(self, trials: Sequence[str], rung: int) -> Integers:
        """The rows of `trials`; raises ValueError if one has no report at `rung`."""
        rows = [self._rows.get(trial, -1) for trial in trials]
        missing = [t for t, row in zip(trials, rows, strict=True) if row < 0 or np.isnan(self._values[row, rung, 0])]
        if missing:
            raise ValueError(f"nothing was recorded at step {self.rung_steps[rung]} for trial {', '.join(missing)}")
        return np.array(rows, np.int64)


class Halving(Rungs):
    """Successive halving: the best one in `reduction` go on, at least one.

    With `objectives=1`, the first one, it is asynchronous successive halving (Li et al. 2020, "A System for Massively
    Parallel Hyperparameter Tuning") in its stopping form: a trial is judged once, when it arrives. With all of them
    (None) it is multi-objective (MO-ASHA, Schmucker et al. 2021), in the order of `places`; objectives that are known
    before training, such as a number of parameters, count from the first rung. A cohort is synchronous halving
    (Jamieson and Talwalkar 2016).
    """

    def __init__(self, rung_steps: tuple[int, ...], reduction: int, objectives: int | None = None) -> None:
        super().__init__(rung_steps)
        self.reduction, self.objectives = reduction, objectives

    def _compare(self, rung: int, rows: Integers, asked: Integers) -> Iterator[Compared]:
        going = max(1, len(rows) // self.reduction)
        for place in places(self._values[rows, rung, : self.objectives], self._digests[rows], asked):
            yield Compared(bool(place <= going), int(place), f"{going} go on")


class Median(Rungs):
    """The median rule (Golovin et al. 2017, "Google Vizier"), on the first objective.

    A trial is stopped if its best value so far is below the median of its peers' running means up to the same step.
    Vizier's peers are completed trials; with early stopping these are few and late. Ours are all that have reached the
    rung, as in Ray's MedianStoppingRule. `place` counts the peers whose mean is above the trial's best.
    """

    def _compare(self, rung: int, rows: Integers, asked: Integers) -> Iterator[Compared]:
        # A resumed run may lack the report of an earlier rung, whose file was damaged: hence the nan-functions.
        past = self._values[rows, : rung + 1, 0]
        best, means = np.nanmax(past, axis=1, initial=-np.inf), np.nanmean(past, axis=1)
        for position in asked:
            peers, own = np.delete(means, position), best[position]
            goes_on = len(peers) < MINIMUM_PEERS or bool(own >= np.median(peers))
            yield Compared(goes_on, 1 + int(np.count_nonzero(peers > own)), "below the median of the others' means")


class Patience(Rungs):
    """Early stopping of a trial by itself: it ends once its first objective has not improved for `patience` reports.

    Reports are counted as Keras' EarlyStopping counts epochs, with min_delta=0. `place` counts the trials that are
    better at this report; they decide nothing.
    """

    def __init__(self, rung_steps: tuple[int, ...], patience: int) -> None:
        super().__init__(rung_steps)
        self.patience = patience

    def _compare(self, rung: int, rows: Integers, asked: Integers) -> Iterator[Compared]:
        for position in asked:
            # A resumed run may lack an earlier report, whose file was damaged: hence the nan-function.
            past = self._values[rows[position], : rung + 1, 0]
            best = int(np.nanargmax(past))
            better = int(np.count_nonzero(self._values[rows, rung, 0] > past[-1]))
            waited = rung - best
            why = f"no better than at step {self.rung_steps[best]} for {waited} reports"
            yield Compared(waited < self.patience, 1 + better, why)


def places(values: Floats, digests: Digests, asked: Integers) -> Integers:
    """The places, 1 (best) to n, of the points `asked` for among `values` (n, objectives), higher being better.

    First by non-dominated rank, so that no point comes before one that dominates it; inside a rank by
    `spread_order`. The order is total and depends on the values and the digests (n,) alone, not on the order of rows.
    """
    ranks = _ranks(values)
    found = np.zeros(len(values), np.int64)
    for rank in np.unique(ranks[asked]):
        front = np.flatnonzero(ranks == rank)
        order = spread_order(values[front], digests[front])
        found[front[order]] = np.count_nonzero(ranks < rank) + np.arange(1, len(front) + 1)
    return found[asked]


def spread_order(front: Floats, digests: Digests) -> Integers:
    """The indices of mutually non-dominated points (n, objectives), those that keep the front broad first.

    1. The extremes: for each objective in turn, a point that is best in it. A boundary is never lost to a crowd, and
       if only one trial goes on, it is the best in the first objective.
    2. The others by hypervolume contribution, largest first, from a reference a little beyond the front's worst.
    3. Copies of a point, after all different points. Contributions are taken without them: with them, each of two
       copies would contribute nothing, and their point would be lost. The smallest digest stands for it.
    4. Ties by the digest of the trial's name, which knows nothing of arrival.

    Why contributions: scaling an objective scales all of them alike, so units do not matter. Syne Tune's MOASHA uses an
    epsilon-net (always the point farthest from those taken), which depends on units, through distances, and on the
    point that it begins with. Hypervolume is also what a front is judged by. As usual with contributions, points that
    nearly coincide lower each other. From four objectives on (CONTRIBUTION_LIMIT) the distance to the nearest other
    point, objectives scaled to the front's range, takes their place.
    """
    if len(front) == 1:
        return np.zeros(1, np.int64)
    ordered = np.lexsort((digests, *front.T))
    is_new = np.append(True, np.any(front[ordered[1:]] != front[ordered[:-1]], axis=1))
    # Of equal points, the one of smallest digest.
    originals = ordered[is_new]
    points = front[originals]
    # Copies keep -1, and so come after all different points, whose spread is at least 0.
    spread = np.full(len(front), -1.0)
    spread[originals] = _spread(points)
    objectives = front.shape[1]
    group = np.full(len(front), objectives)
    # Backwards, so that an extreme of two objectives counts for the earlier one.
    for objective in reversed(range(objectives)):
        best = originals[points[:, objective] == points[:, objective].max()]
        group[best[np.lexsort((digests[best], -spread[best]))[0]]] = objective
    return np.lexsort((digests, -spread, group))


def _ranks(values: Floats) -> Integers:
    """Non-dominated ranks (n,), 0 is best. Of one objective they are the places of the distinct values."""
    if values.shape[1] == 1:
        return np.unique(-values[:, 0], return_inverse=True)[1].astype(np.int64)
    return np.asarray(moocore.pareto_rank(values, maximise=True), np.int64)


def _spread(points: Floats) -> Floats:
    """How much each of n different, mutually non-dominated points adds to the breadth of their front (n,)."""
    if len(points) == 1:
        return np.zeros(1)
    # The range of two huge numbers of opposite signs could overflow.
    halves = points / 2
    low = halves.min(axis=0)
    span = halves.max(axis=0) - low
    scaled = (halves - low) / np.where(span > 0, span, 1)
    if points.shape[1] <= CONTRIBUTION_LIMIT:
        spread: Floats = moocore.hv_contributions(scaled, ref=REFERENCE, maximise=True)
    else:
        # The nearest point is the point itself, so the second nearest is taken.
        spread = np.asarray(KDTree(scaled).query(scaled, k=2)[0])[:, 1]
    return np.round(spread, ROUNDING)


class Rule(NamedTuple):
    """A stopping rule: one line of help, and a function that builds it from the rungs' steps and the reduction."""

    line: str
    build: Callable[[tuple[int, ...], int], Rungs]


RULES: dict[str, Rule] = {
    "pareto": Rule("the best share by non-dominated rank over all objectives goes on (MO-ASHA)", Halving),
    "first": Rule("the best share by the first objective goes on (ASHA)", partial(Halving, objectives=1)),
    "median": Rule(
        "a trial goes on unless its best first objective is below the median of the others' means (Vizier)",
        lambda rung_steps, reduction: Median(rung_steps),
    ),
    # One in one goes on.
    "none": Rule(
        "every trial goes on; places are by the first objective",
        lambda rung_steps, reduction: Halving(rung_steps, reduction=1, objectives=1),
    ),
}
"""The stopping rules by name. For `median` and `none` the reduction only decides where the rungs are."""


def build_rungs(rule: str, rung_steps: tuple[int, ...], reduction: int) -> Rungs:
    """Empty rungs at `rung_steps` (ascending) under the rule of that name; raises ValueError for an unknown name."""
    if rule not in RULES:
        raise ValueError(f"unknown stopping rule {rule!r}; choose from {', '.join(RULES)}")
    return RULES[rule].build(rung_steps, reduction)
