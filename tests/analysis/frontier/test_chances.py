"""The chances of a front, fronts over several runs, the paper's points, and the challenge's scores."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.frontier.chances import Chances, chance_lines, chances
from analysis.frontier.configurations import configurations, rank
from analysis.frontier.figure import frontier_figure
from analysis.frontier.pirm import SRCNN_RATIO, pirm_scores, with_pirm
from analysis.ledger.load import Ledger, LedgerError, Objective, load
from analysis.paper.answer import paper_points
from analysis.report.blocks import Folded, Table, Text
from analysis.report.data import run_data
from analysis.report.reading import read
from analysis.report.sections import sections
from tests.analysis.written_ledgers import TWO, run_row, trial_row

Write = Callable[..., Path]
FAST = (Objective("latency_ratio", "minimize"), Objective("ms_ssim", "maximize"))
SEEDS = (-0.01, 0.0, 0.01)


def seeded(*points: tuple[float, float], **same: object) -> list[dict[str, object]]:
    """Three seeds of a configuration for each pair of PSNR and MS-SSIM."""
    return [
        trial_row(3 * c + s, psnr + shift, ms + shift / 100, configuration=f"c{c}", seed=s, **same)
        for c, (psnr, ms) in enumerate(points)
        for s, shift in enumerate(SEEDS)
    ]


def timed(write: Write, data: str) -> Ledger:
    """A front of latency and MS-SSIM on some data."""
    rows = [row | {"metric.latency_ratio": 0.2 * (1 + n)} for n, row in enumerate(seeded((25.0, 0.8), (22.0, 0.9)))]
    return load(write(rows, runs=[run_row(**{"run.data_spec": data})]))


def found(ledger: Ledger) -> tuple[pd.DataFrame, Chances]:
    frame = rank(configurations(ledger).assign(run=0), ledger.objectives)
    return frame, chances([ledger], frame, ledger.objectives)


@pytest.mark.slow
def test_what_is_far_apart_is_sure_and_what_is_close_is_not(write: Write) -> None:
    ledger = load(write(seeded((25.0, 0.8), (22.0, 0.9), (22.0, 0.7), (24.999, 0.8), (24.0, 0.87))))
    frame, sure = found(ledger)
    chance = dict(zip(frame["configuration"], sure.front, strict=True))
    assert chance["c1"] > 0.99
    assert chance["c4"] > 0.99
    assert chance["c2"] < 0.01
    assert 0.2 < chance["c3"] < 0.95
    assert sure.hypervolume is not None
    assert sure.hypervolume.low < sure.hypervolume.mean < sure.hypervolume.high
    assert frame["configuration"].iloc[sure.knee] == "c4"
    assert sure.knee_chance > 0.9
    said = [line.split(" of the front:")[0] for line in chance_lines(sure, frame)]
    assert said == ["knee", "hypervolume"]


@pytest.mark.slow
def test_a_front_narrower_than_its_uncertainty_has_no_hypervolume(write: Write) -> None:
    frame, sure = found(load(write(seeded((25.0, 0.8), (24.99999, 0.8000001), (22.0, 0.7)))))
    assert sure.hypervolume is None
    assert "hypervolume of the front: unknown" in chance_lines(sure, frame)[-1]


@pytest.mark.slow
def test_the_same_ledger_has_the_same_chances(write: Write) -> None:
    ledger = load(write(seeded((25.0, 0.8), (22.0, 0.9), (23.0, 0.85))))
    np.testing.assert_array_equal(found(ledger)[1].front, found(ledger)[1].front)


def test_single_seeds_have_no_chances_and_it_is_said_why(write: Write) -> None:
    frame, sure = found(load(write([trial_row(0, 20.0), trial_row(1, 21.0)])))
    assert np.isnan(sure.front).all()
    assert "repeated seeds, got 2 and 0" in chance_lines(sure, frame)[0]


@pytest.mark.slow
def test_several_runs_share_a_front_and_say_whose_each_is(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (write(seeded((25.0 + n, 0.8), (22.0, 0.9 - n / 100)), name=f"run{n}") for n in range(2))
    assert main(["frontier", str(one), str(two), "--out", str(one / "out")]) == 0
    numbers = pd.read_parquet(one / "out" / "frontier.parquet")
    best = numbers[numbers["front"]]
    assert list(best["metric.psnr_db"]) == pytest.approx([26.0, 22.0])
    assert list(best["run"]) == [two.name, one.name]
    assert f"{two.name}: " in capsys.readouterr().out


def test_runs_on_different_pictures_share_no_front(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (write(seeded((25.0, 0.8), (22.0, 0.9), **{"run.data": data}), name=data) for data in ("a", "b"))
    assert main(["frontier", str(one), str(two)]) == 2
    assert "2 different data sets (run.data)" in capsys.readouterr().err
    assert main(["frontier", str(one), str(one)]) == 2
    assert "is named twice" in capsys.readouterr().err


@pytest.mark.slow
def test_three_objectives_are_drawn_by_pairs(write: Write) -> None:
    objectives = json.dumps([*TWO, {"metric": "ssim", "direction": "maximize"}])
    rows = [row | {"metric.ssim": 0.7 + n / 100} for n, row in enumerate(seeded((25.0, 0.8), (22.0, 0.9)))]
    run = write(rows, runs=[run_row(objectives=objectives)])
    assert main(["frontier", str(run)]) == 0
    assert {path.name for path in (run / "analysis").iterdir()} >= {"frontier.png", "frontier.svg", "frontier.parquet"}


def test_scores_of_the_challenge_are_those_of_its_table() -> None:
    """PSNR, MS-SSIM and CPU ms of three entries of the challenge's table; SRCNN took 3274 ms."""
    entries = np.array([[21.99, 0.9125, 682], [21.65, 0.9048, 3241], [21.38, 0.9034, 20462]])
    scores = pirm_scores(entries[:, 0], entries[:, 1], 3274 / entries[:, 2])
    np.testing.assert_allclose(scores["A"], [13.21, 5.10, 2.18], atol=0.006)
    np.testing.assert_allclose(scores["B"], [13.99, 4.59, 2.06], atol=0.006)
    np.testing.assert_allclose(scores["C"], [16.08, 5.19, 1.90], atol=0.006)


