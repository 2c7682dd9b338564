"""The pictures of a report: crops of the validation set, and photographs."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.images.answer import gallery
from analysis.ledger.load import load
from analysis.report.data import run_data
from analysis.report.pictures import photo_strips
from analysis.report.reading import read
from tests.analysis.images.pictured_ledgers import FIXED, add_samples, darker, scene
from tests.analysis.report.pages import Page, report_of
from tests.analysis.written_ledgers import trial_row

Write = Callable[..., Path]


@pytest.mark.slow
def test_crops_of_the_front_are_small_pictures_of_what_the_ledger_holds(write: Write) -> None:
    levels = [float(4 + place) for place in range(12)]
    run = add_samples(
        write([trial_row(0, 20.0, 0.95), trial_row(1, 21.0, 0.9)]), {"trial00000": levels, "trial00001": levels}
    )
    crops = run_data(read(run))["crops"]
    assert [image["name"] for image in crops["images"]] == [f"picture {index}" for index in FIXED]
    assert {network["trial"] for network in crops["networks"]} == {"trial00000", "trial00001"}
    for place, index in enumerate(FIXED):
        expected = darker(scene(index), levels[index])
        for network in crops["networks"]:
            packed = base64.b64decode(network["outputs"][place].removeprefix("data:image/jpeg;base64,"))
            seen = np.asarray(Image.open(io.BytesIO(packed)), dtype=float)
            assert np.abs(seen - expected).mean() < 4
    assert len(report_of(run)) < 400_000


@pytest.mark.slow
def test_photographs_are_shown_before_and_after(write: Write) -> None:
    photo = scene(7, 480, 960)
    shifts = {f"trial0000{number}": [10.0 + number] * 12 for number in range(2)}
    run = add_samples(write([trial_row(0, 20.0, 0.95), trial_row(1, 21.0, 0.9)]), shifts, photo)
    (strip,) = photo_strips(gallery([load(run)], 10))
    assert strip.caption.startswith("garden.jpg, ")
    assert [words for _, words in strip.photographs] == ["phone", "network 1", "network 2"]
    seen = [np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))) for url, _ in strip.photographs]
    assert {own.shape for own in seen} == {(320, 640, 3)}
    assert np.mean(seen[0].astype(float) - seen[1]) > 5
    page_of = Page(report_of(run))
    assert strip.photographs[1][0] in {own.get("src") for tag, own in page_of.tags if tag == "img"}
    assert strip.caption in page_of.text
