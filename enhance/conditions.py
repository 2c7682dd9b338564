"""The conditions of a cost measurement, and its result. Free of torch, so that a driver can import it quickly;
`enhance.cost` does the measuring.
"""

import dataclasses
from dataclasses import dataclass

from enhance.config import ConfigError, Domain, choice, leaf
from enhance.config.nets import NetConfig, ResNetConfig

BASELINE: NetConfig = ResNetConfig(kernel=3, channels=64, blocks=4, norm="instance", activation="relu")
"""The reference of every latency: DPED's generator (Ignatov et al. 2017, the authors' code), 401,475 parameters.

De Stoutz et al. 2018 (FPIE) and the PIRM 2018 challenge compare with it as well.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """How to measure a cost: one image at a time, by default 1280x720 as in the PIRM 2018 challenge.

    device: "cpu" or "cuda". dtype: "bf16" means autocast over fp32 weights, as in training.
    memory_format: of both the image and the weights. compiled: use torch.compile, specialized to this size.
    threads: CPU threads of torch during the timing.
    min_rounds, max_s, precision: time at least `min_rounds` rounds, then stop after `max_s` seconds (warm-up included)
        or once the 95 % interval of the ratio to the baseline is within +-`precision` of the ratio.

    Raises ConfigError listing every value outside its domain.
    """

    width_px: int = leaf(1280, minimum=1)
    height_px: int = leaf(720, minimum=1)
    device: str = choice("cpu", "cuda")
    dtype: str = choice("fp32", "bf16")
    memory_format: str = choice("contiguous", "channels_last")
    compiled: bool = leaf(False)
    threads: int = leaf(1, minimum=1)
    # With two rounds, Student's t would make the interval 12.7 standard errors wide to each side; with three, 4.3.
    min_rounds: int = leaf(5, minimum=3)
    max_s: float = leaf(60.0, above=0)
    precision: float = leaf(0.05, above=0, maximum=1)

    # A Config is checked by `from_flat`; conditions are built directly, so they check themselves.
    def __post_init__(self) -> None:
        problems = [
            p for name, domain in condition_domains().items() if (p := domain.problem(name, getattr(self, name)))
        ]
        if problems:
            raise ConfigError(problems)


def condition_domains() -> dict[str, Domain]:
    """The domain of every field of Conditions, in declaration order."""
    return {field.name: field.metadata["domain"] for field in dataclasses.fields(Conditions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one network costs on one device. Unknown quantities are None.

    parameters: number of trainable parameters. macs: multiply-accumulates per image; see `enhance.cost.macs`.
    peak_memory_bytes: peak memory of one forward pass on top of weights and image; see `enhance.memory`.
    latency_ms, latency_p95_ms: median and 95th percentile of one forward pass, over the rounds.
    latency_ratio: geometric mean, over the rounds, of this network's time divided by the baseline's in the same round;
        below 1 means faster. `_low` and `_high` bound its 95 % interval. baseline_ms: the baseline's median.
    rounds, warmup_rounds: rounds counted and discarded. spent_s: total time, building the networks included.
    load_1min: the machine's load average before or after, whichever is larger (this process contributes to it).
    contended, contention: whether other work competed for the machine, and a sentence naming it; for the criteria see
        `enhance.cost.contention`.
    failure: why there is no latency; empty if there is one.
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
