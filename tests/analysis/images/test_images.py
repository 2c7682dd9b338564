"""Pictures of networks: which are shown, their numbers, and the command from end to end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import wasserstein_distance

from analysis.__main__ import main
from analysis.images.answer import Gallery, gallery
from analysis.images.figure import colors_figure, crops_figure, extremes_figure, photo_figure
from analysis.images.numbers import picture_summary
from analysis.ledger.load import LedgerError, load
from analysis.ledger.samples import sample_pictures, sample_scores
from analysis.statistics.pictures import absolute_error, color_histogram, detailed_window, histogram_distance
from tests.analysis.images.pictured_ledgers import FIXED, PHOTO, add_samples, darker, psnr_db, scene
from tests.analysis.written_ledgers import run_row, trial_row

Write = Callable[..., Path]
SMALL = st.integers(1, 9)
ONE = [5.0, 9, 12, 6, 20, 8, 30, 7, 3, 11, 9, 14]  # best: picture 8; worst: picture 6
TWO = [15.0, 2, 12, 16, 20, 18, 10, 17, 13, 11, 19, 50]  # best: picture 1; worst: picture 11


def picture(rng: np.random.Generator, *shape: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (*shape, 3), np.uint8)


def two_networks(write: Write, name: str = "run", **changes: object) -> Path:
    """Two networks on the front (one for each objective), one behind it, all with samples."""
    trials = [trial_row(0, 21.0, 0.90), trial_row(1, 20.0, 0.95), trial_row(2, 19.0, 0.8)]
    run = write([{**row, **changes} for row in trials], runs=[run_row()], name=name)
    photo = scene(99, 300, 400)
    return add_samples(run, {"trial00000": ONE, "trial00001": TWO, "trial00002": ONE}, photo)


def seen(run: Path, most: int = 4, *trials: str) -> Gallery:
    return gallery([load(run)], most, trials)


# --- the statistics ----------------------------------------------------------------------------------------------


@given(SMALL, SMALL, st.integers(0, 2**32 - 1))
def test_an_error_map_is_the_mean_absolute_difference_of_the_channels(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    output, target = picture(rng, height, width), picture(rng, height, width)
    error = absolute_error(output, target)
    assert error.shape == (height, width)
    np.testing.assert_allclose(error, np.abs(output.astype(float) - target.astype(float)).sum(-1) / 3)
    np.testing.assert_array_equal(error, absolute_error(target, output))
    assert not absolute_error(output, output).any()


def test_an_error_map_needs_pictures_of_one_shape() -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        absolute_error(np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8))


@given(st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_a_histogram_counts_every_pixel_of_every_picture_once(shapes: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [picture(rng, *shape) for shape in shapes]
    histogram = color_histogram(*pictures)
    assert histogram.shape == (3, 256)
    assert (histogram.sum(axis=1) == sum(height * width for height, width in shapes)).all()
    for channel in range(3):
        levels = np.concatenate([one[..., channel].ravel() for one in pictures])
        np.testing.assert_array_equal(histogram[channel], np.histogram(levels, bins=256, range=(0, 256))[0])


@given(SMALL, SMALL, st.integers(0, 2**32 - 1))
def test_the_distance_of_colors_is_scipys_wasserstein_distance(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = picture(rng, height, width), picture(rng, 5, 4)
    distance = histogram_distance(color_histogram(first), color_histogram(second))
    expected = [wasserstein_distance(first[..., c].ravel(), second[..., c].ravel()) for c in range(3)]
    np.testing.assert_allclose(distance, expected, atol=1e-9)


def test_a_brighter_picture_is_as_far_as_it_is_brighter() -> None:
    dark = np.random.default_rng(0).integers(0, 200, (30, 30, 3), np.uint8)
    moved = (
        np.random.default_rng(1)
        .permutation((dark + np.array([3, 20, 50], np.uint8)).reshape(-1, 3))
        .reshape(dark.shape)
    )
    np.testing.assert_allclose(histogram_distance(color_histogram(dark), color_histogram(moved)), [3, 20, 50])


def test_the_window_of_most_detail_is_where_the_texture_is() -> None:
    photo = np.full((120, 200, 3), 90, np.uint8)
    photo[60:90, 140:170] = np.random.default_rng(0).integers(0, 256, (30, 30, 3))
    top, left = detailed_window(photo, 40)
    assert top <= 60 <= 90 <= top + 40
    assert left <= 140 <= 170 <= left + 40
    assert detailed_window(photo[:30, :30], 40) == (0, 0)


# --- the ledger --------------------------------------------------------------------------------------------------


def test_samples_are_read_as_they_were_written(write: Write) -> None:
    ledger = load(two_networks(write))
    scores = sample_scores(ledger)
    assert len(scores) == 3 * 13
    assert "output" not in scores.columns
    own = scores[(scores["trial"] == "trial00000") & scores["metric.psnr_db"].notna()]
    expected = [psnr_db(darker(scene(i), level), scene(i)) for i, level in enumerate(ONE)]
    np.testing.assert_array_equal(own["metric.psnr_db"], expected)
    assert [int(i) for i in own.loc[own["kept"], "image"].str.split("/").str[1]] == [3, 6, 8, 9]
    pictures = sample_pictures(ledger, ["trial00000"])
    assert set(pictures["trial"]) == {"trial00000"}
    for row in pictures[pictures["image"] != PHOTO].to_dict("records"):
        index = int(row["image"].split("/")[1])
        np.testing.assert_array_equal(row["target"], scene(index))
        np.testing.assert_array_equal(row["input"], darker(scene(index), 40))
        np.testing.assert_array_equal(row["output"], darker(scene(index), ONE[index]))


def test_a_ledger_without_samples_says_how_to_get_them(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = write([trial_row(0)])
    assert main(["images", str(run)]) == 2
    printed = capsys.readouterr()
    assert f"{run} holds no samples of pictures: its sweep kept none (--samples 0)" in printed.err
    assert "run the sweep into another --out, with --samples 4" in printed.err
    assert printed.out == ""


# --- which networks ----------------------------------------------------------------------------------------------


def test_the_front_is_shown_and_only_pictures_chosen_beforehand_are_compared(write: Write) -> None:
    found = seen(two_networks(write))
    assert found.networks[["name", "trial"]].to_numpy().tolist() == [["1", "trial00000"], ["2", "trial00001"]]
    assert found.crops == [f"validation/{index}" for index in FIXED]
    assert found.photos == [PHOTO]
    assert found.notes == ()


def test_networks_that_are_not_shown_are_counted(write: Write) -> None:
    run = two_networks(write)
    found = seen(run, 1)
    assert found.networks["trial"].tolist() == ["trial00000"]
    assert found.notes == (f"1 of the 2 networks on the front of {run} are not shown; --most N shows more",)


def test_a_configuration_is_shown_by_the_seed_in_the_middle(write: Write) -> None:
    seeds = {5: 20.0, 6: 22.0, 7: 21.0}
    trials = [trial_row(number, db, 0.9, configuration="one", seed=number) for number, db in seeds.items()]
    run = add_samples(write(trials), {row["trial"]: ONE for row in trials})
    assert seen(run).networks["seed"].tolist() == [7]
    fresh = [trial_row(8, 18.0, 0.9, configuration="one", seed=1000, stage="confirm")]
    confirmed = add_samples(write(trials + fresh, name="more"), {row["trial"]: ONE for row in trials + fresh})
    assert seen(confirmed).networks["seed"].tolist() == [1000]


def test_named_trials_are_shown_whether_they_are_on_the_front_or_not(write: Write) -> None:
    run = two_networks(write)
    found = seen(run, 4, "trial00002", "trial00001")
    assert found.networks[["name", "trial"]].to_numpy().tolist() == [["trial000", "trial00002"], ["2", "trial00001"]]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("nonsense", "--trial nonsense names no completed trial with samples; choose from trial00000, trial00001"),
        ("trial", "--trial trial names 3 trials; choose from trial00000"),
    ],
)
def test_a_trial_that_is_not_there_is_refused_with_the_choices(
    write: Write, capsys: pytest.CaptureFixture[str], wanted: str, said: str
) -> None:
    assert main(["images", str(two_networks(write)), "--trial", wanted]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_several_runs_are_shown_side_by_side(write: Write) -> None:
    runs = [load(two_networks(write, name)) for name in ("one", "two")]
    found = gallery(runs, 4)
    assert found.networks["name"].tolist() == ["A1", "A2", "B1", "B2"]
    assert found.networks["run"].tolist() == ["one", "one", "two", "two"]
    assert gallery(runs, 2).networks["name"].tolist() == ["A1", "B1"]


def test_runs_on_different_data_are_refused(write: Write) -> None:
    runs = [load(two_networks(write, "one")), load(two_networks(write, "two", **{"run.data": "0ther"}))]
    with pytest.raises(LedgerError, match=r"different data.*one: da7a; .*two: 0ther"):
        gallery(runs, 4)


# --- the numbers -------------------------------------------------------------------------------------------------


def test_best_and_worst_cases_and_errors_are_those_of_the_pictures(write: Write) -> None:
    found = seen(two_networks(write))
    summary = picture_summary(found.numbers, found.pictures, found.crops).set_index("name")
    assert summary.index.tolist() == ["input", "1", "2"]
    assert summary.loc["1", ["best", "worst"]].tolist() == ["validation/8", "validation/6"]
    assert summary.loc["2", ["best", "worst"]].tolist() == ["validation/1", "validation/11"]
    assert summary["better"].tolist()[1:] == [12, 11]  # picture 11 of the second is worse than its input
    assert summary.loc["1", "psnr_db"] == pytest.approx(
        np.mean([psnr_db(darker(scene(i), level), scene(i)) for i, level in enumerate(ONE)])
    )
    for name, levels in (("1", ONE), ("2", TWO), ("input", [40.0] * 12)):
        errors = [np.abs(darker(scene(i), levels[i]).astype(float) - scene(i)).mean() for i in FIXED]
        assert summary.loc[name, "l1"] == pytest.approx(np.mean(errors))
        outputs = np.concatenate([darker(scene(i), levels[i]).reshape(-1, 3) for i in FIXED])
        targets = np.concatenate([scene(i).reshape(-1, 3) for i in FIXED])
        colors = [wasserstein_distance(outputs[:, c], targets[:, c]) for c in range(3)]
        assert summary.loc[name, "color_distance"] == pytest.approx(np.mean(colors))
    for row in found.numbers.to_dict("records"):
        target = scene(int(row["image"].split("/")[1]))
        assert row["untouched.psnr_db"] == pytest.approx(psnr_db(darker(target, 40), target))


# --- the figures -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_crops_figure_shows_pixels_as_they_are_and_errors_on_one_scale(write: Write) -> None:
    found = seen(two_networks(write))
    figure = crops_figure("Crops", found)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    pictures = [image for image in images if image.get_array().ndim == 3]  # type: ignore[union-attr]
    errors = [image for image in images if image.get_array().ndim == 2]  # type: ignore[union-attr]
    assert (len(pictures), len(errors)) == (
        2 * 4,
        2 * 3,
    )  # two crops: input, two networks, target; no error of the target
    expected = [darker(scene(3), 40), darker(scene(3), ONE[3]), darker(scene(3), TWO[3]), scene(3)]
    for image, pixels in zip(pictures, expected, strict=False):
        np.testing.assert_array_equal(image.get_array(), pixels)
    np.testing.assert_array_equal(errors[1].get_array(), absolute_error(expected[1], scene(3)))
    assert {image.get_clim() for image in errors} == {(0.0, 40.0)}  # the input's, in steps of 5
    scores = [axes.get_xlabel() for axes in figure.axes]
    assert f"{psnr_db(darker(scene(3), ONE[3]), scene(3)):.2f} dB" in scores


@pytest.mark.slow
def test_the_photograph_is_shown_whole_with_the_marked_part_enlarged(write: Write) -> None:
    found = seen(two_networks(write))
    figure = photo_figure("Photo", found, PHOTO, (100, 50))
    arrays = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    photo = scene(99, 300, 400)
    np.testing.assert_array_equal(arrays[0], photo)
    np.testing.assert_array_equal(arrays[1], photo[50:210, 100:260])
    np.testing.assert_array_equal(arrays[5], darker(photo, TWO[0])[50:210, 100:260])
    beyond = photo_figure("Photo", found, PHOTO, (9999, 9999))
    np.testing.assert_array_equal(beyond.axes[1].images[0].get_array(), photo[140:, 240:])


@pytest.mark.slow
def test_unpaired_data_have_pictures_and_colors_and_no_errors(write: Write) -> None:
    run = add_samples(write([trial_row(0)]), {"trial00000": ONE}, paired=False)
    found = seen(run)
    assert not found.paired
    figure = crops_figure("Crops", found)
    assert len([axes for axes in figure.axes if axes.images]) == 2 * 2
    assert colors_figure("Colors", found).axes
    assert main(["images", str(run)]) == 0
    assert not (run / "analysis" / "images-extremes.png").exists()


# --- the command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_figures_and_numbers(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run = two_networks(write)
    assert main(["images", str(run)]) == 0
    printed = capsys.readouterr()
    for part in ("the untouched input", "12 of 12", "11 of 12", "written:", "pandas.read_parquet"):
        assert part in printed.out
    for name in ("images-crops", "images-colors", "images-extremes", "images-photo-1"):
        for kind in ("png", "svg"):
            assert str(run / "analysis" / f"{name}.{kind}") in printed.out
        with Image.open(run / "analysis" / f"{name}.png") as drawn:
            assert min(drawn.size) > 400
    numbers = pd.read_parquet(run / "analysis" / "images.parquet")
    assert len(numbers) == 2 * 12
    pd.testing.assert_frame_equal(numbers, seen(run).numbers)
    assert main(["images", str(run), "--out", str(run / "again")]) == 0
    for path in (run / "analysis").iterdir():
        assert (run / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_best_and_worst_are_drawn(write: Write) -> None:
    figure = extremes_figure("Extremes", seen(two_networks(write)))
    arrays = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    np.testing.assert_array_equal(arrays[1], darker(scene(8), ONE[8]))
    np.testing.assert_array_equal(arrays[4], darker(scene(6), ONE[6]))
    np.testing.assert_array_equal(arrays[11], scene(11))


def test_options_that_make_no_sense_are_refused(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(two_networks(write))
    for options, said in ((["--most", "0"], "'0' must be a whole number >= 1"), (["--corner", "-1", "3"], "--corner")):
        with pytest.raises(SystemExit, match="2"):
            main(["images", run, *options])
        assert said in capsys.readouterr().err
