"""What can be said on the command line of a replay."""

import argparse
from collections.abc import Callable, Sequence

from analysis.ledger.location import KINDS
from enhance.json_output import Parser
from sweeps.engine.rungs import RULES
from sweeps.engine.samplers import SAMPLERS
from sweeps.engine.sweep import METRICS

EACH = "each"
"""Beside the engine's samplers: every recorded point once, in a seeded random order. It is random search without
replacement, and searches curves that are no full grid without meeting points that nobody trained."""

SPACING = (4, 3)
"""Rungs and reduction of a source that does not say its own."""


def parser(program: str) -> Parser:
    """The command line of a replay, which the help calls `program`."""
    found = Parser(
        prog=program,
        description="Search recorded curves again, in simulated time, and compare ways of searching.",
    )
    samplers, rules = [*SAMPLERS, EACH], list(RULES)
    found.add_argument(
        "source", help=f"where a run lies ({KINDS}), or a Parquet file of curves, of which nothing is kept"
    )
    found.add_argument("--workers", type=_at_least(1), default=4, help="simulated workers (default: 4)")
    found.add_argument("--seeds", type=_at_least(1), default=20, help="replays of each arm (default: 20)")
    found.add_argument(
        "--samplers",
        type=_some(samplers),
        help=f"some of {', '.join(samplers)} (default: random,tpe where the whole grid was recorded, else each)",
    )
    found.add_argument("--stopping", type=_some(rules), default=tuple(rules), help=f"some of {', '.join(rules)}")
    found.add_argument("--rungs", type=_numbers, help=f"numbers of rungs (default: the run's own; {SPACING[0]})")
    found.add_argument(
        "--reduction", type=_numbers, help=f"steps from rung to rung (default: the run's own; {SPACING[1]})"
    )
    found.add_argument("--objectives", type=_some(list(METRICS)), default=(), help="instead of the source's own")
    found.add_argument("--seconds-per-step", type=float, help="instead of the recorded seconds")
    for name, what in (
        ("stragglers", "of the trials are slow"),
        ("lost", "of the attempts lose their worker"),
        ("nan", "of the trials diverge"),
    ):
        found.add_argument(f"--{name}", type=float, default=0.0, metavar="SHARE", help=f"share {what} (default: 0)")
    found.add_argument("--slowdown", type=float, default=10.0, help="how many times as long stragglers take (10)")
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
    """Whole numbers, separated by commas."""
    return tuple(map(_at_least(1), text.split(",")))


def _at_least(low: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number >= {low}")
        return value

    return parse
