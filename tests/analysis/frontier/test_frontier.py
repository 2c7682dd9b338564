"""Which configurations are on the front, how they are represented, and in what order."""

import io
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from analysis.frontier.configurations import caveats, configurations, front, labels, rank, results, staircase
from analysis.frontier.confirmation import luck_lines
from analysis.frontier.figure import frontier_figure
from analysis.frontier.table import endings_line, frontier_table, legend_lines
from analysis.ledger.load import Ledger, LedgerError, Objective, load
from tests.analysis.written_ledgers import (
    START,
    TWO,
    Row,
    confirmed,
    cost_row,
    lost_row,
    run_row,
    sweep_rows,
    trial_row,
)

Write = Callable[..., Path]
UP = (Objective("psnr_db", "maximize"), Objective("ms_ssim", "maximize"))

# Few distinct values, so that ties and duplicates are the rule.
VALUE = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, 2.0, float("nan"), float("inf")]) | st.floats(-3, 3)


def beaten(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((other >= one).all() and (other > one).any())


def oracle(values: np.ndarray) -> list[bool]:
    """Every point against every point, for values that are all maximized."""
    usable = [row for row in values if np.isfinite(row).all()]
    return [bool(np.isfinite(one).all()) and not any(beaten(one, other) for other in usable) for one in values]


@pytest.mark.slow
@given(st.data(), st.integers(1, 4), st.integers(0, 12))
def test_front_is_what_comparing_all_pairs_gives(data: st.DataObject, dimensions: int, n: int) -> None:
    directions = data.draw(
        st.lists(st.sampled_from(["maximize", "minimize"]), min_size=dimensions, max_size=dimensions)
    )
    objectives = [Objective(f"m{index}", direction) for index, direction in enumerate(directions)]
    rows = data.draw(st.lists(st.lists(VALUE, min_size=dimensions, max_size=dimensions), min_size=n, max_size=n))
    values = np.array(rows, dtype=np.float64).reshape(n, dimensions)
    frame = pd.DataFrame(values, columns=[objective.column for objective in objectives])
    signs = np.array([1.0 if objective.maximize else -1.0 for objective in objectives])
    assert front(frame, objectives).tolist() == oracle(values * signs)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=12), st.booleans(), st.booleans())
def test_staircase_is_the_border_of_what_the_front_attains(
    points: list[tuple[float, float]], maximize_x: bool, maximize_y: bool
) -> None:
    signs = np.array([1.0 if maximize_x else -1.0, 1.0 if maximize_y else -1.0])
    values = np.array(points)
    values = values[oracle(values * signs)]
    across, up = staircase(values[:, 0], values[:, 1], maximize_x)
    corners = np.column_stack([across, up])
    assert len(corners) == 2 * len(values) - 1
    assert (np.diff(across) >= 0).all()
    assert ((np.diff(across) == 0) | (np.diff(up) == 0)).all(), "only level and upright steps"
    assert {tuple(point) for point in values} <= {tuple(corner) for corner in corners}
    for corner in corners * signs:
        assert any((point >= corner).all() for point in values * signs), "a corner that no point attains"
        assert not any((point > corner).all() for point in values * signs), "a corner inside the region"


# --- configurations ----------------------------------------------------------------------------------------------


def one_configuration(values: list[float], **changes: object) -> list[dict[str, object]]:
    return [
        trial_row(number, value, configuration="conf", seed=number, **changes) for number, value in enumerate(values)
    ]


def test_seeds_give_the_t_interval_of_their_mean(write: Write) -> None:
    values = [20.0, 20.4, 21.1]
    frame = configurations(load(write(one_configuration(values))))
    (row,) = frame.to_dict("records")
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row["n_seeds"], row["interval_over"]) == (3, "seeds")
    assert row["metric.psnr_db"] == pytest.approx(20.5)
    assert (row["low.psnr_db"], row["high.psnr_db"]) == pytest.approx((expected.low, expected.high))


