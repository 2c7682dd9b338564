"""Checkpoints: what is kept, from where a trial goes on after a kill, and the early end of one that has stalled."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enhance.report import Report
from enhance.weights.files import MODEL, Weights
from sweeps.engine.cli.driver import read_rows
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.protocol import EACH, Assignment, Progress
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.kept.states import KEPT, KeptStates
from sweeps.engine.run.kept.weights import KeptWeights
from sweeps.engine.space import Choice
from sweeps.engine.sweep import PRINT_SEED, Budget, Sweep, SweepError
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, open_ledger, play, report_at, small_sweep

BUDGET = Budget(trials=1, steps=70, every=20)
KEYS = {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}


class Killed(BaseException):
    """Stands for a kill of the driver."""


def the_print(budget: Budget = BUDGET) -> Sweep:
    space = {"loss.color": Choice(1.0), "loss.tv": Choice(1.0)}
    return small_sweep(space=space, enqueue={}, budget=budget, stopping="none")


class Resumer(PretendedWorker):
    """A pretended worker that goes on from a state, which is the step, and sends its step as weights.

    `curve` has the PSNR in dB at steps at which it is not the step itself.
    """

    def __init__(self, curve: dict[int, float] | None = None) -> None:
        super().__init__()
        self.curve = curve or {}

    def start(self, assignment: Assignment) -> None:
        done = int(assignment.state) if assignment.state is not None else 0
        super().start(replace(assignment, rung_steps=tuple(s for s in assignment.rung_steps if s > done)))

    def advance(self) -> Progress:
        progress = super().advance()
        assert progress.report is not None
        step = progress.report.step
        last = step == self.assignment.rung_steps[-1]
        weights = Weights(str(step).encode(), {}) if last or self.assignment.weights == EACH else None
        report = report_at(step, self.curve.get(step, float(step)))
        state = str(step).encode() if self.assignment.checkpoints and not last else None
        return replace(progress, report=report, state=state, weights=weights)


def first_objective(report: Report) -> float:
    return report.metrics["psnr_db"]


def controlled(ledger: Ledger, budget: Budget = BUDGET, said: list[str] | None = None) -> RunController:
    """The controller of a print, with what an earlier invocation has left in the ledger."""
    controller = RunController(the_print(budget), ledger, CONTEXT)
    score = first_objective if budget.patience else None
    controller.weights = KeptWeights(ledger, "print", CONTEXT, every=True, score=score)
    controller.states = KeptStates(ledger, (said if said is not None else []).append)
    controller.restore(**{name: rows(ledger.root, name) for name in KEYS})
    return controller


def rows(root: Path, dataset: str) -> list[dict[str, Any]]:
    return read_rows(root, dataset, KEYS[dataset])[0]


def states(root: Path) -> list[int]:
    return sorted(int(path.name.split("-")[0]) for path in root.glob("states/*/*"))


def test_a_print_reports_at_intervals_on_seeds_that_no_search_has_seen() -> None:
    assert BUDGET.rung_steps() == (20, 40, 60, 70)
    assert Budget(trials=1, steps=60, every=20).rung_steps() == (20, 40, 60)
    assert Budget(trials=1, steps=60, every=100).rung_steps() == (60,)
    assert list(Budget(trials=1, steps=60, every=20, seeds=2).search_seeds) == [PRINT_SEED, PRINT_SEED + 1]
    with pytest.raises(SweepError, match=r"budget\.patience=2 counts reports, and needs budget\.every"):
        the_print(Budget(trials=1, steps=60, patience=2))


def test_the_two_newest_states_are_kept_and_none_of_a_trial_that_has_ended(ledger: Ledger) -> None:
    controller, worker = controlled(ledger), Resumer()
    assignment = controller.next_assignment()
    assert isinstance(assignment, Assignment)
    assert assignment.seed == PRINT_SEED
    worker.start(assignment)
    seen = []
    while controller.hear(worker.advance()):
        seen.append(states(ledger.root))
    assert seen == [[20], [20, 40], [40, 60]]
    assert KEPT == 2
    assert states(ledger.root) == []
    assert [path.read_bytes() for path in ledger.root.glob(f"weights/*/{MODEL}")] == [b"70"]


@contextlib.contextmanager
def dying_at(moment: int, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill the driver after its call number `moment`, from 1, that changes the disk."""
    made = 0

    def dying(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            nonlocal made
            answer = original(*arguments, **more)
            made += 1
            if made == moment:
                raise Killed
            return answer

        return call

    with patch.context() as inner:
        for name in ("mkdir", "rename", "replace", "link", "fsync"):
            inner.setattr(os, name, dying(getattr(os, name)))
        # The dead tidy up nothing.
        inner.setattr("shutil.rmtree", lambda path, ignore_errors=False: None)
        inner.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0, 2])
