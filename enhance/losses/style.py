"""The style term: which VGG-19 features occur together, regardless of where in the picture (Johnson et al. 2016).

Each layer's Gram matrix is divided by C h w, which cancels the picture's size. The squared Frobenius distance is summed
over the C x C entries and over the layers, and averaged over the pictures. All layers of `enhance.losses.vgg.LAYERS` up
to the deepest one count, with weight 1 each. Johnson et al. use relu1_2, relu2_2, relu3_3 and relu4_3 of VGG-16, the
last layers of the same blocks. Features, weights and input are those of the content term, from the same pass.

On the 240 DPED training pairs (iPhone, 100 px), with the unprocessed phone photo as output and random weights: 1.90 up
to relu1_2, 3.47 up to relu2_2, 4.46 up to relu3_4, 4.85 up to relu4_4, 5.04 up to relu5_4. It grows with the fourth
power of the input, so the input "dped" makes it 11 million times larger.
"""

import torch
from torch import Tensor

from enhance.losses.vgg import LAYERS, Maps


def style_layers(deepest: str) -> list[str]:
    """The layers whose Gram matrices count: those of LAYERS up to and including `deepest`."""
    return [layer for layer, place in LAYERS.items() if place <= LAYERS[deepest]]


def gram(features: Tensor) -> Tensor:
    """(N, C, h, w) feature maps to (N, C, C) Gram matrices, divided by C h w, in float32."""
    with torch.autocast(features.device.type, enabled=False):  # bfloat16 would lose digits in sums of h * w products
        flat = features.float().flatten(2)
        return flat @ flat.mT / flat[0].numel()


def style(output: Maps, target: Maps, deepest: str) -> Tensor:
    """Squared Frobenius distance of the Gram matrices, summed over layers, averaged over pictures: shape ()."""
    distances = [
        (gram(output[layer]) - gram(target[layer])).square().sum(dim=(1, 2)) for layer in style_layers(deepest)
    ]
    return torch.stack(distances).sum(dim=0).mean()
