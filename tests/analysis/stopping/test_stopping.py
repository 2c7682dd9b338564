"""The audit of early stopping: weights, correlations, what was lost and what was saved."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.ledger.load import Ledger, LedgerError, Objective, load
from analysis.statistics.correlation import spearman_interval, weighted_spearman
from analysis.stopping import answer
from analysis.stopping.answer import (
    agreement,
    regret,
    sample_lines,
    saved_by_rung,
    savings,
    scores,
    stopping_lines,
    weighted_trials,
)
from tests.analysis.written_ledgers import RUNGS, Row, lost_row, report_row, run_row, trial_row

Write = Callable[..., Path]
PSNR = Objective("psnr_db", "maximize")
ONE = json.dumps([{"metric": "psnr_db", "direction": "maximize"}])
PAIRS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), min_size=2, max_size=15)


def run_of(share: float | None) -> Row:
    facts = {"rungs": RUNGS} if share is None else {"rungs": RUNGS, "audit_share": share}
    return run_row(objectives=ONE, contract=json.dumps(facts))


def curve(number: int, scores: Sequence[float], **changes: object) -> tuple[Row, list[Row]]:
    """A trial that reported `scores` at the first rungs: completed with one at each, else stopped."""
    ended = {} if len(scores) == len(RUNGS) else {"ending": "stopped", "reason": "worse"}
    place = {"rung": len(scores) - 1, "steps": RUNGS[len(scores) - 1]}
    trial = trial_row(number, scores[-1], **{**place, **ended, **changes})
    return trial, [report_row(number, step, score, 0.9) for step, score in zip(RUNGS, scores, strict=False)]


def written(write: Write, curves: Sequence[tuple[Row, list[Row]]], share: float | None = 0.25) -> Ledger:
    trials = [trial for trial, _ in curves]
    return load(write(trials, [row for _, rows in curves for row in rows], [run_of(share)]))


# --- the correlation ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(PAIRS)
def test_whole_weights_are_repetitions(rows: list[tuple[int, int, int]]) -> None:
    """The oracle is scipy's correlation of the list in which each pair is repeated as often as it weighs."""
    x, y, weights = (np.array(column) for column in zip(*rows, strict=True))
    found = weighted_spearman(x, y, weights)
    repeated = np.repeat(x, weights), np.repeat(y, weights)
    if not weights.sum() or any(np.ptp(values) == 0 for values in repeated):
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(*repeated).statistic)
        assert weighted_spearman(x, y, weights * 0.37) == pytest.approx(found)


def test_weights_by_hand() -> None:
    """Ranks of x: 2 (half of 4), 4.5, 5.5; of y: 3, 0.5, 5.5; weights 4, 1, 1; both have the mean 3."""
    dx, dy, w = np.array([-1, 1.5, 2.5]), np.array([0, -2.5, 2.5]), np.array([4, 1, 1])
    expected = (w * dx * dy).sum() / np.sqrt((w * dx**2).sum() * (w * dy**2).sum())
    assert weighted_spearman([1.0, 2.0, 3.0], [5.0, 4.0, 6.0], w) == pytest.approx(expected)


@pytest.mark.simulation
def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    truth = 6 / np.pi * np.arcsin(0.7 / 2)  # Spearman's correlation of a normal pair of correlation 0.7
    covered = 0
    for _ in range(120):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 60).T
        seen = (x > 0.4) | (rng.random(60) < 0.4)
        weights = np.where(x > 0.4, 1, 1 / 0.4)[seen]
        low, high = spearman_interval(x[seen], y[seen], weights, np.flatnonzero(seen), rng, resamples=200)
        covered += low <= truth <= high
    assert 0.88 <= covered / 120 <= 0.98


