"""The style term: which features of VGG-19 occur together, wherever in the picture they are (Johnson et al. 2016).

The Gram matrix of a layer is divided by C h w, so the picture's size cancels out; the squared Frobenius distance is a
sum over C x C entries and over the layers, and a mean over the pictures. All layers of `enhance.losses.vgg.LAYERS` up
to the deepest count, with weight 1 each. Johnson et al. use relu1_2, relu2_2, relu3_3 and relu4_3 of VGG-16, which end
the same blocks. The features are those of the content term: the same pass, weights and input.

On the 240 DPED training pairs (iPhone, 100 px), with the unprocessed phone photo as output and random weights: 1.90 up
to relu1_2, 3.47 up to relu2_2, 4.46 up to relu3_4, 4.85 up to relu4_4, 5.04 up to relu5_4. It goes with the fourth
power of the input: "dped" makes it 11 million times larger.
"""

import torch
from torch import Tensor

from enhance.losses.vgg import LAYERS, Maps


def style_layers(deepest: str) -> list[str]:
    """The layers whose Gram matrices count: those of LAYERS up to `deepest`."""
    return [layer for layer, place in LAYERS.items() if place <= LAYERS[deepest]]


def gram(features: Tensor) -> Tensor:
    """(N, C, h, w) feature maps to (N, C, C) products of their channels, divided by C h w, in float32."""
    with torch.autocast(features.device.type, enabled=False):  # sums of h w products would be lost in bfloat16
        flat = features.float().flatten(2)
        return flat @ flat.mT / flat[0].numel()


def style(output: Maps, target: Maps, deepest: str) -> Tensor:
    """Squared Frobenius distance of the Gram matrices, summed over the layers, mean over the pictures: shape ()."""
    distances = [
        (gram(output[layer]) - gram(target[layer])).square().sum(dim=(1, 2)) for layer in style_layers(deepest)
    ]
    return torch.stack(distances).sum(dim=0).mean()
