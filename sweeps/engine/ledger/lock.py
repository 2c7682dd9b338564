"""One driver at a time: how a run is held, in a folder and in an object store.

A folder is held by `flock`: the system lets go of it with the process, however that ends. A store has no such thing,
and pyarrow's stores have no write on condition either. What they have is that whoever lists after a write sees it. So
every driver puts a claim of its own into RUN/_drivers, and lists:

- nobody else has one: it holds the run, and writes its claim anew every BEAT_S;
- somebody else has: it takes its claim back. Of two that claim at once at least one sees the other, so never both hold;
  they try again after a while that chance decides.

A claim that has not changed for STALE_S, by the clock of the one that waits, is a dead driver's; on the machine where
the driver ran it is known at once. The next claim has a higher term. A driver that was only thought dead (asleep, cut
off) finds that claim at its next beat, or before its next commit if it has not beaten for long, and writes no more.
What it had on its way at that moment arrives all the same: under a name of its own, with keys by which it is known.
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
"""Without a beat for so long a driver is dead; it must itself have looked for a successor after half of it."""

LOOK_S = 1.0
TRIES = 5
DRIVERS = "_drivers"

_ADVICE = "wait for it, end it, or choose another --out"


class LedgerBusy(RuntimeError):
    """Another driver holds this run."""


class LedgerLost(OSError):
    """Another driver has taken this run over; nothing more may be written."""


class Hold(Protocol):
    """A run that is held."""

    def check(self) -> None:
        """Raise LedgerLost where it is held no more. To be asked before anything is written."""

    def release(self) -> None:
        """Let the next driver have it."""


def hold(run: Location, notice: Callable[[str], None]) -> Hold:
    """Hold `run`, or raise LedgerBusy. `notice` is told where it takes a while to know whether another driver lives."""
    return Lease(run, notice) if isinstance(run, StorePath) else Flock(run)


class Flock:
    """The lock of a folder."""

    def __init__(self, run: Path) -> None:
        self._file = _lock(run / ".lock")

    def check(self) -> None:
        """Nobody takes a lock away."""

    def release(self) -> None:
        """Let the next driver have the folder."""
        self._file.close()


def _lock(path: Path) -> IO[str]:
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
    """What a driver says in the store. `machine` and `begun` tell whether a process that is seen here is the one."""

    holder: str
    machine: str
    process: int
    begun: str
    beat: int = 0

    def fate(self) -> str:
        """ "alive" or "dead" where that can be told on this machine, else "unknown"."""
        begun = _begun(self.process)
        if self.machine != _machine() or begun is None:
            return "unknown"
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
        """Raise LedgerLost where another driver has taken the run over, StoreError where that cannot be found out."""
        if not self._lost and _now_s() - self._beaten_s > STALE_S / 2:
            self._beat()
        if self._lost:
            raise LedgerLost(self._lost)

    def release(self) -> None:
        """Take the claim back. Where the store does not answer it stays, and the next driver waits till it is stale."""
        self._ended.set()
        self._thread.join()
        with suppress(StoreError):
            self._file().remove()

    def _acquire(self) -> None:
        for _ in range(TRIES):
            found = self._others()
            self._wait_for_death(found)
            self._term = 1 + max(map(_term, found), default=0)
            self._say()
            if not any(claim != found.get(name) for name, claim in self._others().items()):
                for name in found:
                    (self._folder / name).remove()
                return
            self._file().remove()
            time.sleep(random.SystemRandom().uniform(0, LOOK_S))  # not seeded: two that start together must differ
        raise LedgerBusy(f"other drivers claim {self._run} at the same moment; {_ADVICE}")

    def _wait_for_death(self, found: Mapping[str, Claim]) -> None:
        """Return when all that made these claims are dead. Raises LedgerBusy as soon as one shows that it is alive."""
        doubtful = dict(found)
        since_s, said = _now_s(), False
        while True:
            doubtful = {name: claim for name, claim in doubtful.items() if claim.fate() != "dead"}
            alive = [claim.holder for claim in doubtful.values() if claim.fate() == "alive"]
            now = self._others()
            alive += [claim.holder for name, claim in doubtful.items() if now.get(name, claim) != claim]
            if alive:
                raise LedgerBusy(f"another driver is writing to {self._run} ({alive[0]}); {_ADVICE}")
            doubtful = {name: claim for name, claim in doubtful.items() if name in now}
            if not doubtful or _now_s() - since_s > STALE_S:
                return
            if not said:
                holder = next(iter(doubtful.values())).holder
                self._notice(f"{holder} has not let go of {self._run}; is it alive? waiting up to {STALE_S:.0f} s")
                said = True
            time.sleep(LOOK_S)

    def _others(self) -> dict[str, Claim]:
        """The claims of other drivers by name. One that goes while it is read is left out."""
        found = {}
        for file in self._folder.files():
            if file.name != self._file().name:
                with suppress(FileNotFoundError):
                    found[file.name] = Claim(**json.loads(file.read().to_pybytes()))
        return found

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_S) and not self._lost:
            with suppress(StoreError):  # the next beat may come through; `check` sees how long none has
                self._beat()

    def _beat(self) -> None:
        """Renew the claim, unless it is gone or another driver's has a higher term. Raises StoreError."""
        with self._at_work:
            names = [file.name for file in self._folder.files()]
            later = [name for name in names if _term(name) > self._term]
            if later or self._file().name not in names:
                self._lost = f"another driver has taken {self._run} over while this one was not to be heard"
                return
            self._say()

    def _say(self) -> None:
        now_s = _now_s()
        self._beats += 1
        claim = asdict(replace(self._claim, beat=self._beats))
        self._file().write(json.dumps(claim).encode())
        self._beaten_s = now_s  # as it was before the request, which may have taken long

    def _file(self) -> StorePath:
        return self._folder / f"{self._term:06d}-{self._name}.json"


def _term(name: str) -> int:
    return int(name.partition("-")[0])


def _now_s() -> float:
    """Seconds that go on while the machine sleeps, as those of time.monotonic do not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _machine() -> str:
    """A name for what process numbers are counted in: this boot, and this container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _begun(process: int) -> str | None:
    """When a process of this machine was started, in ticks; empty where there is none, None where it is hidden."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if _exists(process) else ""
    return "" if fields[0] in "ZX" else fields[19]


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
