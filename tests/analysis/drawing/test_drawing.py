"""What a plot shows and what it leaves out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from analysis.drawing.sheet import svg_text
from analysis.frontier.plot import Dimension, plot_front
from analysis.stability.lines import Line, plot_lines

VALUES = st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 10)), min_size=1, max_size=20)


def dimension(means: list[float], halves: list[float], **changes: object) -> Dimension:
    mean, half = np.array(means), np.array(halves)
    parts = {"label": "PSNR (dB)", "maximize": True, "mean": mean, "low": mean - half, "high": mean + half}
    return Dimension(**{**parts, "stopped": np.array([]), "untouched": None, **changes})  # type: ignore[arg-type]


@given(VALUES, st.floats(-1000, 1000))
def test_every_mean_lies_inside_the_limits(values: list[tuple[float, float]], untouched: float) -> None:
    means, halves = [mean for mean, _ in values], [half for _, half in values]
    low, high = dimension(means, halves, untouched=untouched).limits()
    assert low < min(means)
    assert max(means) < high


def test_intervals_of_the_usual_width_are_shown_whole() -> None:
    low, high = dimension([19.0, 19.1, 19.2], [0.8, 0.9, 0.8]).limits()
    assert low < 18.2
    assert high > 20.0


def test_one_long_interval_does_not_squeeze_the_rest() -> None:
    low, high = dimension([19.0, 19.5, 20.0], [0.2, 0.2, 40.0]).limits()
    assert high - low < 3.5


def test_a_near_phone_image_is_shown_and_a_far_one_is_not() -> None:
    assert dimension([19.0, 20.0], [0.1, 0.1], untouched=18.0).limits()[0] < 18.0
    assert dimension([19.0, 20.0], [0.1, 0.1], untouched=5.0).limits()[0] > 18.0


def test_values_that_are_not_finite_are_left_out_of_the_limits() -> None:
    low, high = dimension([19.0, float("nan"), 20.0], [0.1, float("nan"), float("nan")]).limits()
    assert 18.5 < low < 19.0
    assert 20.0 < high < 20.5


def test_limits_of_a_logarithmic_axis_are_those_of_the_exponents() -> None:
    means = np.array([0.1, 1.0, 10.0])
    plain = dimension([-1.0, 0.0, 1.0], [0.1] * 3).limits()
    ends = {"low": means * 10**-0.1, "high": means * 10**0.1}
    assert np.log10(dimension(means.tolist(), [0.0] * 3, log=True, **ends).limits()) == pytest.approx(plain)


@pytest.mark.parametrize("maximize", [True, False])
def test_numbers_stand_beyond_the_front_and_neighbors_share_one(maximize: bool) -> None:
    axes = Figure(figsize=(8, 5)).add_subplot()
    x = dimension([20.0, 20.001, 22.0, 19.0], [0.1] * 4, maximize=maximize)
    y = dimension([0.9, 0.9001, 0.8, 0.7], [0.01] * 4, maximize=maximize)
    assert plot_front(axes, x, y, np.array([3, 2, 1, 0])) is axes
    texts = {text.get_text(): text for text in axes.texts}
    assert set(texts) == {"1", "2\N{EN DASH}3"}
    assert texts["1"].get_horizontalalignment() == ("left" if maximize else "right")


@pytest.mark.parametrize("log", [False, True])
def test_dollar_signs_of_others_are_no_formula(log: bool) -> None:
    """Names of lines are the author's labels; the ticks of a logarithmic axis must not become TeX source either."""
    figure = Figure()
    axes = figure.add_subplot()
    x, y = np.array([1.0, 1000.0]), np.array([1.0, 1e4])
    lines = [Line(r"$\frac{$ $", x, y, y, y)]
    plot_lines(axes, lines, "$x^$", "$_$", log_x=log)
    axes.legend()
    assert svg_text(figure)
    figure.draw_without_rendering()
    ticks = [tick.get_text() for tick in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    assert not any("$" in text for text in ticks)
