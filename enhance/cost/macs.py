"""Multiply-accumulates: how much arithmetic a network does for one image."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from enhance.config.nets import NetConfig
from enhance.nets import apply, build_net


def macs(net: NetConfig, width_px: int, height_px: int) -> int:
    """Multiply-accumulates of one forward pass for one image, counted on tensors that have a shape and no content.

    Counted (by torch.utils.flop_counter, whose operations are two to a multiply-accumulate) are convolutions,
    transposed ones and matrix products (a CurveBlock's two color matrices are some). Not counted are biases, norms,
    activations, additions and resizing, which take time but few multiplications. An image that must be padded for the
    network counts as padded.

    Proportional to time only among networks of the same kind: in FPIE's tables networks of 16 channels do 2.3 GMAC a
    second and one of 64 channels 14.7.
    """
    network = build_net(net, seed=0).eval()  # one of its own: it may keep a tensor without content
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        apply(network, torch.empty(1, 3, height_px, width_px))
    return int(counter.get_total_flops()) // 2
