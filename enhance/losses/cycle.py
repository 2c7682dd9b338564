"""CycleGAN's two terms that need no pair (Zhu et al. 2017), for the training rule that has a way back.

Both are mean absolute differences per element of (N, 3, H, W) pictures in [0, 1], tensors of shape (): they depend on
neither patch nor batch size. CycleGAN weighs them 10 (cycle) and 10 x 0.5 (identity) beside an adversarial term of
weight 1, on pictures in [-1, 1], where differences are twice as large: the same balance here takes 20 and 10.

On the 240 DPED training pairs (iPhone, 100 px): 0.277 for phone and 0.246 for Canon photos against mid-gray, which is
where a network with a small start begins; 0.139 between a phone photo and its Canon partner, which is the size of the
change that the networks are asked to make and to undo. A network that does nothing has 0 in both.
"""

from torch import Tensor

from enhance.losses.pixel import l1


def cycle(returned: Tensor, original: Tensor) -> Tensor:
    """How far a picture is from itself after the way there and back."""
    return l1(returned, original)


def identity(output: Tensor, original: Tensor) -> Tensor:
    """How far a picture that is already of the wanted kind is changed; it holds the colors in place."""
    return l1(output, original)
