"""The critics of adversarial losses, which learn to tell the good camera's photographs from enhanced pictures.

An objective (`enhance.critics.objectives`) turns their scores into a loss. All critics are built on the CPU from an
explicit seed; torch's global generator is neither read nor advanced.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from enhance.config.adversaries import CriticConfig, DPEDCriticConfig, PatchCriticConfig
from enhance.critics.critic import Critic
from enhance.critics.dped import DPEDCritic
from enhance.critics.patch import PatchCritic

__all__ = ["CRITICS", "Critic", "CriticFamily", "build_critic"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticFamily:
    """A critic's constructor (arguments: config, picture size in px, generator), its config class and its source."""

    config: type[CriticConfig]
    build: Callable[[Any, int, torch.Generator], Critic]
    source: str


CRITICS: dict[str, CriticFamily] = {
    "dped": CriticFamily(
        config=DPEDCriticConfig,
        build=DPEDCritic,
        source="Ignatov et al. 2017 (DPED), the authors' code; norm of the paper's text",
    ),
    "patch": CriticFamily(
        config=PatchCriticConfig,
        build=PatchCritic,
        source="Isola et al. 2017 (pix2pix), the authors' code; instance norm of Zhu et al. 2017 (CycleGAN)",
    ),
}


def build_critic(config: CriticConfig, size_px: int, seed: int) -> Critic:
    """Build the critic of a valid configuration for square pictures of `size_px`, initialized from `seed`.

    Raises ValueError if `size_px` is below `config.minimum_px`.
    """
    return CRITICS[config.family].build(config, size_px, torch.Generator().manual_seed(seed))
