"""The published tables, and a run compared with them."""

import io
import itertools
import json
import tomllib
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.__main__ import main
from analysis.ledger.load import LedgerError, load
from analysis.paper.answer import compare_networks, comparison_lines, conventions, paper_rows, rank_correlation
from analysis.paper.figure import comparison_figure
from tests.analysis.written_ledgers import Row, confirmed, cost_row, run_row, trial_row
from tests.places import ROOT

Write = Callable[..., Path]

# The tables as the paper prints them, a second time: kernel size, channels, blocks, time (s), PSNR, MS-SSIM.
TABLE_1 = """
3 64 4 25.155 22.6225 0.9223
3 16 1 6.885 22.1479 0.9133
3 16 2 8.629 22.0441 0.9144
3 16 3 10.376 22.1148 0.9151
3 16 4 12.106 22.1362 0.9156
3 32 2 16.137 22.3807 0.9192
3 32 4 23.106 22.3300 0.9176
3 128 1 59.775 22.4285 0.9149
3 128 3 95.532 22.2768 0.9230
5 16 1 9.297 21.8157 0.9117
5 16 2 12.332 21.6677 0.9165
5 16 3 15.211 22.0704 0.9179
5 16 4 18.243 21.9391 0.9173
5 32 2 24.538 21.9434 0.9167
5 32 4 37.137 21.5100 0.9170
5 128 1 93.066 22.0770 0.9147
5 128 3 164.068 21.5695 0.9198
"""
# Kernel size, channels, PReLU, time (s), PSNR, MS-SSIM.
TABLE_2 = """
3 16-64 no 7.729 22.3049 0.9176
3 32-128 no 14.641 22.3909 0.9235
3-4 16-64 no 7.987 22.5248 0.9233
3-4 32-128 no 15.413 22.6636 0.9248
4 16-64 no 8.84 22.2421 0.9232
4 32-128 no 17.826 22.2812 0.9206
4 32-128 yes 20.584 22.3166 0.9209
"""
PARETO_1 = {"3/16/1", "3/16/2", "3/16/3", "3/16/4", "5/16/2", "5/16/3", "3/32/2", "3/64/4", "3/128/3"}
PARETO_ALL = {"3/16/1", "3 16-64", "3 32-128", "3-4 16-64", "3-4 32-128"}


def resnet(kernel: int, channels: int, blocks: int, **changes: Any) -> Row:
    leaves = {"kernel": kernel, "channels": channels, "blocks": blocks, "norm": "instance", "activation": "relu"}
    return {"family": "resnet", **leaves, "init": "dped", **changes}


def strided(kernel: int, strided_kernel: int, channels: int, activation: str = "relu") -> Row:
    return {**resnet(kernel, channels, 2), "family": "strided", "strided_kernel": strided_kernel,
            "activation": activation, "skips": "code"}  # fmt: skip


GRID_1 = [resnet(*(int(part) for part in line.split()[:3])) for line in TABLE_1.split("\n") if line]
GRID_2 = [strided(3, 3, 16), strided(3, 3, 32), strided(3, 4, 16), strided(3, 4, 32), strided(4, 4, 16),
          strided(4, 4, 32), strided(4, 4, 32, "prelu")]  # fmt: skip


def net_trial(number: int, net: Row, ms_ssim: float, **changes: Any) -> Row:
    """A trial of a network; the default's leaf of the network is replaced by those of `net`."""
    row = trial_row(number, 20.0 + number / 100, ms_ssim)
    del row["config.net.channels"]
    steps = {"config.train.steps": 600, "config.train.batch_size": 8, "config.train.crop_px": 32}
    return {**row, **{f"config.net.{name}": value for name, value in net.items()}, **steps, **changes}


def written_grid(write: Write, nets: Sequence[Row], ratios: Sequence[float], scores: Sequence[float], **changes: Any) \
        -> Path:  # fmt: skip
    trials = [net_trial(number, net, score) for number, (net, score) in enumerate(zip(nets, scores, strict=True))]
    costs = [cost_row(net, ratio) for net, ratio in zip(nets, ratios, strict=True)]
    return write(trials, costs=costs, **changes)


def paper(table: str, column: str) -> list[float]:
    return paper_rows(table)[column].tolist()


# --- the tables --------------------------------------------------------------------------------------------------


