"""Parameter importance: what the scores of a run's configurations at one rung depend on.

A search stops most trials early, and those that completed were selected for being good: among survivors, a parameter
that ruins the rest looks unimportant. So configurations are compared at a common rung, the last one that no trial was
stopped before. `rung=-1` compares completed trials at the end instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, Objective, contract
from analysis.ledger.schema import LOST
from analysis.ledger.space import Parameter, conditions, conditions_text, counts, space
from analysis.ledger.units import metric_label, metric_text
from analysis.statistics.importance import (
    FEW_TREES,
    FEWEST,
    TREES,
    Marginals,
    Resampled,
    fanova,
    grid,
    ped_anova,
    permutations,
    resample_importances,
    tell_from_chance,
)
from analysis.statistics.intervals import Floats

RESAMPLES = 50
SEED = 0
LEVEL = 0.05
"""The share of runs of pure noise in which any row may be told from chance."""
_CURVE, _SURFACE = 40, 25  # points of a marginal along one parameter, and along each of two
_ID = "configuration"


def common_rung(ledgers: Sequence[Ledger]) -> int:
    """The index of the last rung that every trial was allowed to reach: the first one at which any was stopped.

    The last rung of all if none was stopped. Trials that diverged or failed before count as lost, not as stopped.
    """
    last = len(contract(ledgers[0], "rungs")) - 1
    stopped = [_search(ledger, "rung").query("ending == 'stopped'")["rung"].min() for ledger in ledgers]
    return int(min([last, *(rung for rung in stopped if pd.notna(rung))]))


def shared_space(ledgers: Sequence[Ledger]) -> tuple[Parameter, ...]:
    """The search space that all `ledgers` share. Raises LedgerError, naming what differs, if they cannot be pooled."""
    first = ledgers[0]
    for other in ledgers[1:]:
        wrong = [name for name in ("space", "fixed", "rungs", "data") if contract(first, name) != contract(other, name)]
        if wrong:
            raise LedgerError(
                f"{first.path} and {other.path} differ in {', '.join(wrong)}, so their scores cannot be pooled; "
                "analyze one at a time, or compare them with teststrip compare"
            )
    return space(first)


def configuration_scores(ledgers: Sequence[Ledger], objective: Objective, rung: int) -> pd.DataFrame:
    """One row per configuration of the search with a finite score at `rung` (-1: the end), sorted by its digest.

    Columns: `configuration`, `n_seeds`, `score` (mean over its seeds, in the unit of the metric), and one for each
    parameter of the space, None where a condition switches it off. Raises LedgerError for a value outside the space.
    """
    parameters = shared_space(ledgers)
    step = contract(ledgers[0], "rungs")[rung]
    trials = pd.concat([_at(ledger, objective, step) for ledger in ledgers], ignore_index=True)
    trials = trials[np.isfinite(trials["score"])].drop_duplicates([_ID, "seed", "trial"])
    grouped = trials.groupby(_ID, sort=True)
    # All seeds of a configuration have the same parameters.
    first = grouped.nth(0).set_index(_ID).sort_index()
    frame = pd.DataFrame({"n_seeds": grouped.size(), "score": grouped["score"].mean()})
    return frame.join(_values(first, parameters)).reset_index(names=_ID)


def importance(
    ledgers: Sequence[Ledger], objectives: Sequence[Objective], rung: int, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """How much each parameter mattered, a row per objective and parameter.

    Parameters without a condition come first, then those under each; inside, the most important one first.

    Columns: `metric`, `rung`, `step`, `parameter`, `where` (the condition under which it counts, "" for none), `n`
    (configurations), `explained` (see `Marginals`), `fanova` (share of the variance over the space, 0 to 1, of a
    conditional parameter: over the part of the space in which it counts) and `ped_anova` (share of what sets the best
    apart, all parameters together 1), both with `_low`, `_high` (95 % interval over configurations), `_p` and `_chance`
    (see `tell_from_chance`: corrected for all rows and both methods). `told`: whether a p is below LEVEL, so that the
    row tells something from chance. fANOVA is NaN for a parameter that fewer than FEWEST configurations have.
    Raises LedgerError for runs that do not belong together and where an objective cannot be explained (`why_none`).
    """
    parameters = shared_space(ledgers)
    found = [_estimates(ledgers, parameters, objective, rung, resamples) for objective in objectives]
    # One family: whoever looks at all rows for something bold must not find it in noise.
    assessed = iter(tell_from_chance([part for own in found for part in (own.ped_anova, *own.fanova)]))
    rows, step = [], contract(ledgers[0], "rungs")[rung]
    for objective, own in zip(objectives, found, strict=True):
        table = _rows(own, list(islice(assessed, 1 + len(own.fanova))), parameters)
        for place, (name, value) in enumerate({"metric": objective.metric, "rung": rung, "step": step}.items(), 1):
            table.insert(place, name, value)
        rows.append(table)
    return pd.concat(rows, ignore_index=True)


def why_none(ledgers: Sequence[Ledger], objective: Objective, rung: int) -> str | None:
    """Why no parameter can account for the objective at `rung`: too few scores, or all the same. None where one can."""
    scores = configuration_scores(ledgers, objective, rung)["score"]
    step = contract(ledgers[0], "rungs")[rung]
    if len(scores) < FEWEST:
        return (
            f"{len(scores)} configurations have a {metric_label(objective.metric)} at step {step}; importance needs "
            f"{FEWEST}, so that the best {FEWEST // 4} are at most a quarter of them"
        )
    if np.ptp(scores) == 0:
        value = metric_text(objective.metric, float(scores.iloc[0]))
        return (
            f"the objective {objective.metric} is {value} in all {len(scores)} configurations at step {step}, so there "
            "is nothing that a parameter could account for"
        )
    return None


def leading_pair(frame: pd.DataFrame, scores: pd.DataFrame, metric: str) -> tuple[str, str] | None:
    """The two most important parameters for `metric` that enough configurations have in common.

    `frame` as `importance` gives it, `scores` as `configuration_scores` does. None where there are no two.
    """
    names = list(frame.loc[frame["metric"] == metric, "parameter"])
    pairs = ((one, two) for place, two in enumerate(names) for one in names[:place])
    return next((pair for pair in pairs if scores[list(pair)].notna().all(axis=1).sum() >= FEWEST), None)


def curves(ledgers: Sequence[Ledger], objective: Objective, rung: int, names: Sequence[str]) -> pd.DataFrame:
    """What the forest predicts along each of the parameters `names`, averaged over the others, in the metric's unit.

    Columns `metric`, `parameter`, `value` (number or text), `predicted`. Where a parameter is switched off, it is not
    predicted for: the average is over the configurations that have it.
    """
    parameters, frame = shared_space(ledgers), configuration_scores(ledgers, objective, rung)
    rows = []
    for name in names:
        own = _find(parameters, name)
        values = grid(own, _CURVE)
        predicted = _marginals(frame, parameters, [own]).at(pd.DataFrame({name: values}, dtype="object"))
        rows.append(pd.DataFrame({"parameter": name, "value": values, "predicted": predicted}, dtype="object"))
    result = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["parameter", "value", "predicted"])
    return result.assign(metric=objective.metric, predicted=result["predicted"].astype("float64"))


def surface(ledgers: Sequence[Ledger], objective: Objective, rung: int, names: tuple[str, str]) -> pd.DataFrame:
    """What the forest predicts over two parameters, averaged over the others: columns `metric`, `x`, `y` (names),
    `x_value`, `y_value`, `predicted`; y changes fastest. The average is over the configurations that have both.
    """
    parameters, frame = shared_space(ledgers), configuration_scores(ledgers, objective, rung)
    both = [_find(parameters, name) for name in names]
    across, up = (grid(own, _SURFACE) for own in both)
    pairs = [(x, y) for x in across for y in up]
    points = pd.DataFrame({name: [pair[i] for pair in pairs] for i, name in enumerate(names)}, dtype="object")
    predicted = _marginals(frame, parameters, both).at(points)
    named = points.set_axis(["x_value", "y_value"], axis="columns")
    return named.assign(metric=objective.metric, x=names[0], y=names[1], predicted=predicted)


def sample_lines(ledgers: Sequence[Ledger], objective: Objective, rung: int) -> list[str]:
    """Sentences on which trials the importances are based on."""
    rungs = contract(ledgers[0], "rungs")
    search = pd.concat([_search(ledger) for ledger in ledgers])
    used, end = len(configuration_scores(ledgers, objective, rung)), rungs[rung] == rungs[-1]
    stopped = int((search["ending"] == "stopped").sum())
    lost = int(search["ending"].isin(LOST).sum())
    where = f"at the end (step {rungs[-1]})" if end else f"at step {rungs[rung]} of {rungs[-1]}"
    lines = [f"{used} configurations of the search, compared by their {metric_label(objective.metric)} {where}"]
    if stopped and end:
        lines.append(f"{stopped} trials were stopped earlier and are left out, so this holds among survivors only")
    elif stopped:
        lines.append(f"{stopped} trials were stopped there or later; it is the last step that all trials could reach")
    if lost:
        lines.append(f"{lost} trials have no result (diverged, failed or refused); they count up to their last report")
    return lines


# --- the steps ---------------------------------------------------------------------------------------------------


def _search(ledger: Ledger, *columns: str) -> pd.DataFrame:
    """The search's trials: how they ended, and these columns."""
    trials = ledger.read("trials", ["stage", "ending", *columns])
    return trials[trials["stage"] == "search"]


