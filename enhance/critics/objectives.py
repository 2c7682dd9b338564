"""The adversarial objectives: what a critic's scores are worth to the critic and to the generator.

Scores are (N, 1) or (N, 1, h, w) float32, the larger the more like a photograph; a map of scores counts as many
judgements of its picture. Every loss is a tensor of shape (), a mean and not a sum, so that its weight does not depend
on the batch (the DPED authors sum: their value is 50 times this one).

DPED's texture loss is "bce" with the critic "dped"; "saturating" is the authors' code, "non_saturating" their paper.
At chance, where the critic stays most of the time on DPED, the code's form is -0.693, the paper's 0.693.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.adversaries import ObjectiveConfig
from enhance.critics import Critic

_LOWEST = math.log(1e-10)


class Objective:
    """One way to train a critic and a generator against each other.

    A subclass says what every single score costs the critic, by the kind of picture, and what the generator minimises.
    """

    def cost_of_real(self, scores: Tensor) -> Tensor:
        """What each score of a real picture costs the critic; of the shape of `scores`."""
        raise NotImplementedError

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        """What each score of an enhanced picture costs the critic; of the shape of `scores`."""
        raise NotImplementedError

    def generator_loss(self, scores: Tensor) -> Tensor:
        """What the generator minimises, from the scores of its pictures; shape ()."""
        raise NotImplementedError

    def critic_loss(self, real: Tensor, enhanced: Tensor) -> Tensor:
        """What the critic minimises where it is shown both kinds: the mean over real plus the mean over enhanced.

        pix2pix and CycleGAN halve it; Adam and RMSprop do not notice such a factor.
        """
        return self.cost_of_real(real).mean() + self.cost_of_enhanced(enhanced).mean()

    def critic_loss_mixed(self, scores: Tensor, is_real: Tensor) -> Tensor:
        """What the critic minimises where each sample is one of the kinds, real where `is_real`, (N,) bool, says so.

        The mean over samples: half of `critic_loss` on the same samples where half of them are real.
        """
        real = _like(is_real, scores)
        return torch.where(real, self.cost_of_real(scores), self.cost_of_enhanced(scores)).mean()

    def penalty(
        self, critic: Critic, real: Tensor, enhanced: Tensor, inputs: Tensor | None, generator: torch.Generator
    ) -> Tensor | None:
        """What is added to the critic's loss, weighted already, shape (); None where the objective has no such term.

        `real` and `enhanced` are pictures of the same shape, `inputs` what a conditional critic is shown beside them.
        """
        return None

    def after_step(self, critic: nn.Module) -> None:
        """What is done to the critic after each of its optimizer steps: nothing, unless the objective clips weights."""

    def border(self, scores: Tensor, real: Tensor) -> Tensor | float:
        """Scores above it say "real". `real` is of the shape of `scores` and says which are."""
        return 0.0

    @torch.no_grad()
    def accuracy(self, scores: Tensor, is_real: Tensor) -> Tensor:
        """The share of scores on the right side of the border, in [0, 1], shape (); `is_real` is (N,) bool.

        0.5 is chance, and normal on DPED: there its critic stays between 0.50 and 0.60.
        """
        real = _like(is_real, scores)
        return ((scores > self.border(scores, real)) == real).float().mean()


class BCE(Objective):
    """Binary cross-entropy, with the score as the log odds of "real" (Goodfellow et al. 2014).

    form "non_saturating" (the default: it is what trains, and what pix2pix and DPED's paper write): the generator
    minimises -log p(real), >= 0, which keeps its gradient where the critic sees through it. "saturating" (DPED's code):
    log p(enhanced), in [-23.03, 0], which loses it there; the probability is clipped at 1e-10 as in that code.

    The authors clip the critic's probabilities too. Here they are not, so that a critic that is wrong beyond doubt
    still learns.
    """

    def __init__(self, form: str) -> None:
        self.saturating = form == "saturating"

    def cost_of_real(self, scores: Tensor) -> Tensor:
        return -F.logsigmoid(scores)

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return -F.logsigmoid(-scores)

    def generator_loss(self, scores: Tensor) -> Tensor:
        if self.saturating:
            return F.logsigmoid(-scores).clamp(min=_LOWEST).mean()
        return -F.logsigmoid(scores).mean()


class LeastSquares(Objective):
    """Squared distance of the score to 1 for real and to 0 for enhanced pictures (Mao et al. 2017, CycleGAN).

    The generator's is that to 1.
    """

    def cost_of_real(self, scores: Tensor) -> Tensor:
        return (scores - 1).square()

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return scores.square()

    def generator_loss(self, scores: Tensor) -> Tensor:
        return (scores - 1).square().mean()

    def border(self, scores: Tensor, real: Tensor) -> Tensor | float:
        return 0.5


class Hinge(Objective):
    """Real pictures shall score above 1 and enhanced ones below -1 (Lim and Ye 2017; Miyato et al. 2018).

    The generator raises the mean score.
    """

    def cost_of_real(self, scores: Tensor) -> Tensor:
        return F.relu(1 - scores)

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return F.relu(1 + scores)

    def generator_loss(self, scores: Tensor) -> Tensor:
        return -scores.mean()


class WassersteinDistance(Objective):
    """The difference of the mean scores, which the critic widens; the two ways to keep it bounded are subclasses.

    Adding a constant to all scores changes nothing, so that they have no zero to judge by: `accuracy` puts the border
    halfway between the two means. It is 0.5 where all samples are of one kind: there is nothing to tell apart.
    """

    def cost_of_real(self, scores: Tensor) -> Tensor:
        return -scores

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return scores

    def generator_loss(self, scores: Tensor) -> Tensor:
        return -scores.mean()

    def border(self, scores: Tensor, real: Tensor) -> Tensor | float:
        return (_mean_where(real, scores) + _mean_where(~real, scores)) / 2

    @torch.no_grad()
    def accuracy(self, scores: Tensor, is_real: Tensor) -> Tensor:
        two_kinds = is_real.any() & ~is_real.all()
        return torch.where(two_kinds, super().accuracy(scores, is_real), 0.5)


class Wasserstein(WassersteinDistance):
    """With every parameter of the critic clipped to [-clip, clip] after its step (Arjovsky et al. 2017).

    Their clip is 0.01, and the scales of norms are clipped like everything else. The patch critic with instance norm
    has none and takes 0.01 well. In the DPED critic such scales shrink the maps below the eps of the next norm: after
    60 steps on pictures that are easy to tell apart its scores differ by 1e-7 with a clip of 0.01, by 15 with 0.05.
    """

    def __init__(self, clip: float) -> None:
        self.clip = clip

    @torch.no_grad()
    def after_step(self, critic: nn.Module) -> None:
        for parameter in critic.parameters():
            parameter.clamp_(-self.clip, self.clip)


class WassersteinGP(WassersteinDistance):
    """With a penalty on the critic's gradient between real and enhanced pictures (Gulrajani et al. 2017)."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def penalty(
        self, critic: Critic, real: Tensor, enhanced: Tensor, inputs: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The weight times the mean of (norm - 1)^2: the norm of a sample's gradient over all its pixels and channels.

        The gradient is that of the picture's score (the mean of a map) at a random point between the real and the
        enhanced picture, one per sample, drawn from `generator`. An input that the critic sees stays as it is: it is
        the same in both. The critic's parameters get gradients, the pictures none. Autocast is off, since the norm of
        gradients in bfloat16 is a coarse one.

        Raises ValueError where the critic has a batch norm: there a score depends on the other samples too, and the
        gradient of one sample alone does not exist.
        """
        if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm) for layer in critic.modules()):
            raise ValueError(
                "a gradient penalty cannot be used with a critic that has batch norm: it is on the gradient of each "
                "sample alone, and batch norm mixes samples; choose instance norm or none"
            )
        shares = torch.rand(len(real), 1, 1, 1, generator=generator, device=generator.device).to(real.device)
        between = torch.lerp(enhanced.detach().float(), real.detach().float(), shares).requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            scores = critic(between, inputs)
        (gradient,) = torch.autograd.grad(scores.flatten(1).mean(1).sum(), between, create_graph=True)
        norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return self.weight * (norms - 1).square().mean()


def _like(is_real: Tensor, scores: Tensor) -> Tensor:
    """(N,) bool in the shape of the scores."""
    return is_real.view(-1, *[1] * (scores.ndim - 1)).expand_as(scores)


def _mean_where(chosen: Tensor, scores: Tensor) -> Tensor:
    """The mean of the chosen scores, without the wait for the device that indexing would be; 0 where there are none."""
    return torch.where(chosen, scores, 0).sum() / chosen.sum().clamp(min=1)


OBJECTIVES: dict[str, Callable[[Any], Objective]] = {
    "bce": lambda config: BCE(config.form),
    "least_squares": lambda config: LeastSquares(),
    "wasserstein": lambda config: Wasserstein(config.clip),
    "wasserstein_gp": lambda config: WassersteinGP(config.penalty),
    "hinge": lambda config: Hinge(),
}


def build_objective(config: ObjectiveConfig) -> Objective:
    """The objective of a configuration that is already valid."""
    return OBJECTIVES[config.objective](config)
