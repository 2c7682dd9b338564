"""`python -m enhance.data`: what it prints, its picture, and its exit status."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enhance.data import KINDS, open_data
from enhance.data.__main__ import contact_sheet, description, main
from tests.patience import PATIENCE_S
from tests.places import ROOT


def photograph(seed: int) -> Image.Image:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 13, 3), dtype=np.uint8))
    return coarse.resize((420, 260), Image.Resampling.BICUBIC)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own photographs"
    folder.mkdir()
    for seed in range(2):
        photograph(seed).save(folder / f"{seed}.png")
    photograph(0).save(folder / "copy.png")
    (folder / "notes.txt").touch()
    return folder


def test_says_what_the_data_holds(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"deblur:{own}", "--cache", str(tmp_path / "cache")]) == 0
    said, heard = capsys.readouterr()
    store = open_data(f"deblur:{own}", cache=tmp_path / "cache")
    lines = dict(line.split(maxsplit=1) for line in said.splitlines() if line)
    assert lines["data"] == f"deblur:{own}"
    assert lines["paired"] == "yes"
    assert lines["patches"] == "100x100 px; inputs uint8, targets uint8"
    assert lines["train"] == f"{len(store.train_input)} pairs"
    assert lines["val"] == f"{len(store.val_target)} pairs"
    assert lines["excluded"] == "1 copy: copy.png (of 0.png)"
    assert lines["ignored"] == "1 not a JPEG or PNG file: notes.txt"
    assert "identical" not in lines  # deblur does not count these
    assert lines["fingerprint"] == store.fingerprint
    assert lines["file"] == f"{store.path} ({store.path.stat().st_size / 1e6:.1f} MB)"
    assert float(lines["seconds"]) >= 0
    assert lines["next:"] == f"python sweeps/loss_weights.py --data 'deblur:{own}'"
    assert heard.startswith(f"checking deblur:{own}: 0 of 3 photographs\n")


def test_says_when_sides_do_not_belong_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, (name, count) in enumerate({"trainA": 3, "trainB": 2, "testA": 1, "testB": 4}.items()):
        (tmp_path / name).mkdir()
        for number in range(count):
            photograph(10 * seed + number).save(tmp_path / name / f"{number}.jpg")
    assert main([f"unpaired:{tmp_path}@32", "--cache", str(tmp_path), "--picture", str(tmp_path / "a.png")]) == 0
    said = capsys.readouterr().out
    assert "no: inputs and targets are unrelated" in said
    assert "train        3 inputs, 2 targets\nval          1 inputs, 4 targets\n" in said
    assert f"python sweeps/unpaired.py --data unpaired:{tmp_path}@32" in said
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2 * 8 * 36 + 16, 72)


def test_rejected_windows_are_said(own: Path, tmp_path: Path) -> None:
    store = open_data(f"deblur:{own}", cache=tmp_path)
    store.summary["rejected_windows"] = {"flat": 3, "displaced too far": 1}
    assert "rejected     windows: 3 flat, 1 displaced too far" in description(store)


def test_the_picture_has_inputs_over_targets(own: Path, tmp_path: Path) -> None:
    file = tmp_path / "sheet.png"
    assert main([f"exposures:{own}", "--cache", str(tmp_path), "--picture", str(file)]) == 0
    store = open_data(f"exposures:{own}", cache=tmp_path)
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        sheet = np.asarray(picture)
    assert np.array_equal(sheet, contact_sheet(store))
    assert np.array_equal(sheet[:100, :100], store.train_input[0])
    assert np.array_equal(sheet[104:204, :100], store.train_target[0])
    last = sheet[:, -104:-4]
    assert np.array_equal(last[:100], store.val_input[-1])
    assert np.array_equal(last[104:204], store.val_target[-1])


def test_without_a_spec_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    for kind in KINDS.values():
        assert sum(line.split("  ")[1:2] == [kind.form] and kind.line in line for line in said.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dmeo"], "error: data='dmeo' is not a choice"),
        (["photos:/nowhere/at/all"], "error: there is no folder /nowhere/at/all"),
        (["demo", "--picture", "/nowhere/at/all/a.png"], "error: [Errno 2]"),
        (["demo", "--picture", "a.jpg"], "'a.jpg' must end in .png"),
    ],
)
@pytest.mark.slow
def test_errors_come_without_a_traceback_and_with_status_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "enhance.data", *arguments, "--cache", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
