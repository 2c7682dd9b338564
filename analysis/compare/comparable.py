"""Which objectives of two runs measure the same thing, and why others do not."""

import numpy as np

from analysis.ledger.costs import conditions_text
from analysis.ledger.load import CONDITIONS, LATENCY_RATIO, Ledger, Objective
from analysis.ledger.units import COSTS, metric_label

_CLOSE = 1e-3
"""The untouched images must score alike up to this share; devices differ by less, conventions by more."""


def comparable(a: Ledger, b: Ledger) -> tuple[list[Objective], list[str]]:
    """The objectives of either run that can be compared, costs among them, in order; and a sentence for each other one.

    A score needs the same data (`run.data`), the same direction in both, a column in both, and the same score of the
    untouched input (`baseline.*`): the same images by another convention score otherwise. A latency needs networks that
    were timed under the same conditions, and no other.
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
    """The different conditions under which networks of a run were timed, in words."""
    known = ledger.costs[np.isfinite(ledger.costs[LATENCY_RATIO[0]].astype("float64"))]
    return [conditions_text(row) for row in known[list(CONDITIONS)].drop_duplicates().to_dict("records")]


# --- the steps ---------------------------------------------------------------------------------------------------


def _reason(a: Ledger, b: Ledger, own: list[Objective], data: str) -> str:
    """Why an objective cannot be compared; "" where it can."""
    objective = own[0]
    if len({one.direction for one in own}) > 1:
        return "one run maximizes it and the other one minimizes it"
    for name, ledger in (("A", a), ("B", b)):
        known = ledger.read("trials", [objective.column])
        if objective.column not in known.columns or not known[objective.column].notna().any():
            return f"{name} has no value of it"
    if objective.metric in COSTS:
        return _timing_reason(a, b) if objective.metric.startswith("latency") else ""
    return data or _convention_reason(a, b, objective.metric)


def _data_reason(a: Ledger, b: Ledger) -> str:
    """Why no score can be compared: the trials saw other data. "" where they did not."""
    one, other = ({name: _said(ledger, name) for name in ("run.data", "run.data_spec")} for ledger in (a, b))
    if one == other:
        return ""
    texts = [" and ".join(side["run.data_spec"]) or "data without a name" for side in (one, other)]
    same = f"{texts[0]}, whose content differs" if texts[0] == texts[1] else f"{texts[0]} (A) and {texts[1]} (B)"
    return f"the runs were judged on different pictures: {same}"


def _said(ledger: Ledger, column: str) -> list[str]:
    """The different texts of a column of the trials."""
    trials = ledger.read("trials", [column])
    return sorted(trials[column].dropna().astype(str).unique()) if column in trials.columns else []


def _convention_reason(a: Ledger, b: Ledger, metric: str) -> str:
    column = f"baseline.{metric}"
    values = []
    for ledger in (a, b):
        known = ledger.read("trials", [column]).dropna()
        if not known.size:
            return ""  # a metric that untouched images do not have
        values.append(known[column].unique())
    one, other = float(values[0][-1]), float(values[1][-1])
    if np.isclose(one, other, rtol=_CLOSE, atol=0):
        return ""
    return (
        f"the untouched images score {one:.5g} in A and {other:.5g} in B, so it is measured by different conventions "
        "or on different validation images"
    )


def _timing_reason(a: Ledger, b: Ledger) -> str:
    one, other = conditions(a), conditions(b)
    if len(one) == 1 and one == other:
        return ""
    said = [" and ".join(own) or "nothing that the ledger has conditions of" for own in (one, other)]
    return f"timed under different conditions: {said[0]} (A) and {said[1]} (B)"
