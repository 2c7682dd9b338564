"""What diverges, above which rate, and how much depends on the seed, for ledgers with known answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.ledger.load import LedgerError, Objective, load
from analysis.stability.answer import (
    divergence,
    divergence_kinds,
    edge,
    heat,
    onset_lines,
    outcomes,
    profiles,
    spreads,
    varying_factors,
)
from analysis.stability.curves import diagnostics, mean_curves, sample_trials
from analysis.stability.factors import Factor, find_factor, learning_rate, levels_of, searched_factors
from tests.analysis.written_ledgers import lost_row, report_row, run_row, sweep_rows, trial_row

Write = Callable[..., Path]
RATES = (1e-4, 1e-3, 1e-2)
SPACE = {
    "optimizer.lr": {"kind": "log", "low": 0.0001, "high": 0.01},
    "train.vary": {"kind": "choice", "values": ["everything", "data"]},
}
RUN = run_row(contract=json.dumps({"space": SPACE}))
PSNR = Objective("psnr_db", "maximize")


def grid_rows(seeds: int = 4) -> list[dict[str, Any]]:
    """Three rates, two kinds of what varies, `seeds`; at the middle rate one of all diverges, at the highest all."""
    rows = []
    for place, rate in enumerate(RATES):
        for kind, vary in enumerate(("everything", "data")):
            for seed in range(seeds):
                number = len(rows)
                changes = {"configuration": f"conf{place}{kind}", "seed": seed, "config.optimizer.lr": rate}
                changes["config.train.vary"] = vary
                if place == 2 or (place, kind, seed) == (1, 0, 0):
                    reason = "nan by step 12: the loss is nan" if seed else "explosion by step 9: large"
                    rows.append(lost_row(number, **changes) | {"reason": reason})
                else:
                    rows.append(trial_row(number, psnr_db=20 + place + (1 - kind) * 0.5 * seed, **changes))
    return rows


def written(write: Write, rows: list[dict[str, Any]] | None = None, name: str = "run") -> Path:
    rows = grid_rows() if rows is None else rows
    reports = [
        report_row(row["number"], step, 18.0, 0.8, **{"loss.total": 1 / step, "loss.adversarial": 0.5})
        for row in rows
        for step in (150, 300, 450, 600)
        if row["ending"] == "completed"
    ]
    return write(rows, reports, [RUN], name=name)


@pytest.fixture
def frame(write: Write) -> pd.DataFrame:
    ledger = load(written(write))
    return outcomes([ledger], searched_factors([ledger]))


def test_rates_are_counted_at_every_level_of_every_factor(write: Write, frame: pd.DataFrame) -> None:
    factors = varying_factors(frame, [load(written(write, name="again"))])
    found = divergence(frame, factors).set_index(["factor", "level"])
    assert found.loc[("", "all trials"), ["n", "diverged"]].tolist() == [24, 9]
    assert found.loc["optimizer.lr", "diverged"].tolist() == [0, 1, 8]
    assert found.loc["train.vary", "diverged"].to_dict() == {"data": 4, "everything": 5}
    assert found.loc[("optimizer.lr", "0.01"), "high"] == 1
    assert (found["low"] <= found["rate"]).all()
    assert (found["rate"] <= found["high"]).all()


def test_trials_that_say_nothing_of_training_are_not_counted(write: Write) -> None:
    rows = [*grid_rows(), lost_row(90, "failed"), lost_row(91, "refused")]
    ledger = load(written(write, rows))
    assert len(outcomes([ledger], searched_factors([ledger]))) == 24
    nothing = load(write([lost_row(0, "failed")], [], [RUN], name="nothing"))
    with pytest.raises(LedgerError, match="none of the 1 trials trained"):
        outcomes([nothing], [])


def test_the_edge_is_found_for_each_kind(frame: pd.DataFrame) -> None:
    found = edge(frame, Factor("optimizer.lr", True), Factor("train.vary"))
    assert found["by"].unique().tolist() == ["data", "everything"]
    assert found.loc[found["by"] == "everything", "diverged"].tolist() == [0, 1, 4]
    assert found["at"].tolist() == pytest.approx([*RATES, *RATES])
    lines = onset_lines(found)
    told = "data: none of 8 diverged up to 0.001 (95 %: at most 32 %); the first at 0.01 (4 of 4)"
    assert lines[0].startswith(f"{told}; more than half from 0.01 on")
    assert "the first at 0.001 (1 of 4)" in lines[1]


def test_many_different_numbers_are_counted_in_bins_of_equal_factors() -> None:
    values = pd.Series(np.geomspace(1e-5, 1e-1, 401))
    found = levels_of(values, log=True, bins=4)
    np.testing.assert_allclose(found.low, [1e-5, 1e-4, 1e-3, 1e-2])
    assert np.bincount(found.code).tolist() == [100, 100, 100, 101]
    assert found.middle[0] == pytest.approx(10**-4.5)
    assert levels_of(pd.Series([1.0, None, 2.0])).code.tolist() == [0, -1, 1]
    assert levels_of(pd.Series([True, False])).texts == ["False", "True"]


def test_the_spread_over_seeds_is_pooled_within_configurations(frame: pd.DataFrame) -> None:
    found = spreads(frame, PSNR, Factor("train.vary")).set_index("level")
    everything = [[20, 20.5, 21, 21.5], [21.5, 22, 22.5]]
    squares = sum(((np.asarray(row) - np.mean(row)) ** 2).sum() for row in everything)
    assert found.loc["everything", "sd"] == pytest.approx(np.sqrt(squares / 5))
    assert found.loc["data", "sd"] == 0
    assert found["seeds"].to_dict() == {"data": 8, "everything": 7}
    assert found["lost"].to_dict() == {"data": 4, "everything": 5}
    assert found.loc["everything", "iqm"] == -np.inf  # 5 of 12 diverged


def test_where_less_is_better_a_lost_run_is_infinitely_bad(frame: pd.DataFrame) -> None:
    assert spreads(frame, Objective("psnr_db", "minimize"))["iqm"].tolist() == [np.inf]


def test_a_profile_is_the_share_of_all_runs_above_a_score(frame: pd.DataFrame) -> None:
    found = profiles(frame, PSNR, points=50)
    scores = frame["score"].dropna()
    for row in found.to_dict("records"):
        assert row["share"] == pytest.approx((scores > row["threshold"]).sum() / 24)
    less = profiles(frame, Objective("psnr_db", "minimize"), points=50)
    assert (less["share"].diff().dropna() >= 0).all()


def test_the_heat_map_has_every_pair_with_its_median(frame: pd.DataFrame) -> None:
    found = heat(frame, Factor("optimizer.lr", True), Factor("train.vary")).set_index(["across", "up"])
    assert found.loc[("0.0001", "everything"), "score"] == pytest.approx(20.75)
    assert found.loc[("0.001", "everything"), "rate"] == 0.25
    assert np.isnan(found.loc[("0.01", "data"), "score"])
    assert found["n"].tolist() == [4] * 6


def test_the_kinds_of_divergence_are_counted(frame: pd.DataFrame) -> None:
    assert divergence_kinds(frame).to_dict() == {"nan": 6, "explosion": 3}


def test_factors_are_those_of_the_space_and_go_by_name(write: Write) -> None:
    factors = searched_factors([load(written(write))])
    assert factors == [Factor("optimizer.lr", True), Factor("train.vary", False)]
    assert find_factor("config.train.vary", factors).name == "train.vary"
    assert learning_rate([Factor("critic_optimizer.lr"), *factors]) == factors[0]
    with pytest.raises(LedgerError, match=r"'lr' is not a searched parameter; choose from optimizer.lr, train"):
        find_factor("lr", factors)


def test_a_value_under_a_condition_that_fails_is_no_value(write: Write) -> None:
    """The configuration has another optimizer's momentum too; it decided nothing."""
    levels = {"kind": "choice", "values": [4, 5]}
    space = {
        "net.family": {"kind": "choice", "values": ["a", "b"]},
        "net.levels": {"kind": "when", "name": "net.family", "value": "a", "range": levels},
    }
    rows = [
        trial_row(place, **{"config.net.family": family, "config.net.levels": 4 + place % 2})
        for place, family in enumerate("aabb")
    ]
    ledger = load(write(rows, [], [run_row(contract=json.dumps({"space": space}))]))
    frame = outcomes([ledger], searched_factors([ledger]))
    found = divergence(frame, varying_factors(frame, [ledger])).set_index(["factor", "level"])["n"]
    assert found["net.levels"].to_dict() == {"4": 1, "5": 1}