def test_table_1_is_as_printed() -> None:
    rows = paper_rows("fpie1")
    columns = ["kernel_size", "channels", "blocks", "time_s", "psnr_db", "ms_ssim"]
    printed = [[float(part) for part in line.split()] for line in TABLE_1.strip().split("\n")]
    assert rows[columns].astype("float64").to_numpy().tolist() == printed
    assert len(rows) == 17
    assert (rows["prelu"] == "no").all()
    assert (rows["iterations"] == 25_000).all()


def test_table_2_is_as_printed() -> None:
    rows = paper_rows("fpie2")
    texts = rows[["kernel_size", "channels", "prelu"]].astype("str").to_numpy().tolist()
    numbers = rows[["time_s", "psnr_db", "ms_ssim"]].to_numpy().tolist()
    printed = [line.split() for line in TABLE_2.strip().split("\n")]
    assert texts == [line[:3] for line in printed]
    assert numbers == [[float(part) for part in line[3:]] for line in printed]
    assert len(rows) == 7
    assert rows["iterations"].dropna().to_dict() == {2: 40_000.0}  # of the proposed network (Fig. 2)


def test_all_is_both_tables_and_every_network_is_another() -> None:
    rows = paper_rows("all")
    assert rows["table"].value_counts().to_dict() == {"fpie1": 17, "fpie2": 7}
    assert rows["network"].is_unique
    leaves = rows.filter(like="config.net.")
    assert not leaves.duplicated().any()


def test_both_tables_are_relative_to_the_row_of_dped() -> None:
    rows = paper_rows("all").set_index("network")
    assert rows.index[rows["relative_time"] == 1.0].tolist() == ["3/64/4"]
    assert rows.loc["3-4 16-64", "relative_time"] == pytest.approx(1 / 3.1495, rel=1e-4)
    assert paper_rows("fpie2")["relative_time"].tolist() == rows["relative_time"].tolist()[17:]


@pytest.mark.slow
def test_the_leaves_are_networks_of_this_project_with_these_parameters() -> None:
    from enhance.nets import build

    for row in paper_rows("all").to_dict("records"):
        leaves = {str(name).removeprefix("config.net."): value for name, value in row.items()
                  if str(name).startswith("config.net.") and pd.notna(value)}  # fmt: skip
        whole = {name: int(value) if isinstance(value, float) else value for name, value in leaves.items()}
        net = build(whole.pop("family"), seed=0, **whole)
        assert sum(weight.numel() for weight in net.parameters()) == row["parameters"], row["network"]


def test_the_counts_are_what_the_layers_add_up_to() -> None:
    for net, count in zip([*GRID_1, *GRID_2], paper("all", "parameters"), strict=True):
        k, c, b = net["kernel"], net["channels"], net["blocks"]
        if net["family"] == "resnet":
            body = 2 * b * (k * k * c * c + 3 * c)
        else:
            s, slopes = net["strided_kernel"] ** 2, (c + 2 * c + 4 * c + 4 * 4 * c + 2 * c + c + 2 * c)
            resized = 2 * s * (c * 2 * c + 2 * c * 4 * c) + 3 * (2 * c + 4 * c + 2 * c + c)
            body = resized + 2 * b * (k * k * 16 * c * c + 12 * c) + (slopes if net["activation"] == "prelu" else 0)
        assert (243 * c + c) + body + 2 * (k * k * c * c + c) + (243 * c + 3) == count


def test_an_installed_package_has_the_tables() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "analysis.paper"
    ]
    assert any(fnmatch("fpie.csv", pattern) for pattern in declared)
    assert (ROOT / "analysis" / "paper" / "fpie.csv").is_file()


def test_an_unknown_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LedgerError, match="'fpie3' is not a table; choose from fpie1, fpie2, all"):
        paper_rows("fpie3")
    with pytest.raises(SystemExit):
        main(["compare-paper", "run", "--table", "fpie3"])
    assert "invalid choice: 'fpie3' (choose from" in capsys.readouterr().err


# --- the rank correlation ----------------------------------------------------------------------------------------


