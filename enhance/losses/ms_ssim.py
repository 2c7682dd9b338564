"""The MS-SSIM term: 1 minus the similarity that the metric `ms_ssim` reports, so 0 for equal pictures and at most 1.

It has the metric's conventions (`enhance.training.metrics`), so that a network is trained on what it is judged by:
five levels whatever the crop, and a window that shrinks with it (a crop of 32 px has levels of 32-16-8-4-2 px). Two
things differ. Pictures are not clipped, since a value out of range would get no gradient. Averages are held above 1e-4,
where a fractional power would have an infinite slope.

With `loss.pixel=0.16`, `loss.pixel_norm=l1` and `loss.ms_ssim=0.84` it is the mix of Zhao et al. 2017 ("Loss Functions
for Image Restoration With Neural Networks", section III-D) but for two details: theirs weighs L1 with the window of
the coarsest level, which is plain L1 but at the border, and its levels are wider windows instead of smaller pictures.
On the 240 DPED training pairs (iPhone, 100 px), with the unprocessed phone photo as output: 0.157, beside 0.139 for L1.
"""

from torch import Tensor

from enhance.training import metrics

FLOOR = 1e-4


def ms_ssim(output: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM of two tensors (N, C, H, W) with data range 1, averaged over pictures: float32 of shape ()."""
    similar = metrics.product(list(metrics.levels(output.float(), target.float())), FLOOR)
    return 1 - similar.mean()