def _at(ledger: Ledger, objective: Objective, step: int) -> pd.DataFrame:
    """The search's trials with the column `score`: the objective as reported at `step`, NaN where it was not."""
    trials = _search(ledger, "trial", _ID, "seed", "config.*")
    reports = ledger.read("reports", ["trial", "step", objective.column])
    at_step = reports[reports["step"] == step].set_index("trial")[objective.column]
    return trials.assign(score=trials["trial"].map(at_step).astype("float64"))


def _values(first: pd.DataFrame, parameters: Sequence[Parameter]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {}
    for own in parameters:
        if own.column not in first.columns:
            raise LedgerError(f"the trials have no column {own.column}, although the contract lists it as searched")
        there = list(first[own.column])
        try:
            active = counts(first, own, parameters)
            columns[own.name] = [own.value(v) if on else None for v, on in zip(there, active, strict=True)]
        except ValueError as error:
            raise LedgerError(f"a configuration lies outside the space of the contract: {error}") from error
    return pd.DataFrame(columns, index=first.index, dtype="object")


@dataclass(frozen=True, eq=False)
class _Estimates:
    """What both methods find for one objective; fANOVA in parts, of all configurations and of those under conditions.

    `shown` are the parameters that are read off each part of fANOVA, which has others beside them.
    """

    frame: pd.DataFrame
    ped_anova: Resampled
    fanova: Sequence[Resampled]
    shown: Sequence[Sequence[str]]


def _estimates(
    ledgers: Sequence[Ledger], parameters: Sequence[Parameter], objective: Objective, rung: int, resamples: int
) -> _Estimates:
    if why := why_none(ledgers, objective, rung):
        raise LedgerError(why)
    frame = configuration_scores(ledgers, objective, rung)
    permuted = permutations(frame["score"], resamples, SEED)
    parts, shown = _fanova(frame, parameters, permuted)
    return _Estimates(frame, _ped_anova(frame, parameters, objective, permuted), parts, shown)


def _rows(found: _Estimates, assessed: Sequence[pd.DataFrame], parameters: Sequence[Parameter]) -> pd.DataFrame:
    """The rows of one objective; `assessed` are the frames of its estimates, PED-ANOVA's first."""
    ped, *parts = assessed
    fanova = pd.concat([part.loc[list(names)] for part, names in zip(parts, found.shown, strict=True)])
    rows = pd.DataFrame({"where": {own.name: conditions_text(conditions(own, parameters)) for own in parameters}})
    rows["n"] = found.frame[list(rows.index)].notna().sum()
    rows["explained"] = _marginals(found.frame, parameters, []).explained
    for name, table in (("ped_anova", ped), ("fanova", fanova)):
        renamed = {part: name if part == "estimate" else f"{name}_{part}" for part in table.columns}
        rows = rows.join(table.rename(columns=renamed))
    rows["told"] = rows[["fanova_p", "ped_anova_p"]].min(axis=1) < LEVEL
    rows = rows.sort_values(["where", "fanova", "ped_anova"], ascending=[True, False, False], kind="stable")
    return rows.reset_index(names="parameter")


def _ped_anova(
    frame: pd.DataFrame, parameters: Sequence[Parameter], objective: Objective, permuted: Sequence[Floats]
) -> Resampled:
    values, losses = frame[[own.name for own in parameters]], -objective.sign * frame["score"].to_numpy(np.float64)
    return resample_importances(
        ped_anova(values, losses, parameters),
        lambda drawn, y, seed: ped_anova(drawn, y, parameters),
        values,
        losses,
        [-objective.sign * own for own in permuted],
        np.random.default_rng(SEED),
        relative=True,
    )


def _fanova(
    frame: pd.DataFrame, parameters: Sequence[Parameter], permuted: Sequence[Floats]
) -> tuple[list[Resampled], list[list[str]]]:
    """Of all configurations for parameters without a condition, and of those under each condition for the others."""
    free = [own for own in parameters if own.condition is None]
    parts, shown = [_branch(frame, free, permuted)], [[own.name for own in free]]
    for condition in dict.fromkeys(conditions(own, parameters) for own in parameters if own.condition is not None):
        own = [one for one in parameters if conditions(one, parameters) == condition]
        given = {name for name, _ in condition}
        beside = [one for one in free if one.name not in given]
        there = frame[own[0].name].notna().to_numpy()
        # Too few configurations under a condition: no fANOVA for its parameters, and NaN in the table.
        if there.sum() >= FEWEST and np.ptp(frame["score"][there]) > 0:
            parts.append(_branch(frame[there], [*beside, *own], [order[there] for order in permuted]))
            shown.append([one.name for one in own])
    return parts, shown


def _branch(frame: pd.DataFrame, parameters: Sequence[Parameter], permuted: Sequence[Floats]) -> Resampled:
    values, scores = frame[[own.name for own in parameters]], frame["score"].to_numpy(np.float64)
    few = partial(_few_trees, parameters)
    estimate = fanova(values, scores, parameters, SEED, TREES)
    return resample_importances(estimate, few, values, scores, permuted, np.random.default_rng(SEED))


def _few_trees(parameters: Sequence[Parameter], values: pd.DataFrame, scores: np.ndarray, seed: int) -> pd.Series:
    return fanova(values, scores, parameters, seed, FEW_TREES)


def _marginals(frame: pd.DataFrame, parameters: Sequence[Parameter], needed: Iterable[Parameter]) -> Marginals:
    """The forest of the configurations that have all parameters `needed`."""
    mask = np.ones(len(frame), dtype=np.bool_)
    for own in needed:
        mask &= frame[own.name].notna().to_numpy()
    there = frame[mask]
    return Marginals(there, there["score"], parameters, SEED)


def _find(parameters: Sequence[Parameter], name: str) -> Parameter:
    return next(own for own in parameters if own.name == name)