def curve(losses: list[float], trial: str = "a", **columns: list[float]) -> pd.DataFrame:
    steps = [100 * (place + 1) for place in range(len(losses))]
    return pd.DataFrame({"trial": trial, "step": steps, "loss.total": losses, **columns})


def test_the_figures_of_a_curve_are_their_formulas() -> None:
    down, wild = curve([4.0, 3.0, 2.0, 1.0]), curve([1.0, 2.0, 1.0, 9.0, 8.0, 7.0], "b")
    still = curve([5.0, 1.0, 1.001, 1.0], "c")
    found = diagnostics(pd.concat([down, wild, still], ignore_index=True)).set_index("trial")
    assert found["reports"].tolist() == [4, 6, 4]
    assert found["oscillation"].tolist() == pytest.approx([0, 1 - 6 / 12, 1 - 4 / 4.002])
    assert found["spikes"].tolist() == [0, 1, 0]  # the rise by 8, where the median change is 1
    assert found["stagnation"].tolist() == [0, 0, 0.5]  # from step 200 of 400 on
    assert found["critic_ratio"].isna().all()


def test_a_ratio_of_losses_and_the_gradient_are_of_the_last_report() -> None:
    more = {"loss.adversarial": [1.0, -2.0], "signal.critic_loss": [9.0, 3.0], "grad_norm": [2.0, 8.0]}
    found = diagnostics(curve([1.0, 1.0], **more)).iloc[0]
    assert (found["critic_ratio"], found["grad_norm"], found["grad_growth"]) == (1.5, 8.0, 4.0)
    assert found[["oscillation", "spikes", "stagnation"]].isna().all()


