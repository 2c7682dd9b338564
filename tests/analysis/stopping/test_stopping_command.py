"""`analysis stopping` from end to end: with and without an audit, with and without replays."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.ledger.load import LedgerError
from analysis.stopping.replays import arms, replay_command, replays
from tests.analysis.written_ledgers import START, TWO, Row, report_row, run_row, trial_row, write_rows

Write = Callable[..., Path]


def audited_run(write: Write, share: float = 0.25, name: str = "run") -> Path:
    """60 trials, of which the worse half are stopped at the first rung; of these every third is spared."""
    rng = np.random.default_rng(0)
    trials, reports = [], []
    for number in range(60):
        early = rng.normal()
        end = 20 + early + rng.normal(0, 0.3)
        spared = early < 0 and number % 3 == 0 and share > 0
        done = early >= 0 or spared
        place = {} if done else {"ending": "stopped", "reason": "worse", "rung": 0, "steps": 150}
        trials.append(trial_row(number, end if done else early, 0.9, spared=0 if spared else -1, **place))
        steps = (150, 300, 450, 600) if done else (150,)
        reports += [report_row(number, step, end if step == 600 else early, 0.9) for step in steps]
    facts = {"rungs": (150, 300, 450, 600), "audit_share": share, "stopping": "pareto", "reduction": 2}
    one = json.dumps(TWO[:1])
    return write(trials, reports, [run_row(contract=json.dumps(facts), objectives=one)], name=name)


def replay_rows(rule: str, shares: list[float], replay: str = "a", **changes: object) -> list[Row]:
    return [
        {"replay": replay, "started": START, "sampler": "each", "stopping": rule, "rungs": 2, "reduction": 3,
         "rung_steps": "200 600", "seed": seed, "objectives": json.dumps(["psnr_db"]), "curves": 30, "steps": 600,
         "workers": 4, "stragglers": 0.0, "slowdown": 10.0, "lost": 0.0, "nan": 0.0, "step_s": 1.5,
         "steps_share": share, "volume_share_early": share / 2, "volume_share": 1 - share / 10, "time_s": 9.0,
         "best": 20.0 + share, "n_completed": 3} | changes
        for seed, share in enumerate(shares)
    ]  # fmt: skip


@pytest.mark.slow
def test_the_command_prints_tables_and_writes_files(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = audited_run(write)
    assert main(["stopping", str(run)]) == 0
    printed = capsys.readouterr().out
    for part in ("Which weights of the loss terms", "rank correlation", "regret", "steps saved", "trials were stopped",
                 f"teststrip replay {run}", "stopping.svg"):  # fmt: skip
        assert part in printed, part
    frame = pd.read_parquet(run / "analysis" / "stopping.parquet")
    assert set(frame["answer"]) == {"agreement", "regret", "saved", "scores"}
    rho = frame[(frame["answer"] == "agreement") & (frame["step"] == 150)]["rho"].item()
    assert f"{rho:.2f}" in printed
    regret = frame[frame["answer"] == "regret"]["regret"]
    assert regret.notna().all()
    assert (run / "analysis" / "stopping.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_run_without_an_audit_says_so_and_still_what_was_saved(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stopping", str(audited_run(write, share=0.0))]) == 0
    printed = capsys.readouterr().out
    assert "none was spared" in printed
    assert "unknown" in printed
    assert "steps saved" in printed


@pytest.mark.slow
def test_where_nothing_was_stopped_every_end_is_known(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [report_row(n, step, 20.0 + n, 0.9) for n in range(6) for step in (150, 300, 450, 600)]
    assert main(["stopping", str(write([trial_row(n, 20.0 + n) for n in range(6)], rows))]) == 0
    printed = capsys.readouterr().out
    assert "nothing was stopped" in printed
    assert "1.00" in printed


@pytest.mark.parametrize(
    ("facts", "trials", "sentence"),
    [
        ({"rungs": [600]}, [trial_row(0), trial_row(1)], "is its last step, 600"),
        ({"rungs": [150, 600]}, [trial_row(0)], "1 of the 1 trials of the search in"),
        ({}, [trial_row(0)], "has no rungs"),
    ],
)
def test_what_has_no_rungs_or_no_ends_is_refused(
    write: Write, capsys: pytest.CaptureFixture[str], facts: Row, trials: list[Row], sentence: str
) -> None:
    run = write(trials, runs=[run_row(contract=json.dumps({"audit_share": 0.0, "stopping": "none"} | facts))])
    assert main(["stopping", str(run)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_several_runs_have_files_of_their_own(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, out = audited_run(write, name="one"), audited_run(write, name="two"), tmp_path / "out"
    assert main(["stopping", str(one), str(two), "--out", str(out)]) == 0
    names = {f"stopping-{run}.{kind}" for run in ("one", "two") for kind in ("png", "svg", "parquet")}
    assert {path.name for path in out.iterdir()} == names
    assert main(["stopping", str(one), str(one), "--out", str(out)]) == 2
    assert "named twice" in capsys.readouterr().err


# --- replays -----------------------------------------------------------------------------------------------------


def test_the_command_that_adds_replays_can_be_typed_whatever_the_run_is_called() -> None:
    assert replay_command(Path("runs/a b")) == "teststrip replay 'runs/a b'"
    assert replay_command(Path("-run")) == "teststrip replay ./-run"


@pytest.mark.slow
def test_the_arms_of_replays_are_medians_and_quartiles(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = audited_run(write)
    shares = [0.4, 0.1, 0.3, 0.2, 0.7]
    write_rows(run / "replay" / "1.parquet", [*replay_rows("pareto", shares), *replay_rows("none", [1.0] * 3)])
    frame, notes = replays(run)
    assert notes == []
    found = arms(frame).set_index("stopping")
    assert found.loc["pareto", ["seeds", "steps_share", "steps_share_low", "steps_share_high"]].tolist() == [
        5,
        0.3,
        0.2,
        0.4,
    ]
    assert found.loc["none", "volume_share"] == pytest.approx(0.9)
    assert main(["stopping", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "30.0 (20.0 to 40.0)" in printed
    assert "curves of 30 of 60 trials" in printed
    assert "arms" in set(pd.read_parquet(run / "analysis" / "stopping.parquet")["answer"])


def test_only_replays_under_the_newest_conditions_are_compared(write: Write) -> None:
    """Of what was played twice the newest counts; NaN for the recorded seconds is one condition, not many."""
    run, later = audited_run(write), START + timedelta(hours=1)
    recorded = {"step_s": float("nan")}
    write_rows(run / "replay" / "1.parquet", replay_rows("median", [0.5], curves=20, **recorded))
    write_rows(
        run / "replay" / "2.parquet",
        [*replay_rows("pareto", [0.5], **recorded), *replay_rows("none", [1.0], **recorded)],
    )
    write_rows(run / "replay" / "0.parquet", replay_rows("pareto", [0.6, 0.7], "b", started=later, **recorded))
    frame, _ = replays(run)
    found = {(row["stopping"], row["seed"]): row["steps_share"] for row in frame.to_dict("records")}
    assert found == {("none", 0): 1.0, ("pareto", 0): 0.6, ("pareto", 1): 0.7}


@pytest.mark.slow
def test_a_damaged_replay_is_skipped_and_a_strange_one_refused(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run = audited_run(write)
    write_rows(run / "replay" / "1.parquet", replay_rows("pareto", [0.5]))
    (run / "replay" / "2.parquet").write_bytes(b"no longer Parquet")
    assert main(["stopping", str(run)]) == 0
    assert "note: replay/2.parquet is unreadable" in capsys.readouterr().err
    row = replay_rows("pareto", [0.5])[0]
    other = write_rows(
        audited_run(write, name="other") / "replay" / "1.parquet", [{n: v for n, v in row.items() if n != "workers"}]
    )
    with pytest.raises(LedgerError, match="has no column workers"):
        replays(other.parent.parent)