def test_one_seed_gives_the_interval_over_its_images(write: Write) -> None:
    frame = configurations(load(write([trial_row(0, 20.0, **{"spread.psnr_db": 2.0, "images": 24})])))
    (row,) = frame.to_dict("records")
    half = stats.t.ppf(0.975, 23) * 2.0 / np.sqrt(24)
    assert (row["n_seeds"], row["interval_over"]) == (1, "images")
    assert (row["low.psnr_db"], row["high.psnr_db"]) == pytest.approx((20 - half, 20 + half))


def test_a_missing_value_of_one_seed_is_not_averaged_away(write: Write) -> None:
    rows = [*one_configuration([20.0, 20.4, 21.1]), trial_row(9, 15.0)]
    rows[1]["metric.psnr_db"] = float("nan")
    ledger = load(write(rows))
    frame = configurations(ledger).set_index("configuration")
    assert np.isnan(frame.loc["conf", "metric.psnr_db"])
    assert np.isnan(frame.loc["conf", "low.psnr_db"])
    assert frame.loc["conf", "metric.ms_ssim"] == pytest.approx(0.9)
    table = rank(frame.reset_index(), UP)
    assert list(table["configuration"][table["front"]]) == ["conf00009"]
    assert any(note.startswith("1 of 2 configurations have a non-finite objective") for note in
               caveats(ledger, table, UP))  # fmt: skip


def test_lost_seeds_are_counted_beside_the_mean_of_the_others(write: Write) -> None:
    rows = one_configuration([20.0, 20.4])
    rows += [lost_row(8, configuration="conf", seed=8), lost_row(9, "failed", configuration="conf", seed=9)]
    rows += [trial_row(10, 10.0, configuration="conf", seed=10, ending="stopped", reason="worse at rung 0")]
    (row,) = configurations(load(write(rows))).to_dict("records")
    assert (row["n_seeds"], row["n_diverged"], row["n_failed"], row["n_stopped"]) == (2, 1, 1, 1)
    assert row["metric.psnr_db"] == pytest.approx(20.2)


def test_only_the_confirmation_speaks_for_a_confirmed_configuration(write: Write) -> None:
    picked = trial_row(0, 25.0)
    fresh = [trial_row(10 + n, 20.0 + n, configuration="conf00000", seed=100 + n, stage="confirm") for n in range(3)]
    frame = configurations(load(write([picked, trial_row(1, 22.0), *fresh]))).set_index("configuration")
    assert frame.loc["conf00000", "metric.psnr_db"] == pytest.approx(21.0)
    assert list(frame["stage"]) == ["confirm", "search"]
    assert list(frame["n_seeds"]) == [3, 1]


def test_the_searchs_own_scores_know_nothing_of_confirmations(write: Write) -> None:
    fresh = [trial_row(10 + n, 20.0, configuration="conf00000", seed=1000 + n, stage="confirm") for n in range(2)]
    lost = lost_row(12, configuration="conf00000", seed=1002, stage="confirm")
    frame = configurations(load(write([trial_row(0, 25.0), trial_row(1, 22.0), *fresh, lost])), search=True)
    assert list(frame["metric.psnr_db"]) == [25.0, 22.0]
    assert list(frame["n_seeds"]) == [1, 1]
    assert list(frame["n_diverged"]) == [0, 0]


def test_results_are_the_confirmed_ones_and_all_where_none_is(write: Write) -> None:
    search = [trial_row(0, 25.0), trial_row(1, 22.0)]
    fresh = trial_row(10, 20.0, configuration="conf00000", seed=1000, stage="confirm")
    frame = configurations(load(write([*search, fresh])))
    assert list(results(frame)["configuration"]) == ["conf00000"]
    pd.testing.assert_frame_equal(results(frame[frame["stage"] == "search"]), frame[frame["stage"] == "search"])


def test_a_configuration_that_no_fresh_seed_bore_out_is_remarked(write: Write) -> None:
    fresh = trial_row(10, 20.0, configuration="conf00000", seed=1000, stage="confirm")
    lost = [lost_row(11 + n, configuration="conf00001", seed=1000 + n, stage="confirm") for n in range(3)]
    ledger = load(write([trial_row(0), trial_row(1), fresh, *lost]))
    notes = caveats(ledger, results(configurations(ledger)), UP)
    (note,) = notes
    assert note.startswith("1 configuration was to be confirmed")


