"""The command-line options of a replay."""

import argparse
from collections.abc import Callable, Sequence

from analysis.ledger.location import KINDS
from enhance.json_output import Parser
from sweeps.engine.rungs import RULES
from sweeps.engine.samplers import SAMPLERS
from sweeps.engine.sweep import METRICS

EACH = "each"
"""A sampler only for replays: every recorded point once, in a seeded random order. This is random search without
replacement; if the recorded curves are not a full grid, it never proposes a point that was not trained."""

SPACING = (4, 3)
"""The number of rungs and the reduction if the source does not record its own."""


def parser(program: str) -> Parser:
    """The argument parser of a replay; the help calls the program `program`."""
    found = Parser(
        prog=program,
        description="Repeat searches over recorded training curves in simulated time, and compare search strategies.",
    )
    samplers, rules = [*SAMPLERS, EACH], list(RULES)
    found.add_argument(
        "source", help=f"a run ({KINDS}), or a Parquet file of curves (results are then printed but not saved)"
    )
    found.add_argument("--workers", type=_at_least(1), default=4, help="simulated workers (default: 4)")
    found.add_argument("--seeds", type=_at_least(1), default=20, help="replays of each arm (default: 20)")
    found.add_argument(
        "--samplers",
        type=_some(samplers),
        help=f"from {', '.join(samplers)} (default: random,tpe for a fully recorded grid, else each)",
    )
    found.add_argument(
        "--stopping",
        type=_some(rules),
        default=tuple(rules),
        help=f"from {', '.join(rules)} (default: all)",
    )
    found.add_argument("--rungs", type=_numbers, help=f"numbers of rungs (default: the run's, or {SPACING[0]})")
    found.add_argument(
        "--reduction",
        type=_numbers,
        help=f"ratios of adjacent rungs' steps (default: the run's, or {SPACING[1]})",
    )
    found.add_argument("--objectives", type=_some(list(METRICS)), default=(), help="replace the source's objectives")
    found.add_argument("--seconds-per-step", type=float, help="replace the recorded times")
    for name, what in (
        ("stragglers", "of the trials are slow"),
        ("lost", "of the attempts lose their worker"),
        ("nan", "of the trials diverge"),
    ):
        found.add_argument(f"--{name}", type=float, default=0.0, metavar="SHARE", help=f"share {what} (default: 0)")
    found.add_argument(
        "--slowdown", type=float, default=10.0, help="how many times longer stragglers take (default: 10)"
    )
    return found


def _some(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Names from `choices`, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        wrong = [name for name in names if name not in choices]
        if wrong:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: choose from {', '.join(choices)}")
        return names

    return parse


def _numbers(text: str) -> tuple[int, ...]:
    """Positive integers, separated by commas."""
    return tuple(map(_at_least(1), text.split(",")))


def _at_least(low: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer >= {low}")
        return value

    return parse
