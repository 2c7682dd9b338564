"""DPED's content term: the distance of two images as VGG-19 sees them.

Differences from the authors' code: they feed 255 RGB minus the mean color, without dividing by a deviation, into the
original MatConvNet weights, and their pools round sizes up; here images are normalised with ImageNet's mean and
deviation as torchvision's weights expect, and pools round down. Their magnitudes and weights do not carry over.

On the 240 DPED training pairs, with the unprocessed phone photo as output and random weights: 0.456 at relu2_2, 0.120
at relu5_4.
"""

import pickle
from collections.abc import Mapping
from functools import lru_cache
from http.client import HTTPException

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The last of torchvision's `features` that belongs to each layer: one number further is where the network is cut.
LAYERS = {"relu1_2": 3, "relu2_2": 8, "relu3_4": 17, "relu4_4": 26, "relu5_4": 35}
_CHANNELS = (64, 64, None, 128, 128, None, *(256,) * 4, None, *(512,) * 4, None, *(512,) * 4)  # None: a pool
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RANDOM_SEED = 19  # its own and fixed: every trial of every sweep is judged by the same random features
_FAILED = (OSError, HTTPException, ImportError, RuntimeError)
_UNREADABLE = (EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


class WeightsUnavailable(ValueError):
    """The weights of VGG-19 that were asked for cannot be had; the message says why and what else there is."""

    def __init__(self, weights: str, reason: object) -> None:
        super().__init__(
            f"VGG-19 weights {weights!r} cannot be had: {reason}; choose from imagenet (downloaded by torchvision, "
            "once), random (seeded, nothing to download), or a file that holds torchvision's state dict"
        )


class ContentLoss:
    """Mean squared difference of the features of two (N, 3, H, W) images in [0, 1]: a tensor of shape ().

    `layer` is a key of LAYERS. `weights` is "random", "imagenet" or the path of a state dict of torchvision's vgg19.
    Raises WeightsUnavailable. Gradients reach the output alone. H and W >= 16 are enough for every layer.
    """

    def __init__(
        self, layer: str, weights: str, device: torch.device | str = "cpu", channels_last: bool = False
    ) -> None:
        self._features = vgg19_features(layer, weights, str(device), channels_last)
        self._mean = torch.tensor(_MEAN, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(_STD, device=device).view(1, 3, 1, 1)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self._see(target)
        return F.mse_loss(self._see(output), wanted)

    def _see(self, images: Tensor) -> Tensor:
        features: Tensor = self._features((images - self._mean) / self._std)
        return features.float()


@lru_cache(maxsize=2)
def vgg19_features(layer: str, weights: str, device: str, channels_last: bool) -> nn.Sequential:
    """The first layers of VGG-19 up to `layer`, frozen, in evaluation mode. The rest of the network is never built.

    Kept for the next caller that asks for the same, so that a warm worker reads a weights file once and not once per
    trial. It is frozen: nothing can pass from one trial to the next.
    """
    net = _empty_vgg19(LAYERS[layer])
    if weights == "random":
        _initialise(net, torch.Generator().manual_seed(_RANDOM_SEED))
    else:
        _load(net, weights)
    net.eval().requires_grad_(False).to(device)
    if channels_last:
        net.to(memory_format=torch.channels_last)
    return net


def _empty_vgg19(last: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for outputs in _CHANNELS:
        if outputs is None:
            layers.append(nn.MaxPool2d(2))
            continue
        # Empty: the constructor's own initialisation would draw from torch's global generator.
        conv = nn.Conv2d(channels, outputs, 3, padding=1, device="meta").to_empty(device="cpu")
        layers += [conv, nn.ReLU(inplace=True)]
        channels = outputs
        if len(layers) > last:
            break
    return nn.Sequential(*layers)


def _initialise(net: nn.Sequential, generator: torch.Generator) -> None:
    for layer in net:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)


def _load(net: nn.Sequential, weights: str) -> None:
    try:
        state = _imagenet_state() if weights == "imagenet" else torch.load(weights, "cpu", weights_only=True)
        net.load_state_dict({name: state[f"features.{name}"] for name in net.state_dict()})
    except _FAILED as error:
        raise WeightsUnavailable(weights, f"{type(error).__name__}: {error}") from error
    except _UNREADABLE as error:  # torch's own text advises to load the file unsafely
        reason = f"it is no state dict of vgg19 that can be read safely ({type(error).__name__})"
        raise WeightsUnavailable(weights, reason) from error


def _imagenet_state() -> Mapping[str, Tensor]:
    from torchvision.models import VGG19_Weights  # only a run that asks for these weights pays for the import

    state: Mapping[str, Tensor] = VGG19_Weights.IMAGENET1K_V1.get_state_dict(
        progress=False, check_hash=True, map_location="cpu", weights_only=True
    )
    return state
