"""Optuna's samplers by name, each with the options that matter, their domains, and what it cannot search.

    build_sampler("tpe", {"startup_trials": 20}, seed=0)

Only TPE learns from every trial: it ranks those that a rung stopped by where they were stopped, and avoids what
diverged or was refused. NSGA-II, GP and CMA-ES learn from completed trials and are blind to all others (Optuna 5.0).
"""

import dataclasses
import importlib.util
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from enhance.config import Scalar
from enhance.config.domain import Domain, choice, leaf, unknown_name
from sweeps.engine.designs import endless
from sweeps.engine.space import Choice, Space, When, inner


@dataclass(frozen=True, kw_only=True)
class Sampler(ABC):
    """A sampler's options. The fields have domains, like the leaves of a configuration.

    `generational` samplers learn only from trials that belong to one of their generations. A sampler without
    `keeps_bounds` ignores constraints, and would violate them for the sake of the objective.
    """

    description: ClassVar[str]
    generational: ClassVar[bool] = False
    keeps_bounds: ClassVar[bool] = True

    @abstractmethod
    def build(self, seed: int) -> BaseSampler:
        """The sampler itself."""

    def refusals(self, space: Space, objectives: int) -> list[str]:
        """Why it cannot search `space` for this number of objectives; empty if it can."""
        return []

    @classmethod
    def options(cls) -> dict[str, Domain]:
        """The domain of each option."""
        return {field.name: field.metadata["domain"] for field in dataclasses.fields(cls)}


@dataclass(frozen=True, kw_only=True)
class Random(Sampler):
    """Independent draws."""

    description = "independent draws, a baseline that learns nothing"

    def build(self, seed: int) -> BaseSampler:
        return RandomSampler(seed=seed)


@dataclass(frozen=True, kw_only=True)
class QMC(Sampler):
    """Quasi-Monte Carlo. The sequence is scrambled, so that the seed matters; a resumed search begins a new one."""

    description = "a scrambled low-discrepancy sequence, more even than random draws; learns nothing"
    sequence: str = choice("sobol", "halton")

    def build(self, seed: int) -> BaseSampler:
        # Optuna has called the class experimental since 3.0; its arguments have not changed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return QMCSampler(qmc_type=self.sequence, scramble=True, seed=seed, warn_independent_sampling=False)

    def refusals(self, space: Space, objectives: int) -> list[str]:
        return _conditional("qmc", space, "the points of its sequence have a value for every parameter")


@dataclass(frozen=True, kw_only=True)
class TPE(Sampler):
    """Tree-structured Parzen estimator, multivariate, for one objective and several (Optuna 5.0's default)."""

    description = "tree-structured Parzen estimator; learns from stopped, diverged and refused trials too"
    startup_trials: int = leaf(10, minimum=0)
    candidates: int = leaf(24, minimum=1)

    def build(self, seed: int) -> BaseSampler:
        # Running trials count as bad ones (`constant_liar`, a default), so that workers do not all try the same region.
        return TPESampler(n_startup_trials=self.startup_trials, n_ei_candidates=self.candidates, seed=seed)


@dataclass(frozen=True, kw_only=True)
class NSGA2(Sampler):
    """NSGA-II (Deb et al. 2002). A `mutation` of 0 means Optuna's default, one over the number of parameters."""

    description = (
        "genetic algorithm for several objectives; needs hundreds of trials and learns from completed ones only"
    )
    generational = True
    population: int = leaf(50, minimum=2)
    mutation: float = leaf(0.0, minimum=0.0, maximum=1.0)
    crossover: float = leaf(0.9, minimum=0.0, maximum=1.0)

    def build(self, seed: int) -> BaseSampler:
        return NSGAIISampler(
            population_size=self.population,
            # 0 stands for Optuna's None, so that every value of the option is a number.
            mutation_prob=self.mutation or None,
            crossover_prob=self.crossover,
            seed=seed,
        )

    def refusals(self, space: Space, objectives: int) -> list[str]:
        return _conditional("nsga2", space, "children inherit only parameters that every trial has")


