"""What a network costs, and under which conditions that was measured. Apart from `enhance.cost`, which does it, so that
a driver reads both without torch.
"""

import dataclasses
from dataclasses import dataclass

from enhance.config import ConfigError, Domain, choice, leaf
from enhance.config.nets import NetConfig, ResNetConfig

BASELINE: NetConfig = ResNetConfig(kernel=3, channels=64, blocks=4, norm="instance", activation="relu")
"""What every latency is compared with: DPED's generator (Ignatov et al. 2017, the authors' code), 401,475 parameters.

It is also the yardstick of de Stoutz et al. 2018 (FPIE) and of the PIRM 2018 challenge.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """How a cost is measured: one image of this size at a time, as the PIRM 2018 challenge did (1280x720).

    device: "cpu" or "cuda". dtype: "bf16" is autocast over fp32 weights, as in training.
    memory_format: that of the image and of the weights. compiled: by torch.compile, for this one size.
    threads: those of torch on the CPU while it is timed.
    min_rounds, max_s, precision: at least so many rounds are timed. Then it ends after `max_s` seconds, warm-up
        included, or as soon as the 95 % interval of the ratio to the baseline is narrower than +-`precision` of it.

    Raises ConfigError with every value outside its domain.
    """

    width_px: int = leaf(1280, minimum=1)
    height_px: int = leaf(720, minimum=1)
    device: str = choice("cpu", "cuda")
    dtype: str = choice("fp32", "bf16")
    memory_format: str = choice("contiguous", "channels_last")
    compiled: bool = leaf(False)
    threads: int = leaf(1, minimum=1)
    min_rounds: int = leaf(5, minimum=3)
    max_s: float = leaf(60.0, above=0)
    precision: float = leaf(0.05, above=0, maximum=1)

    def __post_init__(self) -> None:
        problems = [
            p for name, domain in condition_domains().items() if (p := domain.problem(name, getattr(self, name)))
        ]
        if problems:
            raise ConfigError(problems)


def condition_domains() -> dict[str, Domain]:
    """The domain of every field of Conditions, in the order of declaration."""
    return {field.name: field.metadata["domain"] for field in dataclasses.fields(Conditions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one network costs on one device. What could not be found out is None.

    parameters: trainable numbers. macs: multiply-accumulates of one image; see `enhance.cost.macs`.
    peak_memory_bytes: what one forward pass takes at its peak beside weights and image; see `enhance.memory`.
    latency_ms, latency_p95_ms: median and 95th percentile over the rounds of the time of one forward pass.
    latency_ratio: geometric mean over the rounds of its time to the baseline's in the same round, with the limits of
        its 95 % interval; below 1 it is faster. baseline_ms: the baseline's median.
    rounds, warmup_rounds: rounds that were counted, and that were not. spent_s: everything, building included.
    load_1min: the machine's load average, the larger of those before and after (this process is in it).
    contended, contention: whether something else had a part of the machine, and the sentence that says what; the rules
        are in `enhance.cost.contention`.
    failure: why there is no latency; empty where there is one.
    """

    conditions: Conditions
    parameters: int | None = None
    macs: int | None = None
    peak_memory_bytes: int | None = None
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_ratio: float | None = None
    latency_ratio_low: float | None = None
    latency_ratio_high: float | None = None
    baseline_ms: float | None = None
    rounds: int = 0
    warmup_rounds: int = 0
    spent_s: float
    load_1min: float
    contended: bool = False
    contention: str = ""
    device_name: str
    torch: str
    failure: str = ""
