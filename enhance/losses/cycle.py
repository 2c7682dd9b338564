"""CycleGAN's two terms that need no pairs (Zhu et al. 2017), for the training rule that also trains the way back.

Both are mean absolute differences per element of (N, 3, H, W) pictures in [0, 1], tensors of shape (), independent of
patch and batch size. CycleGAN weighs them 10 (cycle) and 10 x 0.5 (identity) against an adversarial term of weight 1,
on pictures in [-1, 1], where differences are twice as large; the same balance here takes weights of 20 and 10.

On the 240 DPED training pairs (iPhone, 100 px): phone photos are 0.277 and Canon photos 0.246 away from mid-gray, which
is where a network with small initial weights starts. A phone photo is 0.139 away from its Canon partner: that is the
size of the change that the networks learn to make and undo. A network that changes nothing scores 0 in both terms.
"""

from torch import Tensor

from enhance.losses.pixel import l1


def cycle(returned: Tensor, original: Tensor) -> Tensor:
    """How far a picture is from the original after a round trip through both generators."""
    return l1(returned, original)


def identity(output: Tensor, original: Tensor) -> Tensor:
    """How much a generator changes a picture that already has the desired look; this term keeps colors in place."""
    return l1(output, original)
