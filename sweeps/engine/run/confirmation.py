"""Which configurations are confirmed: the best of a search, by the same order in which rungs compare trials."""

from collections.abc import Mapping, Sequence

from sweeps.engine.rungs import build_rungs

_ONLY_RUNG = (1, 2)  # a rung rule with one decision: at its first step


def best(completed: Mapping[int, Sequence[tuple[float, ...]]], count: int) -> list[int]:
    """The numbers of the `count` best configurations, or of all where there are fewer, best first.

    `completed` has for each configuration the objectives of every seed, signed so that higher is better; seeds are
    averaged. Several objectives: the front first, and the parts of it that would be missed most (see `rungs`).
    """
    rungs = build_rungs("pareto", _ONLY_RUNG, reduction=2)
    for number, seeds in completed.items():
        rungs.record(str(number), 1, tuple(sum(column) / len(column) for column in zip(*seeds, strict=True)))
    verdicts = rungs.cohort([str(number) for number in completed], 1) if completed else {}
    return sorted(completed, key=lambda number: (verdicts[str(number)].place, number))[:count]
