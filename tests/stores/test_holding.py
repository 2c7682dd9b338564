"""Only one driver at a time holds a run, though a store has no locks."""

import dataclasses
import itertools
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import fs

from analysis.ledger.location import StorePath, files
from sweeps.engine.ledger import lock
from sweeps.engine.ledger.lock import Lease, LedgerBusy, LedgerLost, hold
from sweeps.engine.ledger.writer import Ledger
from tests.patience import PATIENCE_S


def silent(sentence: str) -> None:
    """Ignore what a driver says."""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it between two drivers to put the second on another machine, which cannot see whether the first is alive."""
    machines = itertools.count()

    def move() -> None:
        number = next(machines)
        monkeypatch.setattr(lock, "_machine", lambda: f"machine {number}")

    move()
    return move


class Clock:
    """A clock that moves only when someone sleeps, or when a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The drivers' clock. Their threads, which go by the real one, are kept from beating."""
    clock = Clock()
    monkeypatch.setattr(lock, "_now_s", lambda: clock.now_s)
    monkeypatch.setattr(lock.time, "sleep", clock.sleep)
    monkeypatch.setattr(lock, "BEAT_S", PATIENCE_S)
    return clock


def test_a_second_driver_is_refused_while_the_first_lives_and_not_after(run: StorePath) -> None:
    first = Ledger(run)
    with pytest.raises(LedgerBusy, match=rf"another driver is writing to {run} \(process {os.getpid()} on"):
        Ledger(run)
    first.commit("trials", [{"trial": "a"}])
    first.close()
    Ledger(run).close()
    assert files(run / "_drivers") == []


@pytest.mark.slow
def test_a_killed_driver_of_this_machine_holds_nothing(run: StorePath) -> None:
    code = (
        "import sys, os, signal; from analysis.ledger.location import locate;"
        "from sweeps.engine.ledger.writer import Ledger;"
        "Ledger(locate(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=False, timeout=PATIENCE_S)
    assert len(files(run / "_drivers")) == 1
    Ledger(run).close()


def test_a_driver_elsewhere_is_alive_as_long_as_it_beats(
    run: StorePath, elsewhere: Callable[[], None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, said = hold(run, silent), []
    assert isinstance(first, Lease)

    def beat_in_the_meantime(seconds: float) -> None:
        clock.sleep(seconds)
        first._beat()

    monkeypatch.setattr(lock.time, "sleep", beat_in_the_meantime)
    elsewhere()
    with pytest.raises(LedgerBusy, match="another driver is writing"):
        hold(run, said.append)
    first.check()
    first.release()
    assert said == [f"process {os.getpid()} on {os.uname().nodename} has not released {run}; is it alive? "
                    "waiting up to 60 s"]  # fmt: skip


def test_a_driver_that_is_not_heard_of_is_replaced_and_writes_no_more(
    run: StorePath, elsewhere: Callable[[], None], clock: Clock
) -> None:
    first = Ledger(run)
    first.commit("trials", [{"trial": "a"}])
    elsewhere()
    second = Ledger(run)
    second.commit("trials", [{"trial": "b"}])
    clock.sleep(0.6 * lock.STALE_S)  # the first must look before it writes
    for _ in range(2):
        with pytest.raises(LedgerLost, match=r"has taken over"):
            first.commit("trials", [{"trial": "c"}])
    first.close()
    second.commit("trials", [{"trial": "d"}])
    assert len(files(run / "trials")) == 3
    second.close()
    assert files(run / "_drivers") == []


def test_a_beat_notices_a_successor(run: StorePath, elsewhere: Callable[[], None], clock: Clock) -> None:
    """Even if its own beats get through again: the higher term decides, not the latest beat."""
    first = hold(run, silent)
    assert isinstance(first, Lease)
    elsewhere()
    second = hold(run, silent)
    first._say()  # on its way when the second took over
    first._beat()
    with pytest.raises(LedgerLost):
        first.check()
    assert isinstance(second, Lease)
    second._beat()
    second.check()
    first.release()
    second.release()


def test_time_that_the_machine_sleeps_counts(run: StorePath, clock: Clock) -> None:
    held = hold(run, silent)
    (claim,) = files(run / "_drivers")
    claim.remove()
    held.check()  # beaten a moment ago
    clock.sleep(31)
    with pytest.raises(LedgerLost):
        held.check()
    held.release()


class Turns:
    """Lets several threads make their requests one at a time, in an order drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.waiting: set[int] = set()
        self.members = 0
        self.chosen: int | None = None
        self.changed = threading.Condition()

    def wait(self) -> None:
        """Return when it is this thread's turn."""
        me = threading.get_ident()
        with self.changed:
            self.waiting.add(me)
            self._choose()
            self.changed.wait_for(lambda: self.chosen == me)
            self.chosen = None
            self.waiting.remove(me)

    def leave(self) -> None:
        """Make no more requests; the others go on without this thread."""
        with self.changed:
            self.members -= 1
            self._choose()

    def _choose(self) -> None:
        if self.chosen is None and len(self.waiting) == self.members and self.waiting:
            self.chosen = self.random.choice(sorted(self.waiting))
            self.changed.notify_all()


@pytest.mark.slow
@pytest.mark.parametrize("drivers", [2, 3])
def test_of_drivers_that_start_together_never_two_hold(
    drivers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their requests come in an order drawn from a seed; the store is a folder, in which requests are atomic too."""
    original = {name: getattr(StorePath, name) for name in ("files", "read", "write", "remove")}
    held_at_all = 0
    for seed in range(60):
        run = StorePath(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "s3", f"bucket/{drivers}-{seed}")
        for name in ("_drivers", "."):
            (tmp_path / run.key / name).mkdir(parents=True, exist_ok=True)
        turns = Turns(seed)
        turns.members = drivers

        def in_turn(request: Callable[..., object], turns: Turns = turns) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                turns.wait()
                return request(*arguments)

            return call

        with monkeypatch.context() as patch:
            for name, request in original.items():
                patch.setattr(StorePath, name, in_turn(request))
            patch.setattr(lock.time, "sleep", lambda seconds, turns=turns: turns.wait())
            patch.setattr(Lease, "_renew", lambda self: None)
            held = _contend(run, drivers, turns)
        assert len(held) <= 1
        held_at_all += len(held)
    assert held_at_all > 30


def _contend(run: StorePath, drivers: int, turns: Turns) -> list[Lease]:
    """Let several drivers start at once, each in a thread; return what they hold."""
    held: list[Lease] = []

    def contend() -> None:
        try:
            held.append(Lease(run, silent))
        except LedgerBusy:
            pass
        finally:
            turns.leave()

    threads = [threading.Thread(target=contend) for _ in range(drivers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=PATIENCE_S)
        assert not thread.is_alive()
    return held


def test_a_claim_says_nothing_of_a_process_that_is_hidden(run: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold(run, silent)
    assert isinstance(held, Lease)
    assert held._claim.fate() == "alive"
    assert dataclasses.replace(held._claim, begun="1").fate() == "dead"  # another process with the same number
    monkeypatch.setattr(lock, "_begun", lambda process: None)
    assert held._claim.fate() == "unknown"
    held.release()
