"""Packing once: found again, remade when the source changes, safe among processes that start, wait and are killed."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enhance.data import open_data
from enhance.data.kinds import source_of
from enhance.data.sources.dped import Dped
from enhance.data.sources.hdr import Hdr
from enhance.data.sources.photographs import PhotographPairs
from enhance.data.sources.photos import Folder
from enhance.data.sources.unpaired import Unpaired
from enhance.data.storage import cache
from enhance.data.storage.cache import Source, cache_folder, open_or_pack
from enhance.data.storage.errors import DataError
from enhance.data.storage.store_writer import StoreWriter
from tests.patience import PATIENCE_S, wait_until
from tests.places import ROOT

# One process that opens the demo. Given a third argument it stops inside the packing until that file exists.
OPENER = """
import sys, time
from pathlib import Path
from enhance.data import open_data
cache, said, gate = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
def progress(message):
    with said.open("a") as file:
        file.write(message + "\\n")
    while message.startswith("packing") and gate and not Path(gate[0]).exists():
        time.sleep(0.01)
print(open_data("demo", cache=cache, progress=progress).fingerprint)
"""


@dataclass
class Fake:
    """A source of two pairs whose identity and pixels the test decides."""

    state: str = "one"
    packed: int = 0
    during: Callable[["Fake"], None] = field(default=lambda self: None)
    name: str = "fake"
    spec: str = "fake"

    def identity(self) -> dict[str, object]:
        return {"state": self.state}

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        pixels = np.full((2, 2, 3), len(self.state), np.uint8)
        writer.add("train", pixels, pixels)
        self.during(self)
        writer.add("val", pixels, pixels)
        self.packed += 1
        return {}


def unheard(message: str) -> None:
    pass


def stores(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.patches"))


def temporaries(folder: Path) -> list[Path]:
    return list(folder.glob(".*.tmp"))


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def start(said: Path, *gate: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", "-c", OPENER, str(tmp_path), str(said), *map(str, gate)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(file: Path, text: str) -> None:
    wait_until(lambda: file.exists() and text in file.read_text(), lambda: f"{text!r} never came in {file.name}")


def test_packs_once_and_finds_it_again(tmp_path: Path) -> None:
    source = Fake()
    first = open_or_pack(source, tmp_path, unheard)
    second = open_or_pack(source, tmp_path, unheard)
    assert source.packed == 1
    assert first.path == second.path
    assert temporaries(tmp_path) == []


def test_a_changed_source_is_packed_anew(tmp_path: Path) -> None:
    source = Fake()
    first = open_or_pack(source, tmp_path, unheard)
    source.state = "three"
    second = open_or_pack(source, tmp_path, unheard)
    assert source.packed == 2
    assert first.fingerprint != second.fingerprint
    assert len(stores(tmp_path)) == 2


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = Fake(during=lambda self: setattr(self, "state", "changed"))
    with pytest.raises(DataError, match="changed while it was being read"):
        open_or_pack(source, tmp_path, unheard)
    assert stores(tmp_path) == temporaries(tmp_path) == []


READING = {"reading/pictures.py", "reading/colors.py", "reading/srgb.py"}
ON_PHOTOGRAPHS = {"sources/photographs.py", "degradations/patches.py", *READING}


@pytest.mark.parametrize(
    ("source", "files"),
    [
        (source_of("demo"), ON_PHOTOGRAPHS | {"sources/demo.py", "degradations/camera.py"}),
        (
            PhotographPairs("photos", Folder(ROOT)),
            ON_PHOTOGRAPHS | {"sources/photos.py", "reading/folders.py", "degradations/camera.py"},
        ),
        (source_of("deblur:demo"), ON_PHOTOGRAPHS | {"sources/demo.py", "degradations/blur_exposure.py"}),
        (source_of("exposures:demo"), ON_PHOTOGRAPHS | {"sources/demo.py", "degradations/blur_exposure.py"}),
        (Dped(ROOT, "iphone"), {"sources/dped.py", "reading/folders.py", *READING}),
        (Hdr(ROOT), {"sources/hdr.py", "reading/folders.py", *READING}),
        (Unpaired(ROOT), {"sources/unpaired.py", "reading/folders.py", *READING}),
    ],
    ids=["demo", "photos", "deblur", "exposures", "dped", "hdr", "unpaired"],
)
@pytest.mark.slow
def test_code_that_prepares_the_pixels_is_part_of_the_key(
    source: Source, files: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file of the package is edited in a copy; the key must follow just those that the source goes through, and
    what they do, not how they are described.
    """
    monkeypatch.setattr(Dped, "_listings", lambda self, split: ())
    monkeypatch.setattr(Hdr, "_listings", lambda self: {})
    monkeypatch.setattr(Unpaired, "_listings", lambda self: {})
    package = Path(shutil.copytree(ROOT / "enhance" / "data", tmp_path / "data"))
    monkeypatch.setattr(cache, "PACKAGE", package)

    def identity() -> object:
        cache.code_digest.cache_clear()
        return source.identity()

    before = identity()
    followed = set()
    for file in package.rglob("*.py"):
        text = file.read_text()
        file.write_text(text + "edited = 1\n")
        if identity() != before:
            followed.add(file.relative_to(package).as_posix())
        file.write_text(text + "# and a comment\n")
        assert identity() == before
        file.write_text(text)
    cache.code_digest.cache_clear()
    assert followed == files


