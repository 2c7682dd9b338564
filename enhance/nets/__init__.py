"""The network families: how to build each one, and the config class that parametrizes it.

All networks map (N, 3, H, W) float images, nominally in [0, 1], to images of the same size. They are built on the CPU
from an explicit generator; torch's global generator is neither read nor advanced.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from enhance.config import Scalar, from_flat
from enhance.config.fast_nets import (
    BilateralConfig,
    LUT3DConfig,
    NAFNetConfig,
    PolynomialConfig,
    QuarterConfig,
    RSGUNetConfig,
)
from enhance.config.nets import (
    CurveConfig,
    CycleResNetConfig,
    JohnsonConfig,
    NetConfig,
    ResNetConfig,
    SeparableConfig,
    ShuffleConfig,
    SRCNNConfig,
    StridedConfig,
    UNetConfig,
    UNetResNet34Config,
)
from enhance.nets.curve import Curve
from enhance.nets.cycle_resnet import CycleResNet
from enhance.nets.fast.bilateral import Bilateral
from enhance.nets.fast.lut3d import LUT3D
from enhance.nets.fast.nafnet import NAFNet
from enhance.nets.fast.polynomial import Polynomial
from enhance.nets.fast.quarter import Quarter
from enhance.nets.fast.rsgunet import RSGUNet
from enhance.nets.johnson import Johnson
from enhance.nets.network import Network, apply, parameter_count
from enhance.nets.resnet import ResNet
from enhance.nets.separable import Separable
from enhance.nets.shuffle import Shuffle
from enhance.nets.srcnn import SRCNN
from enhance.nets.strided import Strided
from enhance.nets.unet import UNet
from enhance.nets.unet_resnet34 import UNetResNet34

__all__ = ["FAMILIES", "Family", "Network", "apply", "build", "build_net", "parameter_count"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A network's constructor, its config class (which also knows allowed sizes and dtypes) and its source."""

    config: type[NetConfig]
    build: Callable[[Any, torch.Generator], Network]
    source: str


FAMILIES: dict[str, Family] = {
    "srcnn": Family(
        config=SRCNNConfig,
        build=SRCNN,
        source="Dong et al. 2014 (SRCNN), as DPED and PIRM 2018 compare with it",
    ),
    "resnet": Family(
        config=ResNetConfig,
        build=ResNet,
        source="Ignatov et al. 2017 (DPED), the authors' code; grid (k, c, b) of de Stoutz et al. 2018 (FPIE)",
    ),
    "johnson": Family(
        config=JohnsonConfig,
        build=Johnson,
        source="Johnson et al. 2016, the authors' code; as DPED compares with it",
    ),
    "strided": Family(
        config=StridedConfig,
        build=Strided,
        source="de Stoutz et al. 2018 (FPIE), the authors' code; grid of its Table 2",
    ),
    "unet": Family(
        config=UNetConfig,
        build=UNet,
        source="Isola et al. 2017 (pix2pix), the generator, as in Table 1 of its application to mobile pictures",
    ),
    "unet_resnet34": Family(
        config=UNetResNet34Config,
        build=UNetResNet34,
        source="Kwan 2025 (EnhanceGAN re-implementation), phase 1: ResNet-34 as in torchvision; the decoder is ours",
    ),
    "cycle_resnet": Family(
        config=CycleResNetConfig,
        build=CycleResNet,
        source="Zhu et al. 2017 (CycleGAN), Keras' example of it",
    ),
    "shuffle": Family(
        config=ShuffleConfig,
        build=Shuffle,
        source="sub-pixel convolution of Shi et al. 2016 (ESPCN) at both ends of a residual body",
    ),
    "separable": Family(
        config=SeparableConfig,
        build=Separable,
        source="separable convolutions of Chollet 2017 (Xception) in DPED's residual body",
    ),
    "lut3d": Family(
        config=LUT3DConfig,
        build=LUT3D,
        source="Zeng et al. 2020 (image-adaptive 3D lookup tables), the authors' code",
    ),
    "bilateral": Family(
        config=BilateralConfig,
        build=Bilateral,
        source="Gharbi et al. 2017 (HDRNet), the authors' code",
    ),
    "quarter": Family(
        config=QuarterConfig,
        build=Quarter,
        source="ours: a polynomial of colors and folded sub-pixel convolutions, as MobileIE and SYENet have them",
    ),
    "nafnet": Family(
        config=NAFNetConfig,
        build=NAFNet,
        source="Chen et al. 2022 (NAFNet), the authors' code",
    ),
    "rsgunet": Family(
        config=RSGUNetConfig,
        build=RSGUNet,
        source="Huang et al. 2018 (RSGUNet, winner of PIRM 2018), the authors' code",
    ),
    "polynomial": Family(
        config=PolynomialConfig,
        build=Polynomial,
        source="ours: a polynomial of colors, linear in statistics of the picture, fitted by ridge regression",
    ),
    "curve": Family(
        config=CurveConfig,
        build=Curve,
        source="Kwan 2025 (EnhanceGAN re-implementation), phase 2: a polynomial color curve in CIELab",
    ),
}


def build(family: str, *, seed: int, **parameters: Scalar) -> Network:
    """Build a network of `family`, initialized from `seed`; `parameters` not given take their defaults.

    Raises ConfigError (a ValueError) with every problem at once: an unknown family or parameter, a value outside its
    domain.
    """
    # Through `from_flat`, so that names and values are checked as in a sweep.
    flat = {"net.family": family, **{f"net.{name}": value for name, value in parameters.items()}}
    return build_net(from_flat(flat).net, seed)


def build_net(config: NetConfig, seed: int) -> Network:
    """Build the network of a valid configuration, initialized from `seed`."""
    return FAMILIES[config.family].build(config, torch.Generator().manual_seed(seed))
