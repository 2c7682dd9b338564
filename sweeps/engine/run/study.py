"""Search: proposes configurations, from an Optuna sampler or a design, and tells Optuna how each one ended.

One Optuna trial stands for one configuration with all of its seeds. It ends as

- COMPLETE, with the mean objectives over the seeds, if every seed was trained to the full budget;
- PRUNED if any was stopped at a rung (a score at a rung never counts as one at the full budget);
- PRUNED with the constraint "diverged" violated if any diverged: known, and infeasible;
- PRUNED with the constraint "refused" violated if the configuration is impossible, likewise;
- FAIL if any failed for a reason that says nothing about the configuration (out of memory, a lost node).

With one objective, its means at the rungs are Optuna's intermediate values. Optuna shows the last of them as the value
of a PRUNED trial; no sampler and no `best_trial` mistakes it for a full one. For several objectives Optuna has no
intermediate values (`Trial.report` raises), so they are user attributes "rung:STEP". Other user attributes are
"label", "ending" and "reason".
"""

import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from enhance.config import Scalar
from sweeps.engine.run.journal import Storage
from sweeps.engine.samplers import SAMPLERS, build_sampler
from sweeps.engine.space import inner, suggest
from sweeps.engine.sweep import METRICS, Sweep

DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}

_WORST_FIRST = ("refused", "failed", "diverged", "stopped", "completed")


@dataclass(frozen=True)
class SeedResult:
    """How one seed of a configuration ended: its ending, and its objectives by step in the order reported.

    `measured` holds the metrics that the sweep's constraints bound. Metrics of training are known only at the full
    budget; those that training does not change ("parameters") always.
    """

    ending: str
    objectives: Mapping[int, tuple[float, ...]]
    measured: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class PriorResult:
    """A configuration of an earlier run: its point of the space, and how each of its seeds ended."""

    values: Mapping[str, Scalar]
    seeds: tuple[SeedResult, ...]


class Search:
    """The sampler or the design of a sweep: `ask` for a configuration, then `tell` once how it ended."""

    def __init__(self, sweep: Sweep, journal: Path | None = None, *, known: int = 0) -> None:
        """`known` counts the configurations of earlier invocations: it is part of the seed, so that a resumed sampler
        does not repeat their draws. `remember` or `adopt` each of them before asking for more.

        `journal` is a file that Optuna's tools can open; an earlier study in it is deleted.
        """
        self.sweep = sweep
        # Optuna prints a line for every study and trial; the display shows them already.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # A SeedSequence mixes both numbers, where a sum would give (0, 1) and (1, 0) the same draws.
        seed = int(np.random.SeedSequence([sweep.search_seed, known]).generate_state(1)[0])
        self.study = optuna.create_study(
            study_name=sweep.name,
            directions=[DIRECTIONS[METRICS[name]] for name in sweep.objectives],
            sampler=build_sampler(sweep.sampler, sweep.sampler_options, seed),
            storage=None if journal is None else Storage(journal),
        )
        # Experimental since Optuna 3.2. The dashboard labels its axes with these names.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study.set_metric_names(list(sweep.objectives))
        self._listed = _list_points(sweep)
        self._open: dict[int, optuna.Trial] = {}

    @property
    def exhausted(self) -> bool:
        """Whether the design has no further point. A sampler always has one."""
        return self.sweep.design is not None and not self._listed

    def ask(self) -> tuple[int, dict[str, Scalar], str]:
        """The next configuration: its number, its values, and its label ("" for a sampler's suggestion).

        Raises LookupError if the design is exhausted.
        """
        if self.exhausted:
            raise LookupError(f"the design of {self.sweep.name!r} has no further point")
        if not self._listed:
            return *self._open_trial(self.study.ask(), ""), ""
        point, label = self._listed.popitem(last=False)
        return *self._enqueue(dict(point), label), label

    def tell(self, number: int, seeds: Sequence[SeedResult]) -> None:
        """Tell the study how the configuration `number` ended."""
        trial = self._open.pop(number)
        outcome = _outcome(seeds, self.sweep)
        # Everything else before `study.tell`: Optuna takes nothing about a trial that has finished.
        for name, value in outcome.constraints.items():
            trial.set_constraint(name, value)
        for step, value in outcome.intermediate.items():
            trial.report(value, step)
        for name, text in outcome.attributes.items():
            trial.set_user_attr(name, text)
        # The plan says it once, where Optuna would say it after every trial.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Constraints have been set, but CmaEsSampler", UserWarning)
            self.study.tell(number, outcome.values, state=outcome.state)

    def remember(
        self, values: Mapping[str, Scalar], seeds: Sequence[SeedResult], label: str = "", *, elsewhere: bool = False
    ) -> int:
        """Add a configuration that has ended to the study; returns its number.

        A configuration of an earlier invocation is not proposed again. One that was tried `elsewhere`, in another run,
        teaches the sampler but stays among the listed points: this run's ledger has no result for it.
        """
        if not elsewhere:
            self._strike(values)
        # Added complete, a trial belongs to no generation; asked for and then told, it belongs to one.
        if SAMPLERS[self.sweep.sampler].generational:
            number, _ = self._enqueue(values, label)
            self.tell(number, seeds)
            return number
        outcome = _outcome(seeds, self.sweep)
        self.study.add_trial(
            create_trial(
                state=outcome.state,
                values=outcome.shown,
                params=dict(values),
                distributions={name: inner(self.sweep.space[name]).distribution() for name in values},
                constraints=outcome.constraints,
                intermediate_values=outcome.intermediate,
                user_attrs={**outcome.attributes, "label": label},
            )
        )
        # `add_trial` returns nothing. Optuna numbers trials from 0, and nobody else adds to this study.
        return len(self.study.get_trials(deepcopy=False)) - 1

    def adopt(self, values: Mapping[str, Scalar], label: str = "") -> int:
        """Ask for exactly these values, such as a configuration that was interrupted; returns its number."""
        self._strike(values)
        return self._enqueue(values, label)[0]

    def _strike(self, values: Mapping[str, Scalar]) -> None:
        """Remove a configuration that has been tried from the listed ones."""
        self._listed.pop(_point(values), None)

    def _enqueue(self, values: Mapping[str, Scalar], label: str) -> tuple[int, dict[str, Scalar]]:
        # The next trial that is asked for is the enqueued one: no other ever waits.
        self.study.enqueue_trial(dict(values))
        trial = self.study.ask()
        if SAMPLERS[self.sweep.sampler].generational:
            # Reading it assigns the trial to a generation; the sampler learns from no other trials.
            _ = trial.relative_params
        return self._open_trial(trial, label)

    def _open_trial(self, trial: optuna.Trial, label: str) -> tuple[int, dict[str, Scalar]]:
        self._open[trial.number] = trial
        trial.set_user_attr("label", label)
        return trial.number, suggest(trial, self.sweep.space)


