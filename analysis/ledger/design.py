"""The design that a run followed according to its contract, and its scores and settings by configuration."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, Objective, contract
from analysis.ledger.schema import DESIGNS_AROUND, DESIGNS_COMBINED
from analysis.ledger.space import Parameter, counts
from analysis.ledger.units import value_text


@dataclass(frozen=True)
class Design:
    """The kind of design, one of the schema's, and the base that configurations vary (empty if it has none)."""

    kind: str
    base: dict[str, Any]


def design_of(ledger: Ledger) -> Design:
    """The design in the run's contract. Raises LedgerError if the run was a search, or for an unknown design."""
    found = contract(ledger, "design")
    if found is None:
        raise LedgerError(
            f"{ledger.path} is a search ({contract(ledger, 'sampler')}): its configurations differ in many parameters "
            "at once, so there are no pairs that differ in one part alone. Use `teststrip importance "
            f"{shlex.quote(str(ledger.path))}`, or run a sweep with design=Ablation(...), Factorial() or Grid()"
        )
    if not isinstance(found, dict) or "kind" not in found:
        raise LedgerError(f"{ledger.path} has a design that cannot be read: {found!r}")
    known = (*DESIGNS_AROUND, *DESIGNS_COMBINED)
    if found["kind"] not in known:
        raise LedgerError(f"the design {found['kind']} of {ledger.path} is not known; known are {', '.join(known)}")
    return Design(found["kind"], dict(found.get("base", {})))


def scores(ledger: Ledger, objective: Objective, settings: Sequence[Parameter]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two frames by configuration: its search scores for each seed, and its settings.

    Scores are (configurations, seeds), NaN if a trial did not complete; the newest of several trials with the same
    configuration and seed counts. Settings have the columns `label` and the name of each setting, with string values,
    "" where a setting does not apply.
    """
    columns = ["configuration", "label", "seed", "stage", "ending", objective.column]
    trials = ledger.read("trials", [*columns, *(setting.column for setting in settings)])
    # A refused trial was never trained, so it counts neither as a score nor as a lost one.
    trials = trials[(trials["stage"] == "search") & (trials["ending"] != "refused")]
    trials = trials.drop_duplicates(["configuration", "seed"], keep="last")
    # A stopped trial has the score of its last rung, not of the full training.
    known = trials[objective.column].where(trials["ending"] == "completed").astype("float64")
    table = known.where(np.isfinite(known)).groupby([trials["configuration"], trials["seed"]]).last().unstack()
    # Settings are the same for all seeds, so any trial of a configuration has them.
    first = trials.drop_duplicates("configuration").set_index("configuration").reindex(table.index)
    texts = pd.DataFrame({"label": first["label"].fillna("") if "label" in first.columns else ""}, index=table.index)
    for setting in settings:
        own = first[setting.column].map(canonical_text) if setting.column in first.columns else ""
        texts[setting.name] = pd.Series(own, index=table.index).where(counts(first, setting, settings), "")
    return table, texts


def canonical_text(value: Any) -> str:
    """A setting's value as text, the same for 1 and 1.0, from a ledger or a contract; "" for null."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        # Before the numbers: a bool is an int in Python.
        return str(bool(value))
    return repr(float(value)) if isinstance(value, int | float | np.number) else str(value)


def shown(value: str) -> str:
    """A text from `canonical_text`, formatted for people."""
    try:
        return value_text(float(value))
    except ValueError:
        return value