def test_refused_trials_are_counted_among_the_lost(write: Write) -> None:
    rows = [*one_configuration([20.0, 20.4]), lost_row(8, "refused", configuration="conf", seed=8)]
    ledger = load(write(rows))
    (row,) = configurations(ledger).to_dict("records")
    assert row["n_refused"] == 1
    assert "1 refused (33.3 %, 95 % interval 6.1 to 79.2 %)" in endings_line(ledger)


def test_a_number_of_parameters_is_a_whole_number_without_an_interval(write: Write) -> None:
    objectives = json.dumps([TWO[0], {"metric": "parameters", "direction": "minimize"}])
    rows = [trial_row(n, 20.0 + n, **{"metric.parameters": 12345.0 + n, "spread.parameters": 0.0}) for n in range(2)]
    ledger = load(write(rows, runs=[run_row(objectives=objectives)]))
    frame = rank(configurations(ledger), ledger.objectives)
    assert frame["front"].all()
    console = Console(width=120, file=io.StringIO())
    console.print(frontier_table(frame, ledger.objectives, None))
    printed = console.file.getvalue()
    assert "parameters \N{DOWNWARDS ARROW}" in printed
    assert " 12,346 " in printed
    assert printed.count("\N{PLUS-MINUS SIGN}") == 3  # the heading, and one for each PSNR


NETS = [{"family": "resnet", "channels": 16}, {"family": "curve", "channels": 16, "degree": 2}]


def timed(write: Write, ratios: Sequence[float], costs: Sequence[Row]) -> Ledger:
    """A run of two networks with the objectives MS-SSIM and latency_ratio; of each two seeds."""
    objectives = json.dumps([TWO[1], {"metric": "latency_ratio", "direction": "minimize"}])
    rows = []
    for number, (net, ratio) in enumerate(zip(NETS, ratios, strict=True)):
        leaves = {f"config.net.{name}": value for name, value in net.items()}
        same = {"configuration": f"c{number}", "metric.latency_ratio": ratio, **leaves}
        rows += [trial_row(2 * number + seed, 20.0, 0.9 + number / 100, seed=seed, **same) for seed in range(2)]
    return load(write(rows, runs=[run_row(objectives=objectives)], costs=costs))


def test_the_interval_of_a_latency_is_that_of_its_own_measurement(write: Write) -> None:
    elsewhere = cost_row(NETS[0], 0.5, **{"cost.device": "cuda"})
    ledger = timed(write, [0.25, 4.0], [elsewhere, cost_row(NETS[0], 0.25), cost_row(NETS[1], 3.0)])
    frame = configurations(ledger)
    assert frame["metric.latency_ratio"].tolist() == [0.25, 4.0]
    assert frame["low.latency_ratio"].tolist() == pytest.approx([0.24, np.nan], nan_ok=True)  # 3.0 is not 4.0's
    assert frame["high.latency_ratio"].tolist() == pytest.approx([0.2625, np.nan], nan_ok=True)
    frame = rank(frame, ledger.objectives)
    assert frame["front"].all()
    console = Console(width=120, file=io.StringIO())
    console.print(frontier_table(frame, ledger.objectives, None))
    printed = console.file.getvalue()
    assert "latency (\N{MULTIPLICATION SIGN} DPED) \N{DOWNWARDS ARROW}" in printed
    assert "0.250 (0.240 to 0.263)" in printed
    assert "4.000 " in printed
    assert any("rounds of timing" in line for line in legend_lines(frame, ledger.objectives))
    assert luck_lines(ledger, ledger.objectives[1:]) == []


