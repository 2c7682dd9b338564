"""The findings of a comparison of two runs, in sentences."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.compare.endings import Discordant
from analysis.compare.front import Best
from analysis.compare.scores import OVER_CONFIGURATIONS
from analysis.ledger.load import Objective
from analysis.ledger.units import counted, metric_label, metric_text, p_text, signed_text


def made_line(setup: pd.DataFrame, most: int = 4) -> str:
    """The first `most` differences in setup (from `setup_differences`) in one sentence."""
    if setup.empty:
        return "The setups do not differ."
    texts = [
        f"{row['name']} ({row['a'] or 'not recorded'}, {row['b'] or 'not recorded'})"
        for row in setup.to_dict("records")
    ]
    short = [text if len(text) <= 70 else f"{text[:67]}..." for text in texts[:most]]
    more = f", and {len(texts) - most} more" if len(texts) > most else ""
    return f"Setups differ in (A, B): {', '.join(short)}{more}."


def verdict_lines(frame: pd.DataFrame, objectives: Sequence[Objective]) -> list[str]:
    """For each objective sentences on the averages and on single configurations, from `score_differences`."""
    lines = []
    for objective in objectives:
        rows = frame[frame["metric"] == objective.metric]
        lines += [_average_line(row, objective) for row in rows[rows["kind"] == "average"].to_dict("records")]
        each = rows[rows["kind"] == "each"]
        if len(each):
            better = int((each["sure"] & (objective.sign * each["mean"] > 0)).sum())
            worse = int(each["sure"].sum()) - better
            tested = int(each["p"].notna().sum())
            told = f"B is significantly better in {better} and worse in {worse} (corrected for multiple testing)"
            if not tested:
                told = "none has enough seeds for a test of its own"
            some = f", {tested} with enough seeds to test" if 0 < tested < len(each) else ""
            lines.append(f"{metric_label(objective.metric)}: of {len(each)} configurations{some}, {told}")
    return lines


def best_line(found: Best, metric: str | None) -> str:
    """The best of both runs in one sentence; `metric` is that of a single objective."""
    if np.isnan(found.mean):
        return f"best, {found.what}: {found.why}"
    a, b = (f"{own:.3f}" if metric is None else metric_text(metric, own) for own in (found.a, found.b))
    less, low, high = (
        f"{own:+.3f}" if metric is None else signed_text(metric, own) for own in (found.mean, found.low, found.high)
    )
    ends = f"95 % interval {low} to {high}, p {p_text(found.p)}, {found.method}"
    ends = f"no interval: {found.why}" if found.why else ends
    sizes = [counted(count, "configuration") for count in (found.configurations_a, found.configurations_b)]
    return f"best, {found.what}: A {a} ({sizes[0]}), B {b} ({sizes[1]}); B minus A {less} ({ends})"


def discordant_line(found: Discordant) -> list[str]:
    """Divergence on the same configurations and seeds; empty if the runs share none."""
    if not found.both:
        return []
    return [
        f"on the same configurations and seeds ({found.both} that trained in both): {found.only_a} diverged in A only, "
        f"{found.only_b} only in B (exact p {p_text(found.p)})"
    ]


def legend_lines(frame: pd.DataFrame) -> list[str]:
    """How to read the intervals and p values of `score_differences`."""
    if frame.empty:
        return []
    single = (frame["method"] == OVER_CONFIGURATIONS).any()
    return [
        "B minus A, with 95 % t intervals: paired where both runs share seeds, else Welch's; one seed against several",
        "assumes the spread of the several. p: Holm-corrected, over all configurations and objectives, and over",
        "all averages; bold: below 0.05.",
        *(["over configurations: one seed each, so the interval says nothing about other seeds."] if single else []),
    ]


def _average_line(row: dict[object, object], objective: Objective) -> str:
    metric, mean = objective.metric, float(str(row["mean"]))
    low, high, p = (float(str(row[name])) for name in ("low", "high", "p_holm"))
    if mean == 0 and low == high == 0:
        return f"{metric_label(metric)}: no difference at all, {row['label']}"
    word = "better" if objective.sign * mean > 0 else "worse"
    ends = f"{signed_text(metric, low)} to {signed_text(metric, high)}"
    size = f"{metric_text(metric, abs(mean))} {word} ({ends}, p {p_text(p)})"
    told = "more than noise" if row["sure"] else "not distinguishable from noise"
    if np.isnan(low):
        size, told = f"{metric_text(metric, abs(mean))} {word}", "no interval"
    over = ", over configurations with one seed" if row["method"] == OVER_CONFIGURATIONS else ""
    return f"{metric_label(metric)}: B is {size}, {row['label']}{over}: {told}"
