"""Adversarial objectives: how a critic's scores become the losses of the critic and of the generator.

Scores are float32, (N, 1) or (N, 1, h, w), higher for pictures more like a photograph; each entry of a map counts as a
separate judgment of its picture. Every loss is a tensor of shape () and a mean, not a sum, so that its weight does not
depend on the batch size (the DPED authors sum: their value is 50 times this one).

DPED's texture loss is "bce" with the critic "dped": "saturating" as in the authors' code, "non_saturating" as in their
paper. At chance level, where the critic stays most of the time on DPED, the code's form is -0.693, the paper's 0.693.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.adversaries import ObjectiveConfig
from enhance.critics import Critic

_LOWEST = math.log(1e-10)  # DPED's code clips probabilities at 1e-10


class Objective:
    """One way to train a critic and a generator against each other.

    Subclasses define the critic's loss per score, for real and for enhanced pictures, and the generator's loss.
    `penalized` tells whether the critic's loss has a penalty.
    """

    penalized = False

    def cost_of_real(self, scores: Tensor) -> Tensor:
        """The critic's loss for each score of a real picture, in the shape of `scores`."""
        raise NotImplementedError

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        """The critic's loss for each score of an enhanced picture, in the shape of `scores`."""
        raise NotImplementedError

    def generator_loss(self, scores: Tensor) -> Tensor:
        """The generator's loss, from the scores of its pictures; shape ()."""
        raise NotImplementedError

    def critic_loss(self, real: Tensor, enhanced: Tensor) -> Tensor:
        """The critic's loss when it sees both kinds: the mean over real plus the mean over enhanced pictures.

        pix2pix and CycleGAN halve it, which makes no difference to Adam and RMSprop.
        """
        return self.cost_of_real(real).mean() + self.cost_of_enhanced(enhanced).mean()

    def critic_loss_mixed(self, scores: Tensor, is_real: Tensor) -> Tensor:
        """The critic's loss when it sees one picture per sample, a real one where `is_real`, (N,) bool, is true.

        A mean over the samples, so with half of them real it is half of `critic_loss` on the same pictures.
        """
        real = _like(is_real, scores)
        return torch.where(real, self.cost_of_real(scores), self.cost_of_enhanced(scores)).mean()

    def penalty(
        self, critic: Critic, real: Tensor, enhanced: Tensor, inputs: Tensor | None, shares: Tensor
    ) -> Tensor | None:
        """A term to add to the critic's loss, weight included, shape (); None if the objective has none.

        `real` and `enhanced` are pictures of one shape; `inputs` is what a conditional critic sees next to them.
        `shares` is a random number in [0, 1) for each sample, (N, 1, 1, 1), if the objective is `penalized`.
        """
        return None

    def after_step(self, critic: nn.Module) -> None:
        """Called after each optimizer step of the critic. Does nothing, unless the objective clips weights."""

    def border(self, scores: Tensor, real: Tensor) -> Tensor | float:
        """The threshold above which a score means "real". `real` is a bool mask in the shape of `scores`."""
        return 0.0

    @torch.no_grad()
    def accuracy(self, scores: Tensor, is_real: Tensor) -> Tensor:
        """The share of scores on the correct side of the threshold, in [0, 1], shape (); `is_real` is (N,) bool.

        0.5 is chance level. On DPED that is normal: its critic stays between 0.50 and 0.60.
        """
        real = _like(is_real, scores)
        return ((scores > self.border(scores, real)) == real).float().mean()


class BCE(Objective):
    """Binary cross-entropy, with the score as the log odds of "real" (Goodfellow et al. 2014).

    form: with "non_saturating" (the default, in pix2pix and DPED's paper) the generator minimizes -log p(real) >= 0,
    which keeps its gradient even when the critic is certain. With "saturating" (DPED's code) it minimizes
    log p(enhanced), in [-23.03, 0], and loses its gradient there; the probability is clipped at 1e-10 as in that code.

    The authors also clip the critic's own probabilities. Here they are not clipped, so that a confidently wrong critic
    can still learn.
    """

    def __init__(self, form: str) -> None:
        self.saturating = form == "saturating"

    def cost_of_real(self, scores: Tensor) -> Tensor:
        # logsigmoid instead of log(sigmoid): finite for scores of any size.
        return -F.logsigmoid(scores)

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return -F.logsigmoid(-scores)

    def generator_loss(self, scores: Tensor) -> Tensor:
        if self.saturating:
            # Where the clamp acts there is no gradient, as in DPED's code.
            return F.logsigmoid(-scores).clamp(min=_LOWEST).mean()
        return -F.logsigmoid(scores).mean()


