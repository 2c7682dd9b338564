"""Layers as the DPED authors set them (their code): what its generator, its critic and FPIE's networks share.

Weights are drawn from a normal of deviation 0.01 cut at two deviations, biases start at 0.01, norms at scale 1 and
shift 0. Every draw comes from the generator that is passed in.
"""

import torch
from torch import nn

WEIGHT_STD = 0.01
BIAS = 0.01
NORM_EPS = 1e-3


def conv(
    in_channels: int, out_channels: int, kernel: int, generator: torch.Generator, *, stride: int = 1, padding: int = 0
) -> nn.Conv2d:
    """A convolution with bias and zero padding, given in pixels."""
    # skip_init: the constructor's own initialisation would draw from torch's global generator.
    layer = nn.utils.skip_init(nn.Conv2d, in_channels, out_channels, kernel, stride=stride, padding=padding)
    initialise(layer, generator)
    return layer


def same_conv(in_channels: int, out_channels: int, kernel: int, generator: torch.Generator) -> nn.Conv2d:
    """A convolution of stride 1 and odd kernel that keeps H and W."""
    return conv(in_channels, out_channels, kernel, generator, padding=kernel // 2)


def linear(in_features: int, out_features: int, generator: torch.Generator) -> nn.Linear:
    """A fully connected layer with bias."""
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features)
    initialise(layer, generator)
    return layer


def initialise(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Sets the weights and biases of `layer` in place."""
    bound = 2 * WEIGHT_STD
    nn.init.trunc_normal_(layer.weight, std=WEIGHT_STD, a=-bound, b=bound, generator=generator)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, BIAS)


def initialise_he(layer: nn.Conv2d, generator: torch.Generator) -> None:
    """Sets the weights of `layer` to a normal that keeps the size of activations (He et al. 2015), its biases to 0."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def norm(kind: str, channels: int) -> nn.Module:
    """A norm with learned scale and shift: "instance" (the authors' code), "batch" (their paper's text) or "none".

    Instance norm keeps no running statistics: an image is always normalised by itself, in training and after.
    """
    if kind == "instance":
        return nn.InstanceNorm2d(channels, eps=NORM_EPS, affine=True, track_running_stats=False)
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=NORM_EPS)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm={kind!r} is not a choice; choose from instance, batch, none")
