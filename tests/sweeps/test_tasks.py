"""The three tasks of pix2pix ask about three kinds of degradation, and none about the data of another."""

import pytest

from enhance.data import DEGRADATIONS, KINDS, DataError
from sweeps.engine.command import run, run_chosen
from sweeps.engine.sweep import SweepError, UnsuitableData
from sweeps.tasks import DEBLUR, HDR, PHONE, SWEEPS
from tests.sweeps.engine.pretended import small_sweep

PLAN = ["--dry-run", "--workers", "0"]
BUNDLED = {"demo@64": "phone", "deblur:demo@64": "deblur", "exposures:demo@64": "hdr"}


def test_every_kind_of_data_shows_a_degradation_and_every_task_asks_about_one() -> None:
    assert {kind.degradation for kind in KINDS.values()} == set(DEGRADATIONS)
    assert [sweep.degradations for sweep in (PHONE, DEBLUR, HDR)] == [("camera",), ("blur",), ("exposure",)]
    for sweep in SWEEPS.values():
        sweep.check_kind()  # its own data


@pytest.mark.slow
@pytest.mark.parametrize("data", BUNDLED)
def test_of_all_tasks_those_run_that_can_use_the_data(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_chosen(SWEEPS, "--task", "all", [*PLAN, "--data", data]) == 0
    said = capsys.readouterr()
    assert said.out.count("dry run") == 1
    assert f"/{BUNDLED[data]}\n" in said.out.replace(" ", "")
    for name, sweep in SWEEPS.items():
        assert (f"{sweep.name} is left out: the inputs of {data} show" in said.err) == (name != BUNDLED[data])


@pytest.mark.parametrize("data", BUNDLED)
def test_a_task_refuses_the_data_of_another_with_the_choices(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in set(SWEEPS) - {BUNDLED[data]}:
        assert run_chosen(SWEEPS, "--task", "all", ["--task", name, *PLAN, "--data", data]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"{SWEEPS[name].name}: the inputs of {data} show ")
        fit = [kind.form for kind in KINDS.values() if kind.degradation in SWEEPS[name].degradations and kind.paired]
        assert said.rstrip().endswith(f"choose --data from {', '.join(fit)}")


def test_data_that_no_sweep_can_use_and_data_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    both = {"deblur": DEBLUR, "hdr": HDR}
    assert run_chosen(both, "--task", "all", [*PLAN, "--data", "demo"]) == 2
    assert "left out" not in capsys.readouterr().err
    assert run_chosen(SWEEPS, "--task", "all", [*PLAN, "--data", "dped:/nowhere"]) == 2
    assert capsys.readouterr().err.startswith("tasks_phone: ")
    with pytest.raises(DataError, match="choose from demo"):
        small_sweep(data="dmeo").check_kind()


def test_a_sweep_that_asks_about_no_kind_takes_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    for data in BUNDLED:
        assert run(small_sweep(), [*PLAN, "--data", data]) == 0
    with pytest.raises(UnsuitableData, match=r"a smaller dynamic range or a blur; .* exposures:"):
        small_sweep(degradations=("exposure", "blur")).check_kind()
    cycle = {"train.rule": "cycle", "loss.pixel": 0.0, "loss.cycle": 1.0}
    with pytest.raises(UnsuitableData, match="unpaired:DIR"):
        small_sweep(
            degradations=("camera",), data="deblur:demo", space={"loss.identity": small_sweep().space["loss.tv"]},
            enqueue={}, fixed=cycle, objectives=("cycle_psnr_db",),
        ).check_kind()  # fmt: skip
    with pytest.raises(SweepError, match="unknown degradation 'noise'; choose from camera, blur, exposure"):
        small_sweep(degradations=("noise",))
