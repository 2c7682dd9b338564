"""DPED's texture term, which the critic's verdict on enhanced images makes, and the critic's own loss.

Both take the critic's (N, 2) logits with the columns `enhance.critics.REAL` and `FAKE`, and give means per sample in
nats: tensors of shape (). At chance, where the critic stays most of the time on DPED, "code" is -0.693, "paper" 0.693
and the critic's loss 0.693.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from enhance.critics import FAKE, REAL

_LOWEST = math.log(1e-10)


def texture_code(enhanced_logits: Tensor) -> Tensor:
    """The form of the authors' code: mean log p(fake), in [-23.03, 0], to be minimised (the saturating form).

    The probability is clipped to [1e-10, 1]. The authors sum over the batch of 50: their value is 50 times this one.
    """
    return F.log_softmax(enhanced_logits.float(), dim=1)[:, FAKE].clamp(min=_LOWEST).mean()


def texture_paper(enhanced_logits: Tensor) -> Tensor:
    """The form of their paper: mean -log p(real), >= 0, to be minimised (the non-saturating form).

    Not clipped, so that a generator that the critic sees through keeps its gradient. The authors' sum over a batch of
    50 is 50 times this value.
    """
    return -F.log_softmax(enhanced_logits.float(), dim=1)[:, REAL].mean()


FORMS = {"code": texture_code, "paper": texture_paper}


def critic_loss(logits: Tensor, is_real: Tensor) -> Tensor:
    """What the critic minimises: mean cross-entropy, with `is_real` (N,) bool saying what each sample is.

    The authors sum over the batch and clip the probability at 1e-10; here nothing is clipped, so that a critic that is
    wrong beyond doubt still learns.
    """
    return F.cross_entropy(logits.float(), torch.where(is_real, REAL, FAKE))