def midranks(values: Sequence[float]) -> np.ndarray:
    """By comparing all pairs: how many are smaller, and half of the others that are equal."""
    x = np.array(values)
    return (x[None, :] < x[:, None]).sum(1) + (x[None, :] == x[:, None]).sum(1) / 2


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12))
def test_the_rank_correlation_is_pearsons_of_midranks(pairs: list[tuple[int, int]]) -> None:
    x, y = zip(*pairs, strict=True)
    found = rank_correlation(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(found.rho)
        return
    assert found.rho == pytest.approx(np.corrcoef(midranks(x), midranks(y))[0, 1])
    if np.isfinite(found.low):
        assert -1 < found.low < found.rho < found.high < 1


def test_the_interval_is_fishers_with_the_error_of_bonett_and_wright() -> None:
    found = rank_correlation([1, 2, 3, 4, 5, 6, 7], [2, 1, 4, 3, 6, 5, 7])
    assert found.rho == pytest.approx(1 - 6 * 6 / (7 * 48))  # six steps of one
    error = ((1 + found.rho**2 / 2) / 4) ** 0.5
    assert np.arctanh(found.high) - np.arctanh(found.rho) == pytest.approx(1.96 * error, rel=1e-4)
    assert np.arctanh(found.rho) - np.arctanh(found.low) == pytest.approx(1.96 * error, rel=1e-4)


def test_there_is_no_interval_of_few_pairs_nor_of_a_perfect_order_and_no_rho_of_two() -> None:
    assert np.isnan(rank_correlation([1, 2], [1, 2]).rho)
    assert rank_correlation([1, 2, 3], [1, 3, 2])[:2] == pytest.approx((0.5, np.nan), nan_ok=True)
    for y in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]):
        found = rank_correlation([1, 2, 3, 4, 5], y)
        assert abs(found.rho) == pytest.approx(1)
        assert np.isnan([found.low, found.high]).all()


# --- the comparison ----------------------------------------------------------------------------------------------


def test_a_run_that_measures_what_the_paper_does_has_its_fronts(write: Write) -> None:
    for table, nets, pareto in (("fpie1", GRID_1, PARETO_1), ("all", [*GRID_1, *GRID_2], PARETO_ALL)):
        run = written_grid(write, nets, paper(table, "relative_time"), paper(table, "ms_ssim"), name=table)
        frame = compare_networks([load(run)], table)
        for side in ("paper", "ours"):
            assert set(frame.loc[frame[f"{side}.front"], "network"]) == pareto
        assert frame["both"].all()
        assert (frame["candidates"] == 1).all()
        assert frame["ours.relative_time"].tolist() == paper(table, "relative_time")
        assert frame["ours_low.relative_time"].tolist() == pytest.approx(0.96 * frame["paper.relative_time"])
        assert comparison_lines(frame)[0].endswith(f"1.00 (no interval, {len(nets)} networks)")


def test_what_is_beaten_is_not_on_our_front(write: Write) -> None:
    scores = paper("fpie1", "ms_ssim")
    ratios = paper("fpie1", "relative_time")
    scores[1], ratios[3] = 0.5, 0.2  # 3/16/1 is bad; 3/16/3 is faster than all and good
    frame = compare_networks([load(written_grid(write, GRID_1, ratios, scores))], "fpie1").set_index("network")
    objectives = frame[["ours.relative_time", "ours.ms_ssim"]].to_numpy() * [-1, 1]
    expected = [not any((other >= one).all() and (other > one).any() for other in objectives) for one in objectives]
    assert frame["ours.front"].tolist() == expected
    assert not frame.loc["3/16/1", "ours.front"]
    assert set(frame.index[frame["paper.front"]]) == PARETO_1
    lines = "\n".join(comparison_lines(frame.reset_index()))
    assert "on the paper's front only: 3/16/1, 3/16/2" in lines
    assert "on our front only: none" in lines


def test_missing_networks_are_named_and_leave_the_fronts_of_both_to_the_rest(write: Write) -> None:
    kept = [0, 2, 3, 9]  # without 3/16/1, 5/16/1 is nobody's loss
    part = written_grid(write, [GRID_1[i] for i in kept], [1.0, 0.4, 0.5, 0.3], [0.9, 0.8, 0.85, 0.7])
    frame = compare_networks([load(part)], "fpie1")
    assert frame["both"].sum() == 4
    assert set(frame.loc[frame["paper.front"], "network"]) == {"3/16/2", "3/16/3", "3/64/4"}
    said = comparison_lines(frame)[-1]
    assert said.startswith("neither timed nor completed in the run: 3/16/1, 3/16/4, 3/32/2")
    assert said.endswith("(13 of 17)")


