"""The counts of what a run survives: their record, their page, and two of the cheapest faults."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import record as module
from tests.chaos.__main__ import main, make
from tests.chaos.faults import FAULTS
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.page import COUNTS, PAGE, render
from tests.chaos.record import Record, summary
from tests.chaos.rows import forget


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    forget()


def survive(seed: int, folder: Path) -> Outcome:
    assert list(folder.iterdir()) == []
    return Outcome(struck=2, recovery_s=seed / 2)


def lose(seed: int, folder: Path) -> Outcome:
    raise ValueError("as told")


GOOD = Fault("good", "nothing is done", "nothing happens", survive, wanted=3)
BAD = Fault("bad", "something is done", "nothing happens", lose, wanted=1)
ELSEWHERE = Fault("elsewhere", "a thing is done", "nothing happens", survive, lacking=lambda: "it needs root")


@pytest.mark.slow
def test_what_is_recorded_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = Record(tmp_path / "outcomes.jsonl")
    assert make([replace(GOOD, wanted=2)], record, None)
    with record.path.open("a") as file:
        file.write('{"fault": "goo')  # a process that was killed
    capsys.readouterr()
    assert make([GOOD], record, None)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["good, seed 2"]
    assert [entry.seed for entry in record.entries(GOOD)] == [0, 1, 2]


@pytest.mark.slow
def test_outcomes_of_other_code_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record(tmp_path / "outcomes.jsonl")
    assert make([GOOD], record, None)
    monkeypatch.setattr(module, "code_hash", lambda: "f" * 16)
    assert record.entries(GOOD) == []


@pytest.mark.slow
def test_every_fault_is_made_once_however_short_the_time(tmp_path: Path) -> None:
    record = Record(tmp_path / "outcomes.jsonl")
    assert not make([BAD, GOOD, ELSEWHERE], record, 0.0)
    assert [len(record.entries(fault)) for fault in (BAD, GOOD, ELSEWHERE)] == [1, 1, 0]


def test_the_page_says_what_was_counted_and_what_was_not(tmp_path: Path) -> None:
    record = Record(tmp_path / "outcomes.jsonl")
    make([BAD, GOOD, ELSEWHERE], record, None)
    page = render(json.loads(json.dumps(summary(record, [BAD, GOOD, ELSEWHERE]))))
    assert "| good | 3 | 0-2 | 6 | 0 | 0 | 0 | 1 s |  |" in page
    assert "| bad | 1 | 0 | 1 | 0 | 0 | 0 |  | **1 went wrong, see below** |" in page
    assert "- **bad**, seed 0: ValueError: as told" in page
    assert "- **elsewhere**: it needs root." in page


def test_the_page_is_that_of_the_counts() -> None:
    counts = json.loads(COUNTS.read_text())
    assert PAGE.read_text() == render(counts)
    assert [own["name"] for own in counts["faults"] if own["lost"] or own["twice"] or own["unequal"]] == []


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.engine
@pytest.mark.parametrize("name", ["power failure", "killed within a commit"])
def test_a_fault_is_survived(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--only", name, "--minutes", "0", "--folder", str(tmp_path)])
    said = capsys.readouterr().out
    assert status == 0, said
    assert said.startswith(f"{name}, seed 0: survived")
