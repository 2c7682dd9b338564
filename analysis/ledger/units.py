"""Format metrics (with unit and meaningful decimals) and parameters for people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_LABELS = {
    "psnr_db": "PSNR (dB)",
    "psnr_gain_db": "PSNR gain over the input (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "uqi": "UQI",
    "parameters": "parameters",
    "macs": "GMACs",
    "latency_ms": "latency (ms)",
    "latency_ratio": "latency (\N{MULTIPLICATION SIGN} DPED)",
}

COSTS = ("parameters", "macs", "latency_ms", "latency_ratio")
"""Metrics of the network rather than its training: equal for every seed, so there is no noise to measure."""

_DECIMALS = {"parameters": 0, "macs": 2, "latency_ms": 2, "latency_ratio": 3}
_UNITS = {"macs": 1e9}


def metric_label(metric: str) -> str:
    """The label of an axis or column. A metric without one goes by its name, which includes the unit."""
    return _LABELS.get(metric, metric)


def metric_unit(metric: str) -> float:
    """The label's unit in the ledger's unit: 1e9 (multiply-adds) for GMACs, otherwise 1."""
    return _UNITS.get(metric, 1.0)


def metric_decimals(metric: str) -> int:
    """How many decimals are meaningful in the label's unit: two for decibels, four for indices up to 1."""
    return _DECIMALS[metric] if metric in COSTS else 2 if metric.endswith("_db") else 4


def metric_text(metric: str, value: float) -> str:
    """A value in the label's unit, rounded to `metric_decimals`."""
    return f"{value / metric_unit(metric):,.{metric_decimals(metric)}f}"


def value_text(value: object) -> str:
    """A parameter's value: three significant digits of a fraction, anything else as it is."""
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    # An integer column with a null in it comes back as floats: 64 channels, not 64.0.
    return str(int(number)) if number.is_integer() and abs(number) < 1e6 else f"{number:.3g}"


def recorded_text(recorded: Any) -> str:
    """A range or design of a contract as short text: "0.1 .. 10 (log)", "adam | sgd", "grid (levels = 3)".

    Anything else is shown as it is.
    """
    if not isinstance(recorded, Mapping) or "kind" not in recorded:
        return str(recorded)
    kind = str(recorded["kind"])
    if kind == "when":
        value = recorded["value"]
        values = " | ".join(map(str, value)) if isinstance(value, list) else value
        return f"{recorded_text(recorded['range'])} when {recorded['name']} = {values}"
    if kind == "choice":
        return " | ".join(map(str, recorded["values"]))
    if kind in ("uniform", "log", "integer"):
        word = "whole" if kind == "integer" else kind
        return f"{recorded['low']:g} .. {recorded['high']:g} ({word})"
    facts = ", ".join(f"{name} = {_plain_text(value)}" for name, value in recorded.items() if name != "kind")
    return kind.replace("_", " ") + (f" ({facts})" if facts else "")


def short_names(names: Iterable[str]) -> dict[str, str]:
    """A short name for each parameter: the last part of its name if that is unique, otherwise the whole name."""
    lasts = {name: name.rsplit(".", 1)[-1] for name in names}
    times = Counter(lasts.values())
    return {name: last if times[last] == 1 else name for name, last in lasts.items()}


def signed_text(metric: str, value: float) -> str:
    """A difference in a metric, in the label's unit and with its sign."""
    text = metric_text(metric, abs(value))
    # A difference that rounds to 0 gets no sign: "-0.00" would look like a finding.
    zero = not any(digit in text for digit in "123456789")
    return text if zero else f"{'+' if value > 0 else '-'}{text}"


def p_text(p: float) -> str:
    """A p value as text; "" for NaN."""
    return "" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def counted(count: int, noun: str) -> str:
    """A number of things: "1 file", "1,200 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def sentence(text: str) -> str:
    """`text` with its first letter capitalized."""
    return f"{text[:1].upper()}{text[1:]}"


def _plain_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain_text(own)}" for name, own in value.items()) + "}"
    return value_text(value)
