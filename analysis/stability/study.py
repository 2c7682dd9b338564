"""One study of the stability of runs, for the command, the report and a sweep's closing summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, Objective
from analysis.ledger.units import COSTS, metric_label
from analysis.stability.answer import (
    default_grouping,
    divergence,
    divergence_kinds,
    edge,
    first_objective,
    heat,
    levels,
    onset_lines,
    outcomes,
    profiles,
    spreads,
    varying_factors,
)
from analysis.stability.curves import diagnostics, mean_curves, read_reports, sample_trials
from analysis.stability.factors import Factor, find_factor, learning_rate, searched_factors

LABELS = 8
"""Most named configurations with a curve of their own: more could not be told apart."""

_PANELS = {
    "signal.control_point": "mean control point",
    "loss.adversarial": "generator: adversarial loss",
    "signal.critic_loss": "critic: loss",
    "loss.total": "generator: total loss",
    "grad_norm": "generator: gradient norm",
}


@dataclass(frozen=True, eq=False)
class Study:
    """The stability of one or more runs. Each answer is computed on first access and cached.

    `outcomes` has a row per trial that trained (`answer.outcomes`); `factors` are the parameters that vary in it.
    `rate` is the parameter along which the edge of stability is sought, `by` the factor to group by, `across` and `up`
    are the axes of the heat map; None if the runs have no such factor.
    """

    ledgers: Sequence[Ledger]
    outcomes: pd.DataFrame
    factors: Sequence[Factor]
    objective: Objective
    rate: Factor | None
    by: Factor | None
    across: Factor | None
    up: Factor | None

    @property
    def score(self) -> str:
        """The label of the objective."""
        return metric_label(self.objective.metric)

    @cached_property
    def divergence(self) -> pd.DataFrame:
        """The rate of divergence at each level of each factor, as `answer.divergence` gives it."""
        return divergence(self.outcomes, self.factors)

    @cached_property
    def kinds(self) -> pd.Series:
        """How many trials diverged in each way, as `answer.divergence_kinds` gives it."""
        return divergence_kinds(self.outcomes)

    @cached_property
    def edge(self) -> pd.DataFrame | None:
        """The rate of divergence along `rate`, as `answer.edge` gives it."""
        return edge(self.outcomes, self.rate, self.by) if self.rate else None

    @cached_property
    def heat(self) -> pd.DataFrame | None:
        """Median score and divergence over `across` and `up`, as `answer.heat` gives it."""
        return heat(self.outcomes, self.across, self.up) if self.across and self.up else None

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """Performance profiles by level of `by`, as `answer.profiles` gives them; empty if nothing completed."""
        return profiles(self.outcomes, self.objective, self.by)

    @cached_property
    def spreads(self) -> pd.DataFrame:
        """The spread over seeds by level of `by`, as `answer.spreads` gives it."""
        return spreads(self.outcomes, self.objective, self.by)

    @cached_property
    def curves(self) -> "Curves":
        """The curves of the trials, or of a random sample if there are many. Slow, since it reads all their reports."""
        return _curves(self.ledgers, self.outcomes, self.rate)

    @property
    def stopped(self) -> int:
        """How many trials were stopped early."""
        return int((self.outcomes["ending"] == "stopped").sum())

    @property
    def onsets(self) -> list[str]:
        """A sentence for each level of `by` on where divergence sets in along `rate`; no sentences without a rate."""
        return [] if self.edge is None or self.rate is None else [f"{self.rate.name}: {line}" for line in
                                                                  onset_lines(self.edge)]  # fmt: skip

    @property
    def trials_lines(self) -> list[str]:
        """Sentences on how many trials the answers rest on, and what their intervals are over."""
        frame = self.outcomes
        spec = ", ".join(sorted({str(ledger.runs["run.data_spec"].iloc[-1]) for ledger in self.ledgers}))
        early = f"{self.stopped} were stopped early; they count as not diverged and are left out of the profiles."
        return [
            f"{len(frame)} trials that trained, {int(frame['diverged'].sum())} diverged. Data: {spec}. 95 % intervals: "
            "Wilson's over trials for rates, chi-squared over seeds for spreads.",
            *([early] if self.stopped else []),
        ]

    def named(self, level: object) -> str:
        """The text of a level of `by`, with the factor's short name."""
        return f"{self.by.short} {level}" if self.by else str(level)


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of trials over steps.

    `figures` has a row per trial (`curves.diagnostics`) with its `line`; `means` are the mean curves
    (`curves.mean_curves`); `said` says which trials these are; `panels` maps columns of the reports to labels.
    """

    figures: pd.DataFrame
    means: pd.DataFrame
    said: str
    panels: dict[str, str]


def study(
    ledgers: Sequence[Ledger], rate: str | None = None, by: str | None = None, axes: Sequence[str] | None = None
) -> Study:
    """The stability of the runs of `ledgers`.

    `rate`, `by` and `axes` (two) are names of parameters. Defaults: the learning rate; the first other factor with few
    levels; learning rate and optimizer, else the first two factors. Raises LedgerError for a name that is not a
    searched parameter, if no trial trained, and if the runs' first objectives differ.
    """
    frame = outcomes(ledgers, searched_factors(ledgers))
    factors, objective = varying_factors(frame, ledgers), first_objective(ledgers)
    grows = find_factor(rate, factors) if rate else learning_rate(factors)
    apart = find_factor(by, factors) if by else default_grouping(frame, factors, grows)
    across, up = _pair(axes, factors, grows) or (None, None)
    return Study(ledgers, frame, factors, objective, grows, apart, across, up)


def curves_lines(curves: Curves) -> list[str]:
    """Sentences on what the points and bands of the mean curves are."""
    return [f"{curves.said[0].upper()}{curves.said[1:]}. Bands: 95 % t intervals of the mean over 3 or more trials.",
            "Each point is a report: losses and norms are means over the steps since the one before."]  # fmt: skip


# --- the steps ---------------------------------------------------------------------------------------------------


def _pair(named: Sequence[str] | None, factors: Sequence[Factor], rate: Factor | None) -> tuple[Factor, ...]:
    """The two factors of a heat map: the `named` ones, else learning rate and optimizer, else the first two.

    Empty if there are fewer than two. Raises LedgerError if a name is not a factor, or if both names are the same.
    """
    if named:
        first, second = (find_factor(name, factors) for name in named)
        if first == second:
            raise LedgerError(f"a heat map needs two different parameters, got {first.name} twice")
        return first, second
    ordered = [rate, *(factor for factor in factors if factor != rate)] if rate else list(factors)
    # False sorts before True: the rate first, then the optimizer, then the rest as it was.
    ordered.sort(key=lambda factor: (factor != rate, factor.name != "optimizer.name"))
    return tuple(ordered[:2]) if len(ordered) >= 2 else ()


def _curves(ledgers: Sequence[Ledger], frame: pd.DataFrame, rate: Factor | None) -> Curves:
    """The curves of the trials of `frame`, or of a random sample if there are many."""
    some = sample_trials(frame)
    line = _lines(some, rate)
    panels = {**_scores(ledgers), **_PANELS}
    reports = read_reports(ledgers, some, list(panels))
    found = diagnostics(reports).assign(line=lambda own: own["trial"].map(line))
    of = f"all {len(some)}" if len(some) == len(frame) else f"{len(some):,} of {len(frame):,}"
    said = f"curves: {of} trials, drawn at random" if len(some) < len(frame) else f"curves: {of} trials"
    return Curves(found, mean_curves(reports, line, list(panels)), said, panels)


def _scores(ledgers: Sequence[Ledger]) -> dict[str, str]:
    """The columns of the objectives that are not costs, with their labels."""
    return {own.column: metric_label(own.metric) for own in ledgers[0].objectives if own.metric not in COSTS}


def _lines(frame: pd.DataFrame, rate: Factor | None) -> pd.Series:
    """The name of each trial's curve, indexed by trial: its configuration's name, else its level of learning rate."""
    index = pd.Index(frame["trial"])
    names = frame["label"].astype(str).to_numpy()
    named = pd.Series(names, index=index)
    known = named[named != ""]
    if known.nunique() > 1:
        # Trials that are not in the series belong to no line.
        return known[known.isin(known.drop_duplicates().head(LABELS))]
    if rate is None:
        return pd.Series("all trials", index=index)
    found = levels(frame, rate)
    texts = [f"{rate.short} {found.texts[code]}" if code >= 0 else None for code in found.code]
    return pd.Series(texts, index=index)
