"""What `analysis stability` and the report ask of runs, and of what they choose where nobody says otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, Objective
from analysis.ledger.units import COSTS, metric_label
from analysis.stability.answer import edge, heat, levels, profiles, spreads
from analysis.stability.curves import diagnostics, mean_curves, read_reports, sample_trials
from analysis.stability.factors import Factor, find_factor

LABELS = 8
"""So many named configurations have curves of their own."""

_PANELS = {
    "signal.control_point": "mean control point",
    "loss.adversarial": "generator: adversarial loss",
    "signal.critic_loss": "critic: loss",
    "loss.total": "generator: total loss",
    "grad_norm": "generator: gradient norm",
}


@dataclass(frozen=True, eq=False)
class Answers:
    """The frames of `stability`: an `edge` and a `heat` map where there are factors for them."""

    profiles: pd.DataFrame
    score: str
    edge: pd.DataFrame | None = None
    rate: Factor | None = None
    heat: pd.DataFrame | None = None
    across: Factor | None = None
    up: Factor | None = None
    spreads: pd.DataFrame | None = None
    by: Factor | None = None

    def named(self, level: object) -> str:
        """A level of `by` with its factor's name."""
        return f"{self.by.short} {level}" if self.by else str(level)


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of trials: `figures` of each (`curves.diagnostics`) with its `line`, their `means` (`curves.mean_curves`),
    a sentence that says of which trials, and the panels (column and label)."""

    figures: pd.DataFrame
    means: pd.DataFrame
    said: str
    panels: dict[str, str]


def pair_of(named: Sequence[str] | None, factors: Sequence[Factor], rate: Factor | None) -> tuple[Factor, ...]:
    """The factors of a heat map: those that are named, else learning rate and optimizer, or the first two.

    Empty where there are no two. Raises LedgerError for a name that is no factor, or the same one twice.
    """
    if named:
        first, second = (find_factor(name, factors) for name in named)
        if first == second:
            raise LedgerError(f"a heat map needs two different parameters, got {first.name} twice")
        return first, second
    ordered = [rate, *(factor for factor in factors if factor != rate)] if rate else list(factors)
    ordered.sort(key=lambda factor: (factor != rate, factor.name != "optimizer.name"))
    return tuple(ordered[:2]) if len(ordered) >= 2 else ()


def answered(
    frame: pd.DataFrame,
    objective: Objective,
    rate: Factor | None,
    by: Factor | None,
    pair: Sequence[Factor],
) -> Answers:
    """The answers that there are, of `frame` as `stability.outcomes` gives it."""
    across, up = pair or (None, None)
    return Answers(
        profiles(frame, objective, by),
        metric_label(objective.metric),
        edge(frame, rate, by) if rate else None,
        rate,
        heat(frame, across, up) if across and up else None,
        across,
        up,
        spreads(frame, objective, by),
        by,
    )


def curves_of(ledgers: Sequence[Ledger], frame: pd.DataFrame, rate: Factor | None) -> Curves:
    """The curves of the trials of `frame`, or of some of them where there are many."""
    some = sample_trials(frame)
    line = _lines(some, rate)
    panels = {**_scores(ledgers), **_PANELS}
    reports = read_reports(ledgers, some, list(panels))
    found = diagnostics(reports).assign(line=lambda own: own["trial"].map(line))
    of = f"all {len(some)}" if len(some) == len(frame) else f"{len(some):,} of {len(frame):,}"
    said = f"curves: {of} trials, drawn at random" if len(some) < len(frame) else f"curves: {of} trials"
    return Curves(found, mean_curves(reports, line, list(panels)), said, panels)


def trials_lines(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    """On how many trials the answers rest, and what their intervals are over."""
    stopped = int((frame["ending"] == "stopped").sum())
    spec = ", ".join(sorted({str(ledger.runs["run.data_spec"].iloc[-1]) for ledger in ledgers}))
    return [
        f"{len(frame)} trials that trained, {int(frame['diverged'].sum())} diverged. Data: {spec}. Intervals: 95 %; "
        "of rates over trials (Wilson), of spreads over seeds (chi-squared).",
        *([f"{stopped} were stopped early: they count as not diverged, and are in no profile."] if stopped else []),
    ]


def curves_lines(curves: Curves) -> list[str]:
    """What the points and bands of mean curves are."""
    return [f"{curves.said[0].upper()}{curves.said[1:]}. Bands: 95 % t intervals of the mean over 3 or more trials.",
            "Each point is a report: losses and norms are means over the steps since the one before."]  # fmt: skip


# --- the steps ---------------------------------------------------------------------------------------------------


def _scores(ledgers: Sequence[Ledger]) -> dict[str, str]:
    """The columns of the first run's scores, with their labels."""
    return {own.column: metric_label(own.metric) for own in ledgers[0].objectives if own.metric not in COSTS}


def _lines(frame: pd.DataFrame, rate: Factor | None) -> pd.Series:
    """The line of each trial (the index): its configuration's name, or else its level of the learning rate."""
    index = pd.Index(frame["trial"])
    names = frame["label"].astype(str).to_numpy()
    named = pd.Series(names, index=index)
    known = named[named != ""]
    if known.nunique() > 1:
        return known[known.isin(known.drop_duplicates().head(LABELS))]
    if rate is None:
        return pd.Series("all trials", index=index)
    found = levels(frame, rate)
    texts = [f"{rate.short} {found.texts[code]}" if code >= 0 else None for code in found.code]
    return pd.Series(texts, index=index)
