"""What a generator is trained for: terms that compare pictures, one file each, and `Losses`, which builds and weighs.

Every term is a mean over the pictures, in float32, that does not depend on the batch size; nothing in here waits for
the device. The adversarial term (`enhance.critics.objectives`) and those of `enhance.losses.cycle` are computed by the
training rules and only weighted here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from enhance.config.training import LossConfig
from enhance.losses import content, pixel, tv
from enhance.losses.color import ColorLoss
from enhance.losses.cycle import cycle, identity
from enhance.losses.style import style, style_layers
from enhance.losses.vgg import Maps, VGG19Features

__all__ = ["RULE_TERMS", "TERMS", "Losses", "View", "cycle", "identity"]


@dataclass(frozen=True, slots=True)
class View:
    """A picture (N, 3, H, W) in [0, 1] and, where terms ask for them, its feature maps in VGG-19, by layer."""

    picture: Tensor
    maps: Maps = field(default_factory=dict)


PairedTerm = Callable[[View, View], Tensor]
OutputTerm = Callable[[Tensor], Tensor]


class Losses:
    """The terms of a configuration whose weight is above zero. A term of weight zero is not even built.

    `weights` holds one float32 tensor of shape () per active term, on the device: a caller may overwrite it in place.
    Content and style share one pass through VGG-19 per picture. Raises ValueError where every weight is zero,
    `enhance.nets.pretrained.WeightsUnavailable` where VGG-19 cannot be had.
    """

    def __init__(self, config: LossConfig, device: torch.device | str, channels_last: bool = False) -> None:
        names = (*TERMS, *RULE_TERMS)
        active = {name: float(getattr(config, name)) for name in names if getattr(config, name) > 0}
        if not active:
            raise ValueError(f"at least one loss weight must be > 0, but all are 0: {', '.join(names)}")
        device = torch.device(device)
        self.weights = {name: torch.tensor(w, dtype=torch.float32, device=device) for name, w in active.items()}
        self._paired = {name: build(config, device) for name, build in PAIRED_TERMS.items() if name in active}
        self._of_output = {name: build(config) for name, build in OUTPUT_TERMS.items() if name in active}
        self._features = _features(config, device, channels_last)

    def __call__(self, output: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        """The unweighted picture terms, each of shape (), of `output` and its `target`, (N, 3, H, W) in [0, 1].

        The target is a constant. It may be None where no active term compares with it; else ValueError, and so where
        the shapes differ.
        """
        terms = self._compare(output, target) if self._paired else {}
        return terms | {name: term(output) for name, term in self._of_output.items()}

    def weighted(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Each of `terms` times its weight, in their order: a tensor of shape (terms,)."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()])

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of `terms`, of shape ()."""
        return self.weighted(terms).sum()

    def _compare(self, output: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        if target is None:
            raise ValueError(f"target must be given: the terms {', '.join(self._paired)} compare with it")
        if output.shape != target.shape:
            raise ValueError(f"output {tuple(output.shape)} and target {tuple(target.shape)} must have one shape")
        seen = self._view(output)
        with torch.no_grad():
            wanted = self._view(target)
        return {name: term(seen, wanted) for name, term in self._paired.items()}

    def _view(self, picture: Tensor) -> View:
        return View(picture) if self._features is None else View(picture, self._features(picture))


def _features(config: LossConfig, device: torch.device, channels_last: bool) -> VGG19Features | None:
    """The extractor of every layer that an active term looks at; None where none does."""
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


def _tv(config: LossConfig) -> OutputTerm:
    return tv.FORMS[config.tv_form]


PAIRED_TERMS: dict[str, Callable[[LossConfig, torch.device], PairedTerm]] = {
    "pixel": _pixel,
    "color": _color,
    "content": _content,
    "style": _style,
}
"""Builders of the terms that compare the output with its target."""

OUTPUT_TERMS: dict[str, Callable[[LossConfig], OutputTerm]] = {"tv": _tv}
"""Builders of the terms that look at the output alone."""

TERMS = {**PAIRED_TERMS, **OUTPUT_TERMS}
"""Builders of all terms that `Losses` computes; every name is a weight of LossConfig."""

RULE_TERMS = ("adversarial", "cycle", "identity")
"""Terms that the training rules compute, and `Losses` only weighs."""
