"""Which objectives of two runs measure the same thing, and why the others do not."""

import numpy as np

from analysis.ledger.costs import conditions_text
from analysis.ledger.load import Ledger, Objective
from analysis.ledger.schema import CONDITIONS, LATENCY_RATIO
from analysis.ledger.units import COSTS, metric_label

_CLOSE = 1e-3
"""Relative tolerance for the scores of the untouched images: devices differ by less, conventions by more."""


def comparable(a: Ledger, b: Ledger) -> tuple[list[Objective], list[str]]:
    """The objectives of either run that can be compared, costs included, in order; and why each of the others cannot.

    A score must be on the same data (`run.data`), have values and the same direction in both runs, and agree on the
    untouched input (`untouched.*`): the same images scored by another convention give another value. A latency must be
    timed under one set of conditions, the same in both runs.
    """
    data = _data_reason(a, b)
    wanted: dict[str, list[Objective]] = {}
    for objective in (*a.objectives, *b.objectives):
        wanted.setdefault(objective.metric, []).append(objective)
    kept, refused = [], []
    for metric, own in wanted.items():
        reason = _reason(a, b, own, data)
        if reason:
            refused.append(f"{metric_label(metric)}: {reason}")
        else:
            kept.append(own[0])
    return kept, list(dict.fromkeys(refused))


def conditions(ledger: Ledger) -> list[str]:
    """The distinct timing conditions of a run, in words."""
    known = ledger.costs[np.isfinite(ledger.costs[LATENCY_RATIO[0]].astype("float64"))]
    return [conditions_text(row) for row in known[list(CONDITIONS)].drop_duplicates().to_dict("records")]


# --- the steps ---------------------------------------------------------------------------------------------------


def _reason(a: Ledger, b: Ledger, own: list[Objective], data: str) -> str:
    """Why an objective cannot be compared; "" if it can."""
    objective = own[0]
    if len({one.direction for one in own}) > 1:
        return "one run maximizes it, the other minimizes it"
    for name, ledger in (("A", a), ("B", b)):
        known = ledger.read("trials", [objective.column])
        if objective.column not in known.columns or not known[objective.column].notna().any():
            return f"{name} has no value for it"
    # Costs do not depend on data; parameters and operations not even on the machine.
    if objective.metric in COSTS:
        return _timing_reason(a, b) if objective.metric.startswith("latency") else ""
    # On different pictures the untouched scores differ as well, and the data are the better reason.
    return data or _convention_reason(a, b, objective.metric)


def _data_reason(a: Ledger, b: Ledger) -> str:
    """Why no score can be compared: the runs used different data; "" if they did not."""
    one, other = ({name: _said(ledger, name) for name in ("run.data", "run.data_spec")} for ledger in (a, b))
    if one == other:
        return ""
    texts = [" and ".join(side["run.data_spec"]) or "data without a name" for side in (one, other)]
    same = f"{texts[0]}, whose content differs" if texts[0] == texts[1] else f"{texts[0]} (A) and {texts[1]} (B)"
    return f"the runs were validated on different pictures: {same}"


def _said(ledger: Ledger, column: str) -> list[str]:
    """The distinct texts in a column of the trials."""
    trials = ledger.read("trials", [column])
    return sorted(trials[column].dropna().astype(str).unique()) if column in trials.columns else []


def _convention_reason(a: Ledger, b: Ledger, metric: str) -> str:
    column = f"untouched.{metric}"
    values = []
    for ledger in (a, b):
        known = ledger.read("trials", [column]).dropna()
        if not known.size:
            # Not defined for untouched images, or not recorded: there is nothing to doubt.
            return ""
        # Equal for all trials of a run but for rounding on different devices, so any one will do below.
        values.append(known[column].unique())
    one, other = float(values[0][-1]), float(values[1][-1])
    if np.isclose(one, other, rtol=_CLOSE, atol=0):
        return ""
    return (
        f"the untouched images score {one:.5g} in A and {other:.5g} in B, so the runs use different conventions "
        "or different validation images"
    )


def _timing_reason(a: Ledger, b: Ledger) -> str:
    one, other = conditions(a), conditions(b)
    if len(one) == 1 and one == other:
        return ""
    said = [" and ".join(own) or "no conditions recorded" for own in (one, other)]
    return f"timed under different conditions: {said[0]} (A) and {said[1]} (B)"
