"""The command line refuses every mistyped option, naming the choices, before anything starts."""

from pathlib import Path

import pytest

from enhance.config import ConfigError
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.options import Options, parse
from sweeps.engine.cluster.resources import Capacity
from sweeps.engine.command import run
from sweeps.engine.space import Choice
from sweeps.engine.sweep import Sweep, SweepError
from tests.sweeps.engine.pretended import small_sweep


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--trails", "3"], "did you mean --trials"),
        (["--frobnicate"], "the options are --help, --data, "),
        (["--trials", "many"], "argument --trials: invalid int value: 'many'"),
        (["--workers", "-1"], "must be a whole number >= 0"),
        (["--device", "tpu"], "choose from"),
        (["--trials", "1e20"], "argument --trials: invalid int value: '1e20'"),
        (["--trials", str(10**20)], "budget.trials=100000000000000000000 must be a whole number >= 1 and <= 1,000,000"),
        (["--samples", str(10**20)], "<= 1,000,000"),
        (["--workers", str(10**20)], "<= 1,000,000"),
        (["--audit-share", "nan"], "budget.audit_share=nan"),
        *(
            ([option, value], f"argument {option}: '{value}' must be a number >= 0")
            for option in ("--timeout", "--max-minutes", "--max-device-hours", "--price-per-hour")
            for value in ("nan", "inf", "-5", "soon")
        ),
        (["--timeout", "1e300"], "at most 31622400 s"),
        (["--smoke", "--budget", "full"], "--smoke and --budget full"),
        (["--budget", "demo", "--smoke"], "--smoke and --budget demo"),
        (["--set", "net.chanels=3"], "did you mean net.channels"),
        (["--set", "net.channels"], "write NAME=VALUE"),
        (["--set", "net.channels=big"], "net.channels='big' must be a whole number"),
        (["--set", "net.norm=layer"], "choose from instance, batch, none"),
        (["--set", "augment.flips=perhaps"], "augment.flips='perhaps' must be true or false"),
        (["--set", "loss.vgg_weights=file:nowhere.pt"], "nowhere.pt: No such file"),
        (["--set", "loss.vgg_weights=vgg.pt"], "choose from random, imagenet, file:..."),
        (["--resume", "nowhere"], "no run there; start one with --out nowhere"),
        (["--workers", "0", "--address", "auto"], "give one of them"),
        (["--costs-from", "nowhere"], "the sweep small measures no costs; leave it out"),
        (["--data", "dpde:x"], "choose from demo[@PX], dped:DIR, photos:DIR[@PX]"),
    ],
)
def test_what_is_wrong_is_refused_with_the_choices(argv: list[str], said: str) -> None:
    with pytest.raises((UsageError, ConfigError, ValueError)) as refused:
        parse(small_sweep(), argv, "x")
    assert said in str(refused.value)


def test_two_runs_of_the_same_second_have_folders_of_their_own() -> None:
    assert len({parse(small_sweep(), [], "x")[1].out for _ in range(5)}) == 5


def test_no_more_workers_start_than_there_can_be_trials_at_a_time() -> None:
    def workers(*argv: str) -> int:
        return parse(small_sweep(), ["--workers", "12", *argv], "x")[1].workers

    assert workers("--trials", "2") == 2
    assert workers("--trials", "2", "--seeds", "3") == 6
    assert workers("--trials", "2", "--confirm", "2", "--confirm-seeds", "4") == 8
    assert workers("--trials", "100") == 12
    assert workers("--trials", "2", "--workers", "0") == 0
    assert parse(small_sweep(), ["--smoke", "--budget", "smoke"], "x")[0].budget == small_sweep().smoke


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.engine.cli.options.default_device", lambda: "cpu")
    with pytest.raises(UsageError, match="no NVIDIA GPU; choose cpu"):
        parse(small_sweep(), ["--device", "cuda"], "x")
    assert parse(small_sweep(), ["--device", "cuda", "--address", "auto"], "x")[1].device == "cuda"


def test_what_only_a_gpu_can_do_is_refused_where_there_is_none() -> None:
    def said(*argv: str) -> str:
        with pytest.raises(SweepError) as refused:
            parse(small_sweep(), ["--device", "cpu", *argv], "x")
        return str(refused.value)

    assert "train.tf32=True needs a GPU, and this is trained on a CPU" in said("--set", "train.tf32=true")
    # Which device a cluster has is not known before it is joined.
    parse(small_sweep(), ["--set", "train.tf32=true", "--address", "auto"], "x")
    searched = small_sweep(space={**small_sweep().space, "train.tf32": Choice(True, False)}, enqueue={})
    parse(searched, ["--device", "cpu"], "x")  # its other half can be trained