def test_a_curve_that_is_not_finite_has_no_figures_of_its_shape() -> None:
    found = diagnostics(curve([1.0, np.inf, 2.0, 3.0])).iloc[0]
    assert found[["oscillation", "spikes", "stagnation"]].isna().all()
    assert diagnostics(curve([])).empty


def test_mean_curves_are_over_the_trials_that_reported() -> None:
    reports = pd.concat([curve([2.0, 4.0], "a"), curve([4.0], "b"), curve([7.0, 7.0], "c")], ignore_index=True)
    found = mean_curves(reports, pd.Series({"a": "one", "b": "one", "c": None}), ["loss.total", "absent"])
    assert found[["line", "step", "n", "mean"]].to_numpy().tolist() == [["one", 100, 2, 3.0], ["one", 200, 1, 4.0]]
    assert np.isnan(found["low"].iloc[1])


def test_many_trials_are_drawn_and_the_same_ones_each_time() -> None:
    frame = pd.DataFrame({"trial": range(1000)})
    assert len(sample_trials(frame, 50)) == 50
    assert sample_trials(frame, 50).equals(sample_trials(frame, 50))
    assert sample_trials(frame, 1000) is frame


@pytest.mark.slow
def test_the_command_says_and_writes_all_of_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(write)
    assert main(["stability", str(run)]) == 0
    said = capsys.readouterr().out
    assert "37.5 %" in said
    assert "diverged by kind: 6 nan, 3 explosion" in said
    assert "curves: all 24 trials" in said
    for stem in ("stability", "stability-rates", "stability-curves"):
        for ending in ("png", "svg", "parquet"):
            assert (run / "analysis" / f"{stem}.{ending}").stat().st_size > 0
    assert set(pd.read_parquet(run / "analysis/stability.parquet")["answer"]) == {"edge", "heat", "profiles", "spreads"}


def test_what_nobody_searched_is_refused(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(written(write))
    for words in (["--by", "net.blocks"], ["--heat", "optimizer.lr", "net.blocks"], ["--rate", "loss.tv"]):
        assert main(["stability", run, *words]) == 2
        assert "choose from optimizer.lr, train.vary" in capsys.readouterr().err
    assert main(["stability", run, "--heat", "train.vary", "train.vary"]) == 2
    assert "two different parameters, got train.vary twice" in capsys.readouterr().err


@pytest.mark.slow
def test_several_runs_are_one_more_factor(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    other = [row | {"trial": f"other{row['number']}"} for row in grid_rows()]
    runs = [str(written(write, name="one")), str(write(other, name="two", runs=[RUN]))]
    assert main(["stability", *runs]) == 0
    said = capsys.readouterr().out
    assert "48" in said
    assert all(name in said for name in ("one", "two"))
    # Another run that trained the same trials: each counts once.
    assert main(["stability", runs[0], str(written(write, name="again"))]) == 0
    assert "48" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_search_without_divergence_or_seeds_is_told_too(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    trials, reports = sweep_rows(40, seed=1)
    run = write([row for row in trials if row["ending"] == "completed"], reports, [RUN])
    assert main(["stability", str(run)]) == 0
    said = capsys.readouterr().out
    assert "diverged by kind: none" in said
    assert "unknown" in said  # the spread over seeds
