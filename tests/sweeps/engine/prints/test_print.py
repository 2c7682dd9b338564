"""The print: what is chosen, what is trained, what it leaves, and that kills change no bit of it."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import enhance
from analysis.__main__ import main as analyze
from analysis.ledger.load import load
from enhance.data import PatchStore
from enhance.weights.files import CARD, CONFIG, MODEL
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.prints.command import run
from sweeps.engine.prints.finish import STRIPS
from sweeps.engine.sweep import PRINT_SEED
from tests.patience import wait_until
from tests.places import ROOT
from tests.sweeps.engine.prints.tiny_runs import FIXED, train
from tests.sweeps.engine.whole_runs import kill, plain

pytestmark = [pytest.mark.engine]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, demo: PatchStore) -> Iterator[Path]:
    """The run to print from. The data are packed already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTSTRIP_CACHE", str(demo.path.parent))
        yield train(tmp_path_factory.mktemp("tiny") / "run")


def printed(source: Path, out: Path, *arguments: str) -> int:
    return run([str(source), "--steps", "24", "--every", "6", "--workers", "0", "--out", str(out), *arguments])


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[object]) -> str:
    """The sentence with which a command is refused."""
    capsys.readouterr()
    assert run(list(map(str, arguments))) == 2
    said = capsys.readouterr().err.strip()
    assert "Traceback" not in said
    return said


def models(place: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in place.glob(f"weights/*/{MODEL}")}


