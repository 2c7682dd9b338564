"""What goes wrong inside a trial: it hangs, fails, lacks memory or leaves the numbers."""

import itertools
import random
import time
from pathlib import Path
from typing import Any

from analysis.ledger.load import load
from tests.chaos.drivers import forked
from tests.chaos.faults.killed import Recovery
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import differing, read, repeated, undisturbed
from tests.patience import PATIENCE_S

TIMEOUT_S = 5.0
"""Of a trial without progress: far more than a step takes on a busy machine."""


def _host_memory(run: Any) -> object:
    import torch

    return torch.empty(1 << 60)


def _numpy_memory(run: Any) -> object:
    import numpy as np

    return np.empty(1 << 59)


def _device_memory(run: Any) -> object:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _bug(run: Any) -> object:
    return [].pop()


def _not_a_number(run: Any) -> None:
    import torch

    with torch.no_grad():
        next(run.rule.net.parameters()).fill_(float("nan"))


TROUBLE = {
    "host": (_host_memory, "failed", "out of memory on this machine"),
    "numpy": (_numpy_memory, "failed", "out of memory on this machine"),
    "device": (_device_memory, "failed", "out of memory on the device"),
    "bug": (_bug, "failed", "IndexError"),
    "nan": (_not_a_number, "diverged", "nan"),
}


def _at(stretch: int, trouble: Any) -> None:
    from enhance.microrun import MicroRun

    original, begun = MicroRun.advance, itertools.count(1)

    def advance(run: MicroRun, steps: int) -> object:
        if next(begun) == stretch:
            trouble(run)
        return original(run, steps)

    MicroRun.advance = advance  # type: ignore[method-assign,assignment]


def get_into(name: str, stretch: int) -> None:
    """Have a trial get into trouble in the `stretch`-th stretch that is trained in this process."""
    _at(stretch, TROUBLE[name][0])


def hang(stretch: int, mark: Path) -> None:
    """Have a trial hang; `mark` appears when it does."""

    def forever(run: object) -> None:
        mark.touch()
        time.sleep(1e6)

    _at(stretch, forever)


def trouble(seed: int, folder: Path) -> Outcome:
    """One trial of each kind of trouble, a run for each."""
    rng, found = random.Random(seed), Outcome(0)
    for name, (_, ending, reason) in TROUBLE.items():
        out = folder / name
        with forked(out, prepare=get_into, given=(name, rng.randint(1, 12))) as driver:
            status = driver.wait()
        one = _ended(out, status, driver.text(), ending, reason)
        wrong = "; ".join(filter(None, (found.wrong, one.wrong)))
        found = Outcome(found.struck + 1, 0, found.twice + one.twice, found.unequal + one.unequal, wrong=wrong)
    return found


def hanging(seed: int, folder: Path) -> Outcome:
    """A trial that makes no progress any more, in the driver's process."""
    rng, out, mark = random.Random(seed), folder / "run", folder / "hangs"
    clock = Recovery(out)
    with forked(out, "--timeout", f"{TIMEOUT_S:g}", prepare=hang, given=(rng.randint(1, 12), mark)) as driver:
        while driver.status is None and not mark.exists():
            time.sleep(0.003)
        clock.stopped()
        clock.watch(driver, PATIENCE_S)
        status = driver.wait()
    one = _ended(out, status, driver.text(), "failed", f"timeout: no progress for {TIMEOUT_S:g} s")
    return Outcome(1, 0, one.twice, one.unequal, clock.longest_s, one.wrong)


def _ended(out: Path, status: int, said: str, ending: str, reason: str) -> Outcome:
    """One trial has ended so, for such a reason, and all others as always."""
    if status:
        return Outcome(wrong=f"status {status}: {said[-500:]}")
    trials, found = load(out).trials, read(out)
    lost = trials[trials["ending"].isin(["failed", "diverged", "refused"])]
    fits = len(lost) == 1 and lost["ending"].iloc[0] == ending and reason in lost["reason"].iloc[0]
    wrong = "" if fits else f"not one {ending} for {reason}: {lost[['ending', 'reason']].to_dict('records')}"
    missing = set(load(out).starts["trial"]) ^ set(trials["trial"])
    wrong = "; ".join(filter(None, (wrong, f"{len(missing)} trials have not ended" if missing else "")))
    unequal = differing(read(undisturbed()), found, only_measured=True, but=set(lost["trial"]))
    return Outcome(1, 0, repeated(found), unequal, wrong=wrong)


FAULTS = [
    Fault(
        "trial fails",
        "a trial runs out of the machine's memory (torch, numpy) or the device's, raises, or gets a weight that is no "
        "number, a run for each; the device's lack is pretended",
        "the trial ends as failed or diverged with that reason, and the others are what they are without",
        trouble,
        wanted=20,
    ),
    Fault(
        "trial hangs",
        f"a trial stops making progress, with --timeout {TIMEOUT_S:g}",
        "it ends as failed, and the run goes on with the others",
        hanging,
        wanted=20,
    ),
]
