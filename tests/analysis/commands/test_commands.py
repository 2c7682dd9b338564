"""The command line from end to end, and what the package may import."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.__main__ import main
from analysis.frontier.configurations import configurations, rank, results
from analysis.frontier.figure import frontier_figure
from analysis.ledger.load import LedgerError, load
from tests.analysis.written_ledgers import TWO, confirmed, lost_row, run_row, sweep_rows, trial_row

Write = Callable[..., Path]
SSIM = {"metric": "ssim", "direction": "maximize"}


def frontier(run: Path, *options: str) -> int:
    return main(["frontier", str(run), *options])


def written_sweep(write: Write, **changes: object) -> Path:
    trials, reports = sweep_rows(60, seed=3)
    *_, last = (row["configuration"] for row in trials if row["ending"] == "completed")
    return write(trials + confirmed(trials, {last: 3}, seed=1), reports, [run_row(**changes)])


@pytest.mark.slow
def test_frontier_prints_the_table_and_writes_three_files(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = written_sweep(write)
    assert frontier(run) == 0
    printed = capsys.readouterr()
    assert "Which weights of the loss terms give the best picture?" in printed.out
    assert "63 trials ended: " in printed.out
    assert "3 seeds" in printed.out
    assert "24 images" not in printed.out
    assert "rest on a single seed" not in printed.err
    assert "1 on the front, 0 others" in printed.out
    assert "configurations of the search are not shown" in printed.out
    assert "luck in PSNR (dB): " in printed.out
    for name in ("frontier.png", "frontier.svg", "frontier.parquet"):
        assert (run / "analysis" / name).stat().st_size > 0
        assert str(run / "analysis" / name) in printed.out
    saved = pd.read_parquet(run / "analysis" / "frontier.parquet")
    shown = results(configurations(load(run)))
    pd.testing.assert_frame_equal(saved.drop(columns=["run", "chance"]), rank(shown, load(run).objectives))


@pytest.mark.slow
def test_the_searchs_own_scores_are_shown_on_request(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = written_sweep(write)
    assert frontier(run, "--search") == 0
    printed = capsys.readouterr()
    assert "24 images" in printed.out
    assert "not shown" not in printed.out
    assert "rest on a single seed" not in printed.err  # some were confirmed
    saved = pd.read_parquet(run / "analysis" / "frontier.parquet")
    assert set(saved["stage"]) == {"search"}
    assert (saved["n_seeds"] == 1).all()


@pytest.mark.slow
def test_a_search_without_confirmations_says_that_its_front_is_not_confirmed(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frontier(write([trial_row(0), trial_row(1, 21.0)])) == 0
    printed = capsys.readouterr()
    assert "1 of 1 on the front rest on a single seed; confirm them" in printed.err
    assert "not shown" not in printed.out
    assert "luck" not in printed.out


@pytest.mark.slow
def test_the_same_ledger_gives_the_same_bytes(write: Write, tmp_path: Path) -> None:
    run = written_sweep(write)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        code = f"import sys; from analysis.__main__ import main; sys.exit(main(['frontier', {str(run)!r}, '--out', {str(folder)!r}]))"  # noqa: E501
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)
    for name in ("frontier.png", "frontier.svg", "frontier.parquet"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    assert b"<dc:date>" not in (folders[0] / "frontier.svg").read_bytes()


@pytest.mark.slow
def test_at_most_fifteen_others_are_listed_unless_all_are_asked_for(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write([trial_row(number, 20.0 + number, 0.9) for number in range(20)])
    assert frontier(run) == 0
    short = capsys.readouterr().out
    assert "color=4.75" in short
    assert "color=0.25" not in short
    assert "1 on the front, 19 others (4 not listed; --all lists them)" in short
    assert frontier(run, "--all") == 0
    assert "color=0.25" in capsys.readouterr().out


@pytest.mark.slow
def test_objectives_can_be_chosen(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [trial_row(n, 20.0 + n, 0.9, **{"metric.ssim": 0.8 - 0.01 * n, "spread.ssim": 0.1}) for n in range(4)]
    run = write(rows, runs=[run_row(objectives=json.dumps([*TWO, SSIM]))])
    assert frontier(run, "--objectives", "ssim", "psnr_db") == 0
    assert "4 on the front, 0 others" in capsys.readouterr().out
    assert frontier(run, "--objectives", "lpips") == 2
    assert "'lpips' is not an objective of this run; choose from psnr_db, ms_ssim, ssim" in capsys.readouterr().err


def errors(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err + printed.out
    assert printed.out == ""
    return printed.err


def test_errors_are_one_sentence_and_exit_two(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = write([lost_row(0), lost_row(1)])
    assert frontier(run.parent / "typo") == 2
    assert errors(capsys) == f"analysis: {run.parent / 'typo'} is not a folder; ledgers near it: {run}\n"
    assert frontier(run) == 2
    assert errors(capsys).startswith(f"analysis: none of the 2 trials of {run} completed")


def test_what_was_skipped_is_said_even_when_nothing_is_left(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = write([trial_row(0)])
    (run / "trials" / "0001.parquet").write_bytes(b"damaged")
    assert frontier(run) == 2
    first, second = errors(capsys).splitlines()
    assert first.startswith("note: trials/0001.parquet is unreadable")
    assert second.startswith("analysis: no trial of")


def test_a_folder_that_cannot_be_written_is_named(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = write([trial_row(0)])
    (run / "taken").write_text("a file")
    assert frontier(run, "--out", str(run / "taken")) == 2
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frontire", "x"], "invalid choice: 'frontire' (choose from"),
        ([], "are required: COMMAND"),
        (["frontier"], "are required: RUN"),
    ],
)
def test_the_parser_shows_the_choices(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2
    assert sentence in capsys.readouterr().err


# --- figures -----------------------------------------------------------------------------------------------------


def drawn(run: Path, search: bool = False) -> Figure:
    ledger = load(run)
    found = configurations(ledger, search)
    frame = rank(found if search else results(found), ledger.objectives)
    return frontier_figure([ledger], frame.assign(run=0), ledger.objectives)


def words(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_xlabel(), axes.get_ylabel(), *(label.get_text() for label in axes.get_yticklabels())]
        legend = axes.get_legend()
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join(found)


def test_a_front_says_what_it_shows(write: Write) -> None:
    text = words(drawn(written_sweep(write)))
    for part in ("PSNR (dB)", "MS-SSIM", "untouched phone image", "stopped early (not comparable)", "front",
                 "63 trials:", "95 % intervals over seeds (1 configuration).", "only the confirmed configurations",
                 "Data: demo",
                 "Which weights of the loss terms"):  # fmt: skip
        assert part in text, part


def test_a_picture_of_the_searchs_own_scores_says_so(write: Write) -> None:
    run = written_sweep(write)
    text = words(drawn(run, search=True))
    assert "the search's own scores" in text
    assert "95 % intervals over validation images, one seed" in text


def test_stopped_trials_stand_at_their_last_report(write: Write) -> None:
    stopped = trial_row(1, 19.0, 0.85, ending="stopped", reason="worse at rung 1")
    (axes,) = drawn(write([trial_row(0), stopped])).axes
    (marks,) = [line for line in axes.lines if line.get_label() == "stopped early (not comparable)"]
    assert marks.get_xydata().tolist() == [[19.0, 0.85]]


@pytest.mark.slow
def test_of_thousands_a_sample_is_drawn_and_said(write: Write) -> None:
    rows = [trial_row(n, 20.0 + n / 1e4, 0.9 - n * (n > 2) / 1e5) for n in range(2100)]
    stopped = [trial_row(3000 + n, 19.0, 0.85, ending="stopped", reason="worse at rung 1") for n in range(2050)]
    figure = drawn(write([*rows, *stopped]))
    text = words(figure)
    assert "2,000 of 2,050 stopped trials" in text
    (front,) = [line for line in figure.axes[0].lines if line.get_label() == "front"]
    assert len(front.get_xdata()) == 2098
    beaten = [{**row, "metric.psnr_db": 10.0 + n / 1e4} for n, row in enumerate(rows[1:])]
    text = words(drawn(write([rows[0], *beaten], name="another")))
    assert "2,000 of 2,099 other configurations" in text


def test_a_single_point_far_from_the_phone_image_can_be_drawn(write: Write) -> None:
    text = words(drawn(write([trial_row(0, **{"spread.psnr_db": None})])))
    assert "(off the plot, at 18, 0.8)" in text


def test_the_phone_image_is_drawn_where_the_trials_recorded_it(write: Write) -> None:
    rows = [trial_row(n, 20.0 + n, **{"untouched.psnr_db": 16.5, "untouched.ms_ssim": 0.75}) for n in range(2)]
    assert "at 16.5, 0.75)" in words(drawn(write(rows)))


def test_one_objective_is_ranked_and_long_rankings_are_cut_with_a_word(write: Write) -> None:
    rows = [trial_row(number, 20.0 + number / 10) for number in range(40)]
    run = write(rows, runs=[run_row(objectives=json.dumps(TWO[:1]))])
    figure = drawn(run)
    (axes,) = figure.axes
    assert len(axes.get_yticks()) == 30
    assert axes.get_yticklabels()[0].get_text() == "color=9.75"
    assert axes.yaxis_inverted()
    assert "Shown: the best 30 of 40 configurations." in words(figure)


def test_three_objectives_are_drawn_by_pairs_and_four_are_refused(write: Write) -> None:
    rows = [trial_row(n, 20.0 + n, 0.9, **{"metric.ssim": 0.8, "metric.uqi": 0.7}) for n in range(3)]
    run = write(rows, runs=[run_row(objectives=json.dumps([*TWO, SSIM]))])
    pairs = [(axes.get_xlabel(), axes.get_ylabel()) for axes in drawn(run).axes]
    assert pairs == [("PSNR (dB)", "MS-SSIM"), ("PSNR (dB)", "SSIM"), ("MS-SSIM", "SSIM")]
    uqi = {"metric": "uqi", "direction": "maximize"}
    with pytest.raises(LedgerError, match="holds 1 to 3 objectives, not 4"):
        drawn(write(rows, runs=[run_row(objectives=json.dumps([*TWO, SSIM, uqi]))]))


@pytest.mark.slow
def test_a_question_with_dollar_signs_and_brackets_is_shown_as_it_is(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "Is [bold]color$_$ worth its $x^$ cost?"
    label = "$x^$[bold]:warning:"
    run = write([trial_row(n, 20.0 + n, 0.9, label=label) for n in range(2)], runs=[run_row(question=question)])
    assert frontier(run) == 0
    said = capsys.readouterr().out
    assert question in said
    assert label in said


# --- arrows ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_analysis_imports_nothing_that_trains() -> None:
    code = "import sys, analysis.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    packages = {name.split(".")[0] for name in loaded}
    assert "analysis" in packages
    assert packages.isdisjoint({"torch", "torchvision", "ray", "optuna", "enhance", "sweeps"})
