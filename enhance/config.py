"""The configuration of one trial: what it is made of, how it is named, when it is refused.

A configuration is a tree of frozen dataclasses. Every leaf has one flat name ("net.channels", "loss.color") under
which it appears in search spaces, in messages and, with the prefix "config.", in the ledger. This module imports
nothing heavy: a driver validates a whole sweep before it loads torch.
"""

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Scalar = bool | int | float | str


class ConfigError(ValueError):
    """A configuration that breaks one or more laws; `problems` holds a sentence for each of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{title} in the configuration:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """What one leaf may hold: a kind, and either its choices or its range."""

    kind: type[bool] | type[int] | type[float] | type[str]
    choices: tuple[Scalar, ...] = ()
    minimum: float = -math.inf
    above: float = -math.inf
    maximum: float = math.inf
    odd: bool = False

    def problem(self, name: str, value: object) -> str | None:
        """The sentence that says why `value` is refused under `name`, or None where it is allowed."""
        if self.choices:
            if value in self.choices and type(value) is self.kind:
                return None
            return f"{name}={value!r} is not a choice; choose from {_listed(self.choices)}"
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            return f"{name}={value!r} must be {_A[self.kind]}, not {type(value).__name__}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name}={value!r} must be finite"
        if isinstance(value, bool | str):
            return None
        if isinstance(value, int | float) and self.allows(value):
            return None
        return f"{name}={value!r} breaks the law: {self.describe(name)}"

    def allows(self, value: float) -> bool:
        """Whether a number lies in the range (and is odd, where it must be)."""
        return self.minimum <= value <= self.maximum and value > self.above and (not self.odd or value % 2 == 1)

    def describe(self, name: str) -> str:
        """The law in words, with `name` as its subject."""
        parts = [f">= {self.minimum:g}"] if self.minimum > -math.inf else []
        parts += [f"> {self.above:g}"] if self.above > -math.inf else []
        parts += [f"<= {self.maximum:g}"] if self.maximum < math.inf else []
        parts += ["odd"] if self.odd else []
        return f"{name} must be {_A[self.kind]} " + " and ".join(parts)


_A: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _leaf(default: Scalar, **law: Any) -> Any:
    return field(default=default, metadata={"law": Law(kind=type(default), **law)})


def choice(default: str, *others: str) -> Any:
    """A leaf that holds one of a few words, the default named first."""
    return _leaf(default, choices=(default, *others))


# --- the parts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNetConfig:
    """DPED's generator and the FPIE grid; see `enhance.nets.resnet`."""

    family: str = choice("resnet")
    kernel: int = _leaf(3, minimum=1, maximum=15, odd=True)
    channels: int = _leaf(64, minimum=1, maximum=1024)
    blocks: int = _leaf(4, minimum=0, maximum=64)
    norm: str = choice("instance", "batch", "none")
    activation: str = choice("relu", "prelu")
    init: str = choice("dped", "he")


NetConfig = ResNetConfig
NET_CONFIGS: dict[str, type[NetConfig]] = {"resnet": ResNetConfig}


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the loss terms (a zero weight costs nothing) and the named variants; see `enhance.losses`."""

    pixel: float = _leaf(0.0, minimum=0)
    color: float = _leaf(0.0, minimum=0)
    texture: float = _leaf(0.0, minimum=0)
    content: float = _leaf(0.0, minimum=0)
    tv: float = _leaf(0.0, minimum=0)
    pixel_norm: str = choice("l1", "mse")
    color_blur: str = choice("code", "paper")
    texture_form: str = choice("code", "paper")
    content_layer: str = choice("relu5_4", "relu1_2", "relu2_2", "relu3_4", "relu4_4")
    content_weights: str = choice("random", "imagenet")
    tv_form: str = choice("code", "paper")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """One optimizer (Adam); used for the generator under `optimizer.*` and for the critic under `critic.*`."""

    lr: float = _leaf(5e-4, above=0)
    beta1: float = _leaf(0.9, minimum=0, maximum=0.9999)
    beta2: float = _leaf(0.999, minimum=0, maximum=0.99999)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The micro-run itself. `steps` is the full budget, wherever the trial may be stopped before.

    `dtype` is that of the training step (bf16 is autocast over fp32 weights); evaluation is always fp32.
    `val_images` is the number of validation patches, spread evenly over the set; a smaller set is used whole.
    """

    steps: int = _leaf(600, minimum=1)
    batch_size: int = _leaf(8, minimum=1)
    crop_px: int = _leaf(32, minimum=17)  # DPED's critic leaves nothing to normalise below that
    flips: bool = _leaf(True)
    dtype: str = choice("fp32", "bf16")
    val_images: int = _leaf(60, minimum=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardConfig:
    """When a trial counts as diverged; see `enhance.guard`."""

    window_steps: int = _leaf(25, minimum=1)
    explosion: float = _leaf(1e3, above=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that decides what a trial computes, except its seed, the data and the code."""

    net: NetConfig = field(default_factory=ResNetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    critic: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)


# --- flat names --------------------------------------------------------------------------------------------------


def laws(family: str = "resnet") -> dict[str, Law]:
    """The law of every flat name, for a configuration whose network is of `family`."""
    found: dict[str, Law] = {}
    for part in dataclasses.fields(Config):
        cls = NET_CONFIGS[family] if part.name == "net" else part.type
        for leaf in dataclasses.fields(cls):  # type: ignore[arg-type]
            found[f"{part.name}.{leaf.name}"] = leaf.metadata["law"]
    return found


def flatten(config: Config) -> dict[str, Scalar]:
    """Flat names and values of every leaf, in the order of declaration."""
    return {
        f"{part.name}.{leaf.name}": getattr(getattr(config, part.name), leaf.name)
        for part in dataclasses.fields(config)
        for leaf in dataclasses.fields(getattr(config, part.name))
    }


def from_flat(values: Mapping[str, Scalar], base: Config | None = None) -> Config:
    """`base` (the defaults, if None) with the flat `values` put in.

    A network of another family starts from that family's defaults. Raises ConfigError with every problem at once:
    unknown names (with the nearest known ones), wrong kinds, values outside their law.
    """
    base = Config() if base is None else base
    family = values.get("net.family", base.net.family)
    if family not in NET_CONFIGS:
        raise ConfigError([f"net.family={family!r} is not a choice; choose from {_listed(tuple(NET_CONFIGS))}"])
    known = laws(str(family))
    problems = [unknown_name(name, known) for name in values if name not in known]
    problems += [p for name, v in values.items() if name in known and (p := known[name].problem(name, v))]
    if problems:
        raise ConfigError(problems)
    if family != base.net.family:
        base = dataclasses.replace(base, net=NET_CONFIGS[str(family)]())
    flat = {**flatten(base), **values}
    parts: dict[str, dict[str, Scalar]] = {}
    for name, value in flat.items():
        part, leaf = name.split(".", 1)
        parts.setdefault(part, {})[leaf] = float(value) if known[name].kind is float else value
    return Config(**{part: type(getattr(base, part))(**leaves) for part, leaves in parts.items()})


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the nearest ones that do."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    siblings = [other for other in known if other.split(".")[0] == name.split(".")[0]]
    return (
        f"unknown name {name!r}; did you mean {_listed(near)}?"
        if near
        else (f"unknown name {name!r}; choose from {_listed(siblings or known)}")
    )


def canonical_json(config: Config) -> str:
    """The one text of a configuration: flat names sorted, no spaces, floats in their shortest exact form."""
    return json.dumps(flatten(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(config: Config) -> str:
    """16 hexadecimal digits that name the configuration, whatever the order in which it was built."""
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()[:16]


def _listed(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)
