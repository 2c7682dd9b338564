"""Make the faults, or write the page: see the package."""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.page import COUNTS, PAGE, render
from tests.chaos.record import Record, summary
from tests.chaos.rows import forget
from tests.places import ROOT

FOLDER = ROOT / ".chaos"


def main(arguments: Sequence[str]) -> int:
    """What the command line asks for. The exit status: 0, or 1 if a fault was not survived."""
    options = _parser().parse_args(arguments)
    record = Record(options.folder / "outcomes.jsonl")
    if options.page:
        counts = summary(record, FAULTS)
        COUNTS.write_text(json.dumps(counts, indent=1) + "\n")
        PAGE.write_text(render(counts))
        print(f"{PAGE.relative_to(ROOT)} and {COUNTS.relative_to(ROOT)} are written")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # not without removing its folders
    os.environ["TESTSTRIP_CACHE"] = str(options.folder / "cache")
    faults = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    try:
        return int(not make(faults, record, options.minutes))
    finally:
        forget()


def make(faults: Sequence[Fault], record: Record, minutes: float | None) -> bool:
    """Make the faults that are not recorded yet; whether all were survived.

    Within a limited time each fault has an equal share of what is left when its turn comes, but at least one turn.
    """
    began, survived = time.monotonic(), True
    for index, fault in enumerate(faults):
        if lacking := fault.lacking():
            print(f"{fault.name}: skipped, {lacking}", flush=True)
            continue
        now = time.monotonic()
        share_s = float("inf") if minutes is None else (60 * minutes - (now - began)) / (len(faults) - index)
        done = {entry.seed for entry in record.entries(fault)}
        for seed in (seed for seed in range(fault.wanted) if seed not in done):
            if done and time.monotonic() - now > share_s:
                break
            done.add(seed)
            outcome = repeat(fault, seed)
            record.append(fault, seed, outcome)
            survived &= outcome.survived
    return survived


def repeat(fault: Fault, seed: int) -> Outcome:
    """One repetition in a folder of its own. What it raises is an outcome too."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        try:
            outcome = fault.make(seed, Path(folder))
        except Exception as error:  # noqa: BLE001 - whatever it is, the fault was not survived
            outcome = Outcome(wrong=f"{type(error).__name__}: {' '.join(str(error).split())[:600]}")
    said = "survived" if outcome.survived else f"NOT SURVIVED: {outcome}"
    print(f"{fault.name}, seed {seed}: {said}, {time.monotonic() - began:.1f} s", flush=True)
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Count what a run survives.")
    parser.add_argument("--minutes", type=float, help="how long it may take; default: until all is done")
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--page", action="store_true", help="write docs/reliability.md from what is recorded")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where outcomes are recorded; default: .chaos")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
