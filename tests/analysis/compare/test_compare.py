"""Compare two runs: setup differences, pairing, refusals, and the command's output."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.compare.comparable import comparable
from analysis.compare.endings import discordant, ending_differences
from analysis.compare.figure import two_runs_figure
from analysis.compare.front import best, hypervolumes
from analysis.compare.latency import latency_differences
from analysis.compare.pairs import pairing, sameness
from analysis.compare.scores import score_differences
from analysis.compare.setup import setup_differences
from analysis.ledger.load import Ledger, Objective, load
from analysis.statistics.differences import unpaired_difference
from tests.analysis.written_ledgers import Row, cost_row, lost_row, run_row, trial_row

Write = Callable[..., Path]
PSNR, MS_SSIM = Objective("psnr_db", "maximize"), Objective("ms_ssim", "maximize")
FAST = Objective("latency_ratio", "minimize")


def trials(
    gain: float = 0.0, seeds: Sequence[int] = (0, 1, 2), configurations: int = 4, noise: int = 0, **changes: Any
) -> list[Row]:
    """Configurations that are 1 dB apart, seeds that shift all of them, and noise of 0.1 dB by its own generator."""
    rng, rows = np.random.default_rng(noise), []
    for number in range(configurations):
        for seed in seeds:
            score = 20 + number + 3 * np.sin(seed) + gain + rng.normal(0, 0.1)
            place = {"configuration": f"conf{number:05d}", "seed": seed, "config.loss.color": 0.25 * number}
            rows.append(trial_row(len(rows), score, 0.9 + score / 1000, **{**place, **changes}))
    return rows


LOG = {"kind": "log", "low": 1, "high": 2}
GRID = {"kind": "grid", "levels": 0}


def contract(**changes: Any) -> str:
    facts = {"rungs": [600], "design": None, "sampler": "tpe", "fixed": {"optimizer.lr": 1e-3}, "code": "c0de"}
    return json.dumps({**facts, **changes})


@pytest.fixture
def ledger(write: Write) -> Callable[..., Ledger]:
    counter = iter(range(99))

    def written(rows: Sequence[Row], costs: Sequence[Row] = (), **run: Any) -> Ledger:
        name = f"run{next(counter)}"
        return load(write(rows, [], [run_row(**{"contract": contract(), **run})], costs, name=name))

    return written


Make = Callable[..., Ledger]


# --- how they were made ------------------------------------------------------------------------------------------


def test_what_differs_is_listed_by_its_part(ledger: Make) -> None:
    a = ledger(trials())
    changed = {"run.code": "beef", "run.data": "f00d", "run.torch": "2.12.0", "config.train.ema": 0.9}
    b = ledger(
        trials(seeds=(0, 1, 2, 3), **changed),
        contract=contract(fixed={"optimizer.lr": 3e-3}, sampler="random", space={"loss.color": LOG}, new=3),
        argv=json.dumps(["--warm-start", "runs/x"]),
    )
    found = [tuple(row) for row in setup_differences(a, b).itertuples(index=False)]
    assert found == [
        ("space", "loss.color", "", "1 .. 2 (log)"),
        ("fixed", "optimizer.lr", "0.001", "0.003"),
        ("default", "train.ema", "", "0.9"),
        ("budget", "seeds of search", "0, 1, 2", "0, 1, 2, 3"),
        ("search", "sampler", "tpe", "random"),
        ("search", "warm-start", "", "runs/x"),
        ("data", "data", "da7a", "f00d"),
        ("code", "code", "c0de", "beef"),
        ("environment", "torch", "2.11.0", "2.12.0"),
        ("other", "new", "", "3"),
    ]


def test_a_fixed_leaf_is_not_listed_twice(ledger: Make) -> None:
    sides = [ledger(trials(**{"config.optimizer.lr": lr}), contract=contract(fixed={"optimizer.lr": lr}))
             for lr in (1e-3, 3e-3)]  # fmt: skip
    assert setup_differences(*sides)["part"].tolist() == ["fixed"]


def test_what_only_one_run_fixed_is_held_against_the_trials_of_the_other(ledger: Make) -> None:
    a = ledger(trials(**{"config.train.ema": 0.0}))
    b = ledger(trials(**{"config.train.ema": 0.9}), contract=contract(fixed={"optimizer.lr": 1e-3, "train.ema": 0.9}))
    assert setup_differences(a, b).values.tolist() == [["fixed", "train.ema", "0", "0.9"]]
    assert setup_differences(b, a).values.tolist() == [["fixed", "train.ema", "0.9", "0"]]


# --- pairs -------------------------------------------------------------------------------------------------------


def test_the_same_rows_are_the_same(ledger: Make) -> None:
    rows = [*trials(), lost_row(90)]
    found = sameness(ledger(rows), ledger(rows))
    assert found.whole
    assert (found.both, found.identities, found.unlike) == (13, 13, 0)


def test_one_bit_in_one_row_is_seen(ledger: Make) -> None:
    rows, other = trials(), trials()
    other[5]["spread.ms_ssim"] = float(np.nextafter(other[5]["spread.ms_ssim"], 1))
    found = sameness(ledger(rows), ledger(other))
    assert not found.whole
    assert (found.both, found.equal, found.unlike) == (12, 11, 1)


def test_latencies_are_never_bit_equal_and_do_not_count(ledger: Make) -> None:
    sides = [ledger(trials(**{"metric.latency_ratio": ratio})) for ratio in (0.5, 0.51)]
    assert sameness(*sides).whole


def test_configurations_pair_by_their_digest(ledger: Make) -> None:
    found = pairing(ledger(trials(configurations=4)), ledger(trials(configurations=3)))
    assert (len(found.table), found.changed, found.only_a, found.only_b) == (3, (), 1, 0)


def test_runs_that_change_one_setting_pair_by_all_others(ledger: Make) -> None:
    other = trials(gain=0.5)
    for row in other:
        row |= {"configuration": f"new{row['configuration']}", "config.net.channels": 32, "config.train.ema": 0.9}
    found = pairing(ledger(trials()), ledger(other))
    assert found.changed == ("net.channels", "train.ema")
    assert found.table["b"].tolist() == [f"new{digest}" for digest in found.table["a"]]
    assert len(found.table) == 4


# --- scores ------------------------------------------------------------------------------------------------------


def test_a_gain_is_found_on_every_configuration(ledger: Make) -> None:
    a, b = ledger(trials()), ledger(trials(gain=0.5, noise=1))
    frame = score_differences(a, b, pairing(a, b), [PSNR, FAST])
    assert set(frame["metric"]) == {"psnr_db"}
    assert frame["kind"].tolist() == ["average", *["each"] * 4]
    assert (frame["method"] == "paired").all()
    assert (frame["n"] == 3).all()
    average = frame.iloc[0]
    assert average["low"] < 0.5 < average["high"]
    assert average["high"] - average["low"] < 0.6  # the seeds' shift of up to 2.7 dB drops out
    assert average["sure"]


def test_other_seeds_are_not_paired(ledger: Make) -> None:
    a, b = ledger(trials()), ledger(trials(seeds=(7, 8, 9, 10)))
    frame = score_differences(a, b, pairing(a, b), [PSNR])
    assert set(frame["method"]) == {"Welch"}
    assert (frame["n_a"] == 3).all()
    assert (frame["n_b"] == 4).all()


def test_one_seed_is_judged_over_configurations_and_says_so(ledger: Make) -> None:
    a, b = ledger(trials(seeds=(0,))), ledger(trials(seeds=(0,), gain=0.5, noise=1))
    frame = score_differences(a, b, pairing(a, b), [PSNR])
    assert frame["method"].tolist() == ["over configurations", *["none"] * 4]
    assert frame.loc[1:, "p_holm"].isna().all()


def test_fresh_seeds_are_held_against_fresh_seeds_alone(ledger: Make) -> None:
    """What the search said of a configuration that both confirmed does not count; of one that A alone did, it does."""
    sides = []
    for gain, confirmed in ((0.0, (0, 1)), (0.5, (0,))):
        rows = trials(gain=5.0 if gain else 0.0, seeds=(0,))
        for number in confirmed:
            score = 20 + number + gain
            rows += [trial_row(100 + 10 * number + seed, score + 0.1 * seed, 0.9, configuration=f"conf{number:05d}",
                               seed=1000 + seed, stage="confirm") for seed in range(3)]  # fmt: skip
        sides.append(ledger(rows))
    frame = score_differences(*sides, pairing(*sides), [PSNR])
    each = frame[frame["kind"] == "each"].set_index("configuration")
    assert each["stage"].to_dict() == {"conf00000": "confirm"} | {f"conf0000{n}": "search" for n in (1, 2, 3)}
    assert each.loc["conf00000", "mean"] == pytest.approx(0.5)
    assert each.loc["conf00001", "mean"] == pytest.approx(5.0)
    assert each.loc["conf00001", "n_a"] == 1


def test_what_was_lost_is_counted_and_leaves_the_average(ledger: Make) -> None:
    rows = trials(gain=0.5)
    rows[0] = lost_row(0, configuration="conf00000", seed=0)
    a, b = ledger(trials()), ledger(rows)
    frame = score_differences(a, b, pairing(a, b), [PSNR])
    assert frame.loc[0, "label"] == "mean over 3 of 4 configurations"
    assert frame.loc[1, ["lost_a", "lost_b", "n"]].tolist() == [0, 1, 2]


def test_other_numbers_of_images_are_left_out(ledger: Make) -> None:
    a, b = ledger(trials()), ledger(trials(images=12))
    assert score_differences(a, b, pairing(a, b), [PSNR]).empty


def test_both_families_are_corrected(ledger: Make) -> None:
    a, b = ledger(trials()), ledger(trials(gain=0.1, noise=1))
    frame = score_differences(a, b, pairing(a, b), [PSNR, MS_SSIM])
    smallest = frame[frame["kind"] == "each"]["p"].idxmin()
    assert frame.loc[smallest, "p_holm"] == pytest.approx(min(1, 8 * frame.loc[smallest, "p"]))
    first = frame[frame["kind"] == "average"]["p"].idxmin()
    assert frame.loc[first, "p_holm"] == pytest.approx(min(1, 2 * frame.loc[first, "p"]))


# --- what is refused ---------------------------------------------------------------------------------------------


def test_other_data_refuse_scores_and_name_both(ledger: Make) -> None:
    a, b = ledger(trials()), ledger(trials(**{"run.data": "f00d", "run.data_spec": "dped:x"}))
    kept, refused = comparable(a, b)
    assert kept == []
    assert refused[0].startswith("PSNR (dB): ")
    assert refused[0].endswith("demo (A) and dped:x (B)")


def test_another_convention_is_seen_by_the_untouched_images(ledger: Make) -> None:
    kept, refused = comparable(ledger(trials()), ledger(trials(**{"untouched.psnr_db": 19.2})))
    assert kept == [MS_SSIM]
    assert refused[0].startswith("PSNR (dB): the untouched images score 18 in A and 19.2 in B")


def test_an_objective_of_one_run_is_compared_where_both_measured_it(ledger: Make) -> None:
    one = json.dumps([{"metric": "psnr_db", "direction": "maximize"}])
    kept, refused = comparable(ledger(trials(), objectives=one), ledger(trials()))
    assert (kept, refused) == ([PSNR, MS_SSIM], [])
    turned = json.dumps([{"metric": "psnr_db", "direction": "minimize"}])
    kept, refused = comparable(ledger(trials(), objectives=turned), ledger(trials()))
    assert (kept, len(refused)) == ([MS_SSIM], 1)


def with_costs(
    ledger: Make, ratio: float, gain: float = 0.0, conditions: dict[str, Any] | None = None, **run: Any
) -> Ledger:
    two = json.dumps([{"metric": own.metric, "direction": own.direction} for own in (PSNR, FAST)])
    rows = trials(gain, **{"metric.latency_ratio": ratio})
    return ledger(rows, [cost_row({"channels": 16}, ratio, **(conditions or {}))], objectives=two, **run)


def test_latencies_are_compared_under_equal_conditions_alone(ledger: Make) -> None:
    a, b, other = (with_costs(ledger, ratio, conditions=own)
                   for ratio, own in ((0.5, {}), (0.6, {}), (0.6, {"cost.threads": 2})))  # fmt: skip
    assert comparable(a, b)[0] == [PSNR, FAST]
    kept, refused = comparable(a, other)
    assert kept == [PSNR]
    assert "1 thread, fp32" in refused[0]
    assert "2 threads, fp32" in refused[0]
    assert latency_differences(a, other).empty
    found = latency_differences(a, b).iloc[0]
    assert found["ratio"] == pytest.approx(1.2)
    up = np.exp(np.log(1.2) + np.hypot(np.log(1.05), np.log(0.96)))
    assert (found["high"], found["sure"]) == (pytest.approx(up), True)


def test_a_measurement_that_was_taken_over_is_no_evidence(ledger: Make) -> None:
    found = latency_differences(with_costs(ledger, 0.5), with_costs(ledger, 0.5)).iloc[0]
    assert not found["again"]
    assert not found["sure"]


# --- the best ----------------------------------------------------------------------------------------------------


def test_a_search_without_confirmation_has_no_interval(ledger: Make) -> None:
    found = best(ledger(trials()), ledger(trials(gain=0.5)), [PSNR, MS_SSIM])
    assert np.isnan([found.low, found.high, found.p]).all()
    assert "confirmation on fresh seeds" in found.why
    assert found.mean > 0


def test_a_design_has_one(ledger: Make) -> None:
    design = contract(design=GRID)
    a, b = (ledger(trials(gain, noise=noise), contract=design) for gain, noise in ((0, 0), (0.5, 1)))
    found = best(a, b, [PSNR, MS_SSIM])
    assert (found.method, found.n, found.why) == ("paired", 3, "")
    assert 0 < found.a < found.b < 1
    assert found.low < found.mean < found.high


def test_hypervolumes_are_rectangles(ledger: Make) -> None:
    """One configuration, latency against PSNR: a share of the box from the worst to the best of both runs."""
    a, b = (with_costs(ledger, ratio, gain) for ratio, gain in ((0.5, 0.0), (0.4, 1.0)))
    found = best(a, b, [PSNR, FAST])
    scores = [side.trials["metric.psnr_db"] for side in (a, b)]
    low, high = min(map(min, scores)), max(map(max, scores))
    top = scores[1].groupby(b.trials["seed"]).max()
    assert found.b == pytest.approx(((top - low) / (high - low)).mean())
    assert found.a == 0  # no faster than the worst


def test_the_best_score_is_the_searchs_choice_on_fresh_seeds(ledger: Make) -> None:
    """The search preferred 0, fresh seeds prefer 1: to take the better of them would be luck again."""
    rows = [trial_row(number, 25.0 - number, 0.9) for number in range(2)]
    for number in range(2):
        rows += [trial_row(10 + 10 * number + seed, 20.0 + number + 0.1 * seed, 0.9, configuration=f"conf0000{number}",
                           seed=1000 + seed, stage="confirm") for seed in range(3)]  # fmt: skip
    found = best(ledger(rows), ledger(rows), [PSNR])
    assert found.a == pytest.approx(20.1)
    assert (found.low, found.high, found.p) == (0, 0, 1)


@pytest.mark.simulation
def test_hypervolumes_cover_what_they_promise() -> None:
    """1000 pairs of sets of 3 and 4 configurations on 4 seeds each; the truth is the mean over 20,000 seeds.

    Two configurations on the edges of the box keep it the same in every pair, and have no volume of their own.
    """
    rng = np.random.default_rng(8)
    sets = [np.asarray([[1, 3], [2, 2], [3, 1]]), np.asarray([[1, 4], [2, 3], [3, 2], [4, 1]])]
    edges = np.asarray([[9.0, -9.0], [-9.0, 9.0]])

    def drawn(seeds: int) -> list[list[pd.DataFrame]]:
        tables = []
        for points in sets:
            noisy = points[:, None] + rng.normal(0, 0.4, (len(points), seeds, 2))
            whole = np.concatenate([noisy, np.repeat(edges[:, None], seeds, axis=1)])
            tables.append([pd.DataFrame(whole[:, :, number]) for number in range(2)])
        return tables

    one, other = hypervolumes(drawn(20_000), [PSNR, MS_SSIM])
    truth, hits = other.mean() - one.mean(), 0
    for _ in range(1000):
        a, b = hypervolumes(drawn(4), [PSNR, MS_SSIM])
        found = unpaired_difference(a, b)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 1000 <= 0.98


# --- endings -----------------------------------------------------------------------------------------------------


def test_rates_of_divergence_and_their_discordant_pairs(ledger: Make) -> None:
    rows = trials()
    for place in (0, 3, 4):
        rows[place] = lost_row(place, **{name: rows[place][name] for name in ("configuration", "seed")})
    rows.append(lost_row(50, "failed"))
    a, b = ledger(trials()), ledger(rows)
    frame = ending_differences(a, b).set_index("ending")
    assert frame.loc["diverged", ["count_a", "n_a", "count_b", "n_b"]].tolist() == [0, 12, 3, 12]
    assert frame.loc["failed", ["count_b", "n_b"]].tolist() == [1, 13]
    assert "stopped" not in frame.index
    assert discordant(a, b, pairing(a, b)) == (12, 0, 3, 0.25)


# --- the command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_says_and_writes_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write(trials(gain, noise=int(gain > 0)), [], [run_row(contract=contract(design=design))], name=name)
            for name, gain, design in (("a", 0.0, GRID), ("b", 0.5, GRID))]  # fmt: skip
    assert main(["compare", *map(str, runs)]) == 0
    printed = capsys.readouterr().out
    assert "the setups do not differ" in printed
    assert "mean over 4 configurations: more than noise" in printed
    assert "best, hypervolume (PSNR (dB), MS-SSIM)" in printed
    folder = runs[0] / "analysis"
    assert {path.name for path in folder.iterdir()} == {
        "compare.png", "compare.svg", "compare.parquet", "compare-setup.parquet"
    }  # fmt: skip
    numbers = pd.read_parquet(folder / "compare.parquet")
    assert numbers["answer"].value_counts().to_dict() == {"scores": 10, "endings": 1, "best": 1}


def test_averages_over_other_configurations_have_rows_of_their_own() -> None:
    average = {"kind": "average", "stage": "search", "configuration": "", "low": 0.0, "high": 1.0, "sure": False}
    told = (("psnr_db", "mean over 3 of 4", 0.25), ("ms_ssim", "mean over 4", 0.75))
    scores = pd.DataFrame([average | {"metric": metric, "label": label, "mean": mean} for metric, label, mean in told])
    rates = average | {"ending": "diverged", "count_a": 0, "n_a": 4, "count_b": 1, "n_b": 4, "mean": 0.25}
    objectives = [Objective(metric, "maximize") for metric, _, _ in told]
    figure = two_runs_figure("", scores, pd.DataFrame([rates]), objectives, [])
    dots = [axes.collections[-1].get_offsets().filled(np.nan).tolist() for axes in figure.axes[:2]]
    drawn = [[(row, x) for x, row in own if np.isfinite(x)] for own in dots]
    assert drawn == [[(0.0, 0.25)], [(1.0, 0.75)]]


@pytest.mark.slow
def test_the_command_says_that_runs_are_the_same(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write(trials(), [], [run_row(contract=contract())], name=name)) for name in "ab"]
    assert main(["compare", *runs]) == 0
    assert "the same rows: all 12 trials" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_compares_endings_of_other_data(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write(trials(**{"run.data": data}), [], [run_row()], name=data)) for data in ("da7a", "f00d")]
    assert main(["compare", *runs]) == 0
    printed = capsys.readouterr().out
    assert "not compared: PSNR (dB)" in printed
    assert "demo, whose content differs" in printed
    assert "0 of 12" in printed