def test_a_latency_without_costs_has_no_interval_though_it_has_seeds(write: Write) -> None:
    ledger = timed(write, [0.25, 4.0], [])
    frame = configurations(ledger)
    assert frame[["low.latency_ratio", "high.latency_ratio"]].isna().all(axis=None)
    assert not any("timing" in line for line in legend_lines(rank(frame, ledger.objectives), ledger.objectives))


@pytest.mark.parametrize("ratios, scale", [([0.25, 4.0], "log"), ([0.5, 4.0], "linear")])
def test_costs_over_more_than_a_decade_have_a_logarithmic_axis(write: Write, ratios: list[float], scale: str) -> None:
    costs = [cost_row(net, ratio) for net, ratio in zip(NETS, ratios, strict=True)]
    ledger = timed(write, ratios, costs)
    figure = frontier_figure([ledger], rank(configurations(ledger), ledger.objectives).assign(run=0), ledger.objectives)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", scale)
    bottom, top = axes.get_ylim()
    assert bottom < 0.96 * ratios[0]
    assert ratios[1] < top
    bars = np.concatenate([line for part in axes.collections for line in part.get_segments() if len(line)])
    for ratio in ratios:
        for end in (0.96, 1.05):
            assert np.isclose(bars[:, 1], end * ratio).any()
    assert "rounds of timing" in "".join(text.get_text() for text in figure.texts)
    # A latency has no untouched picture; the scores have, at 0.8.
    assert any("untouched phone image" in text.get_text() for text in axes.get_legend().get_texts())


def test_multiply_adds_are_shown_in_billions(write: Write) -> None:
    objectives = json.dumps([TWO[1], {"metric": "macs", "direction": "minimize"}])
    rows = [trial_row(n, 20.0, 0.9 + n / 100, **{"metric.macs": 27.5e9 * (1 + n)}) for n in range(2)]
    ledger = load(write(rows, runs=[run_row(objectives=objectives)]))
    frame = rank(configurations(ledger), ledger.objectives)
    (axes,) = frontier_figure([ledger], frame.assign(run=0), ledger.objectives).axes
    assert axes.get_ylabel() == "GMACs"
    assert axes.get_ylim()[0] < 27.5 < 55 < axes.get_ylim()[1] < 70
    console = Console(width=120, file=io.StringIO())
    console.print(frontier_table(frame, ledger.objectives, None))
    assert " 27.50 " in console.file.getvalue()


def test_a_repeated_seed_is_no_second_seed(write: Write) -> None:
    """The one that was written last counts, also where its clock was an hour slow."""
    slow = START - timedelta(hours=1)
    again = trial_row(1, 22.0, configuration="conf00000", **{"time.ended": slow, "run.code": "newer"})
    ledger = load(write([trial_row(0, 20.0), again]))
    frame = configurations(ledger)
    (row,) = frame.to_dict("records")
    assert (row["n_seeds"], row["metric.psnr_db"]) == (1, 22.0)
    notes = " | ".join(caveats(ledger, frame, UP))
    assert "1 completed trials repeat a configuration and seed" in notes
    assert "2 versions of the code (run.code)" in notes


def test_different_budgets_and_single_seeds_on_the_front_are_remarked(write: Write) -> None:
    ledger = load(write([trial_row(0, steps=600), trial_row(1, 19.0, steps=2400)]))
    notes = caveats(ledger, configurations(ledger), UP)
    assert "trained for different numbers of steps (600 to 2400)" in notes[0]
    assert notes[1].startswith("1 of 1 on the front rest on a single seed")


def test_all_diverged_is_one_clear_sentence(write: Write) -> None:
    ledger = load(write([lost_row(0), lost_row(1), lost_row(2, "failed")]))
    with pytest.raises(LedgerError, match=r"none of the 3 trials .* completed.*\(2\) is 'diverged: loss is not finite"):
        configurations(ledger)


def test_a_front_without_a_finite_value_is_one_clear_sentence(write: Write) -> None:
    ledger = load(write([trial_row(0, float("nan"))]))
    with pytest.raises(LedgerError, match=r"none of the 1 completed configurations has a finite value of metric\.psnr"):
        rank(configurations(ledger), UP)


