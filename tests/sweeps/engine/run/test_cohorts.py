"""A reproducible search: the same trials, endings and reports with any number of workers, after any interruption."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.engine.ledger.writer import Row
from sweeps.engine.protocol import Assignment
from sweeps.engine.run.admission import Immediate
from sweeps.engine.run.cohorts import Cohorts, batch_size
from sweeps.engine.run.controller import RunController
from sweeps.engine.space import Choice
from sweeps.engine.sweep import Budget, Sweep
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, small_sweep

BUDGET = Budget(trials=25, steps=90, rungs=3, reduction=3, audit_share=0.2, confirm=2, confirm_seeds=2)


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {"starts": [], "reports": [], "trials": []}

    def commit(self, dataset: str, rows: list[Row]) -> None:
        self.rows[dataset] += rows

    def view(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything but times and the order in which it was written."""
        plain = lambda row: tuple(sorted((k, str(v)) for k, v in row.items() if not _is_time(k)))  # noqa: E731
        return {dataset: sorted(plain(row) for row in rows) for dataset, rows in self.rows.items()}


def _is_time(name: str) -> bool:
    return name.startswith("time.") or name in ("started", "train_s", "eval_s")


class PausingWorker(PretendedWorker):
    """Goes on where the assignment's state says; gives its own where it is asked for."""

    def start(self, assignment: Assignment) -> None:
        super().start(assignment)
        done = assignment.state or 0
        self.rungs = iter([step for step in assignment.rung_steps if step > done])

    def advance(self) -> Any:
        import dataclasses

        progress = super().advance()
        step = progress.report.step if progress.report else 0
        return dataclasses.replace(progress, state=step if self.assignment.pauses else None)


def play(
    controller: RunController, workers: int, rng: random.Random, trouble: Any = None, most: int | None = None
) -> int:
    """Let `workers` advance in random order; at most `most` advances. How many there were."""
    busy: list[PausingWorker] = []
    advances = 0
    while most is None or advances < most:
        while len(busy) < workers and (assignment := controller.next_assignment()):
            worker = PausingWorker(trouble)
            worker.start(assignment)
            busy.append(worker)
        if not busy:
            break
        worker = rng.choice(busy)
        advances += 1
        if not controller.hear(worker.advance()):
            busy.remove(worker)
    return advances


def trouble(assignment: Assignment, step: int) -> str:
    """Some trials diverge at their second rung."""
    return "diverged" if step == 30 and int(assignment.trial[:2], 16) < 30 else ""


def sweep_of(**changes: object) -> Sweep:
    return small_sweep(budget=BUDGET, **changes)


def whole(sweep: Sweep, workers: int, seed: int = 0) -> Book:
    book = Book()
    controller = RunController(sweep, book, CONTEXT, admission=Cohorts)
    play(controller, workers, random.Random(seed), trouble)
    assert controller.finished
    return book


SWEEPS: dict[str, Callable[[], Sweep]] = {
    "two objectives": sweep_of,
    "one objective, two seeds": lambda: sweep_of(objectives=("psnr_db",)),
    "few points": lambda: sweep_of(space={"loss.color": Choice(0.5, 1.0, 2.0, 4.0), "loss.tv": Choice(0.5, 1.0, 2.0)}),
    "random, median": lambda: sweep_of(sampler="random", stopping="median"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", SWEEPS)
@pytest.mark.parametrize("workers", [2, 7])
def test_the_ledger_does_not_depend_on_the_number_of_workers(kind: str, workers: int) -> None:
    sweep = SWEEPS[kind]()
    assert whole(sweep, workers, seed=workers).view() == whole(sweep, 1).view()


def test_without_cohorts_it_does() -> None:
    """The test above would pass for nothing if decisions did not depend on who is first elsewhere."""
    books = []
    for workers in (1, 7):
        books.append(Book())
        controller = RunController(sweep_of(), books[-1], CONTEXT)
        play(controller, workers, random.Random(workers), trouble)
        assert controller.finished
    assert books[0].view() != books[1].view()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_anywhere_it_goes_on_to_the_same_ledger(seed: int) -> None:
    """The driver dies after any number of messages, several times; what it had not written is done again."""
    sweep, rng = sweep_of(), random.Random(seed)
    expected, book = whole(sweep, 1), Book()
    for _ in range(30):
        controller = RunController(sweep, book, CONTEXT, admission=Cohorts)
        controller.restore(book.rows["starts"], book.rows["reports"], book.rows["trials"])
        play(controller, rng.choice((1, 3)), rng, trouble, most=rng.randrange(1, 25))
        if controller.finished:
            break
    controller = RunController(sweep, book, CONTEXT, admission=Cohorts)
    controller.restore(book.rows["starts"], book.rows["reports"], book.rows["trials"])
    play(controller, 2, rng, trouble)
    assert controller.finished
    assert book.view() == expected.view()


def test_trials_that_wait_go_on_from_their_state_and_are_not_trained_again() -> None:
    book = Book()
    controller = RunController(sweep_of(), book, CONTEXT, admission=Cohorts)
    advances = play(controller, 3, random.Random(0), trouble)
    ended_without_report = sum(row["ending"] == "diverged" for row in book.rows["trials"])
    assert advances == len(book.rows["reports"]) + ended_without_report


def test_a_batch_is_large_enough_for_its_rungs() -> None:
    for rungs, reduction, batch in ((1, 3, 8), (2, 3, 9), (3, 3, 9), (4, 3, 27), (3, 2, 8), (2, 10, 10)):
        budget = Budget(trials=5, steps=1000, rungs=rungs, reduction=reduction)
        assert batch_size(budget) == batch


def test_one_in_the_reduction_goes_on_from_each_complete_batch(tmp_path: Path) -> None:
    book = Book()
    budget = Budget(trials=18, steps=90, rungs=3, reduction=3)
    play(RunController(small_sweep(budget=budget), book, CONTEXT, admission=Cohorts), 4, random.Random(1))
    reached = [sum(row["rung"] >= rung for row in book.rows["trials"]) for rung in range(3)]
    assert reached == [18, 6, 2]


@pytest.mark.slow
@pytest.mark.parametrize("admission", [Cohorts, Immediate])
@pytest.mark.parametrize("dataset", ["starts", "reports", "trials"])
@pytest.mark.parametrize("share", [0.6, 1.0])
def test_a_row_that_a_disk_has_lost_brings_no_other_one_twice(
    dataset: str, share: float, admission: Callable[..., Any]
) -> None:
    """In a run that is over, and in one that was killed at 60 %: whatever is decided otherwise, no key comes again."""
    rng = random.Random(1)
    begun = Book()
    play(RunController(sweep_of(), begun, CONTEXT, admission=admission), 2, rng, trouble, most=int(share * 60))
    for index in range(0, len(begun.rows[dataset]), 3):
        book = Book()
        book.rows = {name: list(rows) for name, rows in begun.rows.items()}
        del book.rows[dataset][index]
        controller = RunController(sweep_of(), book, CONTEXT, admission=admission)
        controller.restore(book.rows["starts"], book.rows["reports"], book.rows["trials"])
        play(controller, 2, rng, trouble)
        assert controller.finished
        for name, keys in (("starts", ["trial"]), ("reports", ["trial", "step"]), ("trials", ["trial"])):
            found = [tuple(row[key] for key in keys) for row in book.rows[name]]
            assert len(found) == len(set(found)), name
