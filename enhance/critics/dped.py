"""DPED's discriminator: the critic behind the texture loss. It judges grayscale pictures of one size.

Source: the code of the DPED authors (Ignatov et al. 2017). Seeing only gray, it judges texture and not color. Five
convolutions (100-25-13-13-13-7 px), each followed by LeakyReLU(0.2) and, except for the first, by a norm; then two
fully connected layers. Padding is TensorFlow's SAME, which is uneven for some strides (at 100 px, 3 before and 4
after). 7,361,122 parameters at 100 px.

norm: "instance", as in the authors' code (the default, as everywhere in this project where paper and code differ), or
"batch", as in their paper.

The authors' last layer is a softmax over two units, REAL (a photograph) and FAKE (an enhanced picture). Its
cross-entropy equals the binary cross-entropy of the difference of the two logits, so the score is that difference: the
log odds of a photograph. Both units are kept, so each gets the gradient that it has under the softmax.
"""

import torch
from torch import Tensor, nn

from enhance.config.adversaries import DPEDCriticConfig
from enhance.critics.critic import Critic
from enhance.nets.layers import conv, linear, norm

REAL, FAKE = 0, 1

# Output channels, kernel size, stride.
_CONVS = ((48, 11, 4), (128, 5, 2), (192, 3, 1), (192, 3, 1), (128, 3, 2))
_HIDDEN = 1024
_SLOPE = 0.2


class DPEDCritic(Critic):
    """Maps (N, 3, size_px, size_px) pictures in [0, 1] to scores (N, 1). Raises ValueError below 17 px.

    Below 17 px the last map is a single pixel, which instance norm turns into a constant: the critic would be blind.
    """

    def __init__(self, config: DPEDCriticConfig, size_px: int, generator: torch.Generator) -> None:
        super().__init__(config, size_px)
        layers: list[nn.Module] = []
        inputs = 1
        for outputs, kernel, stride in _CONVS:
            layers += strided_conv(inputs, outputs, kernel, stride, size_px, generator)
            layers += [nn.LeakyReLU(_SLOPE)]
            # The norm comes after the activation, unlike in most networks; that is the authors' order.
            # `inputs` is 1 for the first layer only, the one without a norm.
            layers += [norm(config.norm, outputs)] if inputs > 1 else []
            inputs, size_px = outputs, same_size(size_px, stride)
        self.features = nn.Sequential(*layers)
        hidden = linear(inputs * size_px**2, _HIDDEN, generator)
        self.head = nn.Sequential(nn.Flatten(), hidden, nn.LeakyReLU(_SLOPE))
        self.units = linear(_HIDDEN, 2, generator)

    def judge(self, seen: Tensor) -> Tensor:
        logits = self.logits(seen)
        return (logits[:, REAL] - logits[:, FAKE]).unsqueeze(1)

    def logits(self, images: Tensor) -> Tensor:
        """The two units, (N, 2) float32: column REAL for a photograph, column FAKE for an enhanced picture."""
        hidden = self.head(self.features(gray(images)))
        # In bfloat16 the difference of two nearly equal logits would be mostly rounding error.
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.units(hidden.float())
        return logits


def gray(images: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 1, H, W) luminance with TensorFlow's weights 0.2989, 0.587, 0.114, which sum to 0.9999."""
    return 0.2989 * images[:, 0:1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:3]


def same_size(size_px: int, stride: int) -> int:
    """The output size of a SAME convolution: size / stride, rounded up."""
    return -(-size_px // stride)


def same_padding(size_px: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding in pixels, (before, after); if the total is odd, the extra pixel comes after."""
    # Unlike in `enhance.nets.layers`, sizes need not be multiples of the stride, so the padding depends on them.
    total = max((same_size(size_px, stride) - 1) * stride + kernel - size_px, 0)
    return total // 2, total - total // 2


def strided_conv(
    inputs: int, outputs: int, kernel: int, stride: int, size_px: int, generator: torch.Generator
) -> list[nn.Module]:
    """A SAME convolution for maps of `size_px`, preceded by a padding layer if the padding is uneven."""
    before, after = same_padding(size_px, kernel, stride)
    # Conv2d pads both sides alike, so it gets the smaller amount and ZeroPad2d adds the rest at the right and bottom.
    uneven = [nn.ZeroPad2d((0, after - before, 0, after - before))] if after > before else []
    return [*uneven, conv(inputs, outputs, kernel, generator, stride=stride, padding=before)]