@dataclass(frozen=True, kw_only=True)
class GP(Sampler):
    """Gaussian process with expected (hypervolume) improvement. Imports torch in the driver."""

    description = "Gaussian process, for few and expensive trials; learns from completed ones only"
    startup_trials: int = leaf(10, minimum=1)

    def build(self, seed: int) -> BaseSampler:
        return GPSampler(n_startup_trials=self.startup_trials, seed=seed, warn_independent_sampling=False)

    def refusals(self, space: Space, objectives: int) -> list[str]:
        return _conditional("gp", space, "it models only parameters that every trial has")


@dataclass(frozen=True, kw_only=True)
class CMAES(Sampler):
    """CMA-ES (Hansen). A `population` of 0 means its default, 4 + floor(3 ln(parameters)); others are >= 4."""

    description = "covariance matrix adaptation for one objective and numbers; learns from completed trials only"
    generational = True
    keeps_bounds = False
    startup_trials: int = leaf(1, minimum=0)
    population: int = leaf(0, minimum=0)

    def build(self, seed: int) -> BaseSampler:
        return CmaEsSampler(
            n_startup_trials=self.startup_trials,
            popsize=self.population or None,
            seed=seed,
            warn_independent_sampling=False,
        )

    def refusals(self, space: Space, objectives: int) -> list[str]:
        found = _conditional("cmaes", space, "its covariance matrix has one size")
        if objectives > 1:
            found.append(
                f"sampler cmaes optimizes one objective, not {objectives}; choose from tpe, nsga2, gp, random, qmc"
            )
        words = [name for name, entry in space.items() if isinstance(inner(entry), Choice)]
        if words:
            found.append(
                f"sampler cmaes searches numbers only, and {', '.join(words)} is a Choice; choose from tpe, nsga2, gp, "
                "random, qmc, or make it an Integer, Uniform or Log range"
            )
        if 0 < self.population < 4:
            found.append(f"sampler cmaes: population={self.population} must be 4 or more, or 0 for its default")
        if importlib.util.find_spec("cmaes") is None:
            found.append("sampler cmaes needs the package cmaes: pip install cmaes")
        return found


SAMPLERS: dict[str, type[Sampler]] = {
    "tpe": TPE,
    "random": Random,
    "qmc": QMC,
    "nsga2": NSGA2,
    "gp": GP,
    "cmaes": CMAES,
}


def sampler_problems(
    name: str, options: Mapping[str, Scalar], space: Space, objectives: int, bounds: Collection[str] = ()
) -> list[str]:
    """Every reason why this sampler with these options cannot search `space`; empty if it can.

    `bounds` names the metrics that the sweep's constraints bound.
    """
    # Optuna has a GridSampler; ours is a design, and the message says which one.
    if name == "grid":
        return [_grid(space)]
    if name not in SAMPLERS:
        return [f"sampler: {unknown_name(name, SAMPLERS)}"]
    known = SAMPLERS[name].options()
    valid: dict[str, Any] = {}
    found = []
    for option, value in options.items():
        if not known:
            found.append(f"sampler {name} has no options, so it has no {option!r}")
        elif option not in known:
            found.append(f"sampler {name}: {unknown_name(option, known)}")
        elif problem := known[option].problem(option, value):
            found.append(f"sampler {name}: {problem}")
        else:
            valid[option] = value
    if bounds and not SAMPLERS[name].keeps_bounds:
        found.append(
            f"sampler {name} cannot keep to the constraints on {', '.join(bounds)}; choose from tpe, nsga2, gp"
        )
    # Built with the options that are right, so that all problems come at once.
    return found + SAMPLERS[name](**valid).refusals(space, objectives)


def build_sampler(name: str, options: Mapping[str, Scalar], seed: int) -> BaseSampler:
    """The sampler of that name, with options that `sampler_problems` has accepted. Raises KeyError for another name."""
    chosen: Mapping[str, Any] = options
    return SAMPLERS[name](**chosen).build(seed)


def _conditional(sampler: str, space: Space, why: str) -> list[str]:
    names = [name for name, entry in space.items() if isinstance(entry, When)]
    if not names:
        return []
    return [
        f"sampler {sampler} cannot search {', '.join(names)}, which are under a condition (When): {why}; "
        "choose from tpe, random"
    ]


def _grid(space: Space) -> str:
    ranges = [name for name, entry in space.items() if endless(inner(entry))]
    levels = f"Grid(levels=3), since {', '.join(ranges)} have no finite number of values" if ranges else "Grid()"
    return f"a grid is a design, not a sampler: set design={levels}"
