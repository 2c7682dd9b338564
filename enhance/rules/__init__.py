"""The training rules, each a small strategy of its own; the micro-run only asks for the next step.

| rule | what it trains | source |
|---|---|---|
| paired | a generator on pairs; with loss.adversarial > 0 also against a critic | DPED, FPIE, pix2pix |
| phased | the same, with the CurveBlock and the critic joining later | the EnhanceGAN re-implementation |
| cycle | two generators and two critics, without pairs | CycleGAN |
"""

from collections.abc import Callable

import torch

from enhance.config import Config, ConfigError
from enhance.data import PatchStore
from enhance.rules.cycle import Cycle
from enhance.rules.paired import Adversarial, Supervised
from enhance.rules.phased import Phased
from enhance.rules.rule import Rule, StepStats
from enhance.training.seeds import Seeds

__all__ = ["RULES", "Rule", "StepStats", "build_rule"]

Builder = Callable[[Config, Seeds, PatchStore, torch.device], Rule]


def _paired(config: Config, seeds: Seeds, data: PatchStore, device: torch.device) -> Rule:
    return (Adversarial if config.loss.adversarial else Supervised)(config, seeds, data, device)


RULES: dict[str, Builder] = {"paired": _paired, "phased": Phased, "cycle": Cycle}


def build_rule(config: Config, seed: int, data: PatchStore, device: torch.device) -> Rule:
    """Build the training rule of a configuration. Raises ConfigError if `data` does not suit it."""
    if not data.paired and config.train.rule != "cycle":
        raise ConfigError([f"train.rule={config.train.rule} needs pairs, but {data.spec} has none; choose cycle"])
    return RULES[config.train.rule](config, Seeds.of(seed, config.train.vary), data, device)
