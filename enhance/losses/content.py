"""DPED's content term: the distance of two pictures as VGG-19 sees them at one layer (see `enhance.losses.vgg`).

Three forms, of (N, C, h, w) feature maps, each a tensor of shape (). "mse", the default, is the mean squared difference
per element, as in the authors' code: it depends on neither patch nor layer size. "l1" is the mean absolute difference.
"paper" is the formula of their paper: differences of size d give d / sqrt(C h w), so it falls with the patch and with
the layer, and a weight found at one crop or layer is not that of another.

On the 240 DPED training pairs (iPhone, 100 px), with the unprocessed phone photo as output and random weights:

            relu1_2    relu2_2    relu3_4    relu4_4    relu5_4
    mse     0.552      0.456      0.316      0.196      0.120
    l1      0.360      0.312      0.272      0.217      0.166
    paper   0.00083    0.00107    0.00126    0.00146    0.00225

With the input "dped" mse is 3,300 times larger, l1 and paper 57.5 times: random weights have no bias, so they pass the
scale on. The authors log 6.65 at the end of training (relu5_4, mse, original weights) and weigh it 10; their paper 1.
"""

import torch
from torch import Tensor

from enhance.losses import pixel


def paper(output: Tensor, target: Tensor) -> Tensor:
    """The form of DPED's paper, ||output - target||_2 / (C h w), mean over the pictures."""
    norms: Tensor = torch.linalg.vector_norm(output.float() - target.float(), dim=(1, 2, 3))
    return norms.mean() / output[0].numel()


NORMS = {"mse": pixel.mse, "l1": pixel.l1, "paper": paper}
