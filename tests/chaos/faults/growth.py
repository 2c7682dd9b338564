"""A run of thousands of trials: nothing grows with them that should not."""

import contextlib
import tempfile
import time
from pathlib import Path

import psutil

from analysis.ledger.load import load
from sweeps.engine.protocol import Assignment
from tests.chaos.drivers import forked, written
from tests.chaos.outcome import Fault, Outcome
from tests.sweeps.engine.pretended import PretendedWorker, score

TRIALS = 5000
MOST_KB = 20.0
"""Of the driver's memory, per trial: what `make endurance` allows too."""


class Idle(PretendedWorker):
    """A worker that trains nothing, in the place of the one of this process."""

    tainted = False

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def start(self, assignment: Assignment) -> None:
        super().start(assignment)
        self.trained.clear()


def idle() -> None:
    """Let this process train nothing."""
    from sweeps.engine.workers import worker

    worker.Worker = Idle  # type: ignore[misc,assignment]


def thousands(seed: int, folder: Path) -> Outcome:
    """Trials that compute nothing, in a folder in memory where there is one: what is left is the driver's own."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=memory if memory.is_dir() else folder) as place:
        out = Path(place) / "run"
        options = ("--trials", str(TRIALS), "--sampler", "random", "--samples", "0", "--confirm", "0")
        options += ("--stopping", "none", "--set", f"net.channels={4 + seed}")
        used_kb: dict[int, float] = {}
        with forked(out, *options, prepare=idle, base=()) as driver:
            while driver.status is None:
                count = written(out, "trials")
                with contextlib.suppress(psutil.NoSuchProcess):
                    used_kb[count] = psutil.Process(driver.pid).memory_info().rss / 1024
                time.sleep(0.5)
            wrong = [] if driver.status == 0 else [f"status {driver.status}: {driver.text()[-500:]}"]
        return _checked(out, used_kb, wrong)


def _checked(out: Path, used_kb: dict[int, float], wrong: list[str]) -> Outcome:
    ledger = load(out)
    trials = ledger.trials
    lost = TRIALS - trials["trial"].nunique() + len(set(ledger.starts["trial"]) ^ set(trials["trial"]))
    twice = sum(written(out, name) for name in ("starts", "trials")) - 2 * TRIALS
    expected = [
        score({"loss.color": color, "loss.tv": tv}, trial_seed, steps)
        for color, tv, trial_seed, steps in zip(
            trials["config.loss.color"], trials["config.loss.tv"], trials["seed"], trials["steps"], strict=True
        )
    ]
    unequal = int((trials["metric.psnr_db"] != expected).sum())
    low = min((count for count in used_kb if count >= TRIALS // 10), default=0)
    high = max((count for count in used_kb if count <= TRIALS - 50), default=0)
    growth_kb = (used_kb[high] - used_kb[low]) / max(1, high - low) if used_kb else 0.0
    wrong = wrong + list(ledger.notes) + ([f"{growth_kb:.1f} kB a trial"] if growth_kb > MOST_KB else [])
    return Outcome(TRIALS, lost, twice, unequal, wrong="; ".join(wrong), said=f"{growth_kb:.1f} kB a trial")


FAULTS = [
    Fault(
        "thousands of trials",
        f"a run of {TRIALS:,} trials that compute nothing",
        f"every row once, and the driver's memory grows by less than {MOST_KB:g} kB a trial",
        thousands,
        wanted=2,
    ),
]
