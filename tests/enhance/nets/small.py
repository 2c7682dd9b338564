"""Small variants of every family, which follow from its laws, and the pictures that they are tested on.

Small channels, few blocks and levels, then each of the options of a family changed, one at a time.
"""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from enhance.config import Domain, Scalar, domains, flatten, from_flat
from enhance.config.nets import NetConfig
from enhance.nets import FAMILIES, Network
from enhance.nets.network import reseed

SMALL: dict[str, Scalar] = {"net.channels": 4, "net.blocks": 1, "net.levels": 3, "net.vertices": 5}
SMALL_BASE = "resnet"


def changed(name: str, domain: Domain, default: Scalar) -> Iterator[Scalar]:
    """Other allowed values of a leaf: every choice, or one other number. Weights from the network are left out."""
    if domain.choices:
        yield from (value for value in domain.choices if value not in (default, "imagenet"))
    else:
        yield next(v for v in (default + 1, default + 2, default / 2, default - 1) if domain.problem(name, v) is None)


def small(chosen: dict[str, Scalar]) -> dict[str, Scalar]:
    """Flat names of a network: those `chosen`, small sizes where the family has any, and nothing else."""
    if "net.base" in domains(chosen):
        chosen = {"net.base": SMALL_BASE, **chosen}
    return {**{name: SMALL[name] for name in domains(chosen) if name in SMALL}, **chosen}


def variants(family: str) -> dict[str, NetConfig]:
    """A small network of a family, and the same with one option changed, by name."""
    default = from_flat(small({"net.family": family}))
    values, found = flatten(default), {family: default.net}
    for name, domain in domains(small({"net.family": family})).items():
        if name.startswith("net.") and name != "net.family":
            for value in changed(name, domain, values[name]):
                config = from_flat(small({"net.family": family, name: value}))
                found[f"{family} {name.removeprefix('net.')}={value}"] = config.net
    return found


VARIANTS = {name: config for family in FAMILIES for name, config in variants(family).items()}
every_family = pytest.mark.parametrize("family", FAMILIES)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def noise(number: int, height: int, width: int) -> Tensor:
    return torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(7))


def suitable(config: NetConfig, px: int) -> int:
    """The smallest size that a network takes and that is not below `px`."""
    return -(-max(px, config.minimum_px) // config.multiple_of) * config.multiple_of


def images(config: NetConfig, height: int = 16, width: int = 16) -> Tensor:
    """Two pictures of seeded noise, of the smallest size that suits the network and is not below the one asked for."""
    return noise(2, suitable(config, height), suitable(config, width))


def run(net: Network, x: Tensor) -> Tensor:
    """A forward pass whose dropout is always the same."""
    reseed(net, 0)
    return net(x)