_Point = tuple[tuple[str, Scalar], ...]


def _point(values: Mapping[str, Scalar]) -> _Point:
    return tuple(sorted(values.items(), key=lambda pair: pair[0]))


def _list_points(sweep: Sweep) -> OrderedDict[_Point, str]:
    """The points that are tried in any case, with their labels: the enqueued settings, then those of the design."""
    points = [*sweep.enqueue.items(), *(sweep.design.points(sweep.space) if sweep.design else ())]
    listed: OrderedDict[_Point, str] = OrderedDict()
    # A point of the design that is enqueued too is tried once, under the name that its author gave it.
    for label, values in points:
        listed.setdefault(_point(values), label)
    return listed


@dataclass(frozen=True)
class _Outcome:
    """How a configuration ended, in Optuna's terms."""

    state: TrialState
    values: list[float] | None
    constraints: dict[str, float]
    intermediate: dict[int, float]
    attributes: dict[str, Any]

    @property
    def shown(self) -> list[float] | None:
        """The values that `Study.tell` would store: for a PRUNED trial its last intermediate one."""
        pruned = self.state == TrialState.PRUNED and self.intermediate
        return [self.intermediate[max(self.intermediate)]] if pruned else self.values


def _outcome(seeds: Sequence[SeedResult], sweep: Sweep) -> _Outcome:
    # A configuration is as good as its worst seed: a mean over the seeds that survived would reward divergence.
    ending = min((seed.ending for seed in seeds), key=_WORST_FIRST.index)
    # Means over different seeds do not compare: only rungs that all seeds have reached.
    steps = sorted(set.intersection(*(set(seed.objectives) for seed in seeds)))
    mean = {
        step: [_mean(column) for column in zip(*(s.objectives[step] for s in seeds), strict=True)] for step in steps
    }
    one = len(sweep.objectives) == 1
    reasons = dict.fromkeys(seed.reason for seed in seeds if seed.ending == ending and seed.reason)
    attributes: dict[str, Any] = {"ending": ending, "reason": "; ".join(reasons)}
    if not one:
        attributes |= {f"rung:{step}": values for step, values in mean.items()}
    state = {"completed": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(ending, TrialState.PRUNED)
    return _Outcome(
        state,
        mean[steps[-1]] if ending == "completed" else None,
        _constraints(seeds, sweep, ending),
        {step: values[0] for step, values in mean.items()} if one else {},
        attributes,
    )


def _constraints(seeds: Sequence[SeedResult], sweep: Sweep, ending: str) -> dict[str, float]:
    """By how much each bound is exceeded (0 or less: it is kept), for the metrics that are known for every seed."""
    found = {ending: 1.0} if ending in ("refused", "diverged") else {}
    for metric, (sign, bound) in sweep.constraints.items():
        if all(metric in seed.measured for seed in seeds):
            value = _mean([seed.measured[metric] for seed in seeds])
            found[metric] = value - bound if sign == "<=" else bound - value
        elif ending == "completed":
            raise ValueError(f"a completed configuration needs {metric} measured, which the sweep's constraints bound")
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
