"""The design that a run says it followed, and the configurations by their settings."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, Objective, contract
from analysis.ledger.space import Parameter, counts
from analysis.ledger.units import value_text

AROUND = ("Ablation", "OneAtATime")
COMBINED = ("Factorial", "Grid", "Fraction")


@dataclass(frozen=True)
class Design:
    """Its name as in `sweeps.engine.designs`, and the base that others differ from (empty where it has none)."""

    name: str
    base: dict[str, Any]


def design_of(ledger: Ledger) -> Design:
    """What the run's contract says. Raises LedgerError where it followed no design that has pairs."""
    text = str(contract(ledger, "design"))
    if text == "None":
        raise LedgerError(
            f"{ledger.path} is a search ({contract(ledger, 'sampler')}): its configurations differ in many parameters "
            f"at once, so that none has a partner without one part. Ask `teststrip importance {ledger.path}`, "
            "or run a sweep with design=Ablation(...), Factorial() or Grid()"
        )
    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        name = ast.unparse(call.func)
    except (SyntaxError, ValueError, AssertionError) as error:
        raise LedgerError(f"{ledger.path} has a design that cannot be read: {text!r}") from error
    if name not in (*AROUND, *COMBINED):
        raise LedgerError(f"the design {name} of {ledger.path} is not known; known are {', '.join(AROUND + COMBINED)}")
    return Design(name, dict(given.get("base", {})))


def scores(ledger: Ledger, objective: Objective, settings: Sequence[Parameter]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The search's scores, (configurations, seeds), NaN where a trial did not complete; and the settings of each.

    The second frame has the columns `label` and the name of each setting, whose values are texts; "" where the setting
    does not apply. Of several trials with one configuration and seed the newest counts.
    """
    columns = ["configuration", "label", "seed", "stage", "ending", "time.ended", objective.column]
    trials = ledger.read("trials", [*columns, *(setting.column for setting in settings)])
    trials = trials[(trials["stage"] == "search") & (trials["ending"] != "refused")]
    trials = trials.sort_values("time.ended").drop_duplicates(["configuration", "seed"], keep="last")
    known = trials[objective.column].where(trials["ending"] == "completed").astype("float64")
    table = known.where(np.isfinite(known)).groupby([trials["configuration"], trials["seed"]]).last().unstack()
    first = trials.drop_duplicates("configuration").set_index("configuration").reindex(table.index)
    texts = pd.DataFrame({"label": first["label"].fillna("") if "label" in first.columns else ""}, index=table.index)
    for setting in settings:
        own = first[setting.column].map(canonical_text) if setting.column in first.columns else ""
        texts[setting.name] = pd.Series(own, index=table.index).where(counts(first, setting, settings), "")
    return table, texts


def canonical_text(value: Any) -> str:
    """A setting's value, the same for 1, 1.0 and True of the ledger and of a contract; "" for none."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    return repr(float(value)) if isinstance(value, int | float | np.number) else str(value)


def shown(value: str) -> str:
    """A text of `canonical_text` for people."""
    try:
        return value_text(float(value))
    except ValueError:
        return value
