"""DPED's total variation term, which keeps the output smooth.

Both forms take (N, C, H, W) outputs with H, W >= 2 and return a tensor of shape (). On the 240 DPED training patches
(iPhone, 100 px): "code" 0.00149 (phone) and 0.00490 (Canon), "paper" 0.000188 and 0.000345. The authors' weight is 2000
in their code and 400 in their paper. "code", the default, does not depend on the patch size.
"""

import torch
from torch import Tensor


def tv_code(output: Tensor) -> Tensor:
    """The authors' code: mean squared horizontal plus mean squared vertical difference of neighboring pixels."""
    output = output.float()
    dx, dy = output.diff(dim=3), output.diff(dim=2)
    return dx.square().mean() + dy.square().mean()


def tv_paper(output: Tensor) -> Tensor:
    """The authors' paper: ||dx + dy|| / (C H W), averaged over the images.

    Our reading: dx and dy are forward differences, added pixel by pixel where both exist; the norm is Euclidean, over
    one image. It shrinks with larger patches, as 1 / sqrt(C H W).
    """
    output = output.float()
    # dx ends a column early and dy a row early; each is cut where the other one ends.
    dx, dy = output[:, :, :-1].diff(dim=3), output[:, :, :, :-1].diff(dim=2)
    norms: Tensor = torch.linalg.vector_norm(dx + dy, dim=(1, 2, 3))
    return norms.mean() / output[0].numel()


FORMS = {"code": tv_code, "paper": tv_paper}
