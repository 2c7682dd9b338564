"""Whether a folder is shared by two machines; two paths stand in for the machines."""

from dataclasses import replace
from pathlib import Path

from sweeps.engine.cluster.shared_folder import clear, has_answered, hide, look, show


def test_who_sees_the_folder_answers_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "new"
    shown = show(folder)
    assert look(shown, "node") == ""
    assert has_answered(shown, "node", 0)
    assert not has_answered(shown, "other", 0)
    hide(shown)
    assert list(tmp_path.iterdir()) == []  # the folders that were made for it are gone too


def test_a_folder_of_the_same_name_elsewhere_is_not_the_folder(tmp_path: Path) -> None:
    shown = show(tmp_path / "here")
    (tmp_path / "there").mkdir()
    assert "is not the same folder" in look(replace(shown, folder=tmp_path / "there"), "node", 0)
    shown.file.write_text("of another run")
    assert "is not the same folder" in look(shown, "node", 0)


def test_what_is_seen_and_cannot_be_written_is_said(tmp_path: Path) -> None:
    shown = show(tmp_path / "here")
    shown.answer("node").mkdir()  # root may write everywhere, but not into a folder
    assert "cannot be written there: Is a directory" in look(shown, "node", 0)


def test_a_folder_that_is_in_use_stays(tmp_path: Path) -> None:
    shown = show(tmp_path / "run")
    (tmp_path / "run" / "trials").mkdir()
    hide(shown)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["trials"]


def test_what_killed_drivers_left_is_cleared_and_ones_own_is_not(tmp_path: Path) -> None:
    left, mine = show(tmp_path), show(tmp_path)
    look(left, "node"), look(mine, "node")
    clear(tmp_path, but=mine)
    assert {path.name for path in tmp_path.iterdir()} == {mine.file.name, mine.answer("node").name}
