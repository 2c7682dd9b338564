"""The critics that adversarial terms listen to: they tell photographs from enhanced pictures.

Class REAL is a photograph of the good camera, class FAKE an enhanced one. A critic is built on the CPU from its seed,
neither reading nor moving torch's global generator.
"""

import torch
from torch import Tensor, nn

from enhance.nets.layers import NORM_EPS, conv, linear

REAL, FAKE = 0, 1

# Output channels, kernel, stride.
_CONVS = ((48, 11, 4), (128, 5, 2), (192, 3, 1), (192, 3, 1), (128, 3, 2))
_HIDDEN = 1024
_SLOPE = 0.2


class DPEDCritic(nn.Module):
    """DPED's discriminator (the authors' code): (N, 3, size_px, size_px) images in [0, 1] to (N, 2) float32 logits.

    It sees the picture in grey, so that it judges texture and not colour. Five convolutions (100-25-13-13-13-7 px),
    each followed by a LeakyReLU of 0.2 and then, except the first, by instance norm; two fully connected layers.
    TensorFlow's SAME padding, which is uneven where the stride asks for it (3 before and 4 after on 100 px).
    7,361,122 parameters at 100 px. Column REAL of the logits is a photograph, FAKE an enhanced picture.

    Below 17 px the last map is a single pixel, which instance norm turns into a constant: the critic would be blind.
    Such a size raises ValueError.
    """

    MINIMUM_PX = 17

    def __init__(self, size_px: int, seed: int) -> None:
        super().__init__()
        if size_px < self.MINIMUM_PX:
            raise ValueError(
                f"size_px={size_px} must be >= {self.MINIMUM_PX}: below, the critic's last map is a single pixel, "
                "which instance norm makes constant"
            )
        generator = torch.Generator().manual_seed(seed)
        self.size_px = size_px
        layers: list[nn.Module] = []
        inputs = 1
        for outputs, kernel, stride in _CONVS:
            layers += strided_conv(inputs, outputs, kernel, stride, size_px, generator)
            layers += [nn.LeakyReLU(_SLOPE)]
            layers += [nn.InstanceNorm2d(outputs, eps=NORM_EPS, affine=True)] if inputs > 1 else []
            inputs, size_px = outputs, same_size(size_px, stride)
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            linear(inputs * size_px**2, _HIDDEN, generator),
            nn.LeakyReLU(_SLOPE),
            linear(_HIDDEN, 2, generator),
        )

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1:] != (3, self.size_px, self.size_px):
            size = f"(N, 3, {self.size_px}, {self.size_px})"
            raise ValueError(f"this critic takes images of shape {size}, not {tuple(images.shape)}")
        logits: Tensor = self.head(self.features(grey(images)))
        return logits.float()


def grey(images: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 1, H, W) luminance, with TensorFlow's weights 0.2989, 0.587, 0.114 (they sum to 0.9999)."""
    return 0.2989 * images[:, 0:1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:3]


def same_size(size_px: int, stride: int) -> int:
    """Output size of a SAME convolution: size over stride, rounded up."""
    return -(-size_px // stride)


def same_padding(size_px: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding in pixels, before and after; of an odd total the larger part comes after."""
    total = max((same_size(size_px, stride) - 1) * stride + kernel - size_px, 0)
    return total // 2, total - total // 2


def strided_conv(
    inputs: int, outputs: int, kernel: int, stride: int, size_px: int, generator: torch.Generator
) -> list[nn.Module]:
    """A SAME convolution for maps of `size_px`, with a layer of its own for the uneven part of the padding."""
    before, after = same_padding(size_px, kernel, stride)
    uneven = [nn.ZeroPad2d((0, after - before, 0, after - before))] if after > before else []
    return [*uneven, conv(inputs, outputs, kernel, generator, stride=stride, padding=before)]
