"""The GPU benchmark's arithmetic and its page, with made-up numbers, and what it says where there is no GPU."""

import json
import sys
from typing import Any

import pytest
import torch

from enhance.config import conflicts
from enhance.data import PatchStore
from enhance.rules.step import SWITCH
from sweeps.engine.space import corner_points
from tests.bench.gpu import __main__ as command
from tests.bench.gpu.arms import ARMS
from tests.bench.gpu.roofline import Peaks, Work, bound, idle_share, roofline_s
from tests.bench.gpu.steps import Counter, counted
from tests.bench.gpu.table import page, per_hour
from tests.bench.gpu.workloads import SCALES, WORKLOADS, Job

PEAKS = Peaks(flops_per_s=500e12, bytes_per_s=4e12)


def test_the_shortest_time_is_that_of_arithmetic_or_of_traffic() -> None:
    assert roofline_s(Work(flops=1e12, bytes=4e9), PEAKS) == pytest.approx(2e-3)
    assert roofline_s(Work(flops=1e12, bytes=16e9), PEAKS) == pytest.approx(4e-3)
    assert [bound(Work(1e12, own), PEAKS) for own in (4e9, 16e9)] == ["arithmetic", "memory"]
    with pytest.raises(ValueError, match="must be above 0"):
        roofline_s(Work(1, 1), Peaks(0, 1))


def test_idle_is_what_busy_leaves() -> None:
    assert idle_share([90.0, 100.0, 80.0]) == pytest.approx(0.1)
    assert idle_share([]) is None


def test_what_operations_compute_read_and_write_is_counted() -> None:
    a, b = torch.zeros(100), torch.zeros(100)
    with Counter() as counter:
        (a + b).view(10, 10)
    assert (counter.flops, counter.bytes) == (0, 3 * 400)
    with Counter() as counter:
        torch.zeros(4, 8) @ torch.zeros(8, 16)
    assert counter.flops == 2 * 4 * 8 * 16


@pytest.mark.slow
def test_a_whole_step_is_counted_under_a_gradient_penalty_too(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "0")
    monkeypatch.setenv("TESTSTRIP_CACHE", str(demo.path.parent))
    small = {**SCALES["demo"], "train.batch_size": 1, "train.val_images": 1, "train.dtype": "fp32"}
    monkeypatch.setitem(
        WORKLOADS, "WGAN-GP", {**WORKLOADS["WGAN-GP"], **small, "net.channels": 4, "critic.channels": 4}
    )
    work = counted(Job("WGAN-GP", "demo", False, 1, 9, "cpu"))
    # At least the generator's 9x9 layers at both ends, forward and backward, on 32 x 32 px.
    assert work.flops > 3 * 2 * 2 * 81 * 3 * 4 * 32**2
    assert work.bytes > 0


def made_up() -> dict[str, Any]:
    """Two rounds of one job in all arms but one, and one step."""
    seconds = {"stock Tune": [400.0, 420.0], "tuned Tune": [100.0, 120.0], "eager": [80.0, 81.0],
               "captured, shared": [20.0, 20.0]}  # fmt: skip
    return {
        "date": "2001-02-03", "command": "make bench-gpu", "device": "Made-Up GPU", "cores": 8,
        "versions": {"torch": "9.9"}, "rounds": 2, "trials": 24, "steps": 300,
        "peaks": {"flops_per_s": 500e12, "bytes_per_s": 4e12},
        "arms": [{"arm": arm, "job": "DPED, paper", "trials": 24, "seconds": took} for arm, took in seconds.items()],
        "step": [
            {"workload": "DPED", "scale": "paper", "roofline_ms": 2.0, "bound": "arithmetic",
             "eager_ms": [9.0, 8.0, 10.0], "eager_idle_share": 0.5, "eager_how": "eager: not asked",
             "captured_ms": [3.0, 3.0, 4.0], "captured_idle_share": None, "captured_how": "recorded"},
        ],
    }  # fmt: skip


def test_the_page_has_medians_ratios_within_rounds_and_where_they_come_from() -> None:
    said = page(json.loads(json.dumps(made_up())))
    assert per_hour(made_up()["arms"][0]) == pytest.approx((216 + 3600 * 24 / 420) / 2)
    assert "Measured on 2001-02-03 on one Made-Up GPU (torch 9.9)" in said
    assert "| DPED, paper | 211 | 792 | 1,073 | - | 4,320 | 20.50 (20.00 to 21.00) | 5.50 (5.00 to 6.00) |" in said
    assert "| DPED, paper | 9 | 3 | 2 (arithmetic) | 1.50 | 50%, - |" in said
    assert "500 TFLOP/s in bfloat16, 4,000 GB/s" in said


def test_a_step_that_was_not_recorded_is_said_beside_its_time() -> None:
    result = made_up()
    result["step"][0]["captured_how"] = "eager: kornia"
    assert "| 9 | 3 (eager: kornia) |" in page(result)


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_job_can_be_trained(workload: str, scale: str) -> None:
    for halving in (False, True):
        sweep = Job(workload, scale, halving, trials=24, steps=300).sweep()
        assert sweep.budget.rung_steps() == ((33, 100, 300) if halving else (300,))
        assert [conflicts(sweep.config(point)) for point in corner_points(sweep.space)].count([]) > 0
        assert not any(conflicts(sweep.config(point)) for point in corner_points(sweep.space))


def test_the_arms_are_the_five_of_the_question() -> None:
    assert list(ARMS) == ["stock Tune", "tuned Tune", "eager", "captured", "captured, shared"]


def test_a_machine_without_a_gpu_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert command.main() == 2
    assert capsys.readouterr().err == "make bench-gpu needs an NVIDIA GPU, and torch sees none on this machine\n"
