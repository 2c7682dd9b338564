"""A sweep: one question and everything needed to answer it. Building one checks it, and reports every problem."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from enhance.conditions import Conditions
from enhance.config import Config, ConfigError, Scalar, conflicts, device_conflicts, from_flat
from enhance.data import DEGRADATIONS, KINDS, kind_of
from sweeps.engine.designs import Design
from sweeps.engine.rungs import RULES
from sweeps.engine.samplers import sampler_problems
from sweeps.engine.space import Space, contains, corner_points, entry_problems, space_problems

METRICS: dict[str, str] = {
    "psnr_db": "maximize",
    "psnr_gain_db": "maximize",
    "ssim": "maximize",
    "ms_ssim": "maximize",
    "uqi": "maximize",
    "cycle_psnr_db": "maximize",
    "parameters": "minimize",
    "macs": "minimize",
    "latency_ms": "minimize",
    "latency_ratio": "minimize",
}
"""The metrics that can be objectives, and the direction in which each is better."""

COSTS = ("macs", "latency_ms", "latency_ratio")
"""Metrics that are measured before training, while nothing else runs; see `Sweep.cost`."""

KNOWN_BEFORE = ("parameters", *COSTS)
"""Metrics that training does not change: they count in comparisons from the first rung on."""

UNPAIRED_METRICS = ("cycle_psnr_db",)
"""Metrics that need no target: the possible objectives of train.rule=cycle on unpaired data."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
"""A sweep's name, which is also a folder's name."""

ANSWERED_BY = ("frontier", "stability", "ablation")
"""Commands of `python -m analysis` that may answer a sweep's question."""

MOST = 10**9
"""The largest number in a budget. A larger one is a typing error, and might not fit into a column of the ledger."""

FRESH_SEED = 1000
"""The first seed of confirmations; the seeds of the search are below it."""

PRINT_SEED = 2000
"""The first seed of prints: what is printed was chosen by its scores on other seeds, and partly for their luck."""


def _word_problems(name: str, answered_by: str) -> list[str]:
    allowed = "1 to 80 of A-Z a-z 0-9 . _ -, the first no dot or dash"
    found = [] if NAME.fullmatch(name) else [f"its name {name!r} names folders: {allowed}"]
    if answered_by not in ANSWERED_BY:
        found.append(f"answered_by={answered_by!r} is not an analysis; choose from {', '.join(ANSWERED_BY)}")
    return found


def _form_problems(constraints: Mapping[str, Any]) -> list[str]:
    def has_form(bound: Any) -> bool:
        pair = isinstance(bound, tuple | list) and len(bound) == 2 and bound[0] in ("<=", ">=")
        return pair and isinstance(bound[1], int | float) and math.isfinite(bound[1])

    return [
        f'constraints[{metric!r}] must be ("<=", number) or (">=", number), not {bound!r}'
        for metric, bound in constraints.items()
        if not has_form(bound)
    ]


