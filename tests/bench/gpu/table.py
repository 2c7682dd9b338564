"""The page of a measurement, made from its JSON: `python -m tests.bench.gpu.table RESULTS.json > docs/gpu.md`."""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.gpu.arms import ARMS

Result = Mapping[str, Any]

FIRST, SECOND = "stock Tune", "tuned Tune"
"""The arms that the others are compared with."""


def page(result: Result) -> str:
    """The whole page. Raises KeyError if the result lacks something."""
    versions = ", ".join(f"{name} {own}" for name, own in result["versions"].items())
    rounds = "one round" if result["rounds"] == 1 else f"{result['rounds']} rounds"
    tflops, gb = result["peaks"]["flops_per_s"] / 1e12, result["peaks"]["bytes_per_s"] / 1e9
    lines = [
        "# Micro-runs on a GPU",
        "",
        f"Measured on {result['date']} on one {result['device']} ({versions}) with:",
        "",
        "<!-- not run: needs a GPU and takes hours -->",
        "```sh",
        result["command"],
        "```",
        "",
        f"Trials per hour of whole commands, start included, of {result['trials']} trials of {result['steps']} steps:",
        f"medians of {rounds}. Ratios are taken within a round; their lowest and highest are in brackets.",
        "",
        *trials_table(result["arms"]),
        "",
        "One step in ms, beside the shortest time that its arithmetic or its memory traffic allows. The device was",
        f"measured in the same run: {tflops:.3g} TFLOP/s in bfloat16, {gb:,.0f} GB/s. Idle is the share of time",
        "without a kernel.",
        "",
        *steps_table(result["step"]),
    ]
    return "\n".join(lines) + "\n"


def trials_table(arms: Sequence[Result]) -> list[str]:
    """A line for each job, with the trials per hour of every arm and the last arm's ratios to the first two."""
    jobs: dict[str, dict[str, Result]] = {}
    for row in arms:
        jobs.setdefault(row["job"], {})[row["arm"]] = row
    lines = [
        f"| job | {' | '.join(ARMS)} | last to {FIRST} | last to {SECOND} |",
        f"|{'---|' * (len(ARMS) + 3)}",
    ]
    for job, own in jobs.items():
        rates = [_number(per_hour(own[arm])) if arm in own else "-" for arm in ARMS]
        last = own.get(list(ARMS)[-1])
        ratios = [_ratio(own.get(arm), last) for arm in (FIRST, SECOND)]
        lines.append(f"| {job} | {' | '.join(rates)} | {' | '.join(ratios)} |")
    return lines


def steps_table(steps: Sequence[Result]) -> list[str]:
    """A line for each workload and scale."""
    lines = [
        "| step | eager | captured | shortest | captured to shortest | idle: eager, captured |",
        "|---|---|---|---|---|---|",
    ]
    for row in steps:
        eager, captured = (statistics.median(row[f"{how}_ms"]) for how in ("eager", "captured"))
        idle = ", ".join(_percent(row[f"{how}_idle_share"]) for how in ("eager", "captured"))
        how = "" if row["captured_how"] == "recorded" else f" ({row['captured_how']})"
        lines.append(
            f"| {row['workload']}, {row['scale']} | {eager:.3g} | {captured:.3g}{how} | {row['roofline_ms']:.3g} "
            f"({row['bound']}) | {captured / row['roofline_ms']:.2f} | {idle} |"
        )
    return lines


def per_hour(row: Result) -> float:
    """The median of an arm's trials per hour over its rounds."""
    return statistics.median(3600 * row["trials"] / seconds for seconds in row["seconds"])


def _ratio(other: Result | None, last: Result | None) -> str:
    """How many times as fast the last arm is as another, in the same rounds."""
    if other is None or last is None:
        return "-"
    ratios = [theirs / ours for theirs, ours in zip(other["seconds"], last["seconds"], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
