"""Measuring a network: conditions, numbers and failures."""

import dataclasses
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from enhance import cost, memory
from enhance.conditions import BASELINE, Conditions, condition_domains
from enhance.config import ConfigError, Scalar
from enhance.cost import expected_s, macs, measure, passes
from enhance.nets import build, parameter_count
from tests.enhance.cost.small_networks import SMALL, TINY, net
from tests.places import ROOT


@pytest.mark.slow
def test_a_cost_says_everything() -> None:
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    state = torch.get_rng_state()
    torch.set_num_threads(2)
    found = measure(TINY, SMALL, beat)
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert found.failure == ""
    assert found.parameters == parameter_count(build("resnet", seed=0, channels=4, blocks=1))
    assert found.macs == macs(TINY, 64, 48)
    assert found.rounds >= 3
    assert found.warmup_rounds >= 1
    assert beats > 2 * (found.rounds + found.warmup_rounds)
    assert 0 < found.latency_ratio_low < found.latency_ratio < found.latency_ratio_high
    assert 0 < found.latency_ms <= found.latency_p95_ms
    assert found.latency_ratio < 1  # by MACs it is one hundredth
    assert found.spent_s > 0.1
    assert found.conditions == SMALL
    assert found.contended is bool(found.contention)
    assert found.torch == torch.__version__
    assert found.device_name
    if memory.CLEAR_REFS.exists():
        assert found.peak_memory_bytes is not None


@pytest.mark.slow
def test_the_baseline_costs_what_the_baseline_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the same network in turns: their ratio is 1 as far as its interval knows, or nearly.

    By a stopwatch that stands still while the machine does something else.
    """
    monkeypatch.setattr(time, "perf_counter", time.thread_time)
    found = measure(BASELINE, dataclasses.replace(SMALL, max_s=2.0))
    assert found.macs == macs(BASELINE, 64, 48)
    assert 0.5 < found.latency_ratio < 2
    assert 0.5 < found.latency_ms / found.baseline_ms < 2


@pytest.mark.slow
def test_figures_follow_from_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Median, 95th percentile and ratio of stopwatches that say 1 to 20 ms, beside a baseline of 10 ms."""
    seen = iter(range(1, 21))

    def fixed(*_: object) -> cost.Times:
        _[-1]()  # the start, at which the machine is looked at
        return cost.Times(candidate_s=[n / 1000 for n in seen], baseline_s=[0.01] * 20, warmup_rounds=2)

    monkeypatch.setattr(cost, "take_turns", fixed)
    found = measure(TINY, SMALL)
    assert (found.latency_ms, found.baseline_ms) == pytest.approx((10.5, 10.0))
    assert found.latency_p95_ms == pytest.approx(19.05)
    assert found.latency_ratio == pytest.approx(math.factorial(20) ** (1 / 20) / 10)
    assert (found.rounds, found.warmup_rounds) == (20, 2)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_networks_run_as_the_conditions_say(dtype: str, memory_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, bool, torch.dtype, int, bool, bool]] = []
    conditions = dataclasses.replace(SMALL, dtype=dtype, memory_format=memory_format, threads=1)

    def watching(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        deep = network.forward_deep(images)[1]
        layout = torch.channels_last
        laid = images.is_contiguous(memory_format=layout) and deep.is_contiguous(memory_format=layout)
        kernels = [w for w in network.parameters() if w.dim() == 4 and w.shape[1] > 1 and w.shape[-1] > 1]
        laid &= all(w.is_contiguous(memory_format=layout) for w in kernels)
        threads = torch.get_num_threads()
        seen.append(
            (torch.is_inference_mode_enabled(), laid, deep.dtype, threads, network.training, deep.is_inference())
        )
        return images

    monkeypatch.setattr(passes, "apply", watching)
    torch.set_num_threads(2)
    with passes.settings(conditions):
        passes.stopwatch(passes.build_for(net(channels=4, norm="none"), conditions), passes.image(conditions))(1)
    computed = torch.bfloat16 if dtype == "bf16" else torch.float32
    assert seen == [(True, memory_format == "channels_last", computed, 1, False, True)]
    assert torch.get_num_threads() == 2
    assert not torch.is_inference_mode_enabled()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["curve", "unet", "strided"])
def test_families_that_need_multiples_are_padded(family: str) -> None:
    leaves: dict[str, Scalar] = {"family": family, "channels": 4}
    small = {"levels": 4} if family == "unet" else {}
    odd = dataclasses.replace(SMALL, width_px=65, height_px=47, dtype="bf16")
    found = measure(net(**leaves, **small), odd)
    assert found.failure == ""
    assert found.latency_ms > 0


def test_a_lack_of_memory_is_a_failure_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr(passes, "apply", full)
    torch.set_num_threads(2)
    found = measure(TINY, SMALL)
    assert found.failure.startswith("out of memory on this machine: RuntimeError: [enforce fail")
    assert found.parameters == parameter_count(build("resnet", seed=0, channels=4, blocks=1))
    assert found.macs == macs(TINY, 64, 48)
    assert (found.latency_ms, found.latency_ratio, found.rounds) == (None, None, 0)
    assert torch.get_num_threads() == 2


def test_a_real_lack_of_memory_is_a_failure() -> None:
    """An image of 2^36 pixels: no machine has its 768 GiB (the address space of a process is larger)."""
    huge = dataclasses.replace(SMALL, width_px=1 << 24, height_px=1 << 22)
    found = measure(net(family="shuffle"), huge)
    assert found.failure.startswith("out of memory on this machine: ")


def test_bugs_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(passes, "apply", wrong)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        measure(TINY, SMALL)


@pytest.mark.slow
def test_what_cannot_be_built_or_measured_here_is_a_failure(tmp_path: Path) -> None:
    found = measure(net(family="unet_resnet34", weights=f"file:{tmp_path / 'none.pt'}"), SMALL)
    assert "not available" in found.failure
    assert found.parameters is None
    found = measure(TINY, dataclasses.replace(SMALL, threads=10_000))
    assert found.failure.startswith("threads=10000 must be at most ")
    if not torch.cuda.is_available():
        found = measure(TINY, dataclasses.replace(SMALL, device="cuda"))
        assert found.failure == "device=cuda: torch sees no NVIDIA GPU on this machine; choose cpu"


def test_conditions_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Conditions(width_px=0, device="tpu", dtype="fp16", min_rounds=2, max_s=-1.0, precision=0.0, compiled=1)
    said = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 7
    assert "device='tpu' is not a choice; choose from cpu, cuda" in said
    assert "a whole number of at least 3" in said
    assert list(condition_domains()) == [field.name for field in dataclasses.fields(Conditions)]


def test_a_driver_reads_conditions_without_torch() -> None:
    code = "import sys, enhance.conditions; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_the_expected_time_is_that_of_as_many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every small pass takes a second: each network counts for its passes times its share of the full arithmetic."""
    monkeypatch.setattr(cost, "stopwatch", lambda *_: lambda repeats: float(repeats))
    conditions = Conditions(min_rounds=5)
    assert expected_s(BASELINE, conditions) == pytest.approx(64 * (5 + 3) + 64 * (5 + 1))
    padded = (1280 * 768) / (256 * 256)
    assert expected_s(net(family="unet"), conditions) == pytest.approx(padded * 8 + 64 * 6)
