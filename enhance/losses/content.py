"""DPED's content term: the distance of two pictures in the features of one layer of VGG-19 (`enhance.losses.vgg`).

There are three forms for (N, C, h, w) feature maps, each returning a tensor of shape ():

- "mse" (the default): mean squared difference per element, as in the authors' code; no effect of patch or layer size.
- "l1": mean absolute difference per element.
- "paper": the formula of their paper. Differences of size d give d / sqrt(C h w), so it shrinks with larger patches and
  layers, and a weight tuned for one crop or layer does not carry over to another.

On the 240 DPED training pairs (iPhone, 100 px), with the unprocessed phone photo as output and random weights:

            relu1_2    relu2_2    relu3_4    relu4_4    relu5_4
    mse     0.552      0.456      0.316      0.196      0.120
    l1      0.360      0.312      0.272      0.217      0.166
    paper   0.00083    0.00107    0.00126    0.00146    0.00225

With the input "dped", mse is 3,300 times larger, and l1 and paper 57.5 times: random weights come without biases, so
they pass the scale on. The authors log 6.65 at the end of training (relu5_4, mse, original weights), with a weight of
10 in their code and 1 in their paper.
"""

import torch
from torch import Tensor

from enhance.losses import pixel


def paper(output: Tensor, target: Tensor) -> Tensor:
    """The form in DPED's paper: ||output - target||_2 / (C h w), averaged over the pictures."""
    norms: Tensor = torch.linalg.vector_norm(output.float() - target.float(), dim=(1, 2, 3))
    return norms.mean() / output[0].numel()


NORMS = {"mse": pixel.mse, "l1": pixel.l1, "paper": paper}