@pytest.mark.parametrize("damage", ["pixel", "header", "truncated", "empty"])
def test_a_damaged_store_is_put_aside_and_packed_again(tmp_path: Path, damage: str) -> None:
    source = Fake()
    store = open_or_pack(source, tmp_path, unheard)
    whole = store.path.read_bytes()
    position = {"pixel": 70, "header": len(whole) - 5}.get(damage, 0)
    broken = whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :]
    store.path.write_bytes({"truncated": whole[:-1], "empty": b""}.get(damage, broken))
    heard: list[str] = []
    again = open_or_pack(source, tmp_path, heard.append)
    assert again.fingerprint == store.fingerprint
    assert again.path.read_bytes() == whole
    assert any("is damaged: keeping it as" in message for message in heard)
    assert len(list(tmp_path.glob("*.damaged"))) == 1


def test_the_folder_is_the_argument_then_the_environment_then_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("TESTSTRIP_CACHE", raising=False)
    assert cache_folder(None) == Path("/home/someone/.cache/teststrip")
    monkeypatch.setenv("TESTSTRIP_CACHE", str(tmp_path / "named"))
    assert cache_folder(None) == tmp_path / "named"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot keep packed data in .*file.*TESTSTRIP_CACHE"):
        open_or_pack(Fake(), tmp_path / "file" / "folder", unheard)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    def full(self: Fake) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"No space left on device; .*TESTSTRIP_CACHE"):
        open_or_pack(Fake(during=full), tmp_path, unheard)
    assert stores(tmp_path) == temporaries(tmp_path) == []


@pytest.mark.slow
def test_many_processes_at_once_end_with_one_store(
    tmp_path: Path, opener: Callable[..., "subprocess.Popen[str]"]
) -> None:
    said = [tmp_path / f"said-{i}" for i in range(4)]
    processes = [opener(file) for file in said]
    prints = {process.communicate(timeout=PATIENCE_S)[0].strip() for process in processes}
    assert prints == {open_data("demo", cache=tmp_path).fingerprint}
    assert sum("packing" in file.read_text() for file in said if file.exists()) == 1
    assert len(stores(tmp_path)) == 1
    assert temporaries(tmp_path) == []


@pytest.mark.slow
def test_a_killed_builder_blocks_nobody_and_leaves_nothing(
    tmp_path: Path, opener: Callable[..., "subprocess.Popen[str]"]
) -> None:
    first = opener(tmp_path / "first", tmp_path / "never")
    wait_for(tmp_path / "first", "packing")
    second = opener(tmp_path / "second")
    wait_for(tmp_path / "second", "waiting for another process")
    assert len(temporaries(tmp_path)) == 1
    first.send_signal(signal.SIGKILL)
    fingerprint = second.communicate(timeout=PATIENCE_S)[0].strip()
    assert second.returncode == 0
    assert temporaries(tmp_path) == []
    assert fingerprint == open_data("demo", cache=tmp_path).fingerprint


@pytest.mark.slow
def test_who_waited_takes_what_the_other_packed(tmp_path: Path, opener: Callable[..., "subprocess.Popen[str]"]) -> None:
    first = opener(tmp_path / "first", tmp_path / "go")
    wait_for(tmp_path / "first", "packing")
    second = opener(tmp_path / "second")
    wait_for(tmp_path / "second", "waiting for another process")
    assert stores(tmp_path) == []
    (tmp_path / "go").touch()
    assert first.communicate(timeout=PATIENCE_S)[0] == second.communicate(timeout=PATIENCE_S)[0] != ""
    assert "packing" not in (tmp_path / "second").read_text()
