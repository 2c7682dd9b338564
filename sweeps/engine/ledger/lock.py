"""Lock a run for one driver at a time, in a folder or in an object store.

A folder is locked by `flock`, which the system releases when the process ends, however it ends. A store has no locks,
and pyarrow offers no conditional writes. But listings are consistent: a listing after a write shows the object. So
every driver writes a claim of its own into RUN/_drivers, then lists the folder:

- if there is no other claim, it holds the run, and renews its claim every BEAT_S;
- if there is one, it withdraws its own. Of two drivers that claim at once, at least one sees the other, so they never
  both hold the run; they try again after a random delay.

A claim that has not changed for STALE_S, by the waiting driver's clock, belongs to a dead driver; on the machine where
that driver ran, this is known at once. The next claim has a higher term. A driver that only seemed dead (suspended, cut
off) sees the higher term at its next beat, or before its next commit if its last beat is old, and stops writing.
A write in flight at that moment still arrives, but under a unique name and with keys that reveal repeated rows.
"""

import fcntl
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Protocol

from analysis.ledger.location import Location, StoreError, StorePath

BEAT_S = 10.0
STALE_S = 60.0
"""A driver without a beat for this long counts as dead. After half of it, a driver must look for a successor before it
writes: the other half is the time that its write may take."""

LOOK_S = 1.0
"""How often a waiting driver looks at the other claims, and the longest random delay before another try."""

TRIES = 5
"""How often a driver claims a run before it gives up because others keep claiming it at the same moment."""

DRIVERS = "_drivers"

_ADVICE = "wait for it, end it, or choose another --out"


class LedgerBusy(RuntimeError):
    """Another driver holds this run."""


class LedgerLost(OSError):
    """Another driver has taken over this run; nothing more may be written."""


class Hold(Protocol):
    """A lock on a run."""

    def check(self) -> None:
        """Raise LedgerLost if the run is no longer held. Call this before every write."""

    def release(self) -> None:
        """Release the run for the next driver."""


def hold(run: Location, notice: Callable[[str], None]) -> Hold:
    """Lock `run`, or raise LedgerBusy. `notice` gets a sentence if we must wait to see whether another driver lives."""
    return Lease(run, notice) if isinstance(run, StorePath) else Flock(run)


class Flock:
    """The lock of a folder."""

    def __init__(self, run: Path) -> None:
        self._file = _lock(run / ".lock")

    def check(self) -> None:
        """Do nothing: a lock of the file system cannot be taken away."""

    def release(self) -> None:
        """Release the folder for the next driver."""
        # The file stays. If it were deleted, a driver that had just opened it would lock a file that nobody else sees.
        self._file.close()


def _lock(path: Path) -> IO[str]:
    # "a+" does not truncate: until the lock is ours, the file holds the name of the driver that has it.
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise LedgerBusy(f"another driver is writing to {path.parent} ({holder}); {_ADVICE}") from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename}")
    file.flush()
    return file


@dataclass(frozen=True)
class Claim:
    """What a driver writes into the store. `machine` and `begun` tell whether a local process is that driver."""

    holder: str
    machine: str
    process: int
    begun: str
    beat: int = 0

    def fate(self) -> str:
        """ "alive" or "dead" if the driver ran on this machine, otherwise "unknown"."""
        begun = _begun(self.process)
        if self.machine != _machine() or begun is None:
            return "unknown"
        # A process with this ID that began at another time is a later one: the system reuses IDs.
        return "alive" if begun == self.begun else "dead"


