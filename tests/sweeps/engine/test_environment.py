"""The code hash, which decides whether a run may be resumed and its costs reused."""

import shutil
from pathlib import Path

import pytest

from sweeps.engine import environment


@pytest.fixture
def copy_of_enhance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The code of `enhance/` in a folder where a test may change it; `code_hash` names that."""
    copy = tmp_path / "enhance"
    shutil.copytree(environment.ENHANCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(environment, "ENHANCE", copy)
    return copy


def fresh_hash() -> str:
    return environment.code_hash.__wrapped__()


@pytest.mark.slow
def test_the_hash_of_the_files_sees_every_edit_that_the_code_hash_may_see(copy_of_enhance: Path) -> None:
    before = environment.file_hash()
    assert environment.file_hash() == before
    training = copy_of_enhance / "config" / "training.py"
    training.write_text(f"{training.read_text()}# a comment\n")
    commented = environment.file_hash()
    training.rename(training.with_name("trainings.py"))
    assert len({before, commented, environment.file_hash()}) == 3


@pytest.mark.slow
def test_a_mended_docstring_and_a_comment_keep_the_name_of_the_code(copy_of_enhance: Path) -> None:
    before = fresh_hash()
    assert before == environment.code_hash()
    for path in copy_of_enhance.rglob("*.py"):
        path.write_text(f'"""Another sentence."""\n\n# and a comment\n{path.read_text()}')
    assert fresh_hash() == before


@pytest.mark.slow
def test_a_changed_number_a_changed_default_and_a_renamed_file_give_another(copy_of_enhance: Path) -> None:
    names = [fresh_hash()]
    training = copy_of_enhance / "config" / "training.py"
    number = training.read_text()
    training.write_text(number.replace("leaf(0.1", "leaf(0.2").replace("minimum=1", "minimum=2", 1))
    assert training.read_text() != number
    names.append(fresh_hash())
    training.rename(training.with_name("trainings.py"))
    names.append(fresh_hash())
    assert len(set(names)) == 3