def test_a_print_trains_the_confirmed_winner_on_fresh_seeds_and_says_what_came_of_it(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "print"
    assert printed(source, out, "--seeds", "2") == 0
    said = capsys.readouterr()
    assert "optimizer.lr=0.00" not in said.err + said.out[:0]
    ledger, before = load(out), load(source)
    won = before.trials[before.trials["stage"] == "confirm"]["config.optimizer.lr"].iloc[0]
    assert set(ledger.trials["config.optimizer.lr"]) == {won}
    assert sorted(ledger.trials["seed"]) == [PRINT_SEED, PRINT_SEED + 1]
    assert set(ledger.trials["config.train.steps"]) == {24}
    assert {name: ledger.trials[f"config.{name}"].iloc[0] for name in FIXED} == dict(FIXED)
    assert sorted(ledger.reports.groupby("trial")["step"].agg(list).iloc[0]) == [6, 12, 18, 24]
    assert set(models(out)) == set(ledger.trials["trial"])
    # The page: scores with intervals, beside the untouched input's and the micro-run's.
    page = (out / CARD).read_text()
    assert "| metric | untouched | micro-run (8 steps, 2 seeds) | print (24 steps, 2 seeds) |" in page
    untouched, mean = ledger.trials["untouched.psnr_db"].iloc[0], ledger.trials["metric.psnr_db"].mean()
    promised = before.trials.loc[before.trials["stage"] == "confirm", "metric.psnr_db"].mean()
    (row,) = [line for line in page.splitlines() if line.startswith("| PSNR (dB) |")]
    assert f"| {untouched:.2f} | {promised:.2f} [" in row
    assert f"| {mean:.2f} [" in row
    assert f"{mean - promised:+.2f}".replace("-", "-") in page
    assert "after 12 steps, the first report after the micro-run's 8" in page
    assert page.splitlines()[4] in said.out
    pictures = sorted((out / "pictures").iterdir())
    assert len(pictures) == 2 * STRIPS
    assert page.count("](pictures/") == 2 * STRIPS
    with Image.open(pictures[0]) as strip:
        assert strip.width == 3 * strip.height + 2 * 4
    # Any network of it is rebuilt, and the origin is on record.
    trial = ledger.trials["trial"].iloc[0]
    assert enhance.load(out / "weights" / trial).switches() == {}
    facts = json.loads((out / "weights" / trial / CONFIG).read_text())["trained"]
    assert (facts["sweep"], facts["step"]) == ("print", 24)
    assert json.loads(ledger.runs["origin"].iloc[0])["run"] == str(source)
    assert not any((out / "states").glob("*"))


def test_every_analysis_reads_a_print(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "print"
    assert printed(source, out, "--seeds", "2", "--samples", "2") == 0
    # The report has a section on every analysis.
    assert analyze(["report", str(out)], program="teststrip") == 0, capsys.readouterr().err


def test_the_warnings_name_what_rarely_carries_over(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(source), "--out", str(tmp_path / "p"), "--workers", "0", "--dry-run", "--steps"]
    assert run([*arguments, "31"]) == 0
    assert "optimizer.lr=" not in "".join(capsys.readouterr()).split("fixed:")[0]
    assert run([*arguments, "32"]) == 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "was chosen over 8 steps" in said
    assert "its schedule is constant" in said.lower()
    assert "the warm-up takes 8 steps here, and took 2" in said
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("way", ["trial", "front", "knee", "best"])
def test_each_way_of_choosing(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str) -> None:
    before = load(source)
    searched = before.trials[before.trials["stage"] == "search"].sort_values("metric.psnr_db")
    loser = searched.iloc[0]
    words = {"trial": ["--trial", loser["trial"][:6]], "front": ["--front", "1"], "knee": ["--knee"],
             "best": ["--best", "ssim"]}[way]  # fmt: skip
    arguments = [source, *words, "--steps", "8", "--out", tmp_path / "p", "--dry-run", "--workers", "0"]
    if way == "knee":
        # One confirmed configuration is a front of a single point.
        assert "this front has no knee" in refused(capsys, arguments)
        return
    assert run(list(map(str, arguments))) == 0
    said = capsys.readouterr().out
    wanted = loser if way == "trial" else before.trials[before.trials["stage"] == "confirm"].iloc[0]
    assert f"optimizer.lr={wanted['config.optimizer.lr']:g}" in said
    question = " ".join(said.split())
    words_said = {"trial": f"trial {loser['trial']}", "front": "row 1 of the front", "best": "the best ssim"}[way]
    assert words_said in question


def test_what_cannot_be_printed_is_refused_in_one_sentence(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p"
    rest = ["--steps", "8", "--out", out]
    assert "RUN and --steps N and --out PRINT must be given" in refused(capsys, [])
    assert "--trial 00: 0 trials" in refused(capsys, [source, "--trial", "00", *rest])
    assert "--front 7: the front has rows 1 to 1" in refused(capsys, [source, "--front", "7", *rest])
    assert "--best beauty: the run has no such metric; choose from psnr_db" in refused(
        capsys, [source, "--best", "beauty", *rest]
    )
    assert "not allowed with argument" in refused(capsys, [source, "--knee", "--front", "1", *rest])
    assert "--every 0 must be" in refused(capsys, [source, "--every", "0", *rest])
    assert "budget.patience=-1" in refused(capsys, [source, "--patience", "-1", *rest])
    assert "holds a run that is no print" in refused(capsys, [source, "--steps", "8", "--out", source])
    assert "there is no print" in refused(capsys, ["--resume", source])
    assert "leave out RUN, --steps".lower() in refused(capsys, [source, "--steps", "9", "--resume", out]).lower()
    assert "--set" in refused(capsys, [source, *rest, "--set", "net.channels=8"])
    assert not out.exists()


@pytest.mark.parametrize(("script", "begins"), [("print.py", "print.py"), ("teststrip", "teststrip print")])
def test_the_command_that_continues_a_print_is_one_that_does(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    begins: str,
) -> None:
    """`ray submit` starts a script that is nothing but the print; for `teststrip` it is one command of many."""
    monkeypatch.setattr("sys.argv", [script])
    out = tmp_path / "print"
    with Ledger(out):
        assert printed(source, out) == 2
    said = "".join(capsys.readouterr().out)
    assert f"{begins} --resume {out}\n" in said


def test_two_drivers_on_one_print(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "print"
    with Ledger(out):
        assert printed(source, out) == 2
    assert "another driver" in capsys.readouterr().err


def test_a_print_ends_early_where_it_no_longer_improves_and_keeps_its_best_network(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a rate of 0 every report is equal: the first is the best."""
    out = tmp_path / "print"
    assert printed(source, out, "--patience", "2") == 0
    steps = load(out).reports.sort_values("step")
    best = steps.loc[steps["metric.psnr_db"].idxmax()]
    facts = json.loads(next(out.glob(f"weights/*/{CONFIG}")).read_text())["trained"]
    assert facts["step"] == best["step"]
    assert f"{best['metric.psnr_db']:.2f}" in (out / CARD).read_text()
    assert "a little too good" in (out / CARD).read_text()
    # Continued by its place alone: everything is on record.
    assert run(["--resume", str(out), "--workers", "0"]) == 0
    assert load(out).runs["run"].nunique() == 2


# --- kills -------------------------------------------------------------------------------------------------------

EVERY = 4
SHORT, LONG = 120, 720


def start(source: Path, out: Path, steps: int, workers: str) -> "subprocess.Popen[bytes]":
    words = [str(source), "--steps", str(steps), "--every", str(EVERY), "--workers", workers, "--out", str(out)]
    code = "import sys; from sweeps.engine.prints.command import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)


def checkpoint(out: Path) -> int:
    """The step of the newest checkpoint."""
    return max((int(path.name.split("-")[0]) for path in out.glob("states/*/*.state")), default=0)


def kill_beyond(driver: "subprocess.Popen[bytes]", out: Path, step: int, later_s: float = 0.0) -> None:
    """Kill a driver `later_s` seconds after its checkpoints have come to a step."""
    wait_until(
        lambda: driver.poll() is not None or checkpoint(out) >= step,
        lambda: f"there is no checkpoint of step {step} in {out}",
    )
    time.sleep(later_s)
    assert driver.poll() is None, "the print ended before it could be killed"
    kill(driver)


def assert_equal(killed: Path, whole: Path) -> None:
    """The same weights and rows, bit for bit, but for times and what names the invocation."""
    assert models(killed) == models(whole)
    assert len(models(whole)) == 1
    a, b = load(killed), load(whole)
    assert b.notes == a.notes == ()
    for dataset, keys in {"reports": ["trial", "step"], "trials": ["trial"]}.items():
        one, other = (plain(getattr(ledger, dataset), keys) for ledger in (a, b))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert not list(killed.glob("*/.*tmp")) + list(killed.glob("*/*/.*tmp"))


def finished(source: Path, out: Path, steps: int) -> Path:
    words = ["--steps", str(steps), "--every", str(EVERY), "--workers", "0", "--out", str(out)]
    assert run([str(source), *words]) == 0
    return out


def test_a_print_killed_twice_ends_with_the_same_bits(source: Path, tmp_path: Path) -> None:
    whole, out = finished(source, tmp_path / "whole", SHORT), tmp_path / "killed"
    for step in sorted(random.Random(5).sample(range(EVERY, SHORT // 2, EVERY), 2)):
        kill_beyond(start(source, out, SHORT, "0"), out, step)
        assert step <= checkpoint(out) < SHORT
    assert_equal(finished(source, out, SHORT), whole)


@pytest.mark.endurance
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_print_killed_at_twenty_random_moments_ends_with_the_same_bits(
    source: Path, tmp_path: Path, workers: str
) -> None:
    whole, out = finished(source, tmp_path / "whole", LONG), tmp_path / "killed"
    rng = random.Random(6)
    for number in range(20):
        before = checkpoint(out)
        step = max(before, rng.randint(0, LONG * (number + 1) // 24))
        kill_beyond(start(source, out, LONG, workers), out, step, later_s=rng.uniform(0, 0.1))
        print(f"killed at a checkpoint of step {checkpoint(out)}, {before} before")
    assert_equal(finished(source, out, LONG), whole)
