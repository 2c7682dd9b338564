"""Background of a run: its data, environment, fixed parameters, and the commands that made it."""

import json

import pandas as pd

from analysis.frontier.configurations import untouched, varying_parameters
from analysis.ledger.load import Ledger, contract_facts
from analysis.ledger.units import COSTS, metric_label, metric_text, recorded_text
from analysis.report.blocks import Block, Code, Content, Facts, Folded, Table
from analysis.report.reading import Reading

_NAMES = {
    "run.host": "host",
    "run.device": "device",
    "run.threads": "threads per worker",
    "run.code": "code of the domain (digest)",
    "run.teststrip": "teststrip",
    "run.torch": "torch",
    "run.python": "Python",
}
# The first two have a section of their own, the last is a key.
_DATA = ("run.data", "run.data_spec", "run.run")


def data(reading: Reading) -> Content:
    """The data, and the scores of the untouched phone images."""
    ledger = reading.ledger
    trials = ledger.read("trials", ["run.data_spec", "run.data", "images"])
    pairs = [("data", _several(trials, "run.data_spec") or str(ledger.runs["run.data_spec"].iloc[-1]))]
    if digest := _several(trials, "run.data"):
        pairs.append(("fingerprint", digest))
    pairs.append(("validation images", _several(trials, "images") or "not reported"))
    names = [column.removeprefix("metric.") for column in ledger.columns("trials") if column.startswith("metric.")]
    scores = [(name, untouched(ledger, name)) for name in names if name not in COSTS and name != "psnr_gain_db"]
    rows = [[metric_label(name), metric_text(name, value)] for name, value in scores if value is not None]
    blocks: list[Block] = [Facts(pairs)]
    if rows:
        blocks.append(Table(["untouched phone image", "score"], rows, (1,)))
    return Content("The training and validation data, and the scores a network has to beat.", blocks)


def environment(reading: Reading) -> Content:
    """Versions, hosts, devices and code digest over all trials, so that a mix becomes visible."""
    trials = reading.ledger.read("trials", ["run.*"])
    columns = [column for column in trials.columns if column not in _DATA]
    pairs = [(_NAMES.get(column, column.removeprefix("run.")), _several(trials, column)) for column in columns]
    # `_several` joins different values with a semicolon.
    mixed = [name for name, text in pairs if ";" in text]
    lead = f"The trials differ in: {', '.join(mixed)}." if mixed else "The same for all trials."
    return Content(lead, [Facts([pair for pair in pairs if pair[1]])])


def reproduction(reading: Reading) -> Content:
    """The commands of all invocations, the search space, and the fixed parameters."""
    ledger = reading.ledger
    blocks: list[Block] = []
    if "command" in ledger.runs:
        # Resumed invocations often repeat the command.
        blocks.append(Code("\n".join(dict.fromkeys(ledger.runs["command"].dropna().astype(str)))))
    facts = contract_facts(ledger)
    if space := facts.get("space"):
        blocks.append(Table(["searched", "range"], [[name, recorded_text(entry)] for name, entry in space.items()]))
    if facts:
        kept = [(name, _text(value)) for name, value in facts.items() if name not in ("space", "fixed")]
        blocks.append(Folded("Settings shared by all invocations", [Facts(kept)]))
    if fixed := _fixed(ledger):
        blocks.append(Folded(f"The {len(fixed)} parameters that are the same in all trials", [Facts(fixed)]))
    count = len(ledger.runs)
    times = "one invocation" if count == 1 else f"{count} invocations"
    # Times of the ledger, not of the report: equal ledgers give equal pages.
    first, last = ledger.runs["started"].min(), ledger.runs["started"].max()
    when = f"{first:%Y-%m-%d %H:%M} UTC" if count == 1 else f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    lead = f"The run has {times} ({when}). Repeating the command with the same --out resumes it."
    return Content(lead, blocks)


def _several(trials: pd.DataFrame, column: str) -> str:
    """The values of a column, most frequent first, with their counts if there are several."""
    if column not in trials:
        return ""
    counts = trials[column].dropna().value_counts()
    if len(counts) <= 1:
        return "".join(map(_text, counts.index))
    # `value_counts` leaves ties in any order; equal ledgers must give equal pages.
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return "; ".join(f"{_text(value)} ({count:,} trials)" for value, count in ordered)


def _fixed(ledger: Ledger) -> list[tuple[str, str]]:
    changing = varying_parameters(ledger.settings)
    # The seed belongs to the trial, not to what was trained.
    seed = "config.seed"
    columns = [name for name in ledger.settings.columns if name.startswith("config.") and name not in (*changing, seed)]
    pairs = [(column.removeprefix("config."), _several(ledger.settings, column)) for column in columns]
    return [pair for pair in pairs if pair[1]]


def _text(value: object) -> str:
    if isinstance(value, dict) and "kind" in value:
        return recorded_text(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, default=str)