class SweepError(ValueError):
    """A sweep that cannot run; `problems` holds a sentence for each reason."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"the sweep {name!r} cannot run:\n" + "\n".join(f"  - {problem}" for problem in problems))


class UnsuitableData(ValueError):
    """Data that show another degradation than the one that a sweep asks about."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much may be spent: `trials` configurations, each on `seeds` paired seeds, each for up to `steps` steps.

    A trial is compared with its peers at `rungs` step counts, each `reduction` times the one before, the last being
    `steps`; at each but the last about one in `reduction` goes on (successive halving, Jamieson and Talwalkar 2016,
    in its asynchronous form, Li et al. 2020). `rungs=1` stops nothing early.

    After the search the best `confirm` configurations are trained again, to the full budget, on `confirm_seeds` seeds
    that the search has not seen: the best of many is partly lucky, and only fresh seeds show how much. `audit_share` is
    the random fraction (0 to 1) of the trials to be stopped that finish all the same, to estimate what stopping costs.

    With `every`, trials report every so many steps instead, are compared with nobody, leave a checkpoint at each
    report, and are trained on seeds from PRINT_SEED on: a print. With `patience` such a trial ends once its first
    objective has not improved for so many reports; 0 trains it to the end.
    """

    trials: int
    steps: int
    rungs: int = 3
    reduction: int = 3
    seeds: int = 1
    confirm: int = 0
    confirm_seeds: int = 3
    audit_share: float = 0.0
    every: int = 0
    patience: int = 0

    @property
    def search_seeds(self) -> range:
        """The seeds of every configuration; confirmations have others."""
        first = PRINT_SEED if self.every else 0
        return range(first, first + self.seeds)

    def rung_steps(self) -> tuple[int, ...]:
        """The step counts at which trials report, ascending; the last is the full budget."""
        if self.every:
            return (*range(self.every, self.steps, self.every), self.steps)
        return tuple(self.steps // self.reduction**k for k in range(self.rungs - 1, -1, -1))

    def problems(self) -> list[str]:
        """Everything that is wrong with the budget."""
        lows = {"trials": 1, "steps": 1, "rungs": 1, "reduction": 2, "seeds": 1, "confirm": 0, "confirm_seeds": 1}
        lows |= {"every": 0, "patience": 0}
        found = [
            f"budget.{name}={getattr(self, name)!r} must be a whole number >= {low} and <= {MOST:,}"
            for name, low in lows.items()
            if type(getattr(self, name)) is not int or not low <= getattr(self, name) <= MOST
        ]
        if self.seeds > FRESH_SEED:
            found.append(f"budget.seeds={self.seeds} must be <= {FRESH_SEED}: later ones are for confirmations")
        if not 0 <= self.audit_share <= 1:
            found.append(f"budget.audit_share={self.audit_share!r} must be a share from 0 to 1")
        if self.patience and not self.every:
            found.append(f"budget.patience={self.patience} counts reports, and needs budget.every")
        if self.every:
            return found
        # By logarithms first, since computing the power of a mistyped number of rungs would take forever.
        if not found and (self.rungs - 1) * math.log(self.reduction) > math.log(MOST) + 1:
            found.append(f"budget.rungs={self.rungs} is more than any number of steps <= {MOST:,} has room for")
        elif not found and self.rung_steps()[0] < 1:
            need = self.reduction ** (self.rungs - 1)
            found.append(
                f"budget.steps={self.steps} leaves no step for the first of {self.rungs} rungs; at least {need}"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One question about photo enhancement, asked of many trials.

    `space` is what varies, and `fixed` the leaves that do not, both by flat configuration names. `enqueue` has named
    points of the space that are tried before the sampler's own, such as a paper's settings. A `design` lists the points
    to try, and takes the place of the sampler.

    `objectives` are metric names; `stopping` is the rule by which trials are compared at the rungs (`rungs.RULES`).
    `constraints` bound metrics, as in {"parameters": ("<=", 100_000)}: a trial that breaks one does not count as a
    result, and samplers learn to avoid it. With `cost` every network is measured under these conditions before it is
    trained, which the metrics in COSTS need.

    `smoke` is the smallest budget that exercises everything; `full` has the papers' scale, with `full_fixed` over
    `fixed` (real batches, real crops). `answered_by` is the analysis that closes the run. A question about one kind of
    degradation names it in `degradations` (of `enhance.data.DEGRADATIONS`; empty: it can be asked of any data).
    `origin` says from which run a print is made. Raises SweepError with every problem at once.
    """

    name: str
    question: str
    found: str
    space: Space
    fixed: Mapping[str, Scalar]
    objectives: tuple[str, ...]
    budget: Budget
    smoke: Budget
    full: Budget
    full_fixed: Mapping[str, Scalar] = field(default_factory=dict)
    enqueue: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    data: str = "demo"
    degradations: tuple[str, ...] = ()
    sampler: str = "tpe"
    sampler_options: Mapping[str, Scalar] = field(default_factory=dict)
    design: Design | None = None
    stopping: str = "pareto"
    constraints: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    cost: Conditions | None = None
    answered_by: str = "frontier"
    search_seed: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = self.problems()
        if problems:
            raise SweepError(self.name, problems)

    def problems(self) -> list[str]:
        """Every reason why this sweep cannot run; empty if it can."""
        # The other checks would fail on entries that are not ranges, and on malformed bounds.
        if found := entry_problems(self.space) + _form_problems(self.constraints):
            return found
        others = {"smoke": self.smoke, "full": self.full}
        found = self.budget.problems() + [f"{name} {p}" for name, other in others.items() for p in other.problems()]
        found += _word_problems(self.name, self.answered_by)
        if not self.objectives:
            found.append(f"it has no objective; choose from {', '.join(METRICS)}")
        found += [
            f"unknown objective {o!r}; choose from {', '.join(METRICS)}" for o in self.objectives if o not in METRICS
        ]
        if len(set(self.objectives)) < len(self.objectives):
            found.append(f"its objectives {', '.join(self.objectives)} must differ")
        if self.design is None:
            bounds = tuple(self.constraints)
            found += sampler_problems(self.sampler, self.sampler_options, self.space, len(self.objectives), bounds)
        elif self.sampler_options:
            found.append(
                f"a design takes the place of the sampler: {', '.join(self.sampler_options)} would have no effect"
            )
        if self.stopping not in RULES:
            found.append(f"unknown stopping rule {self.stopping!r}; choose from {', '.join(RULES)}")
        found += [
            f"unknown degradation {name!r}; choose from {', '.join(DEGRADATIONS)}"
            for name in self.degradations
            if name not in DEGRADATIONS
        ]
        found += [
            f"unknown metric {metric!r} in constraints; choose from {', '.join(METRICS)}"
            for metric in self.constraints
            if metric not in METRICS
        ]
        needed = [name for name in self._judged if name in COSTS]
        if needed and self.cost is None:
            found.append(f"{', '.join(needed)} must be measured: give the conditions as cost")
        found += self._configuration_problems()
        return found

    @property
    def _judged(self) -> tuple[str, ...]:
        """The metrics by which trials are judged: every trial must be able to give them."""
        return (*self.objectives, *self.constraints)

    def _configuration_problems(self) -> list[str]:
        found = space_problems(self.space, self.fixed) if self.space else ["its space is empty; name a parameter"]
        both = [name for name in self.space if name in {**self.fixed, **self.full_fixed}]
        if both:
            found.append(f"{', '.join(both)} cannot be fixed and searched at once")
        if "train.steps" in {**self.fixed, **self.full_fixed} or "train.steps" in self.space:
            found.append("train.steps belongs to the budget: set budget.steps")
        if "cycle_psnr_db" in self._judged and self.fixed.get("train.rule") != "cycle":
            found.append("the metric cycle_psnr_db needs train.rule=cycle among what is fixed")
        # Designs and points are checked against a space that is known to be right.
        if found:
            return found
        if self.design is not None:
            found += self.design.problems(self.space)
        pairs = self.enqueue.items()
        found += [f"enqueue[{name!r}]: {p}" for name, values in pairs if (p := contains(self.space, values))]
        return found or self._point_problems()

    def _point_problems(self) -> list[str]:
        """What is wrong with the enqueued points and the corners of the space, as whole configurations.

        Parts that conflict at some corner exclude only that corner; a conflict at every one leaves nothing to search.
        """
        found: dict[str, None] = {}  # an ordered set
        clashes = []
        for point in corner_points(self.space):
            try:
                clashes.append(conflicts(self.config(point)))
            except ConfigError as error:
                found |= dict.fromkeys(error.problems)
        if not found:
            # One corner without a conflict leaves something to search; a point that has one ends as refused.
            found |= dict.fromkeys(clashes[0] if all(clashes) else ())
            for name, values in self.enqueue.items():
                more = [problem for problem in conflicts(self.config(values)) if problem not in found]
                found |= {f"enqueue[{name!r}]: {problem}": None for problem in more}
        return list(found)

    def config(self, values: Mapping[str, Scalar]) -> Config:
        """The configuration at a point of the space: what is fixed, the full budget, and `values`."""
        return from_flat({**self.fixed, "train.steps": self.budget.steps, **values})

    def check_kind(self) -> None:
        """Raise UnsuitableData if the question is not about what the data show, DataError if there are no such data."""
        shown, asked = kind_of(self.data).degradation, self.degradations
        if asked and shown not in asked:
            unpaired = self.fixed.get("train.rule") == "cycle"
            fit = [kind.form for kind in KINDS.values() if kind.degradation in asked and (kind.paired or unpaired)]
            raise UnsuitableData(
                f"the inputs of {self.data} show {DEGRADATIONS[shown]}, and this question is about "
                f"{' or '.join(DEGRADATIONS[name] for name in asked)}; choose --data from {', '.join(fit)}"
            )

    def check_device(self, device: str) -> None:
        """Raise SweepError if every trial asks for something that a `device` of this type, "cpu" or "cuda", lacks."""
        first: list[str] = []
        for point in corner_points(self.space):
            if not (found := device_conflicts(self.config(point), device)):
                return
            first = first or found
        raise SweepError(self.name, first)

    def check_data(self, paired: bool, spec: str, size_px: int) -> None:
        """Raise SweepError if the data do not suit any trial: pictures of `size_px` that are too small for its crops,
        or no pairs where the rule or an objective needs them.
        """
        crops = {self.config(point).train.crop_px for point in corner_points(self.space)}
        if min(crops) > size_px:
            raise SweepError(
                self.name,
                [f"train.crop_px={min(crops)} is larger than the pictures of {spec}: choose at most {size_px} (px)"],
            )
        if not paired:
            wrong = [name for name in self._judged if name not in UNPAIRED_METRICS]
            if wrong or self.fixed.get("train.rule") != "cycle":
                raise SweepError(
                    self.name,
                    [
                        f"{spec} holds no pairs: train.rule must be cycle and objectives and constraints from "
                        f"{', '.join(UNPAIRED_METRICS)}, not {', '.join(wrong) or 'another rule'}"
                    ],
                )

    def at(self, scale: str) -> "Sweep":
        """The same question at the scale "demo" (as it is), "smoke" or "full"; raises SweepError."""
        if scale == "full":
            return dataclasses.replace(self, budget=self.full, fixed={**self.fixed, **self.full_fixed})
        return dataclasses.replace(self, budget=self.smoke) if scale == "smoke" else self

    def with_budget(self, **changes: Any) -> "Sweep":
        """The same question with another budget (`trials`, `steps`, `seeds`, ...); raises SweepError."""
        return dataclasses.replace(self, budget=dataclasses.replace(self.budget, **changes))
