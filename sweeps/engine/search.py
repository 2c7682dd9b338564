"""Search: Optuna's samplers, told honestly what became of each configuration.

One Optuna trial stands for one configuration, all of its seeds together. It ends as

- COMPLETE, with the mean objectives over the seeds, if every seed was trained to the full budget;
- PRUNED if any was stopped at a rung (a rung's score is never passed off as a full one);
- PRUNED with the constraint "diverged" violated if any diverged: known, and infeasible;
- FAIL if any failed for a reason that says nothing about the configuration (out of memory, a lost node).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from enhance.config import Scalar
from sweeps.engine.space import inner, suggest
from sweeps.engine.sweep import METRICS, Sweep

DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}


@dataclass(frozen=True)
class SeedResult:
    """How one seed of a configuration ended: its ending, and its objectives by step in the order reported."""

    ending: str
    objectives: Mapping[int, tuple[float, ...]]


class Search:
    """A sampler over a sweep's space. Asked for configurations one by one; told each one's end once."""

    def __init__(self, sweep: Sweep, known: int = 0) -> None:
        """`known` is how many configurations earlier invocations have tried: a resumed sampler draws afresh."""
        self.sweep = sweep
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            study_name=sweep.name,
            directions=[DIRECTIONS[METRICS[name]] for name in sweep.objectives],
            sampler=_sampler(sweep, known),
        )
        self._first = dict(sweep.first)
        self._open: dict[int, optuna.Trial] = {}

    def ask(self) -> tuple[int, dict[str, Scalar], str]:
        """The next configuration: its number, its values, and its name if it is one of the sweep's first ones."""
        label = next(iter(self._first), "")
        if label:
            self.study.enqueue_trial(dict(self._first.pop(label)))
        trial = self.study.ask()
        self._open[trial.number] = trial
        return trial.number, suggest(trial, self.sweep.space), label

    def tell(self, number: int, seeds: Sequence[SeedResult]) -> None:
        """How configuration `number`, asked for before, ended."""
        trial = self._open.pop(number)
        state, values, constraints, intermediate = _outcome(seeds)
        for name, value in constraints.items():
            trial.set_constraint(name, value)
        if len(self.sweep.objectives) == 1:  # Optuna has intermediate values for single objectives only
            for step, value in intermediate.items():
                trial.report(value, step)
        self.study.tell(number, values, state=state)

    def remember(self, values: Mapping[str, Scalar], seeds: Sequence[SeedResult]) -> int:
        """Put a configuration that ended in an earlier invocation into the study, as if told here; its number."""
        self._strike(values)
        state, means, constraints, intermediate = _outcome(seeds)
        self.study.add_trial(
            create_trial(
                state=state,
                values=means,
                params=dict(values),
                distributions={name: inner(self.sweep.space[name]).distribution() for name in values},
                constraints=constraints,
                intermediate_values=intermediate if len(self.sweep.objectives) == 1 else {},
            )
        )
        return len(self.study.get_trials(deepcopy=False)) - 1

    def adopt(self, values: Mapping[str, Scalar]) -> int:
        """Ask for exactly these values (a configuration that an earlier invocation had started); its number."""
        self._strike(values)
        self.study.enqueue_trial(dict(values))
        trial = self.study.ask()
        suggest(trial, self.sweep.space)
        self._open[trial.number] = trial
        return trial.number

    def _strike(self, values: Mapping[str, Scalar]) -> None:
        """A first configuration that an earlier invocation has tried is not tried again."""
        self._first = {name: first for name, first in self._first.items() if dict(first) != dict(values)}


def _outcome(
    seeds: Sequence[SeedResult],
) -> tuple[TrialState, list[float] | None, dict[str, float], dict[int, float]]:
    """The state, values, constraints and (first objective's) intermediate values of a configuration."""
    endings = {seed.ending for seed in seeds}
    shared = set.intersection(*(set(seed.objectives) for seed in seeds))
    mean = {
        step: [_mean(column) for column in zip(*(s.objectives[step] for s in seeds), strict=True)] for step in shared
    }
    intermediate = {step: values[0] for step, values in sorted(mean.items())}
    if "failed" in endings:
        return TrialState.FAIL, None, {}, intermediate
    if "diverged" in endings:
        return TrialState.PRUNED, None, {"diverged": 1.0}, intermediate
    if "stopped" in endings:
        return TrialState.PRUNED, None, {}, intermediate
    return TrialState.COMPLETE, mean[max(mean)], {}, intermediate


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _sampler(sweep: Sweep, known: int) -> BaseSampler:
    seed = int(np.random.SeedSequence([sweep.search_seed, known]).generate_state(1)[0])
    return RandomSampler(seed=seed) if sweep.sampler == "random" else TPESampler(seed=seed)
