"""DPED's total variation term: it keeps the output smooth.

Both forms take (N, C, H, W) outputs with H, W >= 2 and give a tensor of shape (). On the 240 DPED training patches
(iPhone, 100 px): "code" 0.00149 (phone) and 0.00490 (Canon), "paper" 0.000188 and 0.000345. The authors weigh it 2000
in their code, 400 in their paper. "code", the default, does not depend on the patch size.
"""

import torch
from torch import Tensor


def tv_code(output: Tensor) -> Tensor:
    """The form of the authors' code: mean squared horizontal plus mean squared vertical difference of neighbors."""
    output = output.float()
    dx, dy = output.diff(dim=3), output.diff(dim=2)
    return dx.square().mean() + dy.square().mean()


def tv_paper(output: Tensor) -> Tensor:
    """The form of their paper, ||dx + dy|| / (C H W), mean over the images.

    Read as: dx and dy forward differences, added pixel by pixel where both exist; the norm Euclidean over an image. It
    falls with the patch size, as the square root of 1 / (C H W).
    """
    output = output.float()
    dx, dy = output[:, :, :-1].diff(dim=3), output[:, :, :, :-1].diff(dim=2)
    norms: Tensor = torch.linalg.vector_norm(dx + dy, dim=(1, 2, 3))
    return norms.mean() / output[0].numel()


FORMS = {"code": tv_code, "paper": tv_paper}