def test_whenever_the_driver_is_killed_at_most_one_interval_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    budget = replace(BUDGET, patience=patience)
    curve = {20: 5.0, 40: 3.0, 60: 4.0} if patience else {}
    ended = ("stopped", 60, b"20") if patience else ("completed", 70, b"70")
    # Every third moment, others with patience than without.
    for moment in range(1 + patience // 2, 200, 3):
        root, first, again = tmp_path / str(moment), Resumer(curve), Resumer(curve)
        killed = False
        try:
            with dying_at(moment, monkeypatch), Ledger(root) as ledger:
                play(controlled(ledger, budget), first)
        except Killed:
            killed = True
        with Ledger(root) as ledger:
            play(controlled(ledger, budget), again)
        twice = {step for _, step in first.trained} & {step for _, step in again.trained}
        assert len(twice) <= 1, f"killed at {moment}: {first.trained}, then {again.trained}"
        (trial,) = rows(root, "trials")
        (model,) = root.glob(f"weights/*/{MODEL}")
        assert (trial["ending"], trial["steps"], model.read_bytes()) == ended
        assert sorted(row["step"] for row in rows(root, "reports")) == [s for s in (20, 40, 60, 70) if s <= ended[1]]
        assert states(root) == []
        assert not list(root.glob("*/.*tmp")) + list(root.glob("*/*/.*tmp"))
        if not killed:
            assert moment > 30
            return
    pytest.fail("the driver never came to its end")


def interrupted(root: Path, reports: int) -> None:
    """A print whose driver was killed after so many reports, and after the state that follows the last of them."""
    with Ledger(root) as ledger:
        controller, worker = controlled(ledger), Resumer()
        assignment = controller.next_assignment()
        assert isinstance(assignment, Assignment)
        worker.start(assignment)
        for _ in range(reports):
            controller.hear(worker.advance())


def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path: Path) -> None:
    root, said = tmp_path / "run", list[str]()
    interrupted(root, 3)
    newest = max(root.glob("states/*/*"))
    newest.write_bytes(newest.read_bytes()[:1])
    assignment = controlled(open_ledger(root), said=said).next_assignment()
    assert isinstance(assignment, Assignment)
    assert assignment.state == b"40"
    assert len(said) == 1
    assert f"{newest} is damaged" in said[0]


def test_a_state_beyond_a_report_that_is_lost_is_not_used(tmp_path: Path) -> None:
    """From there on, the trial would never make that report again."""
    root = tmp_path / "run"
    interrupted(root, 3)
    files = sorted((root / "reports").glob("part-*"))
    files[2].unlink()
    assignment = controlled(open_ledger(root)).next_assignment()
    assert isinstance(assignment, Assignment)
    assert assignment.state == b"40"


def test_work_of_a_lost_worker_goes_on_from_the_newest_state(ledger: Ledger) -> None:
    controller, worker = controlled(ledger), Resumer()
    work = controller.next_assignment()
    assert isinstance(work, Assignment)
    assert work.state is None
    worker.start(work)
    controller.hear(worker.advance())
    again = controller.renewed(work)
    assert again == replace(work, state=b"20")


def test_a_trial_ends_once_it_has_not_improved_for_as_many_reports_and_keeps_its_best(ledger: Ledger) -> None:
    budget = Budget(trials=1, steps=200, every=20, patience=3)
    play(controlled(ledger, budget), Resumer({20: 1.0, 40: 9.0, 60: 2.0, 80: 9.0, 100: 8.9}))
    (trial,) = rows(ledger.root, "trials")
    assert (trial["ending"], trial["steps"]) == ("stopped", 100)
    assert "no better than at step 40 for 3 reports" in trial["reason"]
    (model,) = ledger.root.glob(f"weights/*/{MODEL}")
    assert model.read_bytes() == b"40"
