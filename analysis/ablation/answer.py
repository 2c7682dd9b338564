"""What each part of a configuration contributes: paired effects from runs with a design.

An effect is the mean over seeds of differences between trials with the same seed. Intervals are Student's, over seeds;
p values are Holm-corrected for the number of effects in one metric. Only effects that the design can separate are
estimated. If a trial of a pair did not complete, the pair is left out on all seeds and counted as lost.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.ledger.design import Design, canonical_text, design_of, scores, shown
from analysis.ledger.load import Ledger, LedgerError, Objective
from analysis.ledger.schema import DESIGNS_AROUND
from analysis.ledger.space import Parameter, space
from analysis.ledger.units import COSTS
from analysis.statistics.effects import holm, paired_effects
from analysis.statistics.intervals import Floats

CONFIDENT = 0.05
"""An effect is significant if its corrected p value is below this."""

FEWEST_SEEDS = 2
# Values, as `canonical_text` spells them, that switch a part off.
_OFF = ("0.0", "False", "none")


class Contrast(NamedTuple):
    """A contrast: its `kind` ("left out", "instead", "named", "main" or "interaction"), the `effect` in words, and the
    differences `pairs` (pairs, seeds), NaN where a trial is missing. Their mean over pairs is the effect on a seed."""

    kind: str
    effect: str
    pairs: Floats


def ablation(ledger: Ledger, objectives: Sequence[Objective] | None = None) -> pd.DataFrame:
    """The effects of a run with a design, a row per effect and metric, in the order of the space.

    Columns: `metric`, `kind`, `effect` (what is compared with what), `seeds`, `pairs` (pairs of configurations that
    completed on every seed), `lost` (those that did not), `mean`, `low`, `high` (in the metric's unit; positive where
    the metric is larger with the change), `p`, `p_holm`, `sure` (p_holm below CONFIDENT). Costs have no effects.
    Raises LedgerError where the run followed no design with pairs, has fewer than FEWEST_SEEDS seeds, or
    configurations that differ in nothing.
    """
    design, settings = design_of(ledger), space(ledger)
    chosen = [one for one in objectives or ledger.objectives if one.metric not in COSTS]
    parts = []
    for objective in chosen:
        table, texts = scores(ledger, objective, settings)
        if table.shape[1] < FEWEST_SEEDS:
            raise LedgerError(
                f"{ledger.path} has {table.shape[1]} seed, so the spread between seeds is unknown and no effect has an "
                f"interval; start a new run with --seeds {FEWEST_SEEDS} or more"
            )
        parts.append(effects(contrasts(table, texts, design, settings)).assign(metric=objective.metric))
    frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        raise LedgerError(f"the configurations of {ledger.path} differ in no setting, so there is nothing to compare")
    return frame[["metric", *(column for column in frame.columns if column != "metric")]]


def contrasts(
    table: pd.DataFrame, texts: pd.DataFrame, design: Design, settings: Sequence[Parameter]
) -> list[Contrast]:
    """The contrasts that a design can estimate, from scores and settings (see `design.scores`)."""
    # "" stands for a setting that does not apply, which is no value of its own.
    varying = [setting for setting in settings if texts[setting.name].replace("", pd.NA).nunique() > 1]
    if design.kind in DESIGNS_AROUND:
        return list(_around(table, texts, design, settings))
    return [*_mains(table, texts, varying), *_interactions(table, texts, varying)]


def effects(questions: Sequence[Contrast]) -> pd.DataFrame:
    """Estimate contrasts that all have the same seeds; the columns are those of `ablation`."""
    rows = []
    for question in questions:
        whole = np.isfinite(question.pairs).all(axis=1)
        # Average over the pairs of each seed first: the seeds are the independent sample, not the pairs.
        mean, low, high, p = paired_effects(question.pairs[whole].mean(axis=0) if whole.any() else np.empty((1, 0)))
        rows.append(
            {"kind": question.kind, "effect": question.effect, "seeds": question.pairs.shape[1]}
            | {"pairs": int(whole.sum()), "lost": int((~whole).sum())}
            | {"mean": mean[0], "low": low[0], "high": high[0], "p": p[0]}
        )
    names = ["kind", "effect", "seeds", "pairs", "lost", "mean", "low", "high", "p"]
    frame = pd.DataFrame(rows, columns=names)
    frame["p_holm"] = holm(frame["p"])
    return frame.assign(sure=frame["p_holm"] < CONFIDENT)


# --- around a base -----------------------------------------------------------------------------------------------


def _around(
    table: pd.DataFrame, texts: pd.DataFrame, design: Design, settings: Sequence[Parameter]
) -> Iterator[Contrast]:
    """Every other configuration minus the base: first those that differ in one setting, then named ones."""
    wanted = {name: canonical_text(value) for name, value in design.base.items()}
    names = [setting.name for setting in settings]
    same = pd.Series(True, index=texts.index)
    for name in names:
        # Empty: a condition switches the setting off.
        same &= (texts[name] == wanted.get(name, "")) | (texts[name] == "")
    # Only a conditional setting may be empty in the base.
    same &= (texts[[setting.name for setting in settings if setting.condition is None]] != "").all(axis=1)
    if not same.any():
        raise LedgerError("the design's base configuration has no trial, so there is nothing to compare with")
    base = texts.index[same][0]
    found = [_step(table, texts, settings, base, other) for other in texts.index.drop(base)]
    order = {kind: place for place, kind in enumerate(("left out", "instead", "named"))}
    names_in_order = {name: place for place, name in enumerate([*(setting.name for setting in settings), ""])}
    for question, _ in sorted(found, key=lambda one: (order[one[0].kind], names_in_order[one[1]], one[0].effect)):
        yield question


def _step(
    table: pd.DataFrame, texts: pd.DataFrame, settings: Sequence[Parameter], base: str, other: str
) -> tuple[Contrast, str]:
    """The contrast of `other` and `base`, and the one setting in which they differ ("" for several).

    A setting that is active in only one of them, because its condition differs, does not count as a difference.
    """
    here, there = (texts.loc[one].astype(str).to_dict() for one in (other, base))
    free = [one.name for one in settings if one.condition is None and here[one.name] != there[one.name]]
    # Where its condition holds on one side only, the text of the other side is "".
    both = [one.name for one in settings if one.condition and here[one.name] and there[one.name]]
    changed = [*free, *(name for name in both if here[name] != there[name])]
    pairs = (table.loc[[other]] - table.loc[base]).to_numpy(dtype=np.float64)
    if len(changed) != 1:
        label = here["label"] or ", ".join(f"{name}={shown(here[name])}" for name in changed)
        return Contrast("named", label, pairs), ""
    name = changed[0]
    if here[name] in _OFF:
        return Contrast("left out", f"without {name}", pairs), name
    return Contrast("instead", f"{name} = {shown(here[name])} (not {shown(there[name])})", pairs), name


# --- combinations ------------------------------------------------------------------------------------------------


def _mains(table: pd.DataFrame, texts: pd.DataFrame, varying: Sequence[Parameter]) -> Iterator[Contrast]:
    """Main effects: each level of a setting minus the first level in the space, all else equal."""
    for setting in varying:
        cells = _by_level(table, texts, [setting], varying)
        reference, *others = _levels(texts, setting)
        for level in others:
            said = f"{setting.name} = {shown(level)} (not {shown(reference)})"
            yield Contrast("main", said, _difference(cells, (level,), (reference,)))


def _interactions(table: pd.DataFrame, texts: pd.DataFrame, varying: Sequence[Parameter]) -> Iterator[Contrast]:
    """Interactions: how much the effect of one setting changes with another, as a difference of differences."""
    free = [setting for setting in varying if setting.condition is None]
    for one, other in itertools.combinations(free, 2):
        cells = _by_level(table, texts, [one, other], varying)
        (a, *changed), (b, *with_them) = _levels(texts, one), _levels(texts, other)
        for level, given in itertools.product(changed, with_them):
            said = f"{one.name} = {shown(level)} \N{MULTIPLICATION SIGN} {other.name} = {shown(given)}"
            pairs = _difference(cells, (level, given), (a, given)) - _difference(cells, (level, b), (a, b))
            yield Contrast("interaction", said, pairs)


def _by_level(
    table: pd.DataFrame, texts: pd.DataFrame, settings: Sequence[Parameter], varying: Sequence[Parameter]
) -> dict[tuple[str, ...], pd.DataFrame]:
    """The scores at each combination of levels of `settings`, indexed by the values of all other settings.

    A setting that is conditional on one of `settings` cannot be held equal; the mean over its levels is taken.
    """
    names = [setting.name for setting in settings]
    rest = [one.name for one in varying if one.name not in names and not (one.condition and one.condition[0] in names)]
    key = texts[rest].agg("\n".join, axis=1) if rest else pd.Series("", index=texts.index)
    found = {}
    for level, rows in texts.groupby(names, sort=False):
        part = table.loc[rows.index]
        grouped = part.groupby(key.loc[rows.index])
        # A mean over fewer levels than its partner's would not be a fair comparison.
        means = grouped.mean().where(part.isna().groupby(key.loc[rows.index]).sum() == 0)
        found[tuple(map(str, level))] = means
    return found


def _difference(cells: dict[tuple[str, ...], pd.DataFrame], one: tuple[str, ...], other: tuple[str, ...]) -> Floats:
    """The scores at `one` minus those at `other`: (pairs, seeds), ordered by the values of all other settings."""
    # All combinations that occur at any level: one that is missing on a side becomes NaN, and its pair counts as lost.
    keys = next(iter(cells.values())).index
    for frame in cells.values():
        keys = keys.union(frame.index)
    seeds = next(iter(cells.values())).columns
    empty = pd.DataFrame(np.nan, index=keys, columns=seeds)
    sides = (cells.get(side, empty).reindex(keys) for side in (one, other))
    first, second = (side.to_numpy(dtype=np.float64) for side in sides)
    difference: Floats = first - second
    return difference


def _levels(texts: pd.DataFrame, setting: Parameter) -> list[str]:
    """The values of a setting that occur: those of a choice in the order of the space, others ascending."""
    found = set(texts[setting.name]) - {""}
    listed = [text for text in map(canonical_text, setting.choices) if text in found]
    # A range has no choices, and its values are numbers.
    return listed or sorted(found, key=float)
