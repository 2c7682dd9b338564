"""The configuration of one trial: its parts, the names of its leaves, and how a bad one is rejected.

A configuration is a tree of frozen dataclasses. Every leaf has one flat name ("net.channels", "loss.color"), used in
search spaces, in messages and, prefixed with "config.", in the ledger. Some parts come in variants, selected by one of
their own leaves ("net.family", "optimizer.name"); each variant has its own leaves.

This package imports nothing heavy, so a driver can validate a whole sweep before it loads torch.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
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
    """Everything that determines what a trial computes, except the seed, the data and the code."""

    # The defaults of parts with variants are given a second time in VARIANTS; the two must agree.
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
"""Each leaf that selects a variant: the part it belongs to, the dataclasses to choose from, the default."""

# `type` is the class itself only because annotations are evaluated here: with `from __future__ import annotations` it
# would be its name.
_PARTS = {part.name: part.type for part in dataclasses.fields(Config)}


def domains(values: Mapping[str, Scalar] | None = None) -> dict[str, Domain]:
    """The domain of every flat name in declaration order, for the variants selected by `values` or by default.

    Raises ConfigError if `values` selects a variant that does not exist.
    """
    chosen = _variants(values or {})
    found: dict[str, Domain] = {}
    for part in _PARTS:
        for leaf in _leaves(chosen.get(part, _PARTS[part])):
            found[f"{part}.{leaf.name}"] = leaf.metadata["domain"]
        # A curve's base network shares the prefix "net." with it; both have a "family", so the base's becomes net.base.
        # It is left out by [1:]: NetConfig declares it, and inherited fields come first.
        if chosen.get(part) is CurveConfig:
            found["net.base"] = _variant_domain("net.base")
            found |= {f"net.{leaf.name}": leaf.metadata["domain"] for leaf in _leaves(chosen["base"])[1:]}
    # A variant declares its own name as the only choice; here it may be any key of the table.
    found |= {name: _variant_domain(name) for name in VARIANTS if name in found}
    return found


def flatten(config: Config) -> dict[str, Scalar]:
    """The flat name and value of every leaf, in declaration order."""
    return {name: value for name, value, _ in _held(config)}


def from_flat(values: Mapping[str, Scalar]) -> Config:
    """Build a configuration from flat `values`; leaves that are missing take their defaults.

    Raises ConfigError listing every problem: unknown names (with the nearest known ones), wrong types, values outside
    their domain. Whether the parts are compatible is checked separately, by `enhance.config.conflicts`.
    """
    # An unknown variant raises right here, alone: without it, the other names cannot be checked.
    known = domains(values)
    problems = [unknown_leaf(name, known) for name in values if name not in known]
    problems += [p for name, v in values.items() if name in known and (p := known[name].problem(name, v))]
    if problems:
        raise ConfigError(problems)
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for name, value in values.items():
        part, leaf = name.split(".", 1)
        # An int is fine for a float leaf, but 1 and 1.0 must give the same canonical text and thus the same digest.
        parts[part][leaf] = float(value) if known[name].kind is float else value
    chosen = _variants(values)
    if chosen["net"] is CurveConfig:
        parts["net"] = _curve_leaves(parts["net"], chosen["base"])
    return Config(**{part: chosen.get(part, _PARTS[part])(**leaves) for part, leaves in parts.items()})


def canonical_json(config: Config) -> str:
    """The canonical text of a configuration: flat names sorted, no spaces, floats in their shortest exact form.

    Leaves that were added since the first release are left out at their defaults; see `enhance.config.domain.leaf`.
    """
    # A leaf that a release adds must not change the identity of what was trained before.
    kept = {name: value for name, value, own in _held(config) if not (own.metadata["added"] and value == own.default)}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(config: Config) -> str:
    """16 hexadecimal digits that identify the configuration, independent of the order it was built in."""
    # 64 bits: the chance that any two of a million configurations share a digest is 3e-8.
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()[:16]


def _variants(values: Mapping[str, Scalar]) -> dict[str, Any]:
    """The dataclass of every part that comes in variants; a curve's base network is under "base"."""
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


def _held(config: Config) -> Iterator[tuple[str, Scalar, Any]]:
    """The flat name, the value and the field of every leaf, in declaration order."""
    for part in _PARTS:
        held = getattr(config, part)
        for own in _leaves(type(held)):
            yield f"{part}.{own.name}", getattr(held, own.name), own
        if isinstance(held, CurveConfig):
            family, *others = _leaves(type(held.base))
            yield "net.base", held.base.family, family
            for own in others:
                yield f"net.{own.name}", getattr(held.base, own.name), own


def added_leaves(config: Config) -> dict[str, Scalar]:
    """The leaves of this configuration that earlier releases did not have, with the values that they trained with."""
    return {name: own.default for name, _, own in _held(config) if own.metadata["added"]}


def _variant_domain(name: str) -> Domain:
    return Domain(kind=str, choices=tuple(VARIANTS[name][1]))


def _leaves(part: Any) -> list[dataclasses.Field[Any]]:
    # A curve's `base` has no domain: the leaves inside it take its place.
    return [leaf for leaf in dataclasses.fields(part) if "domain" in leaf.metadata]


def _curve_leaves(leaves: dict[str, Any], base: type[NetConfig]) -> dict[str, Any]:
    """The arguments of a CurveConfig: whatever is not a leaf of its own goes to its base network."""
    own = {leaf.name for leaf in _leaves(CurveConfig)}
    inner = {name: value for name, value in leaves.items() if name not in own and name != "base"}
    return {name: value for name, value in leaves.items() if name in own} | {"base": base(**inner)}


def unknown_leaf(name: str, known: Mapping[str, Domain]) -> str:
    """The message for a name this configuration lacks; it says which variant would have it, if one does."""
    key, owners = variants_with(name)
    if owners:
        return f"{name} does not exist here: it belongs to {key}={' | '.join(owners)} (default: {VARIANTS[key][2]})"
    return unknown_name(name, known)


def variants_with(name: str) -> tuple[str, tuple[str, ...]]:
    """The leaf that selects a variant with the leaf `name`, and those of its values that do; ("", ()) if there is none.

    A curve also has its base's leaves, but is not named as their owner.
    """
    if name == "net.base":
        return "net.family", ("curve",)
    # Families come before bases in VARIANTS, so a leaf that both tables have is reported under net.family.
    for key, (part, table, _) in VARIANTS.items():
        owners = tuple(own for own, cls in table.items() if name in {f"{part}.{leaf.name}" for leaf in _leaves(cls)})
        if owners:
            return key, owners
    return "", ()
