"""The generator's loss terms, one file each, and `Losses`, which builds and weighs them.

Every term is a float32 mean over the pictures that does not depend on the batch size, and none of them synchronizes
with the device. The training rules compute the adversarial term (`enhance.critics.objectives`) and the terms of
`enhance.losses.cycle` themselves; here those are only weighted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from enhance.config.training import LossConfig
from enhance.losses import content, pixel, tv
from enhance.losses.color import ColorLoss
from enhance.losses.cycle import cycle, identity
from enhance.losses.ms_ssim import ms_ssim
from enhance.losses.style import style, style_layers
from enhance.losses.vgg import Maps, VGG19Features

__all__ = ["RULE_TERMS", "TERMS", "Losses", "View", "cycle", "identity"]


@dataclass(frozen=True, slots=True)
class View:
    """A picture (N, 3, H, W) in [0, 1] and, if some term needs them, its VGG-19 feature maps by layer."""

    picture: Tensor
    maps: Maps = field(default_factory=dict)


PairedTerm = Callable[[View, View], Tensor]
OutputTerm = Callable[[Tensor], Tensor]


class Losses:
    """The loss terms with a weight above zero; the others are not even built.

    `weights` holds one float32 tensor of shape () per active term, on the device. Callers may overwrite them in place.
    Content and style share one VGG-19 pass per picture. Raises ValueError if every weight is zero, and
    `enhance.nets.pretrained.WeightsUnavailable` if the weights of VGG-19 are not available.
    """

    def __init__(self, config: LossConfig, device: torch.device | str, channels_last: bool = False) -> None:
        names = (*TERMS, *RULE_TERMS)
        active = {name: float(getattr(config, name)) for name in names if getattr(config, name) > 0}
        if not active:
            raise ValueError(f"all loss weights are 0; at least one must be above 0: {', '.join(names)}")
        device = torch.device(device)
        # Tensors on the device, so that a phase can overwrite a weight without making the host wait.
        self.weights = {name: torch.tensor(w, dtype=torch.float32, device=device) for name, w in active.items()}
        self._paired = {name: build(config, device) for name, build in PAIRED_TERMS.items() if name in active}
        self._of_output = {name: build(config) for name, build in OUTPUT_TERMS.items() if name in active}
        self._features = _features(config, device, channels_last)

    def __call__(self, output: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        """The unweighted picture terms, each of shape (), for `output` and `target`, (N, 3, H, W) in [0, 1].

        No gradient flows into the target. It may be None if no active term needs it. Raises ValueError if it is missing
        or its shape differs from the output's.
        """
        terms = self._compare(output, target) if self._paired else {}
        return terms | {name: term(output) for name, term in self._of_output.items()}

    def weighted(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Each of `terms` times its weight, in the order given: a tensor of shape (len(terms),)."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()])

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of `terms`, shape ()."""
        return self.weighted(terms).sum()

    def _compare(self, output: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        if target is None:
            raise ValueError(f"target is missing, and the terms {', '.join(self._paired)} compare with it")
        if output.shape != target.shape:
            raise ValueError(f"output {tuple(output.shape)} and target {tuple(target.shape)} must have the same shape")
        seen = self._view(output)
        # Only the output's pass through VGG-19 must be kept for the backward pass.
        with torch.no_grad():
            wanted = self._view(target)
        return {name: term(seen, wanted) for name, term in self._paired.items()}

    def _view(self, picture: Tensor) -> View:
        return View(picture) if self._features is None else View(picture, self._features(picture))


def _features(config: LossConfig, device: torch.device, channels_last: bool) -> VGG19Features | None:
    """An extractor for every layer that some active term needs; None if none does."""
    # Layers may repeat: the extractor keeps each one once.
    layers = [config.content_layer] if config.content > 0 else []
    layers += style_layers(config.style_layer) if config.style > 0 else []
    if not layers:
        return None
    return VGG19Features(layers, config.vgg_weights, config.vgg_input, device, channels_last)


def _pixel(config: LossConfig, _device: torch.device) -> PairedTerm:
    norm = pixel.NORMS[config.pixel_norm]
    return lambda output, target: norm(output.picture, target.picture)


def _color(config: LossConfig, device: torch.device) -> PairedTerm:
    color = ColorLoss(config.color_blur, device)
    return lambda output, target: color(output.picture, target.picture)


def _content(config: LossConfig, _device: torch.device) -> PairedTerm:
    norm, layer = content.NORMS[config.content_norm], config.content_layer
    return lambda output, target: norm(output.maps[layer], target.maps[layer])


def _style(config: LossConfig, _device: torch.device) -> PairedTerm:
    return lambda output, target: style(output.maps, target.maps, config.style_layer)


def _ms_ssim(_config: LossConfig, _device: torch.device) -> PairedTerm:
    return lambda output, target: ms_ssim(output.picture, target.picture)


def _tv(config: LossConfig) -> OutputTerm:
    return tv.FORMS[config.tv_form]


PAIRED_TERMS: dict[str, Callable[[LossConfig, torch.device], PairedTerm]] = {
    "pixel": _pixel,
    "color": _color,
    "content": _content,
    "style": _style,
    "ms_ssim": _ms_ssim,
}
"""Builders of the terms that compare the output with its target."""

OUTPUT_TERMS: dict[str, Callable[[LossConfig], OutputTerm]] = {"tv": _tv}
"""Builders of the terms that see only the output."""

TERMS = {**PAIRED_TERMS, **OUTPUT_TERMS}
"""Builders of all terms that `Losses` computes; each name is also a weight of LossConfig."""

RULE_TERMS = ("adversarial", "cycle", "identity")
"""Terms computed by the training rules and only weighted by `Losses`."""
