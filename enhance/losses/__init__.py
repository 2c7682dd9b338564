"""What a generator is trained for: terms, one file each, and `Losses`, which builds and weighs those that count.

Every term is a mean, in float32, that does not depend on the batch size; nothing in here waits for the device.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from enhance.config import LossConfig
from enhance.losses import pixel, texture, tv
from enhance.losses.color import ColorLoss
from enhance.losses.content import ContentLoss, WeightsUnavailable
from enhance.losses.texture import critic_loss

__all__ = ["TERMS", "Losses", "WeightsUnavailable", "critic_loss"]

Term = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Builder = Callable[[LossConfig, torch.device, bool], Term]


class Losses:
    """The terms of a configuration whose weight is above zero. A term of weight zero is not even built.

    `weights` holds one float32 tensor of shape () per term, on the device: a caller may overwrite it in place.
    Raises ValueError where every weight is zero, WeightsUnavailable where VGG-19 cannot be had.
    """

    def __init__(self, config: LossConfig, device: torch.device | str, channels_last: bool = False) -> None:
        device = torch.device(device)
        active = {name: float(getattr(config, name)) for name in TERMS if getattr(config, name) > 0}
        if not active:
            raise ValueError(f"at least one loss weight must be > 0, but all are 0: {', '.join(TERMS)}")
        self.weights = {name: torch.tensor(weight, device=device) for name, weight in active.items()}
        self._terms = {name: TERMS[name](config, device, channels_last) for name in active}

    @property
    def needs_critic(self) -> bool:
        """Whether the terms listen to a critic."""
        return "texture" in self._terms

    def __call__(self, output: Tensor, target: Tensor, critic_logits: Tensor | None = None) -> dict[str, Tensor]:
        """The unweighted terms, each of shape (), of two (N, 3, H, W) images.

        `critic_logits` (N, 2) is the critic's verdict on `output`, not detached; None where `needs_critic` is false.
        """
        if output.shape != target.shape:
            raise ValueError(f"output {tuple(output.shape)} and target {tuple(target.shape)} must have one shape")
        if critic_logits is not None and not self.needs_critic:
            raise ValueError("critic_logits are given, but the texture weight is 0: nothing would listen to them")
        return {name: term(output, target, critic_logits) for name, term in self._terms.items()}

    def weighted(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Each of `terms` times its weight, in their order: a tensor of shape (terms,)."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()])

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of `terms`, of shape ()."""
        return self.weighted(terms).sum()


def _pixel(config: LossConfig, _device: torch.device, _channels_last: bool) -> Term:
    norm = pixel.NORMS[config.pixel_norm]
    return lambda output, target, _logits: norm(output, target)


def _color(config: LossConfig, device: torch.device, _channels_last: bool) -> Term:
    color = ColorLoss(config.color_blur, device)
    return lambda output, target, _logits: color(output, target)


def _texture(config: LossConfig, _device: torch.device, _channels_last: bool) -> Term:
    form = texture.FORMS[config.texture_form]

    def term(_output: Tensor, _target: Tensor, logits: Tensor | None) -> Tensor:
        if logits is None:
            raise ValueError("critic_logits must be given where the texture weight is > 0, but they are None")
        return form(logits)

    return term


def _content(config: LossConfig, device: torch.device, channels_last: bool) -> Term:
    content = ContentLoss(config.content_layer, config.content_weights, device, channels_last)
    return lambda output, target, _logits: content(output, target)


def _tv(config: LossConfig, _device: torch.device, _channels_last: bool) -> Term:
    form = tv.FORMS[config.tv_form]
    return lambda output, _target, _logits: form(output)


TERMS: dict[str, Builder] = {"pixel": _pixel, "color": _color, "texture": _texture, "content": _content, "tv": _tv}
