"""A U-Net with a ResNet-34 encoder: phase 1 of the EnhanceGAN re-implementation (Kwan 2025).

The paper says "a U-Net generator with a pre-trained ResNet-34 encoder and skip connections"; its code is not published.
The encoder is torchvision's, without its final pool and classifier: maps of 64, 64, 128, 256 and 512 channels at 1/2 to
1/32 of the size. The rest is our choice.

Decoder: five blocks, each with nearest-neighbor upsampling, concatenation with the encoder's map of that size (at full
size, the picture itself), and two 3x3 convolutions with ReLU. Nearest-neighbor upsampling weighs all pixels alike,
while a transposed convolution starts with a checkerboard that it must unlearn (Odena et al. 2016). Its gradient is also
deterministic on a GPU; that of bilinear upsampling is not. The decoder has no norms: what it must learn is color, which
the statistics of small batches would shift between training and evaluation.

Output: the picture plus an unbounded correction. It reaches every value in [0, 1] and has a gradient everywhere,
also at 0 and 1, where a sigmoid or tanh has none. Weights use He initialization; DPED's is so small that the encoder's
gradients would vanish. The last convolution starts smaller still, so that training starts from the untouched picture
and not from noise of deviation 1.

weights: "random" draws the encoder like the decoder. "imagenet" and "file:PATH" (a state dict of torchvision's
resnet34; see `enhance.nets.pretrained`) replace the encoder's weights and running statistics; the decoder keeps its
seeded ones.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.nets import UNetResNet34Config
from enhance.nets.layers import initialize_all
from enhance.nets.network import Network, blank
from enhance.nets.pretrained import State, fill, load_state

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENCODER_CHANNELS = (3, 64, 64, 128, 256, 512)  # at 1 (the picture), 1/2, ... 1/32 of the size
LAST_STD = 1e-3


class UNetResNet34(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    H and W are multiples of 32. In training, batch norm needs more than one pixel at 1/32 of the size, or more than one
    image. Raises WeightsUnavailable.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: UNetResNet34Config, generator: torch.Generator) -> None:
        super().__init__(config, deep_channels=ENCODER_CHANNELS[-1])
        self.encoder: Any = _empty_encoder()
        widths = [ENCODER_CHANNELS[-1], *(config.channels * 2**level for level in reversed(range(5)))]
        skips = reversed(ENCODER_CHANNELS[:-1])
        self.decoder = nn.ModuleList(
            UpBlock(inputs, skip, outputs)
            for (inputs, outputs), skip in zip(itertools.pairwise(widths), skips, strict=True)
        )
        self.last = blank(nn.Conv2d, config.channels, 3, 3, padding=1)
        # Constants, so not part of the state dict; as buffers they follow the module to its device.
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        initialize_all(self, "he", generator)
        nn.init.normal_(self.last.weight, 0.0, LAST_STD, generator=generator)
        nn.init.zeros_(self.last.bias)
        if config.weights != "random":
            # Last, so that the decoder draws the same weights whichever the encoder's are.
            fill(self.encoder, "ResNet-34", config.weights, load_state("ResNet-34", config.weights, imagenet_state))

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        *skips, deep = self._encode((images - self.mean) / self.std)
        x = deep
        for block in self.decoder:
            x = block(x, skips.pop())
        return images.float() + self.last(x).float(), deep

    def _encode(self, x: Tensor) -> list[Tensor]:
        """The maps at 1 (the input), 1/2, ... 1/32 of the size."""
        net = self.encoder
        maps = [x, net.relu(net.bn1(net.conv1(x)))]
        x = net.maxpool(maps[-1])
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            maps.append(x)
        return maps


class UpBlock(nn.Module):
    """Nearest-neighbor upsampling by 2, concatenation with another map, two 3x3 convolutions with ReLU."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            blank(nn.Conv2d, inputs + skip, outputs, 3, padding=1),
            nn.ReLU(),
            blank(nn.Conv2d, outputs, outputs, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.convs(torch.cat((x, skip.to(x.dtype)), dim=1))


def _empty_encoder() -> Any:
    """torchvision's ResNet-34 up to its last map, with uninitialized convolutions and fresh batch norms."""
    from torchvision.models import resnet34  # takes a second, and only this family needs it

    with torch.device("meta"):  # so that the constructor draws nothing from torch's global generator
        net = resnet34()
    # Neither is used here, and fc would bring weights that nobody trains.
    net.avgpool = net.fc = nn.Identity()
    net.to_empty(device="cpu")
    # to_empty leaves running statistics uninitialized too; convolutions are drawn by `initialize_all`.
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    return net


def imagenet_state() -> State:
    """torchvision's weights, downloaded once into its cache. Raises OSError if offline and not cached."""
    from torchvision.models import ResNet34_Weights

    state: State = ResNet34_Weights.IMAGENET1K_V1.get_state_dict(
        progress=False, check_hash=True, map_location="cpu", weights_only=True
    )
    return state
