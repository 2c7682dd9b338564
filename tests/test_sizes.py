"""Files stay short and folders small, so that each can be taken in at a glance."""

from pathlib import Path

from tests.places import ROOT

LINES, FILES = 400, 16

PACKAGES = ("enhance", "sweeps", "analysis", "tests", "cluster")


def files(suffix: str) -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob(f"*{suffix}"))]


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in files(".py")}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_no_folder_has_more_files_than_a_reader_takes_in() -> None:
    """Beside its sub-folders."""
    counts: dict[str, int] = {}
    for folder in {path.parent for path in files(".py")}:
        visible = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc"]
        counts[folder.relative_to(ROOT).as_posix()] = len(visible)
    assert {name: count for name, count in counts.items() if count > FILES} == {}
