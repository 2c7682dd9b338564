"""The pixel term: how far each value of the output is from its target.

Both are means per element, so neither depends on patch or batch size. On the 240 DPED training pairs (iPhone, 100 px),
with the unprocessed phone photo as output: 0.139 for L1, 0.0329 for MSE. pix2pix weighs L1 100 beside an adversarial
term of weight 1, on images in [-1, 1], where differences are twice as large; MSE is DPED's baseline.
"""

from torch import Tensor
from torch.nn import functional as F


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two tensors of one shape: a tensor of shape (), in float32."""
    return F.l1_loss(output.float(), target.float())


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two tensors of one shape: a tensor of shape (), in float32."""
    return F.mse_loss(output.float(), target.float())


NORMS = {"l1": l1, "mse": mse}
