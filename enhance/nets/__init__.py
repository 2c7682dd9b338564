"""The network families: what each is built from and what it can be given.

All networks take and give (N, 3, H, W) float images whose nominal range is [0, 1] and keep H and W. They are built on
the CPU from an explicit generator: neither reading nor moving torch's global one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from enhance.config import Scalar, from_flat
from enhance.config.nets import NetConfig, ResNetConfig
from enhance.nets.network import Network, apply, parameter_count
from enhance.nets.resnet import ResNet

__all__ = ["FAMILIES", "Family", "Network", "apply", "build", "build_net", "parameter_count"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A network constructor, its parameters (sizes and dtypes that it takes are properties of these) and its source."""

    config: type[NetConfig]
    build: Callable[[Any, torch.Generator], Network]
    source: str


FAMILIES: dict[str, Family] = {
    "resnet": Family(
        config=ResNetConfig,
        build=ResNet,
        source="Ignatov et al. 2017 (DPED), the authors' code; grid (k, c, b) of de Stoutz et al. 2018 (FPIE)",
    ),
}


def build(family: str, *, seed: int, **parameters: Scalar) -> Network:
    """The network of `family` with `parameters` (its defaults where not named), initialised from `seed`.

    Raises ConfigError (a ValueError) with every problem at once: an unknown family or parameter, a value outside its
    law.
    """
    flat = {"net.family": family, **{f"net.{name}": value for name, value in parameters.items()}}
    return build_net(from_flat(flat).net, seed)


def build_net(config: NetConfig, seed: int) -> Network:
    """The network of a configuration that is already valid, initialised from `seed`."""
    return FAMILIES[config.family].build(config, torch.Generator().manual_seed(seed))