class LeastSquares(Objective):
    """Squared distance of the score to 1 for real and to 0 for enhanced pictures (Mao et al. 2017, CycleGAN).

    The generator minimizes the squared distance of its scores to 1.
    """

    def cost_of_real(self, scores: Tensor) -> Tensor:
        return (scores - 1).square()

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return scores.square()

    def generator_loss(self, scores: Tensor) -> Tensor:
        return (scores - 1).square().mean()

    def border(self, scores: Tensor, real: Tensor) -> Tensor | float:
        return 0.5  # halfway between the two targets


class Hinge(Objective):
    """Real pictures should score above 1, enhanced ones below -1 (Lim and Ye 2017; Miyato et al. 2018).

    The generator maximizes its mean score.
    """

    def cost_of_real(self, scores: Tensor) -> Tensor:
        return F.relu(1 - scores)

    def cost_of_enhanced(self, scores: Tensor) -> Tensor:
        return F.relu(1 + scores)

    def generator_loss(self, scores: Tensor) -> Tensor:
        return -scores.mean()


class WassersteinDistance(Objective):
    """The difference of the mean scores, which the critic maximizes. Subclasses bound the critic in different ways.

    Adding a constant to all scores changes nothing, so the scores have no natural zero: `accuracy` puts its threshold
    halfway between the two means. With samples of one kind only there is nothing to tell apart, and accuracy is 0.5.
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
        # A tensor, not an `if`: reading it would make the host wait for the device.
        two_kinds = is_real.any() & ~is_real.all()
        return torch.where(two_kinds, super().accuracy(scores, is_real), 0.5)


class Wasserstein(WassersteinDistance):
    """Bounds the critic by clipping its parameters to [-clip, clip] after each of its steps (Arjovsky et al. 2017).

    The paper clips at 0.01, and the scales of norms are clipped like every other weight. The patch critic with instance
    norm has no such scales and works with 0.01. In the DPED critic they shrink the maps below the eps of the next norm:
    after 60 steps on pictures that are easy to tell apart, its scores differ by 1e-7 with a clip of 0.01 and by 15 with
    0.05.
    """

    def __init__(self, clip: float) -> None:
        self.clip = clip

    @torch.no_grad()
    def after_step(self, critic: nn.Module) -> None:
        # parameters(), not the state dict: running statistics of a batch norm are not weights.
        for parameter in critic.parameters():
            parameter.clamp_(-self.clip, self.clip)


class WassersteinGP(WassersteinDistance):
    """Bounds the critic by a penalty on its gradient between real and enhanced pictures (Gulrajani et al. 2017)."""

    penalized = True

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def penalty(self, critic: Critic, real: Tensor, enhanced: Tensor, inputs: Tensor | None, shares: Tensor) -> Tensor:
        """weight * mean((norm - 1)^2), where norm is the L2 norm of one sample's gradient over all pixels and channels.

        The gradient is that of the picture's score (the mean of a map) at a random point between the real and the
        enhanced picture, one point per sample, at a share of 0 the enhanced one itself. Inputs that the critic sees are
        the same on both sides and not interpolated. The penalty's gradient reaches the critic's parameters, not the
        pictures. Autocast is off, because a gradient norm in bfloat16 is too coarse.

        Raises ValueError if the critic has batch norm: each score then depends on the other samples as well, and the
        gradient of a single sample is not defined.
        """
        if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm) for layer in critic.modules()):
            raise ValueError(
                "a gradient penalty cannot be used with a critic that has batch norm: it needs the gradient of each "
                "sample alone, and batch norm mixes samples; choose instance norm or none"
            )
        between = torch.lerp(enhanced.detach().float(), real.detach().float(), shares).requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            scores = critic(between, inputs)
        # Summing over samples gives every sample's gradient in one call; without batch norm they do not interact.
        # create_graph: the penalty is itself differentiated.
        (gradient,) = torch.autograd.grad(scores.flatten(1).mean(1).sum(), between, create_graph=True)
        norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return self.weight * (norms - 1).square().mean()


def _like(is_real: Tensor, scores: Tensor) -> Tensor:
    """(N,) bool, broadcast to the shape of the scores."""
    return is_real.view(-1, *[1] * (scores.ndim - 1)).expand_as(scores)


def _mean_where(chosen: Tensor, scores: Tensor) -> Tensor:
    """The mean of the chosen scores; 0 if there are none. No mask indexing: it would wait for the device."""
    return torch.where(chosen, scores, 0).sum() / chosen.sum().clamp(min=1)


OBJECTIVES: dict[str, Callable[[Any], Objective]] = {
    "bce": lambda config: BCE(config.form),
    "least_squares": lambda config: LeastSquares(),
    "wasserstein": lambda config: Wasserstein(config.clip),
    "wasserstein_gp": lambda config: WassersteinGP(config.penalty),
    "hinge": lambda config: Hinge(),
}


def build_objective(config: ObjectiveConfig) -> Objective:
    """The objective of a valid configuration."""
    return OBJECTIVES[config.objective](config)
