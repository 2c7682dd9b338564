"""What stopping lost: counts and rates by hand, fronts of several objectives, coverage of the true regret."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.ledger.load import Ledger, Objective, load
from analysis.statistics.prediction import draw_predictions
from analysis.stopping.regret import ALL_RUNGS, DRAWS, FEWEST_DRAWS, FRONT, regret_by_rung
from tests.analysis.written_ledgers import report_row, run_row, trial_row

Write = Callable[..., Path]
PSNR = Objective("psnr_db", "maximize")
ONE = json.dumps([{"metric": "psnr_db", "direction": "maximize"}])
FACTS = json.dumps({"rungs": [100, 300, 600], "audit_share": 0.5, "stopping": "first", "reduction": 3})


def ledger_of(write: Write, rows: list[tuple[str, int, float, float, float]], objectives: str = ONE) -> Ledger:
    """Trials as (ending, rung that stopped or spared it or -1, score there, PSNR and MS-SSIM at the end)."""
    trials, reports = [], []
    for number, (ending, rung, early, psnr_db, ms_ssim) in enumerate(rows):
        steps = (100, 300, 600)[rung] if ending == "stopped" else 600
        last = early if ending == "stopped" else psnr_db
        spared = -1 if ending == "stopped" else rung
        score = (None, None) if ending == "diverged" else (last, ms_ssim)
        trials.append(trial_row(number, *score, ending=ending, spared=spared, steps=steps))
        reports += [report_row(number, step, early, ms_ssim) for step in (100, 300) if step <= steps]
    return load(write(trials, reports, [run_row(objectives=objectives, contract=FACTS)]))


def test_counts_and_rates_by_hand(write: Write) -> None:
    through = [("completed", -1, 20.0, 25.0, 0.9), ("completed", -1, 20.0, 24.0, 0.9)]
    first = [("completed", 0, 10.0, 26.0, 0.9), ("completed", 0, 10.0, 20.0, 0.9), ("diverged", 0, 10.0, 0.0, 0.0)]
    second = [("completed", 1, 10.0, 24.5, 0.9)]
    stopped = [("stopped", 0, 10.0, 0.0, 0.5)] * 6 + [("stopped", 1, 10.0, 0.0, 0.5)] * 2
    frame = regret_by_rung(ledger_of(write, [*through, *first, *second, *stopped]), [PSNR]).set_index("rung")
    assert frame.loc[:, ["stopped", "spared", "better"]].to_dict("index") == {
        0: {"stopped": 6, "spared": 3, "better": 1},
        1: {"stopped": 2, "spared": 1, "better": 0},
        ALL_RUNGS: {"stopped": 8, "spared": 4, "better": 1},
    }
    wilson = stats.binomtest(1, 3).proportion_ci(method="wilson")
    assert frame.loc[0, ["share", "low", "high"]].tolist() == pytest.approx([1 / 3, wilson.low, wilson.high])
    assert frame["regret"].isna().all()  # too few were spared


def test_less_can_be_better(write: Write) -> None:
    rows = [("completed", -1, 1.0, 25.0, 0.9), ("completed", 0, 2.0, 24.0, 0.9), ("completed", 0, 2.0, 26.0, 0.9)]
    (row,) = regret_by_rung(ledger_of(write, rows), [Objective("psnr_db", "minimize")]).to_dict("records")
    assert (row["spared"], row["better"], row["stopped"]) == (2, 1, 0)
    assert [row["regret"], row["regret_low"], row["regret_high"]] == [1.0, 1.0, 1.0]  # nobody else was stopped


def test_the_front_is_of_all_objectives(write: Write) -> None:
    """Spared: beyond an end of the front, beaten, equal to a point of it, and diverged."""
    two = json.dumps([{"metric": name, "direction": "maximize"} for name in ("psnr_db", "ms_ssim")])
    rows = [("completed", -1, 1.0, 25.0, 0.8), ("completed", -1, 1.0, 20.0, 0.9)]
    rows += [("completed", 0, 1.0, 22.0, 0.85), ("completed", 0, 1.0, 19.0, 0.9), ("completed", 0, 1.0, 25.0, 0.8)]
    rows += [("diverged", 0, 1.0, 0.0, 0.0)]
    frame = regret_by_rung(ledger_of(write, rows, two), [PSNR])
    front = frame[frame["metric"] == FRONT].iloc[0]
    assert (front["spared"], front["better"]) == (4, 1)
    assert frame[frame["metric"] == "psnr_db"]["better"].tolist() == [0]


def test_where_nothing_was_let_through_there_are_no_rows(write: Write) -> None:
    assert regret_by_rung(ledger_of(write, [("completed", 0, 1.0, 25.0, 0.9)] * 2), [PSNR]).empty


@pytest.mark.simulation
def test_the_regret_covers_what_was_hidden(write: Write) -> None:
    """The truth is known: 40 trials would have been stopped at a rung, a third of which the audit has spared."""
    rng = np.random.default_rng(5)
    covered, hidden = 0, []
    for run in range(60):
        early = rng.normal(0, 1, 40)
        end = 20 + early + rng.normal(0, 0.5, 40)
        spared = rng.random(40) < 1 / 3
        rows = [("completed" if own else "stopped", 0, float(e), float(f), 0.9)
                for own, e, f in zip(spared, early, end, strict=True)]  # fmt: skip
        run_folder = write_each(write, [("completed", -1, 3.0, 22.0, 0.9), *rows], run)
        (row,) = regret_by_rung(run_folder, [PSNR]).to_dict("records")
        truth = max(0.0, end.max() - 22)
        hidden.append(truth)
        covered += row["regret_low"] <= truth <= row["regret_high"]
    assert 0 < np.mean(np.array(hidden) > 0) < 1  # it is sometimes nothing and sometimes something
    assert covered / 60 >= 0.88


def test_where_very_many_were_stopped_fewer_draws_say_the_same(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    early = rng.normal(0, 1, 30)
    rows = [("completed" if n < 10 else "stopped", 0, float(e), float(20 + e), 0.9) for n, e in enumerate(early)]
    ledger = ledger_of(write, [("completed", -1, 3.0, 20.0, 0.9), *rows])
    (many,) = regret_by_rung(ledger, [PSNR]).to_dict("records")
    seen: list[int] = []

    def counted(*parts: Any) -> Any:
        seen.append(parts[-1])
        return draw_predictions(*parts)

    monkeypatch.setattr("analysis.stopping.regret.draw_predictions", counted)
    monkeypatch.setattr("analysis.stopping.regret.MOST_NUMBERS", 20 * 700)
    (some,) = regret_by_rung(ledger, [PSNR]).to_dict("records")
    monkeypatch.setattr("analysis.stopping.regret.MOST_NUMBERS", 1)
    (few,) = regret_by_rung(ledger, [PSNR]).to_dict("records")
    assert seen == [700, FEWEST_DRAWS]
    for name in ("regret", "regret_low", "regret_high"):
        assert [some[name], few[name]] == pytest.approx([many[name]] * 2, abs=0.05)


def write_each(write: Write, rows: list[tuple[str, int, float, float, float]], number: int) -> Ledger:
    def named(*parts: object, **others: object) -> Path:
        return write(*parts, **others, name=f"run{number}")

    return ledger_of(named, rows)


def test_predictions_are_those_of_a_regression() -> None:
    """The oracle is Student's prediction interval of a line (scipy's linregress)."""
    rng = np.random.default_rng(1)
    x = rng.normal(5, 2, 9)
    y = 3 * x + rng.normal(0, 1, 9)
    drawn = draw_predictions(x, y, np.array([7.0]), np.random.default_rng(0), 40_000)[:, 0]
    line = stats.linregress(x, y)
    residual = y - line.intercept - line.slope * x
    scatter = np.sqrt((residual @ residual) / 7)
    half = scatter * np.sqrt(1 + 1 / 9 + (7 - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    expected = line.intercept + line.slope * 7 + half * stats.t(7).ppf([0.025, 0.25, 0.5, 0.75, 0.975])
    assert np.quantile(drawn, [0.025, 0.25, 0.5, 0.75, 0.975]) == pytest.approx(expected, abs=0.05)


def test_equal_places_have_no_slope_and_two_pairs_are_too_few() -> None:
    y = np.array([1.0, 2.0, 4.0, 5.0])
    drawn = draw_predictions(np.ones(4), y, np.array([1.0, 9.0]), np.random.default_rng(0), DRAWS)
    assert drawn.shape == (DRAWS, 2)
    assert np.median(drawn, axis=0) == pytest.approx([3, 3], abs=0.15)
    with pytest.raises(ValueError, match="at least 3 pairs, got 2"):
        draw_predictions(np.ones(2), y[:2], y, np.random.default_rng(0), 10)