def on_gpus(*argv: str, gpus: tuple[tuple[int, int], ...] = ((16, 2),)) -> Options:
    """The options on a machine with 16 cores and 2 GPUs."""
    there = Capacity(workers=16, device="cuda", bf16=True, cores=16, gpus=gpus)
    return parse(small_sweep(), ["--trials", "100", "--device", "cuda", "--address", "auto", *argv], "x", there)[1]


def test_trials_share_a_gpu_as_far_as_there_are_cores() -> None:
    def room(*argv: str, gpus: tuple[tuple[int, int], ...] = ((16, 2),)) -> tuple[int, object]:
        options = on_gpus(*argv, gpus=gpus)
        return options.workers, options.per_device

    assert room() == (16, None)
    assert room("--per-device", "3") == (6, 3)
    assert room("--per-device", "12") == (16, 12)
    assert room("--per-device", "4", gpus=((16, 1), (2, 1))) == (6, 4)
    assert room("--per-device", "auto") == (16, "auto")
    assert room("--per-device", "3", "--workers", "9") == (9, 3)  # more GPUs may join a cluster


def test_where_no_gpu_is_shared_per_device_is_refused_or_nothing_to_say() -> None:
    def options(*argv: str) -> Options:
        return parse(small_sweep(), ["--device", "cpu", *argv], "x")[1]

    with pytest.raises(UsageError, match=r"--per-device 4: this run trains on CPUs, where --workers says how many"):
        options("--per-device", "4")
    # One command serves machines with and without a GPU.
    for said in ("1", "auto"):
        assert options("--per-device", said).per_device is None
        assert options("--per-device", said).workers == options().workers
    with pytest.raises(UsageError, match=r"'0' must be auto or a whole number from 1 to 64"):
        options("--per-device", "0")


def test_a_budget_that_cannot_be_is_refused() -> None:
    with pytest.raises(SweepError, match=r"budget\.trials=0"):
        parse(small_sweep(), ["--trials", "0"], "x")


def test_a_refusal_is_a_sentence_and_exit_status_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (
        run(small_sweep(), ["--data", f"dped:{tmp_path}/none", "--workers", "0", "--out", str(tmp_path / "run")]) == 2
    )
    said = capsys.readouterr().err
    assert "small:" in said
    assert "Traceback" not in said


def test_options_reach_the_sweep() -> None:
    argv = [
        "--trials",
        "5",
        "--steps",
        "900",
        "--seeds",
        "2",
        "--data",
        "demo",
        "--dtype",
        "fp32",
        "--set",
        "loss.tv=3",
    ]
    sweep, options = parse(small_sweep(), [*argv, "--workers", "0", "--out", "here"], "x")
    assert (sweep.budget.trials, sweep.budget.steps, sweep.budget.seeds, sweep.data) == (5, 900, 2, "demo")
    assert sweep.config({}).train.dtype == options.dtype == "fp32"
    assert sweep.config({}).loss.tv == 3.0
    assert list(sweep.space) == ["loss.color"]
    assert sweep.enqueue["even"] == {"loss.color": 1.0}
    assert (options.workers, options.out) == (0, Path("here"))


def test_smoke_takes_the_smallest_budget() -> None:
    sweep, _ = parse(small_sweep(), ["--smoke"], "x")
    assert sweep.budget == small_sweep().smoke


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], sweep: Sweep) -> None:
    out = tmp_path / "run"
    assert run(sweep, ["--dry-run", "--out", str(out)]) == 0
    assert not out.exists()
    said = capsys.readouterr().out
    for part in (
        "Which weight?",
        "10 -> 30 -> 90",
        "about 210, at most 810",
        "loss.color",
        "0.1 .. 10",
        "no trial was trained",
    ):
        assert part in said


def test_a_file_of_weights_is_named_by_its_content(tmp_path: Path) -> None:
    """Two files that lie at one path one after the other must not be one configuration."""
    file = tmp_path / "vgg.pt"
    found = []
    for content in (b"one", b"other", b"one"):
        file.write_bytes(content)
        sweep, _ = parse(small_sweep(), ["--set", f"loss.vgg_weights=file:{file}"], "x")
        found.append(sweep.fixed["loss.vgg_weights"])
    assert found[0] == found[2] != found[1]
    assert str(found[0]).startswith(f"file:{file}#")
    searched = small_sweep(space={"loss.vgg_weights": Choice("random", f"file:{file}")}, enqueue={})
    sweep, _ = parse(searched, [], "x")
    assert sweep.space["loss.vgg_weights"] == Choice("random", str(found[0]))
