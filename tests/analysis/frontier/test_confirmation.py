"""How much too good a search's scores were, judged by fresh seeds."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from analysis.frontier.confirmation import confirmation, luck_lines, mean_luck
from analysis.frontier.table import confirmation_table
from analysis.ledger.load import Ledger, Objective, load
from tests.analysis.written_ledgers import Row, lost_row, run_row, trial_row

Write = Callable[..., Path]
PSNR = Objective("psnr_db", "maximize")
COUNT = Objective("parameters", "minimize")
ONE = [{"metric": "psnr_db", "direction": "maximize"}]


def fresh_rows(number: int, scores: Mapping[int, float]) -> list[Row]:
    """Confirmation trials of the configuration of trial `number`: {seed: PSNR}."""
    same = {"configuration": f"conf{number:05d}", "stage": "confirm"}
    return [
        trial_row(number, score, trial=f"fresh{number}-{seed}", seed=seed, **same) for seed, score in scores.items()
    ]


def scored(number: int, score: float, fresh: Sequence[float]) -> list[Row]:
    return [trial_row(number, score), *fresh_rows(number, dict(enumerate(fresh, 1000)))]


@pytest.fixture
def two(write: Write) -> Ledger:
    """Luck 4 and luck 0; a third configuration was not confirmed."""
    rows = [*scored(0, 25.0, [20.0, 21.0, 22.0]), *scored(1, 22.0, [21.5, 22.0, 22.5]), trial_row(2, 21.0)]
    return load(write(rows, runs=[run_row(objectives=json.dumps(ONE))]))


def test_luck_is_the_searchs_score_less_the_confirmed_mean(two: Ledger) -> None:
    frame = confirmation(two, [PSNR]).set_index("configuration")
    assert list(frame.index) == ["conf00001", "conf00000"]  # by what was confirmed, not by what the search said
    lucky = frame.loc["conf00000"]
    half = 4.302653 / np.sqrt(3)  # t(0.975, 2), spread 1
    assert (lucky["n_search"], lucky["n_confirm"]) == (1, 3)
    assert (lucky["search.psnr_db"], lucky["metric.psnr_db"], lucky["luck.psnr_db"]) == (25.0, 21.0, 4.0)
    assert lucky["luck_low.psnr_db"] == pytest.approx(4 - half, abs=1e-6)
    assert lucky["luck_high.psnr_db"] == pytest.approx(4 + half, abs=1e-6)
    assert frame.loc["conf00001", "luck.psnr_db"] == 0


def test_mean_luck_and_its_interval_are_taken_seed_by_seed(two: Ledger) -> None:
    luck = mean_luck(two, PSNR)
    expected = stats.ttest_1samp([2.75, 2.0, 1.25], 0).confidence_interval(0.95)
    assert luck.mean == pytest.approx(2.0)
    assert (luck.low, luck.high) == pytest.approx((expected.low, expected.high))
    assert luck_lines(two, [PSNR]) == [
        "luck in PSNR (dB): the search's scores were 2.00 better than fresh seeds' "
        "(95 % interval 0.14 to 3.86, 2 configurations, 3 seeds)"
    ]


def test_too_pessimistic_is_said_the_other_way_round(write: Write) -> None:
    ledger = load(write(scored(0, 20.0, [21.0, 22.0, 23.0])))
    (line,) = luck_lines(ledger, [PSNR])
    assert "were 2.00 worse than fresh seeds' (95 % interval -0.48 to 4.48, 1 configuration, 3 seeds)" in line


def test_luck_is_positive_where_a_minimised_score_was_too_low(write: Write) -> None:
    down = Objective("psnr_db", "minimize")
    ledger = load(write(scored(0, 5.0, [6.0, 7.0, 8.0])))
    (row,) = confirmation(ledger, [down]).to_dict("records")
    assert row["luck.psnr_db"] == 2.0
    assert row["luck_low.psnr_db"] < 2.0 < row["luck_high.psnr_db"]
    luck = mean_luck(ledger, down)
    assert luck[:3] == pytest.approx((2.0, row["luck_low.psnr_db"], row["luck_high.psnr_db"]))


def test_one_fresh_seed_gives_luck_without_an_interval(write: Write) -> None:
    ledger = load(write(scored(0, 25.0, [21.0])))
    (row,) = confirmation(ledger, [PSNR]).to_dict("records")
    assert row["luck.psnr_db"] == 4.0
    assert np.isnan(row["luck_low.psnr_db"])  # images say nothing about seeds
    assert luck_lines(ledger, [PSNR])[0].endswith(
        "4.00 better than fresh seeds' (no interval, 1 configuration, 1 seed)"
    )


def test_a_seed_that_was_lost_for_one_counts_for_none_of_the_mean(write: Write) -> None:
    lost = lost_row(9, configuration="conf00001", seed=1001, stage="confirm")
    rows = [*scored(0, 25.0, [20.0, 99.0, 22.0]), trial_row(1, 22.0), *fresh_rows(1, {1000: 21.0, 1002: 21.0}), lost]
    luck = mean_luck(load(write(rows)), PSNR)
    assert luck.mean == pytest.approx(((5 + 1) / 2 + (3 + 1) / 2) / 2)
    assert (luck.configurations, luck.seeds) == (2, 2)


def test_without_a_seed_in_common_nothing_is_claimed(write: Write) -> None:
    rows = [trial_row(0, 25.0), trial_row(1, 22.0), *fresh_rows(0, {1000: 21.0}), *fresh_rows(1, {1001: 21.0})]
    (line,) = luck_lines(load(write(rows)), [PSNR])
    assert line == "luck in PSNR (dB): unknown, no fresh seed completed for all of 2 configurations"


def test_nothing_confirmed_is_nothing_said(write: Write) -> None:
    ledger = load(write([trial_row(0)]))
    assert luck_lines(ledger, [PSNR]) == []
    assert confirmation(ledger, [PSNR]).empty


def test_a_number_of_parameters_has_no_luck(write: Write) -> None:
    rows = [row | {"metric.parameters": 500.0, "spread.parameters": 0.0} for row in scored(0, 25.0, [20.0, 21.0])]
    assert luck_lines(load(write(rows)), [COUNT]) == []


def test_the_table_shows_both_scores_and_the_luck(two: Ledger) -> None:
    console = Console(width=140, file=io.StringIO())
    console.print(confirmation_table(confirmation(two, [PSNR]), [PSNR]))
    printed = console.file.getvalue()
    for part in ("1 / 3", "25.00", "21.00 \N{PLUS-MINUS SIGN} 2.48", "4.00 (1.52 to 6.48)"):
        assert part in printed


@pytest.mark.simulation
def test_the_interval_of_mean_luck_covers_it_though_configurations_share_their_seeds() -> None:
    """Every seed moves all configurations alike, more than each by itself: only seeds are independent."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(120):
        truth, search = np.array([20.0, 21.0, 22.0]), np.array([20.5, 21.8, 22.2])
        fresh = truth + rng.normal(0, 0.3, (4, 1)) + rng.normal(0, 0.1, (4, 3))
        luck = mean_luck(_ledger(search, fresh), PSNR)
        covered += luck.low <= (search - truth).mean() <= luck.high
    assert 0.91 <= covered / 120 <= 0.99


def _ledger(search: np.ndarray, fresh: np.ndarray) -> Ledger:
    """A ledger in memory: `search` (configurations,), `fresh` (seeds, configurations)."""
    rows = [trial_row(number, score) for number, score in enumerate(search)]
    for number, scores in enumerate(fresh.T):
        rows += fresh_rows(number, dict(enumerate(scores, 1000)))
    return Ledger.of([PSNR], pd.DataFrame(rows))
