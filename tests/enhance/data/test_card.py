"""The dataset card: its numbers against numpy, what was left out, and what it says of unpaired data."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enhance.data import PatchStore, open_data
from enhance.data.__main__ import main
from enhance.data.card import card, untouched


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """Eleven aligned pairs, the last two for validation, with 10 and 20 levels of difference; the first is broken."""
    for number in range(11):
        pixels = np.random.default_rng(number).integers(100, 150, (16, 16, 3), dtype=np.uint8)
        save(tmp_path / "set" / "A" / f"{number}.png", pixels)
        save(tmp_path / "set" / "B" / f"{number}.png", pixels + np.uint8(20 if number == 10 else 10))
    (tmp_path / "set" / "A" / "0.png").write_bytes(b"no picture")
    return f"aligned:{tmp_path / 'set'}@16"


def packed(spec: str, folder: Path) -> PatchStore:
    return open_data(spec, cache=folder / "cache")


def test_untouched_scores_are_those_of_the_validation_pairs(spec: str, tmp_path: Path) -> None:
    scores = untouched(packed(spec, tmp_path))
    assert scores is not None
    by_metric = {score["metric"]: score for score in scores}
    each = [20 * np.log10(255 / difference) for difference in (10, 20)]
    assert by_metric["psnr_db"]["mean"] == pytest.approx(np.mean(each), abs=1e-4)
    # Two pairs: a quarter of all resamples has the better one twice, a quarter the worse one.
    assert by_metric["psnr_db"]["low"] == pytest.approx(each[1], abs=1e-4)
    assert by_metric["psnr_db"]["high"] == pytest.approx(each[0], abs=1e-4)
    assert {score["n"] for score in scores} == {2}
    assert all(score["low"] <= score["mean"] <= score["high"] <= 1 for score in scores[1:])


def test_the_card_says_what_there_is_and_what_was_left_out(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [spec, "--cache", str(tmp_path / "cache"), "--card"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    store = packed(spec, tmp_path)
    for line in (
        f"# `{spec}`",
        "| size of a patch | 16x16 px |",
        "| bit depth | input 8, target 8 |",
        "| train | 8 pairs |",
        "| val | 2 pairs |",
        "| pictures | pairs: 11, usable: 10, split: by picture |",
        f"| fingerprint | `{store.fingerprint}` |",
    ):
        assert line in said.splitlines()
    assert "- Left out: 1, unreadable: `" in said
    assert "2 of 2 validation pairs" in said
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["card"] + "\n" == said
    assert found["untouched"] == untouched(store)


def test_unpaired_data_have_no_untouched_scores(tmp_path: Path) -> None:
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        save(tmp_path / name / "1.jpg", np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    store = packed(f"unpaired:{tmp_path}@16", tmp_path)
    assert untouched(store) is None
    assert "Inputs and targets are unrelated" in card(store, None)
    assert "| train | 1 inputs, 1 targets |" in card(store, None)
