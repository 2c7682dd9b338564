"""Samples: the scores of every validation picture, the outputs of a few, and whole photographs."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from enhance.data import PatchStore
from enhance.data.reading.pictures import PictureError
from enhance.microrun import MicroRun
from enhance.samples import PHOTO_PX, SAMPLE_PX, Photo, extreme_places, fixed_places, png, read_photo, validation_index
from tests.enhance.small_configs import config_of

SMALL = {"net.channels": 4, "net.blocks": 1, "train.batch_size": 4, "train.crop_px": 32, "train.val_images": 8}
config = partial(config_of, SMALL)
PIXEL: dict[str, object] = {"loss__pixel": 1.0}
CYCLE: dict[str, object] = {
    "train__rule": "cycle", "loss__cycle": 10.0, "loss__adversarial": 1.0, "critic__family": "patch",
    "critic__channels": 4, "train__batch_size": 2,
}  # fmt: skip


def decoded(encoded: bytes | None) -> npt.NDArray[np.uint8]:
    assert encoded is not None
    return np.asarray(Image.open(io.BytesIO(encoded)))


def photograph(path: Path, height: int = 30, width: int = 50) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.slow
def test_scores_of_the_pictures_average_to_the_report(demo: PatchStore) -> None:
    micro = MicroRun(config(**PIXEL), 0, demo)
    report = micro.advance(5)
    samples = micro.samples(2)
    assert len(samples) == report.images == 8
    for name in ("psnr_db", "ssim", "ms_ssim", "uqi", "psnr_gain_db"):
        values = [sample.scores[name] for sample in samples]
        assert np.mean(values) == pytest.approx(report.metrics[name], rel=1e-12)
        assert np.std(values, ddof=1) == pytest.approx(report.spread[name], rel=1e-9)


def test_kept_outputs_are_those_of_the_network_in_eight_bits(demo: PatchStore) -> None:
    micro = MicroRun(config(**PIXEL), 0, demo)
    micro.advance(5)
    samples = micro.samples(2)
    psnr_db = [sample.scores["psnr_db"] for sample in samples]
    with_output = {place for place, sample in enumerate(samples) if sample.output}
    assert {2, 6, int(np.argmax(psnr_db)), int(np.argmin(psnr_db))} == with_output
    assert [place for place, sample in enumerate(samples) if sample.fixed] == [2, 6]
    for place in with_output:
        index = validation_index(samples[place].image)
        assert index is not None
        output = micro.enhance(demo.val_input[[index]])[0].numpy()
        expected = np.rint(np.clip(output, 0, 1) * np.float32(255)).transpose(1, 2, 0)
        np.testing.assert_array_equal(decoded(samples[place].output), expected)
        error = decoded(samples[place].output) / 255 - demo.val_target[index] / 255
        assert -10 * np.log10(np.square(error).mean()) == pytest.approx(psnr_db[place], abs=0.05)  # but for rounding


@pytest.mark.parametrize("kind", [PIXEL, CYCLE], ids=["paired", "cycle"])
@pytest.mark.slow
def test_samples_are_the_same_bits_alone_after_others_and_resumed(demo: PatchStore, kind: dict[str, object]) -> None:
    def samples(*stretches: int, between: bool = False) -> list[object]:
        micro = MicroRun(config(**kind), 0, demo)
        for steps in stretches:
            if between:
                state, micro = micro.state_dict(), MicroRun(config(**kind), 0, demo)
                micro.load_state_dict(state)
            micro.advance(steps)
        return list(micro.samples(3))

    alone = samples(2, 3)
    MicroRun(config(**PIXEL, net__channels=8), 7, demo).advance(2)
    assert samples(2, 3) == alone
    assert samples(2, 3, between=True) == alone


def test_samples_belong_to_the_last_evaluation(demo: PatchStore) -> None:
    micro = MicroRun(config(**PIXEL), 0, demo)
    with pytest.raises(ValueError, match=r"samples\(\) needs an evaluation; call advance\(\)"):
        micro.samples(2)
    micro.advance(2)
    before = micro.samples(2)
    micro.advance(2)
    assert micro.samples(2) != before


@pytest.mark.slow
@given(count=st.integers(1, 500), fixed=st.integers(0, 20), data=st.data())
def test_which_pictures_are_kept(count: int, fixed: int, data: st.DataObject) -> None:
    psnr_db = data.draw(st.lists(st.floats(0, 60), min_size=count, max_size=count))
    same, extremes = fixed_places(count, fixed), extreme_places(psnr_db)
    assert len(same) == min(fixed, count)
    assert same <= set(range(count))
    assert {psnr_db[place] for place in extremes} == {min(psnr_db), max(psnr_db)}
    gaps = np.diff([-0.5, *sorted(same), count - 0.5])
    if fixed:
        assert gaps.max() <= count / len(same) + 1  # no part of the set is left out


def test_large_pictures_are_cut_to_their_middle() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SAMPLE_PX + 41, 90, 3), np.uint8)
    np.testing.assert_array_equal(decoded(png(pixels)), pixels[20 : 20 + SAMPLE_PX])


def test_sixteen_bits_become_eight() -> None:
    levels = np.arange(0, 256, dtype=np.uint16)
    pixels = np.repeat(levels * 257, 3).reshape(16, 16, 3).astype(np.uint16)
    np.testing.assert_array_equal(decoded(png(pixels)), np.repeat(levels, 3).reshape(16, 16, 3))


def test_a_photograph_is_enhanced_whole(demo: PatchStore, tmp_path: Path) -> None:
    photo = read_photo(photograph(tmp_path / "garden.png"))
    micro = MicroRun(
        config(**PIXEL, net__family="strided", net__blocks=2), 0, demo
    )  # its sides must be multiples of 4, the photograph's are not
    micro.advance(1)
    sample = micro.photo_sample(photo)
    assert sample.image == photo.image
    assert photo.image.startswith("photo/garden.png#")
    assert sample.scores == {}
    expected = micro.enhance(photo.pixels[None]).clamp(0, 1)[0].permute(1, 2, 0)
    assert decoded(sample.output).shape == (30, 50, 3)
    difference = torch.from_numpy(decoded(sample.output) / 255).sub(expected).abs().mean()
    assert float(difference) < 0.05  # what JPEG takes
    with torch.no_grad():
        for weights in micro.rule.net.parameters():
            weights.fill_(float("nan"))
    with pytest.raises(ValueError, match="contains NaN"):
        micro.photo_sample(photo)


def test_a_photograph_is_shrunk_and_named_by_its_content(tmp_path: Path) -> None:
    large = read_photo(photograph(tmp_path / "large.png", 40, 2 * PHOTO_PX))
    assert large.pixels.shape == (20, PHOTO_PX, 3)
    (tmp_path / "elsewhere").mkdir()
    other = read_photo(photograph(tmp_path / "elsewhere" / "large.png"))
    assert other.image.split("#")[0] == large.image.split("#")[0] == "photo/large.png"
    assert other != large
    assert Photo(other.image, other.jpeg) == read_photo(tmp_path / "elsewhere" / "large.png")


def test_what_is_no_photograph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("not a picture")
    with pytest.raises(PictureError, match="unreadable"):
        read_photo(tmp_path / "words.jpg")