def test_scores_of_seeds_have_an_interval(write: Write) -> None:
    ledger = load(write(seeded((25.0, 0.8), (22.0, 0.9), **{"metric.latency_ratio": SRCNN_RATIO})))
    frame = with_pirm(configurations(ledger), ledger).set_index("configuration")
    assert frame.loc["c1", "pirm.A"] == pytest.approx(4 * 1 + 2)
    assert frame.loc["c1", "pirm_low.A"] < 6 < frame.loc["c1", "pirm_high.A"]
    lacking = load(write(seeded((25.0, 0.8), (22.0, 0.9))))
    with pytest.raises(LedgerError, match=r"has no metric\.latency_ratio"):
        with_pirm(configurations(lacking), lacking)


def test_the_papers_points_are_refused_where_they_are_not_comparable(write: Write) -> None:
    ledger = load(write(seeded((25.0, 0.8), (22.0, 0.9))))
    with pytest.raises(LedgerError, match=r"comparable in latency_ratio and ms_ssim only, not in psnr_db, ms_ssim"):
        paper_points("fpie1", [ledger], ledger.objectives)
    with pytest.raises(LedgerError, match=r"MS-SSIM is over DPED's patches .* demo"):
        paper_points("fpie1", [timed(write, "demo")], FAST)


def test_the_papers_points_are_drawn_and_none_lies_outside(write: Write) -> None:
    ledger = timed(write, "dped:iphone")
    points = paper_points("fpie1", [ledger], FAST)
    frame = rank(configurations(ledger).assign(run=0), FAST)
    (axes,) = frontier_figure([ledger], frame, FAST, paper=points).axes
    (crosses,) = [line for line in axes.get_lines() if line.get_label() == "published"]
    x, y = crosses.get_data()
    assert (len(x), max(y)) == (17, points["ms_ssim"].max())
    for values, (low, high) in ((x, axes.get_xlim()), (y, axes.get_ylim())):
        assert low <= min(values) < max(values) <= high


@pytest.mark.slow
def test_the_report_says_how_sure_the_front_is(write: Write) -> None:
    points = [(20 + n / 5, 0.95 - n / 500) for n in range(45)]
    reading = read(write(seeded(*points)))
    (view,) = run_data(reading)["views"].values()
    assert [own["chance"] for own in view] == found(reading.ledger)[1].front.tolist()
    (told,) = [section for section in sections(reading) if section.key == "front"]
    table, said, rest = [block for block in told.blocks if isinstance(block, Table | Text | Folded)]
    assert isinstance(table, Table)
    assert (list(table.columns[:2]), len(table.rows)) == (["no.", "chance"], 40)
    assert isinstance(said, Text)
    said_of = [line.split(":")[0] for line in said.sentences]
    assert said_of == ["Hypervolume of the front", "Chance"]  # a straight front has no knee
    assert isinstance(rest, Folded)
    assert rest.title == "5 more on the front"