def test_a_network_without_a_time_is_named_as_such(write: Write) -> None:
    trials = [net_trial(number, net, 0.9) for number, net in enumerate(GRID_1[:4])]
    costs = [cost_row(net, 0.5) for net in GRID_1[:3]] + [cost_row(GRID_1[3], None)]
    frame = compare_networks([load(write(trials, costs=costs))], "fpie1")
    assert "without a time or MS-SSIM: 3/16/3 (1 of 17)" in comparison_lines(frame)


@pytest.mark.parametrize("lost", [range(12, 17), range(17)], ids=["some", "all"])
def test_the_latency_of_a_network_whose_training_diverged_is_ranked(write: Write, lost: range) -> None:
    trials = [net_trial(number, net, 0.9 + number / 100) for number, net in enumerate(GRID_1)]
    for number in lost:
        trials[number] |= {"ending": "diverged", "reason": "explosion", "metric.psnr_db": None, "metric.ms_ssim": None}
    ratios = paper("fpie1", "relative_time")
    costs = [cost_row(net, ratio) for net, ratio in zip(GRID_1, ratios, strict=True)]
    frame = compare_networks([load(write(trials, costs=costs))], "fpie1")
    assert frame["ours.relative_time"].tolist() == pytest.approx(ratios)
    assert frame["both"].sum() == 17 - len(lost)
    said = comparison_lines(frame)
    assert said[0] == "rank correlation of relative time with the paper's: 1.00 (no interval, 17 networks)"
    assert f"({len(lost)} of 17)" in said[-1]
    assert said[-1].startswith("timed but not completed in the run: ")
    assert comparison_figure("title", frame, said[:2]).axes