class Lease:
    """This driver's claim on a run in a store, renewed by a thread until it is released or lost."""

    def __init__(self, run: StorePath, notice: Callable[[str], None]) -> None:
        self._run, self._folder, self._notice = run, run / DRIVERS, notice
        self._name = uuid.uuid4().hex
        process = os.getpid()
        holder = f"process {process} on {os.uname().nodename}"
        self._claim = Claim(holder, _machine(), process, _begun(process) or "")
        self._term, self._beats, self._beaten_s, self._lost = 0, 0, 0.0, ""
        self._at_work, self._ended = threading.Lock(), threading.Event()
        self._acquire()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LedgerLost if another driver has taken over the run, StoreError if the store does not answer."""
        # A recent beat is proof enough: nobody may replace this driver yet. That saves two requests before each commit.
        if not self._lost and _now_s() - self._beaten_s > STALE_S / 2:
            self._beat()
        if self._lost:
            raise LedgerLost(self._lost)

    def release(self) -> None:
        """Withdraw the claim. If the store does not answer, it stays, and the next driver waits until it is stale."""
        self._ended.set()
        # First let a beat in flight finish: it would write the claim again after its removal.
        self._thread.join()
        with suppress(StoreError):
            self._file().remove()

    def _acquire(self) -> None:
        for _ in range(TRIES):
            found = self._others()
            self._wait_for_death(found)
            self._term = 1 + max(map(_term, found), default=0)
            self._say()
            # Only now list again: of two drivers that do so, at least one sees the other's claim. A claim found before
            # counts too if it has changed since, because then its driver is alive after all.
            if not any(claim != found.get(name) for name, claim in self._others().items()):
                # The dead drivers' claims go last, when ours is there, so that the run always shows a claim.
                for name in found:
                    (self._folder / name).remove()
                return
            self._file().remove()
            # Not seeded: two drivers that start together must wait for different times.
            time.sleep(random.SystemRandom().uniform(0, LOOK_S))
        raise LedgerBusy(f"other drivers claim {self._run} at the same moment; {_ADVICE}")

    def _wait_for_death(self, found: Mapping[str, Claim]) -> None:
        """Wait until the drivers of all these claims are dead. Raises LedgerBusy as soon as one proves alive."""
        doubtful = dict(found)
        since_s, said = _now_s(), False
        while True:
            doubtful = {name: claim for name, claim in doubtful.items() if claim.fate() != "dead"}
            alive = [claim.holder for claim in doubtful.values() if claim.fate() == "alive"]
            now = self._others()
            # A beat changes a claim. One that has vanished was withdrawn, which is no sign of life.
            alive += [claim.holder for name, claim in doubtful.items() if now.get(name, claim) != claim]
            if alive:
                raise LedgerBusy(f"another driver is writing to {self._run} ({alive[0]}); {_ADVICE}")
            doubtful = {name: claim for name, claim in doubtful.items() if name in now}
            if not doubtful or _now_s() - since_s > STALE_S:
                return
            if not said:
                holder = next(iter(doubtful.values())).holder
                self._notice(f"{holder} has not released {self._run}; is it alive? waiting up to {STALE_S:.0f} s")
                said = True
            time.sleep(LOOK_S)

    def _others(self) -> dict[str, Claim]:
        """The claims of other drivers by name, without those that vanish while they are read."""
        found = {}
        for file in self._folder.files():
            if file.name != self._file().name:
                with suppress(FileNotFoundError):
                    found[file.name] = Claim(**json.loads(file.read().to_pybytes()))
        return found

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_S) and not self._lost:
            # The next beat may succeed; `check` notices when none has for too long.
            with suppress(StoreError):
                self._beat()

    def _beat(self) -> None:
        """Renew the claim, unless it is gone or another claim has a higher term. Raises StoreError."""
        # The thread and a commit may both want to beat. One after the other, so that beats count up in the store.
        with self._at_work:
            names = [file.name for file in self._folder.files()]
            later = [name for name in names if _term(name) > self._term]
            if later or self._file().name not in names:
                self._lost = f"another driver has taken over {self._run} while this one did not respond"
                return
            self._say()

    def _say(self) -> None:
        # The time before the request, which may take long: others see the beat no earlier than that.
        now_s = _now_s()
        self._beats += 1
        claim = asdict(replace(self._claim, beat=self._beats))
        self._file().write(json.dumps(claim).encode())
        self._beaten_s = now_s

    def _file(self) -> StorePath:
        return self._folder / f"{self._term:06d}-{self._name}.json"


def _term(name: str) -> int:
    return int(name.partition("-")[0])


def _now_s() -> float:
    """Seconds on a clock that keeps running while the machine sleeps, unlike time.monotonic."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _machine() -> str:
    """An ID of what process IDs are unique in: this boot and this container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _begun(process: int) -> str | None:
    """The start time of a local process in ticks; empty if there is none, None if it is hidden from us."""
    try:
        # The program's name comes first, in parentheses; it may contain spaces and parentheses itself.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        # With `hidepid`, /proc does not show the processes of other users.
        return None if _exists(process) else ""
    # Field 3 of proc(5) is the state: a zombie or a dead process drives nothing. Field 22 is the start time.
    return "" if fields[0] in "ZX" else fields[19]


def _exists(process: int) -> bool:
    try:
        # Signal 0 is not delivered; the system only checks that there is somebody to deliver it to.
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