@pytest.mark.slow
def test_copies_in_a_group_do_not_narrow_the_interval() -> None:
    """Two equal seeds of a configuration are one piece of evidence."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 20)) + rng.normal(size=20)
    ones, groups = np.ones(20), np.arange(20)
    alone = spearman_interval(x, y, ones, groups, np.random.default_rng(0))
    twice = [np.repeat(values, 2) for values in (x, y, ones, groups)]
    assert spearman_interval(*twice, np.random.default_rng(0)) == pytest.approx(alone)
    as_if_new = spearman_interval(*twice[:3], np.arange(40), np.random.default_rng(0))
    assert np.ptp(as_if_new) < 0.85 * np.ptp(alone)


# --- the audit ---------------------------------------------------------------------------------------------------


def test_a_spared_trial_stands_for_those_that_were_not(write: Write) -> None:
    curves = [
        curve(0, [1, 2, 3, 4]),
        curve(1, [0, 1, 2, 3], spared=0),
        curve(2, [0]),
        curve(3, [0, 1, 2], spared=1, ending="diverged"),
        curve(4, [9, 9, 9, 9], stage="confirm", configuration="conf00000", seed=1000),
    ]
    frame = weighted_trials(written(write, curves))
    assert list(frame["trial"]) == ["trial00000", "trial00001"]
    assert list(frame["weight"]) == [1.0, 4.0]


@pytest.mark.slow
def test_where_everybody_is_spared_the_estimate_is_plain_spearman(write: Write) -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(12, 4)).cumsum(axis=1)
    curves = [curve(n, row, spared=int(rng.integers(-1, 3))) for n, row in enumerate(scores)]
    frame = agreement(written(write, curves, share=1.0), [PSNR])
    assert list(frame["step"]) == [150, 300, 450]
    for rung, row in enumerate(frame.to_dict("records")):
        assert row["rho"] == pytest.approx(stats.spearmanr(scores[:, rung], scores[:, -1]).statistic)
        assert row["low"] <= row["rho"] <= row["high"]


@pytest.mark.slow
def test_weighting_undoes_what_stopping_has_hidden(write: Write) -> None:
    """The lower two thirds would be stopped at the first rung, a quarter of these is spared; only they rank well."""
    rng = np.random.default_rng(4)
    early = rng.normal(size=900)
    end = np.minimum(early, 0.4) + rng.normal(0, 0.4, size=900)
    stopped = early < np.quantile(early, 2 / 3)
    seen = ~stopped | (rng.random(900) < 0.25)
    curves = [
        curve(n, [early[n], 0.0, 0.0, end[n]], spared=0 if stopped[n] else -1) if seen[n] else curve(n, [early[n]])
        for n in range(900)
    ]
    ledger = written(write, curves)
    whole = stats.spearmanr(early, end).statistic
    first = agreement(ledger, [PSNR]).iloc[0]
    assert first["n"] == seen.sum()
    assert first["n_spared"] == (stopped & seen).sum()
    assert first["low"] < whole < first["high"]
    assert first["rho"] == pytest.approx(whole, abs=0.03)
    assert stats.spearmanr(early[seen], end[seen]).statistic < whole - 0.1  # what no weights would say


@pytest.mark.slow
def test_of_a_large_run_whole_configurations_are_drawn_and_it_is_said(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    pairs = [(2 * n + seed, f"conf{n}", seed) for n in range(6) for seed in range(2)]
    curves = [curve(t, rng.normal(size=4), configuration=conf, seed=seed) for t, conf, seed in pairs]
    ledger = written(write, curves)
    assert sample_lines(ledger) == []
    monkeypatch.setattr(answer, "MOST_TRIALS", 7)
    drawn = scores(ledger, [PSNR])
    assert drawn.equals(scores(ledger, [PSNR]))
    first = drawn[drawn["rung"] == 0]
    assert first["configuration"].value_counts().tolist() == [2, 2, 2]
    assert np.isfinite(drawn[["early", "end"]].to_numpy()).all()
    assert agreement(ledger, [PSNR])["n"].tolist() == [6, 6, 6]
    assert sample_lines(ledger)[0].startswith("rank correlations: from 6 of the 12 completed trials")
    alone = [curve(t, rng.normal(size=4), configuration="conf", seed=t) for t in range(9)]
    assert agreement(written(write, alone), [PSNR])["n"].tolist() == [9, 9, 9]  # one cannot be drawn in part


@pytest.mark.slow
def test_regret_is_what_the_spared_gained_on_the_best_let_through(write: Write) -> None:
    curves = [
        curve(0, [1, 2, 3, 20.0]),
        curve(1, [1, 2, 3, 19.0]),
        curve(2, [0, 2, 3, 20.5], spared=0),
        curve(3, [0, 2, 3, 20.2], spared=1),
        curve(4, [0, 2, 3, 18.0], spared=1),
        curve(5, [0, 2, 3, 30.0], stage="confirm", configuration="conf00000", seed=1000),
    ]
    ledger = written(write, curves)
    assert regret(ledger, PSNR) == (3, 2, pytest.approx(0.5))
    assert regret(ledger, Objective("psnr_db", "minimize")) == (3, 1, pytest.approx(1.0))
    _, correlation, line = stopping_lines(ledger)
    assert correlation.startswith("audit: rank correlation of PSNR (dB) with its final value (95 % intervals): ")
    assert correlation.endswith("unknown at step 450")  # where all scored alike
    assert line.startswith("audit: 2 of 3 spared trials ended with a better PSNR (dB)")
    assert line.endswith("by up to 0.50")


@pytest.mark.slow
def test_no_regret_is_said_as_such(write: Write) -> None:
    curves = [curve(0, [1, 2, 3, 20.0]), *(curve(n, [0, 0, 0, 20.0 - n], spared=0) for n in (1, 2, 3))]
    ledger = written(write, curves)
    assert regret(ledger, PSNR) == (3, 0, 0.0)
    assert stopping_lines(ledger)[-1].startswith("audit: none of 3 spared trials ended with a better PSNR (dB)")


@pytest.mark.slow
def test_where_nothing_was_let_through_there_is_no_regret_to_tell(write: Write) -> None:
    ledger = written(write, [curve(n, [n, n, n, 20.0 - n], spared=0) for n in range(4)])
    assert np.isnan(regret(ledger, PSNR).most)
    assert "nothing to compare spared trials with" in stopping_lines(ledger)[-1]


def test_savings_are_shares_of_what_no_stopping_would_have_trained(write: Write) -> None:
    curves = [curve(0, [1, 1, 1, 1]), curve(1, [1]), curve(2, [1, 1]), curve(3, [1, 1, 1, 1], spared=0)]
    lost = (lost_row(4) | {"steps": 150}, [])
    fresh = curve(5, [1, 1, 1, 1], stage="confirm", configuration="conf00000", seed=1000)
    found = savings(written(write, [*curves, lost, fresh]))
    assert found.saved == pytest.approx((450 + 300) / (4 * 600 + 150))
    assert found.audit == pytest.approx(450 / (4 * 600 + 150))


def test_what_each_rung_saved_by_hand(write: Write) -> None:
    """Trials take 25 s of training and 4 s of evaluation up to their last reports, as `trial_row` says."""
    curves = [curve(0, [1, 1, 1, 1]), curve(1, [1]), curve(2, [1, 1]), curve(3, [1, 1, 1, 1], spared=1)]
    fresh = curve(5, [1, 1, 1, 1], stage="confirm", configuration="conf00000", seed=1000)
    ledger = written(write, [*curves, fresh])
    first, second, third = saved_by_rung(ledger).to_dict("records")
    assert [first["reached"], second["reached"], third["reached"]] == [4, 3, 2]
    assert [first["stopped"], second["stopped"], third["stopped"]] == [1, 1, 0]
    assert [first["spared"], second["spared"], third["spared"]] == [0, 1, 0]
    assert [first["saved_steps"], second["saved_steps"]] == pytest.approx([450 / 2400, 300 / 2400])
    whole_s = 4 * 29 + 3 * (25 + 4) + (25 + 4)  # a trial at the first of four rungs has three times as much before it
    assert [first["saved_seconds"], second["saved_seconds"]] == pytest.approx([87 / whole_s, 29 / whole_s])
    assert second["audit_steps"] == pytest.approx(300 / 2400)
    assert second["audit_seconds"] == pytest.approx(2 * (6 + 1) / whole_s)  # two reports of 6 s and 1 s
    assert third["saved_steps"] == third["audit_steps"] == first["audit_seconds"] == 0
    assert savings(ledger) == pytest.approx((750 / 2400, 300 / 2400))


@pytest.mark.slow
def test_of_stopped_trials_nothing_is_estimated_without_an_audit(write: Write) -> None:
    """Those that were promoted agree; of the others nobody knows. With nothing stopped everything is known."""
    through = [curve(n, [n, n, n, n]) for n in range(5)]
    assert np.isnan(agreement(written(write, [*through, curve(5, [0])]), [PSNR])["rho"]).all()
    alone = load(
        write([trial for trial, _ in through], [row for _, rows in through for row in rows], [run_of(0.0)], name="b")
    )
    assert agreement(alone, [PSNR])["rho"].tolist() == pytest.approx([1, 1, 1])


def test_nothing_spared_is_nothing_said(write: Write) -> None:
    assert stopping_lines(written(write, [curve(0, [1, 2, 3, 4]), curve(1, [0])])) == []


def test_an_old_ledger_is_read_without_a_word_about_the_audit(write: Write) -> None:
    trials, run = [trial_row(0), trial_row(1)], run_row()
    for row in trials:
        del row["spared"]
    del run["contract"]
    assert stopping_lines(load(write(trials, runs=[run]))) == []


def test_few_spared_trials_are_said_to_be_few(write: Write) -> None:
    ledger = written(write, [curve(0, [1, 2, 3, 4]), *(curve(n, [0, 1, 2, 3], spared=0) for n in (1, 2))])
    saved, few = stopping_lines(ledger)
    assert saved == "stopping saved 0 % of the search's steps; its audit cost 50 %"
    assert few == "audit: 2 spared trials completed, too few to estimate what stopping lost (3 needed)"


@pytest.mark.slow
def test_a_number_of_parameters_predicts_itself_and_is_left_out(write: Write) -> None:
    objectives = json.dumps([*json.loads(ONE), {"metric": "parameters", "direction": "minimize"}])
    curves = [curve(n, [n, n, n, n], spared=0 if n else -1) for n in range(5)]
    rows = [trial | {"metric.parameters": 10.0, "spread.parameters": 0.0} for trial, _ in curves]
    reports = [row for _, rows in curves for row in rows]
    lines = stopping_lines(load(write(rows, reports, [run_of(0.25) | {"objectives": objectives}])))
    assert len(lines) == 3
    assert not any("parameters" in line for line in lines)


@pytest.mark.parametrize(
    ("share", "sentence"), [(None, "has no audit_share"), (0.0, r"0 < audit_share <= 1 must hold")]
)
def test_spared_trials_of_a_run_without_an_audit_are_refused(write: Write, share: float | None, sentence: str) -> None:
    with pytest.raises(LedgerError, match=sentence):
        weighted_trials(written(write, [curve(0, [1, 2, 3, 4], spared=0)], share))