# --- order and labels --------------------------------------------------------------------------------------------


def test_the_front_comes_first_numbered_from_the_best_in_the_first_objective(write: Write) -> None:
    measured = [(20.0, 0.95), (22.0, 0.90), (21.0, 0.93), (20.5, 0.91), (21.5, 0.80)]
    rows = [trial_row(number, *pair) for number, pair in enumerate(measured)]
    table = rank(configurations(load(write(rows))), UP)
    assert list(table["metric.psnr_db"]) == [22.0, 21.0, 20.0, 21.5, 20.5]
    assert list(table["number"]) == [1, 2, 3, 0, 0]


def test_equal_configurations_stand_together_in_an_order_of_their_own(write: Write) -> None:
    rows = [trial_row(number) for number in (2, 0, 1)]
    table = rank(configurations(load(write(rows))).iloc[::-1], UP)
    assert list(table["number"]) == [1, 2, 3]
    assert list(table["configuration"]) == ["conf00000", "conf00001", "conf00002"]


def test_minimising_turns_the_order_round(write: Write) -> None:
    runs = [run_row(objectives='[{"metric": "psnr_db", "direction": "minimize"}]')]
    ledger = load(write([trial_row(0, 20.0), trial_row(1, 19.0)], runs=runs))
    assert list(rank(configurations(ledger), ledger.objectives)["metric.psnr_db"]) == [19.0, 20.0]


def test_a_label_holds_what_varies_by_its_shortest_clear_name() -> None:
    trials = pd.DataFrame(
        {
            "configuration": ["a", "b", "a"],
            "config.net.family": ["resnet", "strided", "resnet"],
            "config.net.kernel": [3.0, np.nan, 3.0],
            "config.optimizer.lr": [5e-4, 1e-3, 5e-4],
            "config.critic.lr": [1e-4, 2e-4, 1e-4],
            "config.train.steps": [600, 600, 600],
        }
    )
    assert labels(trials).to_dict() == {
        "a": "family=resnet kernel=3 optimizer.lr=0.0005 critic.lr=0.0001",
        "b": "family=strided optimizer.lr=0.001 critic.lr=0.0002",
    }


def test_a_label_starts_with_the_name_that_the_sweep_gave() -> None:
    trials = pd.DataFrame({"configuration": ["a", "b"], "label": ["paper", None], "config.loss.tv": [400.0, 1.5]})
    assert list(labels(trials)) == ["paper: tv=400", "tv=1.5"]
    assert list(labels(trials.head(1))) == ["paper"]


def test_labels_that_would_be_equal_are_told_apart_by_digest() -> None:
    trials = pd.DataFrame({"configuration": ["aaaaaaaaaa", "bbbbbbbbbb"], "config.loss.tv": [1.00001, 1.00002]})
    assert list(labels(trials)) == ["tv=1 aaaaaaaa", "tv=1 bbbbbbbb"]
    assert list(labels(trials.head(1))) == ["aaaaaaaa"]


def test_a_single_configuration_is_labeled_by_what_the_sweep_varies(write: Write) -> None:
    space = {"loss.color": {"kind": "log", "low": 0.1, "high": 10.0}}
    contract = json.dumps({"space": space, "rungs": [600], "reduction": 2, "audit_share": 0.0, "stopping": "none"})
    run = write([trial_row(3)], runs=[run_row(contract=contract)])
    assert list(configurations(load(run))["label"]) == ["color=0.75"]


def test_the_order_of_the_files_changes_nothing(write: Write) -> None:
    trials, _ = sweep_rows(60, seed=3)
    trials += confirmed(trials, {row["configuration"]: 3 for row in trials if row["ending"] == "completed"}, seed=1)
    ledger = load(write(trials))
    before = rank(configurations(ledger), UP)
    shuffled = ledger.trials.sample(frac=1, random_state=np.random.default_rng(5))
    object.__setattr__(ledger, "trials", shuffled.reset_index(drop=True))
    pd.testing.assert_frame_equal(before, rank(configurations(ledger), UP))
