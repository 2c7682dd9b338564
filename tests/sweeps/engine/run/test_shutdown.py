"""Signals that end a run early, and those that its parent had ignored before it started."""

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeps.engine.command import run
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.shutdown import SIGNALS, interrupt_kept, signals_close, signals_interrupt
from tests.patience import PATIENCE_S
from tests.sweeps.engine.pretended import CONTEXT, open_ledger, small_sweep

pytestmark = pytest.mark.engine


@pytest.fixture(params=SIGNALS)
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal, whose disposition is put back after the test."""
    number: signal.Signals = request.param
    before = signal.getsignal(number)
    yield number
    signal.signal(number, before)


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def termination(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that ends a process without a handler; its disposition is put back after the test."""
    number: signal.Signals = request.param
    before = signal.getsignal(number)
    yield number
    signal.signal(number, before)


@pytest.fixture
def controller(tmp_path: Path) -> RunController:
    return RunController(small_sweep(), open_ledger(tmp_path / "run"), CONTEXT)


def test_a_signal_closes_the_run_and_its_handler_goes(controller: RunController, number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    with signals_close(controller, PATIENCE_S):
        os.kill(os.getpid(), number)
    assert controller.closing == number.name
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_the_parent_had_ignored_stays_ignored(controller: RunController, number: signal.Signals) -> None:
    """`nohup sweep &` outlives its terminal, and ^C in a script does not end what the script runs in the background."""
    signal.signal(number, signal.SIG_IGN)
    with signals_close(controller, PATIENCE_S):
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_IGN
    assert controller.closing == ""
    assert signal.getsignal(number) == signal.SIG_IGN


def test_a_run_in_a_thread_leaves_the_signals_to_its_program(tmp_path: Path) -> None:
    """Only the main thread may handle them: asking for it elsewhere is a ValueError."""
    before = [signal.getsignal(number) for number in SIGNALS]

    def close() -> list[object]:
        controller = RunController(small_sweep(), open_ledger(tmp_path), CONTEXT)
        with signals_close(controller, PATIENCE_S), interrupt_kept():
            return [signal.getsignal(number) for number in SIGNALS]

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(close).result() == before


def test_outside_of_a_run_a_signal_interrupts_unless_it_is_ignored(termination: signal.Signals) -> None:
    signal.signal(termination, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), signals_interrupt():
        os.kill(os.getpid(), termination)
    assert signal.getsignal(termination) == signal.SIG_DFL
    signal.signal(termination, signal.SIG_IGN)
    with signals_interrupt():
        os.kill(os.getpid(), termination)


@pytest.mark.parametrize("moment", ["before the run", "after the run"])
def test_a_signal_before_or_after_the_run_ends_the_command_as_an_interrupt(
    termination: signal.Signals, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its first row the run has begun, and is not yet one that can be closed; its summary comes after it."""
    heard: list[int] = []
    signal.signal(termination, lambda *_: heard.append(termination))
    commit = Ledger.commit

    def signalled(ledger: Ledger, dataset: str, rows: list[dict[str, object]]) -> object:
        if moment == "before the run" and dataset == "runs":
            os.kill(os.getpid(), termination)
        return commit(ledger, dataset, rows)

    monkeypatch.setattr(Ledger, "commit", signalled)
    if moment == "after the run":
        show = "sweeps.engine.cli.display.summary.print_summary"
        monkeypatch.setattr(show, lambda *_: os.kill(os.getpid(), termination))
    options = ["--smoke", "--workers", "0", "--set", "train.val_images=2", "--out", str(tmp_path / "run")]
    assert (run(small_sweep(), options), heard) == (130, [])


@pytest.mark.parametrize("number", [signal.SIGINT], indirect=True)
def test_an_interrupt_that_a_callback_swallowed_is_raised_again(number: signal.Signals) -> None:
    signal.signal(number, signal.default_int_handler)  # a suite in the background of a shell ignores it
    with interrupt_kept() as raise_again:
        raise_again()  # nothing was heard yet
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            raise_again()
    assert signal.getsignal(number) is signal.default_int_handler
