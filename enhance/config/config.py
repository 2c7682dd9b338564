"""The configuration of one trial: what it is made of, how it is named, when it is refused.

A configuration is a tree of frozen dataclasses. Every leaf has one flat name ("net.channels", "loss.color") under
which it appears in search spaces, in messages and, with the prefix "config.", in the ledger. Some parts come in
variants, which one leaf of theirs chooses ("net.family", "optimizer.name"); each has leaves of its own.

This package imports nothing heavy: a driver validates a whole sweep before it loads torch.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from enhance.config.adversaries import (
    CRITIC_CONFIGS,
    OBJECTIVE_CONFIGS,
    BCEConfig,
    CriticConfig,
    DPEDCriticConfig,
    ObjectiveConfig,
)
from enhance.config.domain import ConfigError, Domain, Scalar, unknown_name
from enhance.config.nets import BASE_CONFIGS, NET_CONFIGS, CurveConfig, NetConfig, ResNetConfig
from enhance.config.optimizers import OPTIMIZER_CONFIGS, AdamConfig, OptimizerConfig
from enhance.config.training import AugmentConfig, CycleConfig, GuardConfig, LossConfig, PhasesConfig, TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that decides what a trial computes, except its seed, the data and the code."""

    net: NetConfig = field(default_factory=ResNetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    critic: CriticConfig = field(default_factory=DPEDCriticConfig)
    adversarial: ObjectiveConfig = field(default_factory=BCEConfig)
    optimizer: OptimizerConfig = field(default_factory=AdamConfig)
    critic_optimizer: OptimizerConfig = field(default_factory=AdamConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    phases: PhasesConfig = field(default_factory=PhasesConfig)
    cycle: CycleConfig = field(default_factory=CycleConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)


VARIANTS: dict[str, tuple[str, Mapping[str, type], str]] = {
    "net.family": ("net", NET_CONFIGS, "resnet"),
    "net.base": ("net", BASE_CONFIGS, "unet_resnet34"),
    "critic.family": ("critic", CRITIC_CONFIGS, "dped"),
    "adversarial.objective": ("adversarial", OBJECTIVE_CONFIGS, "bce"),
    "optimizer.name": ("optimizer", OPTIMIZER_CONFIGS, "adam"),
    "critic_optimizer.name": ("critic_optimizer", OPTIMIZER_CONFIGS, "adam"),
}
"""The leaves that choose a variant: the part it is of, the dataclasses to choose from, the default."""

_PARTS = {part.name: part.type for part in dataclasses.fields(Config)}


def domains(values: Mapping[str, Scalar] | None = None) -> dict[str, Domain]:
    """The domain of every flat name, in the order of declaration, for the variants in `values`, else the defaults.

    Raises ConfigError where `values` choose a variant that does not exist.
    """
    chosen = _chosen(values or {})
    found: dict[str, Domain] = {}
    for part in _PARTS:
        for leaf in _leaves(chosen.get(part, _PARTS[part])):
            found[f"{part}.{leaf.name}"] = leaf.metadata["domain"]
        if chosen.get(part) is CurveConfig:
            found["net.base"] = _variant_domain("net.base")
            found |= {f"net.{leaf.name}": leaf.metadata["domain"] for leaf in _leaves(chosen["base"])[1:]}
    found |= {name: _variant_domain(name) for name in VARIANTS if name in found}
    return found


def flatten(config: Config) -> dict[str, Scalar]:
    """Flat names and values of every leaf, in the order of declaration."""
    flat: dict[str, Scalar] = {}
    for part in _PARTS:
        held = getattr(config, part)
        flat |= {f"{part}.{leaf.name}": getattr(held, leaf.name) for leaf in _leaves(type(held))}
        if isinstance(held, CurveConfig):
            flat["net.base"] = held.base.family
            flat |= {f"net.{leaf.name}": getattr(held.base, leaf.name) for leaf in _leaves(type(held.base))[1:]}
    return flat


def from_flat(values: Mapping[str, Scalar]) -> Config:
    """The configuration with the flat `values`, and defaults where nothing is said.

    Raises ConfigError with every problem at once: unknown names (with the nearest known ones), wrong kinds, values
    outside their domain. Whether the parts go together is another question: see `enhance.config.conflicts`.
    """
    known = domains(values)
    problems = [unknown_leaf(name, known) for name in values if name not in known]
    problems += [p for name, v in values.items() if name in known and (p := known[name].problem(name, v))]
    if problems:
        raise ConfigError(problems)
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for name, value in values.items():
        part, leaf = name.split(".", 1)
        parts[part][leaf] = float(value) if known[name].kind is float else value
    chosen = _chosen(values)
    if chosen["net"] is CurveConfig:
        parts["net"] = _curve_leaves(parts["net"], chosen["base"])
    return Config(**{part: chosen.get(part, _PARTS[part])(**leaves) for part, leaves in parts.items()})


def canonical_json(config: Config) -> str:
    """The one text of a configuration: flat names sorted, no spaces, floats in their shortest exact form."""
    return json.dumps(flatten(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(config: Config) -> str:
    """16 hexadecimal digits that name the configuration, whatever the order in which it was built."""
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()[:16]


def _chosen(values: Mapping[str, Scalar]) -> dict[str, Any]:
    """The dataclass of every part that comes in variants, and under "base" that of a curve's base network."""
    problems = [
        problem
        for name in VARIANTS
        if name in values and (problem := _variant_domain(name).problem(name, values[name]))
    ]
    if problems:
        raise ConfigError(problems)
    return {
        ("base" if name == "net.base" else part): table[str(values.get(name, default))]
        for name, (part, table, default) in VARIANTS.items()
    }


def _variant_domain(name: str) -> Domain:
    return Domain(kind=str, choices=tuple(VARIANTS[name][1]))


def _leaves(part: Any) -> list[dataclasses.Field[Any]]:
    return [leaf for leaf in dataclasses.fields(part) if "domain" in leaf.metadata]


def _curve_leaves(leaves: dict[str, Any], base: type[NetConfig]) -> dict[str, Any]:
    """The constructor's arguments of a CurveConfig: what is not its own belongs to its base network."""
    own = {leaf.name for leaf in _leaves(CurveConfig)}
    inner = {name: value for name, value in leaves.items() if name not in own and name != "base"}
    return {name: value for name, value in leaves.items() if name in own} | {"base": base(**inner)}


def unknown_leaf(name: str, known: Mapping[str, Domain]) -> str:
    """The sentence for a name that this configuration does not have, but perhaps another variant of it."""
    for key, (part, table, default) in VARIANTS.items():
        owners = [variant for variant, cls in table.items() if name in {f"{part}.{leaf.name}" for leaf in _leaves(cls)}]
        if owners:
            return f"{name} is unknown here: it belongs to {key}={' | '.join(owners)} (default: {default})"
    return unknown_name(name, known)
