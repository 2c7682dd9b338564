"""Costs: counted arithmetic, times taken in turns and what follows from them, conditions, failures, the command."""

import dataclasses
import itertools
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from enhance import cost, memory
from enhance.conditions import BASELINE, Conditions, condition_laws
from enhance.config import ConfigError, Scalar, from_flat
from enhance.config.nets import NetConfig
from enhance.cost import contention, expected_s, macs, measure, passes
from enhance.cost.__main__ import main, network
from enhance.cost.contention import Snapshot, noticed, snapshot
from enhance.cost.timing import LEAST_S, WARMUP_S, enough, ratio_interval, take_turns
from enhance.nets import FAMILIES, build, parameter_count

ROOT = Path(__file__).resolve().parents[2]
SMALL = Conditions(width_px=64, height_px=48, min_rounds=3, max_s=0.1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


def net(**leaves: Scalar) -> NetConfig:
    return from_flat({f"net.{name}": value for name, value in leaves.items()}).net


TINY = net(channels=4, blocks=1)

# --- multiply-accumulates ----------------------------------------------------------------------------------------


def conv(pixels: int, kernel: int, inputs: int, outputs: int) -> int:
    return pixels * kernel**2 * inputs * outputs


def resnet_macs(pixels: int, kernel: int, channels: int, blocks: int) -> int:
    return 2 * conv(pixels, 9, 3, channels) + (2 * blocks + 2) * conv(pixels, kernel, channels, channels)


def strided_macs(pixels: int, kernel: int, strided: int, c: int, blocks: int) -> int:
    half, quarter = pixels // 4, pixels // 16
    down = conv(half, strided, c, 2 * c) + conv(quarter, strided, 2 * c, 4 * c)
    up = conv(quarter, strided, 4 * c, 2 * c) + conv(half, strided, 2 * c, c)  # each input pixel meets each weight once
    inner = 2 * blocks * conv(quarter, kernel, 4 * c, 4 * c) + 2 * conv(pixels, kernel, c, c)
    return 2 * conv(pixels, 9, 3, c) + down + up + inner


HD = 1280 * 720


@pytest.mark.parametrize(
    ("leaves", "wanted"),
    [
        ({"family": "resnet"}, resnet_macs(HD, 3, 64, 4)),
        ({"family": "resnet", "kernel": 5, "channels": 16, "blocks": 3}, resnet_macs(HD, 5, 16, 3)),
        ({"family": "strided"}, strided_macs(HD, 3, 4, 16, 2)),
        ({"family": "srcnn"}, conv(HD, 9, 3, 64) + conv(HD, 5, 64, 32) + conv(HD, 5, 32, 3)),
        (
            {"family": "separable", "channels": 8, "blocks": 2},
            2 * conv(HD, 3, 3, 8) + 4 * (HD * 9 * 8 + conv(HD, 1, 8, 8)),
        ),
        (
            {"family": "shuffle", "factor": 4, "channels": 8, "blocks": 1},
            2 * conv(HD // 16, 3, 48, 8) + 2 * conv(HD // 16, 3, 8, 8),
        ),
        # a curve adds two linear layers, (deep features + 6) to 64 to 3 (degree + 1), and two color matrices
        (
            {"family": "curve", "base": "resnet", "channels": 4, "blocks": 0, "degree": 2},
            resnet_macs(HD, 3, 4, 0) + 10 * 64 + 64 * 9 + 2 * HD * 9,
        ),
    ],
)
def test_macs_are_those_of_the_formulas(leaves: dict[str, Scalar], wanted: int) -> None:
    assert macs(net(**leaves), 1280, 720) == wanted


def test_macs_are_those_of_fpies_tables() -> None:
    """GMAC at 1280x720, computed apart from this code from the layers that the paper and its code name."""
    assert macs(BASELINE, 1280, 720) / 1e9 == pytest.approx(368.4, abs=0.05)
    assert macs(net(family="strided"), 1280, 720) / 1e9 == pytest.approx(27.5, abs=0.05)
    assert macs(net(channels=16, blocks=1), 1280, 720) / 1e9 == pytest.approx(15.7, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_macs_at_any_size(family: str) -> None:
    """1280x720 suits neither 32 nor 256: what is counted is the image as it is padded."""
    config = net(family=family)
    padded = [-(-px // config.multiple_of) * config.multiple_of for px in (1280, 720)]
    assert macs(config, 1280, 720) == macs(config, *padded) > 0
    assert macs(config, 1, 1) == macs(config, config.multiple_of, config.multiple_of) > 0


def test_the_baseline_is_dpeds_network() -> None:
    assert parameter_count(build("resnet", seed=0)) == 401_475
    assert from_flat({}).net == BASELINE


# --- the arithmetic of ratios ------------------------------------------------------------------------------------

TIMES = st.lists(st.tuples(st.floats(1e-4, 1e2), st.floats(1e-4, 1e2)), min_size=3, max_size=20)


@given(TIMES)
def test_the_interval_is_students(rounds: list[tuple[float, float]]) -> None:
    one, other = ([pair[i] for pair in rounds] for i in (0, 1))
    found = ratio_interval(one, other)
    logs = [math.log(a / b) for a, b in rounds]
    assert found.ratio == pytest.approx(stats.gmean(np.divide(one, other)))
    if np.ptp(logs) > 1e-6:
        wanted = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
        assert np.log([found.low, found.high]) == pytest.approx([wanted.low, wanted.high], rel=1e-6, abs=1e-9)
    inverse = ratio_interval(other, one)
    assert (1 / inverse.ratio, 1 / inverse.high, 1 / inverse.low) == pytest.approx((found.ratio, found.low, found.high))


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    """Fixed numbers of rounds, 5 each, of which all times are noisy and both are slowed together at random."""
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        slow = np.exp(draws.normal(0, 0.5, 5))
        one, other = (mean * slow * np.exp(draws.normal(0, 0.1, 5)) for mean in (3.0, 10.0))
        found = ratio_interval(list(one), list(other))
        held += found.low <= 0.3 <= found.high
    assert 0.93 < held / 1000 < 0.97


def test_when_rounds_are_enough() -> None:
    conditions = Conditions(min_rounds=4, max_s=10.0, precision=0.05)
    steady, shaky = [1.0, 1.01, 1.0, 0.99], [1.0, 1.5, 1.0, 0.7]
    other = [2.0] * 4
    assert not enough(steady[:3], other[:3], 99.0, conditions)  # too few rounds, whatever the time
    assert enough(steady, other, 1.0, conditions)  # precise
    assert not enough(shaky, other, 9.9, conditions)
    assert enough(shaky, other, 10.0, conditions)  # out of time
    half = ratio_interval(shaky, other).high / ratio_interval(shaky, other).ratio - 1
    for precision, wanted in ((half * 1.001, True), (half * 0.999, False)):
        looser = dataclasses.replace(conditions, precision=min(precision, 1.0))
        assert enough(shaky, other, 1.0, looser) is (wanted and precision <= 1)


class Bench:
    """Stopwatches that take their seconds from a list of speeds and move a clock; they keep who ran when."""

    def __init__(self) -> None:
        self.now, self.runs = 0.0, list[tuple[str, int]]()
        self.beats = self.runs_before_start = 0

    def clock(self) -> float:
        return self.now

    def stopwatch(self, name: str, seconds: Iterator[float]) -> Callable[[int], float]:
        def run(repeats: int) -> float:
            self.runs.append((name, repeats))
            taken = repeats * next(seconds)
            self.now += taken
            return taken

        return run

    def beat(self) -> None:
        self.beats += 1

    def start(self) -> None:
        self.runs_before_start = len(self.runs)

    def turns(self, candidate: Iterator[float], baseline: Iterator[float], conditions: Conditions) -> cost.Times:
        stopwatches = (self.stopwatch("candidate", candidate), self.stopwatch("baseline", baseline))
        return take_turns(*stopwatches, conditions, self.clock, self.beat, self.start)


def test_turns_alternate_and_every_timing_is_a_beat() -> None:
    bench = Bench()
    times = bench.turns(itertools.repeat(2.0), itertools.repeat(10.0), Conditions(min_rounds=4))
    counted = [name for name, _ in bench.runs[bench.runs_before_start :]]
    assert counted == ["candidate", "baseline", "baseline", "candidate"] * 2
    assert bench.beats == len(bench.runs)
    assert times.warmup_rounds == 1  # one pass of seconds is warm enough
    assert bench.runs_before_start == 2
    assert times.candidate_s == [2.0] * 4
    assert times.baseline_s == [10.0] * 4


def test_short_passes_are_repeated_until_the_clock_can_tell() -> None:
    bench = Bench()
    times = bench.turns(itertools.repeat(LEAST_S / 100), itertools.repeat(LEAST_S / 3), Conditions(min_rounds=3))
    assert times.candidate_s == pytest.approx([LEAST_S / 100] * 3)  # of one pass, however many there were
    assert times.baseline_s == pytest.approx([LEAST_S / 3] * 3)
    repeats = dict(bench.runs[bench.runs_before_start :])
    assert repeats == {"candidate": 128, "baseline": 4}
    pass_s = {"candidate": LEAST_S / 100, "baseline": LEAST_S / 3}
    warm_s = sum(count * pass_s[name] for name, count in bench.runs[: bench.runs_before_start])
    assert warm_s >= WARMUP_S
    assert times.warmup_rounds > 1


def test_a_slow_first_pass_is_not_counted() -> None:
    bench = Bench()
    slow_start = itertools.chain([60.0], itertools.repeat(1.0))
    times = bench.turns(slow_start, itertools.repeat(1.0), Conditions(max_s=600.0))
    assert set(times.candidate_s) == {1.0}
    assert len(times.candidate_s) == 5


def test_out_of_time_ends_with_the_fewest_rounds() -> None:
    shaky = itertools.cycle([1.0, 2.0, 4.0])
    bench = Bench()
    times = bench.turns(shaky, itertools.repeat(10.0), Conditions(min_rounds=3, max_s=1.0))
    assert len(times.candidate_s) == 3
    bench = Bench()
    times = bench.turns(itertools.cycle([1.0, 2.0, 4.0]), itertools.repeat(10.0), Conditions(max_s=200.0))
    assert bench.now >= 200 > bench.now - 14  # not a round more
    assert len(times.candidate_s) > 5


# --- what else the machine does ----------------------------------------------------------------------------------

CALM = Snapshot(wall_s=0.0, own_s=0.0, busy_s=0.0, stolen_s=0.0, load_1min=0.0, clock_mhz=2600.0, cores=4)


def later(**changes: float | None) -> Snapshot:
    """Ten seconds on, of which this process has computed all on one core."""
    return dataclasses.replace(CALM, **{"wall_s": 10.0, "own_s": 10.0, "busy_s": 10.0, "load_1min": 1.0, **changes})


@pytest.mark.parametrize(
    ("changes", "times", "wanted"),
    [
        ({}, [1.0, 1.2], []),
        ({"busy_s": 13.9}, [1.0], []),
        ({"busy_s": 14.1}, [1.0], ["other processes kept 0.41 of 4 cores busy"]),
        ({"own_s": 40.0, "busy_s": 40.0}, [1.0], []),  # all of it is this process
        ({"stolen_s": 0.1}, [1.0], []),
        ({"stolen_s": 0.5}, [1.0], ["the host took 0.05 cores away"]),
        ({"load_1min": 9.0}, [1.0], []),  # CPU times say it better
        ({"busy_s": None, "load_1min": 1.9}, [1.0], []),
        ({"busy_s": None, "load_1min": 2.1}, [1.0], ["the load average was 2.10 with 1 threads in use"]),
        ({"clock_mhz": 2400.0}, [1.0], []),
        ({"clock_mhz": 1300.0}, [1.0], ["the clock went from 2600 to 1300 MHz"]),
        ({"clock_mhz": None}, [1.0], []),
        ({}, [1.0, 1.3], ["the baseline took from 1000 to 1300 ms"]),
    ],
)
def test_contention_is_noticed(changes: dict[str, float | None], times: list[float], wanted: list[str]) -> None:
    assert noticed(CALM, later(**changes), 1, times) == wanted


def test_a_load_before_the_start_counts_where_there_are_no_cpu_times() -> None:
    before = dataclasses.replace(CALM, busy_s=None, stolen_s=None, load_1min=7.0)
    assert noticed(before, later(busy_s=None, stolen_s=None), 2, [1.0]) == [
        "the load average was 7.00 with 2 threads in use"
    ]


def test_a_snapshot_reads_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = snapshot(), snapshot()
    assert other.wall_s >= one.wall_s
    assert other.own_s >= one.own_s > 0
    stat, info = tmp_path / "stat", tmp_path / "cpuinfo"
    tick = contention.os.sysconf("SC_CLK_TCK")
    stat.write_text(f"cpu  {tick} {2 * tick} {3 * tick} 7 7 {4 * tick} {5 * tick} {6 * tick} 9 9\ncpu0 1 1\n")
    info.write_text("processor\t: 0\ncpu MHz\t\t: 1200.5\nprocessor\t: 1\ncpu MHz\t\t: 2600.0\n")
    monkeypatch.setattr(contention, "STAT", stat)
    monkeypatch.setattr(contention, "CPUINFO", info)
    assert (snapshot().busy_s, snapshot().stolen_s, snapshot().clock_mhz) == (15.0, 6.0, 2600.0)
    stat.unlink()
    info.unlink()
    assert (snapshot().busy_s, snapshot().stolen_s, snapshot().clock_mhz) == (None, None, None)


# --- memory ------------------------------------------------------------------------------------------------------

on_linux = pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="needs Linux's /proc/self/clear_refs")


@on_linux
@pytest.mark.parametrize("kept", [False, True])
def test_the_peak_is_what_was_held_at_once(kept: bool) -> None:
    """64 and 32 MB at once, then 32 alone; a peak of another call before must not count.

    In a process of its own: what other tests have left in this one's memory could be what `work` is given.
    """
    code = textwrap.dedent(f"""
        import torch
        from enhance import memory
        held = []
        memory.peak_bytes(lambda: torch.ones(64 << 20), "cpu")
        def work():
            first = torch.ones(16 << 20)
            second = torch.ones(8 << 20)
            del first
            if {kept}:
                held.append(second)
        print(memory.peak_bytes(work, "cpu"))
    """)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert int(found.stdout) / (96 << 20) == pytest.approx(1, abs=0.1)


def test_an_unknown_peak_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "nowhere" / "clear_refs")
    assert memory.peak_bytes(lambda: None, "cpu") is None


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory on the device: "),
        (RuntimeError("CUDA error: out of memory"), "out of memory on the device: "),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of memory on the device: "),
        (MemoryError(), "out of memory on this machine: "),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory on this "),
        (RuntimeError("shapes do not match"), ""),
        (ValueError("DefaultCPUAllocator: can't allocate memory"), ""),
    ],
)
def test_a_lack_of_memory_is_recognised(error: Exception, begins: str) -> None:
    assert memory.lack_of_memory(error).startswith(begins)
    assert bool(memory.lack_of_memory(error)) is bool(begins)


# --- measuring ---------------------------------------------------------------------------------------------------


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


def test_the_baseline_costs_what_the_baseline_costs() -> None:
    """Two of the same network in turns: their ratio is 1 as far as its interval knows, or nearly."""
    found = measure(BASELINE, dataclasses.replace(SMALL, max_s=2.0))
    assert found.macs == macs(BASELINE, 64, 48)
    assert 0.5 < found.latency_ratio < 2
    assert 0.5 < found.latency_ms / found.baseline_ms < 2


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
        passes.stopwatch(passes.prepared(net(channels=4, norm="none"), conditions), passes.image(conditions))(1)
    computed = torch.bfloat16 if dtype == "bf16" else torch.float32
    assert seen == [(True, memory_format == "channels_last", computed, 1, False, True)]
    assert torch.get_num_threads() == 2
    assert not torch.is_inference_mode_enabled()


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


def test_what_cannot_be_built_or_measured_here_is_a_failure(tmp_path: Path) -> None:
    found = measure(net(family="unet_resnet34", weights=f"file:{tmp_path / 'none.pt'}"), SMALL)
    assert "cannot be had" in found.failure
    assert found.parameters is None
    found = measure(TINY, dataclasses.replace(SMALL, threads=10_000))
    assert found.failure.startswith("threads=10000 must be <= ")
    if not torch.cuda.is_available():
        found = measure(TINY, dataclasses.replace(SMALL, device="cuda"))
        assert found.failure == "device=cuda: torch sees no NVIDIA GPU on this machine; choose cpu"


def test_conditions_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Conditions(width_px=0, device="tpu", dtype="fp16", min_rounds=2, max_s=-1.0, precision=0.0, compiled=1)
    said = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 7
    assert "device='tpu' is not a choice; choose from cpu, cuda" in said
    assert "min_rounds must be a whole number >= 3" in said
    assert list(condition_laws()) == [field.name for field in dataclasses.fields(Conditions)]


def test_a_driver_reads_conditions_without_torch() -> None:
    code = "import sys, enhance.conditions; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_the_expected_time_is_that_of_as_many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every small pass takes a second: each network counts for its passes times its share of the full arithmetic."""
    monkeypatch.setattr(cost, "stopwatch", lambda *_: lambda repeats: float(repeats))
    conditions = Conditions(min_rounds=5)
    assert expected_s(BASELINE, conditions) == pytest.approx(64 * (5 + 3) + 64 * (5 + 1))
    padded = (1280 * 768) / (256 * 256)
    assert expected_s(net(family="unet"), conditions) == pytest.approx(padded * 8 + 64 * 6)


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_says_what_a_network_costs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--net", "strided", "--set", "net.channels=4", "--size", "64x48", "--max-s", "0.1"]
    assert main([*arguments, "--memory-format", "channels_last"]) == 0
    looking, timing, *rest = capsys.readouterr().out.splitlines()
    assert looking.startswith("looking at strided")
    assert "5 rounds or more" in timing
    lines = dict(line.split(maxsplit=1) for line in rest)
    assert lines["conditions"] == "64x48, one image, cpu, fp32, channels_last, not compiled, 1 thread"
    assert lines["parameters"] == f"{parameter_count(build('strided', seed=0, channels=4)):,}"
    assert lines["GMAC"].split()[0] == f"{macs(net(family='strided', channels=4), 64, 48) / 1e9:.4g}"
    assert "ms p95 (" in lines["latency"]
    assert "(95 % interval)" in lines["ratio"]
    assert {"device", "torch", "baseline", "contention", "load", "seconds"} <= set(lines)


def test_the_command_says_why_there_is_no_latency(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("enhance.cost.__main__.expected_s", lambda *_: 1.0)
    monkeypatch.setattr(passes, "apply", full)
    assert main(["--net", "resnet", "--set", "net.channels=4", "--size", "64x48"]) == 1
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:])
    assert lines["failure"].startswith("out of memory on this machine: MemoryError")
    assert "latency" not in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "net.chanels=16"], "did you mean net.channels"),
        (["--set", "net.levels=3"], "it belongs to net.family=unet (default: resnet)"),
        (["--set", "net.channels"], "write NAME=VALUE"),
        (["--set", "net.channels=many"], "must be a whole number"),
        (["--set", "net.blocks=-1"], "must be a whole number >= 0"),
        (["--set", "net.family=unet"], "chosen by --net"),
        (["--set", "optimizer.lr=1"], "no leaf of a network; choose from net.family, net.kernel"),
        (["--threads", "0"], "threads must be a whole number >= 1"),
        (["--max-s", "0"], "max_s must be a number > 0"),
        (["--size", "0x10"], "width_px must be a whole number >= 1"),
    ],
)
def test_the_command_refuses_what_does_not_exist(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--net", "resnet", *arguments]) == 2
    heard = capsys.readouterr()
    assert said in heard.err
    assert heard.out == ""


@pytest.mark.parametrize("arguments", [[], ["--net", "resnett"], ["--net", "resnet", "--size", "720p"]])
def test_the_command_refuses_mistyped_options(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_leaves_are_set_whatever_their_order() -> None:
    """A curve's base decides which leaves there are."""
    found = network("curve", ["net.levels=3", "net.base=unet", "net.degree=2"])
    assert found == net(family="curve", base="unet", levels=3, degree=2)
