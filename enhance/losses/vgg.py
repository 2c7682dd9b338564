"""VGG-19 (Simonyan and Zisserman 2015), the feature extractor of the content and style terms: frozen and truncated.

Two differences from DPED's code: its pools round sizes up (100 px reach relu5_4 as 7 x 7), while ours, like
torchvision's, round down (6 x 6); and the weights are torchvision's instead of the original MatConvNet ones, unless a
file provides those. Magnitudes, and therefore loss weights, do not carry over exactly.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from enhance.config.files import pin_digest
from enhance.nets.pretrained import WeightsUnavailable, fill, load_state

Maps = Mapping[str, Tensor]

LAYERS = {"relu1_2": 3, "relu2_2": 8, "relu3_4": 17, "relu4_4": 26, "relu5_4": 35}
"""The index of each layer in torchvision's `features`. Each is the last one of its block, right before a pool."""

INPUTS = {
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "dped": ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3),
}
"""Mean and deviation for normalizing RGB in [0, 1] before VGG-19 sees it.

"torchvision" is what torchvision's weights expect. "dped" is what DPED's code does and the original weights expect, 255
RGB minus the mean color: nearly the same picture with values 57 times larger.
"""

_CHANNELS = (64, 64, None, 128, 128, None, *(256,) * 4, None, *(512,) * 4, None, *(512,) * 4)  # None is a pool
_RANDOM_SEED = 19  # fixed, so that the same random features judge every trial of every sweep
_NAME = "VGG-19"


class VGG19Features:
    """Feature maps of (N, 3, H, W) pictures, RGB in [0, 1], at chosen layers in one pass: float32 (N, C, h, w).

    layers: keys of LAYERS. normalization: a key of INPUTS. weights: "random" (seeded, He initialization), "imagenet" or
    "file:PATH" (see `enhance.nets.pretrained`). H and W of at least 16 suffice for every layer. Raises
    WeightsUnavailable.
    """

    def __init__(
        self,
        layers: Iterable[str],
        weights: str,
        normalization: str = "torchvision",
        device: torch.device | str = "cpu",
        channels_last: bool = False,
    ) -> None:
        self._taps = {LAYERS[layer]: layer for layer in layers}
        try:  # the cache of `vgg19` must go by a file's content, not by its path
            weights = pin_digest(weights)
        except OSError as error:
            raise WeightsUnavailable(_NAME, weights, f"{type(error).__name__}: {error}") from error
        self._net = vgg19(max(self._taps), weights, str(device), channels_last)
        mean, deviation = INPUTS[normalization]
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._deviation = torch.tensor(deviation, device=device).view(1, 3, 1, 1)

    def __call__(self, pictures: Tensor) -> Maps:
        maps: dict[str, Tensor] = {}
        features = (pictures - self._mean) / self._deviation
        for place, layer in enumerate(self._net):
            features = layer(features)
            if place in self._taps:
                maps[self._taps[place]] = features.float()  # also under autocast: distances need the digits
        return maps


# Two networks at most, because each takes up to 80 MB.
@lru_cache(maxsize=2)
def vgg19(last: int, weights: str, device: str, channels_last: bool) -> nn.Sequential:
    """Modules 0 to `last` of VGG-19's `features`, frozen, in evaluation mode; the rest is never built.

    Cached, so that a worker reads a weights file once and not once per trial. Since the network is frozen, no state can
    leak from one trial to the next.
    """
    net = _empty(last)
    if weights == "random":
        _initialize(net, torch.Generator().manual_seed(_RANDOM_SEED))
    else:
        fill(net, _NAME, weights, load_state(_NAME, weights, _imagenet), prefix="features.")
    net.eval().requires_grad_(False).to(device)
    if channels_last:
        net.to(memory_format=torch.channels_last)
    return net


def _empty(last: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for outputs in _CHANNELS:
        if outputs is None:
            layers.append(nn.MaxPool2d(2))
            continue
        # Allocated without initialization, which would draw from torch's global generator.
        conv = nn.Conv2d(channels, outputs, 3, padding=1, device="meta").to_empty(device="cpu")
        # In place, which saves a map per layer: the gradient of a convolution does not need its output.
        layers += [conv, nn.ReLU(inplace=True)]
        channels = outputs
        # `last` is a ReLU, so it is reached here and never after a pool.
        if len(layers) > last:
            break
    return nn.Sequential(*layers)


def _initialize(net: nn.Sequential, generator: torch.Generator) -> None:
    for layer in net:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)


def _imagenet() -> Mapping[str, Tensor]:
    from torchvision.models import VGG19_Weights  # slow to import, and needed only for these weights

    state: Mapping[str, Tensor] = VGG19_Weights.IMAGENET1K_V1.get_state_dict(
        progress=False, check_hash=True, map_location="cpu", weights_only=True
    )
    return state
