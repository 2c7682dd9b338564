"""The network families: what each is built from and what it can be given.

All networks take and give (N, 3, H, W) float images whose nominal range is [0, 1] and keep H and W. They are built on
the CPU from an explicit generator: neither reading nor moving torch's global one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from enhance.config import NetConfig, ResNetConfig, Scalar, from_flat
from enhance.nets.resnet import ResNet


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A network constructor and what its caller has to know."""

    config: type[NetConfig]
    build: Callable[[NetConfig, torch.Generator], nn.Module]
    multiple_of: int  # H and W must be multiples of this: the caller pads, the network does not
    minimum_px: int  # the smallest H and W that can be trained on
    dtypes: tuple[str, ...]  # the train.dtype values it has been tested with
    source: str


FAMILIES: dict[str, Family] = {
    "resnet": Family(
        config=ResNetConfig,
        build=ResNet,
        multiple_of=1,
        minimum_px=2,
        dtypes=("fp32", "bf16"),
        source="Ignatov et al. 2017 (DPED), the authors' code; grid (k, c, b) of de Stoutz et al. 2018 (FPIE)",
    ),
}


def build(family: str, *, seed: int, **parameters: Scalar) -> nn.Module:
    """The network of `family` with `parameters` (its defaults where not named), initialised from `seed`.

    Raises ConfigError (a ValueError) with every problem at once: an unknown family or parameter, a value outside its
    law.
    """
    flat = {"net.family": family, **{f"net.{name}": value for name, value in parameters.items()}}
    return build_net(from_flat(flat).net, seed)


def build_net(config: NetConfig, seed: int) -> nn.Module:
    """The network of a configuration that is already valid, initialised from `seed`."""
    return FAMILIES[config.family].build(config, torch.Generator().manual_seed(seed))
