"""Choose the configurations to confirm: the best of a search, in the order by which rungs compare trials."""

from collections.abc import Mapping, Sequence

from sweeps.engine.rungs import build_rungs

_ONLY_RUNG = (1, 2)  # a rung rule with one decision: at its first step


def best(completed: Mapping[int, Sequence[tuple[float, ...]]], count: int) -> list[int]:
    """The numbers of the `count` best configurations, or of all if there are fewer, best first.

    `completed` has the objectives of every seed for each configuration, signed so that higher is better; seeds are
    averaged. With several objectives the front comes first, and within it the points that keep it broad (`rungs`).
    """
    rungs = build_rungs("pareto", _ONLY_RUNG, reduction=2)
    for number, seeds in completed.items():
        rungs.record(str(number), 1, tuple(sum(column) / len(column) for column in zip(*seeds, strict=True)))
    verdicts = rungs.cohort([str(number) for number in completed], 1) if completed else {}
    return sorted(completed, key=lambda number: (verdicts[str(number)].place, number))[:count]
