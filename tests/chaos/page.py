"""docs/reliability.md and the counts that it is made of."""

from collections.abc import Sequence
from typing import Any

from tests.places import ROOT

PAGE, COUNTS = ROOT / "docs" / "reliability.md", ROOT / "docs" / "reliability.json"

_TOP = """# What a run survives

Faults are made on purpose, at random moments, and the ledger that is left is held against one of an undisturbed run:
the same sweep, the same seeds. A repetition has a seed, which decides where and when it strikes.

- **Rows lost**: rows that a reader could see before the fault and cannot see at the end, or that an undisturbed run has
  and this one lacks. What a disk has damaged is not counted: it is gone, and named.
- **Rows twice**: rows whose key occurs again.
- **Not bit-equal**: rows with another value, in any column but times and places, than in the undisturbed run. Trials
  are real ones, if tiny.
- **Recovery**: the longest time from a fault until the run that was started again had written its next row, on a
  machine that had other work to do. Drivers without Ray are forked from a process that has loaded Python and torch; a
  command in a shell does that first, which takes 5 seconds of a core.

The first three must be 0.
"""

_LEFT_OUT = """
## Not among them

- Snapshots of Ray Tune and of its searcher: a run has none, and resumes from its ledger alone.
- A hang that holds the interpreter's lock: the watchdog is a thread of the same process, and cannot see it.
- A device that really lacks memory, and clocks of real machines: the first is an exception that torch raises there, the
  second a shift within the process.
- Object stores: `tests/stores/` kills drivers at every request there, once each, and is not counted here.
"""

_AGAIN = """
## Again

<!-- not run: takes hours -->
```sh
make chaos                       # every fault, as often as it says; goes on where the last one was stopped
make chaos CHAOS=30              # in half an hour: each fault gets its share of the time, and is made at least once
python -m tests.chaos --only "driver killed"
python -m tests.chaos --page     # writes this page, and docs/reliability.json, from what is recorded
```

Outcomes are recorded in `.chaos/outcomes.jsonl` with the hash of the code; those of another state of the code are not
counted. Faults are in `tests/chaos/faults/`, a file per family.
"""


def render(counts: dict[str, Any]) -> str:
    """The page in Markdown."""
    parts = [_TOP, _origin(counts), *_table([own for own in counts["faults"] if own["seeds"]])]
    if failed := [own for own in counts["faults"] if own["wrong"]]:
        parts += [
            "\n## What went wrong\n",
            *(f"- **{own['name']}**, {line}" for own in failed for line in own["wrong"]),
        ]
    parts += ["\n## What is done, and what must come of it\n"]
    parts += [f"- **{own['name']}**: {own['title']}. Expected: {own['expected']}." for own in counts["faults"]]
    if missing := [own for own in counts["faults"] if not own["seeds"]]:
        parts += ["\n## Not made\n"]
        parts += [f"- **{own['name']}**: {own['lacking'] or 'not yet repeated with this code'}." for own in missing]
    return "\n".join([*parts, _LEFT_OUT, _AGAIN])


def _origin(counts: dict[str, Any]) -> str:
    if not counts["dates"]:
        return "Nothing has been counted yet.\n"
    dates = " to ".join(dict.fromkeys((counts["dates"][0], counts["dates"][-1])))
    machines = "; ".join(
        f"{own['cores']} cores, Python {own['python']}, Ray {own['ray']}, torch {own['torch']}"
        for own in counts["machines"]
    )
    total = sum(len(own["seeds"]) for own in counts["faults"])
    struck = sum(own["struck"] for own in counts["faults"])
    return f"{dates}, {machines}, code {counts['code']}: {total:,} repetitions, {struck:,} faults.\n"


def _table(faults: Sequence[dict[str, Any]]) -> list[str]:
    heads = ("fault", "repetitions", "seeds", "faults made", "rows lost", "rows twice", "not bit-equal")
    heads += ("longest recovery", "note")
    rows = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * 7}---|"]
    for own in faults:
        took = "" if own["longest_recovery_s"] is None else f"{own['longest_recovery_s']:g} s"
        note = own["said"]
        if own["wrong"]:
            note = f"**{len(own['wrong'])} went wrong, see below** {note}".strip()
        numbers = (f"{own[name]:,}" for name in ("struck", "lost", "twice", "unequal"))
        cells = (own["name"], str(len(own["seeds"])), _ranges(own["seeds"]), *numbers, took, note)
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _ranges(seeds: Sequence[int]) -> str:
    """[0, 1, 2, 5] as "0-2, 5"."""
    found: list[list[int]] = []
    for seed in sorted(seeds):
        if found and seed == found[-1][1] + 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in found)