@pytest.mark.slow
def test_the_labels_of_the_grid_do_not_overlap(write: Write) -> None:
    run = written_grid(write, GRID_1, paper("fpie1", "relative_time"), paper("fpie1", "ms_ssim"))
    frame = compare_networks([load(run)], "fpie1")
    figure = comparison_figure("title", frame, [])
    figure.savefig(io.BytesIO())
    texts = [text for text in figure.axes[0].texts if text.get_text() in set(frame["network"])]
    assert len(texts) == 17
    boxes = [text.get_window_extent().shrunk(0.9, 0.7) for text in texts]
    overlapping = [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert overlapping == []


def test_other_networks_are_not_the_papers(write: Write) -> None:
    others = [resnet(3, 16, 1, norm="none"), resnet(3, 16, 1, activation="prelu"), resnet(3, 16, 0), strided(3, 3, 8)]
    with pytest.raises(LedgerError, match=r"and no measured network of .*run is one of all \(3/64/4, "):
        compare_networks([load(written_grid(write, others, [0.5] * 4, [0.9] * 4))], "all")


def test_a_run_without_a_latency_is_refused_on_one_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = write([net_trial(number, net, 0.9) for number, net in enumerate(GRID_1)])
    assert main(["compare-paper", str(run), "--table", "fpie1"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "no latency of a network of fpie1: neither costs/*.parquet nor metric.latency_ratio" in printed.err
    assert not (run / "analysis").exists()


def test_a_run_without_ms_ssim_is_refused(write: Write) -> None:
    rows = [net_trial(0, GRID_1[0], 0.9)]
    for name in ("metric.ms_ssim", "spread.ms_ssim"):
        del rows[0][name]
    runs = [run_row(objectives=json.dumps([{"metric": "psnr_db", "direction": "maximize"}]))]
    with pytest.raises(LedgerError, match=r"have no metric\.ms_ssim"):
        compare_networks([load(write(rows, runs=runs))], "fpie1")


def test_the_trials_own_metric_counts_where_no_costs_are_there(write: Write) -> None:
    rows = [net_trial(number, net, 0.9, **{"metric.latency_ratio": 0.1 * (1 + number)}) for number, net in
            enumerate(GRID_1[:3])]  # fmt: skip
    ledger = load(write(rows))
    frame = compare_networks([ledger], "fpie1")
    assert frame["ours.relative_time"].tolist()[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert frame["ours_low.relative_time"].isna().all()
    assert "metric.latency_ratio" in conventions([ledger], frame)[0]


def test_two_runs_are_one_grid_and_times_are_of_one_set_of_conditions(write: Write) -> None:
    first = written_grid(write, GRID_1, paper("fpie1", "relative_time"), paper("fpie1", "ms_ssim"), name="one")
    trials = [net_trial(number, net, 0.9) for number, net in enumerate(GRID_2)]
    elsewhere = {"cost.device": "cuda", "cost.device_name": "Fast"}
    costs = [cost_row(net, 0.01, **elsewhere) for net in GRID_2] + [cost_row(GRID_2[2], 0.3)]
    ledgers = [load(first), load(write(trials, costs=costs, name="two"))]
    frame = compare_networks(ledgers, "all").set_index("network")
    assert frame["both"].sum() == 18
    assert frame.loc["3-4 16-64", "ours.relative_time"] == 0.3
    assert np.isnan(frame.loc["3 16-64", "ours.relative_time"])
    assert set(frame["conditions"].dropna()) == {"cpu (Two Slow Cores), 1280 x 720 px, 1 thread, fp32, contiguous"}
    assert any("other conditions" in note and "(1 " in note for note in conventions(ledgers, frame))


def test_of_several_configurations_the_best_counts_and_that_is_said(write: Write) -> None:
    trials = [net_trial(0, GRID_1[0], 0.85), net_trial(1, GRID_1[0], 0.95), net_trial(2, GRID_1[1], 0.8)]
    ledger = load(write(trials, costs=[cost_row(GRID_1[0], 1.0), cost_row(GRID_1[1], 0.3)]))
    frame = compare_networks([ledger], "fpie1")
    assert frame.loc[0, ["configuration", "ours.ms_ssim", "candidates"]].tolist() == ["conf00001", 0.95, 2]
    assert any(note.startswith("networks with several configurations: 1;") for note in conventions([ledger], frame))


def test_confirmed_scores_count_only_where_all_networks_have_them(write: Write) -> None:
    trials = [net_trial(number, net, 0.9) for number, net in enumerate(GRID_1[:2])]
    costs = [cost_row(net, 0.5) for net in GRID_1[:2]]
    for name, seeds, stage in (("one", {"conf00000": 3}, "search"), ("both", dict.fromkeys(("conf00000", "conf00001"), 3), "confirm")):  # fmt: skip # noqa: E501
        frame = compare_networks(
            [load(write(trials + confirmed(trials, seeds, seed=1), costs=costs, name=name))], "fpie1"
        )
        assert set(frame["stage"].dropna()) == {stage}


def test_the_conventions_that_differ_are_said(write: Write) -> None:
    trials = [net_trial(number, net, 0.9) for number, net in enumerate(GRID_2)]
    costs = [cost_row(net, 0.5, **{"cost.contended": number < 2}) for number, net in enumerate(GRID_2)]
    ledger = load(write(trials, costs=costs))
    said = "\n".join(conventions([ledger], compare_networks([ledger], "fpie2")))
    for part in ("neither its hardware nor", "1280 x 720 px", "3-4 16-64 for 40,000 steps", "ours are demo",
                 "train.steps 600 (the paper 25,000)", "train.batch_size 8 (the paper 50)",
                 "train.crop_px 32 (the paper 100)", "PSNR is saved", "7 of 7 networks have a single seed",
                 "2 of our times"):  # fmt: skip
        assert part in said, part
    assert "Table 2" not in "\n".join(conventions([ledger], compare_networks([ledger], "fpie2").assign(table="fpie1")))


# --- the command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_prints_the_grids_side_by_side_and_saves_them(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    ratios = [0.9 * ratio + 0.02 for ratio in paper("fpie1", "relative_time")]
    run = written_grid(write, GRID_1, ratios, [score - 0.05 for score in paper("fpie1", "ms_ssim")])
    assert main(["compare-paper", str(run), "--table", "fpie1"]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith(" 3/16/1 ")]
    assert line.split()[1:8] == ["0.274", "0.266", "(0.256", "to", "0.280)", "0.9133", "0.8633"]
    assert "rank correlation of relative time with the paper's: 1.00" in out
    saved = pd.read_parquet(run / "analysis" / "compare-fpie1.parquet")
    pd.testing.assert_frame_equal(saved, compare_networks([load(run)], "fpie1"), check_dtype=False)
    for name in ("compare-fpie1.png", "compare-fpie1.svg"):
        first = (run / "analysis" / name).read_bytes()
        assert main(["compare-paper", str(run), "--table", "fpie1"]) == 0
        assert (run / "analysis" / name).read_bytes() == first
    assert main(["compare-paper", str(run), "--table", "fpie2"]) == 2
    assert "is one of fpie2 (3 16-64, " in capsys.readouterr().err
