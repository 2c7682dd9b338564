"""Multiply-accumulates (MACs): how much arithmetic a network does per image."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from enhance.config.nets import NetConfig
from enhance.nets import apply, build_net


def macs(net: NetConfig, width_px: int, height_px: int) -> int:
    """Multiply-accumulates of one forward pass on one image, counted on tensors without data.

    Includes convolutions, transposed convolutions and matrix products (also the two color matrices of a CurveBlock).
    Leaves out biases, norms, activations, additions and resizing, which take time but few multiplications. Where the
    image must be padded for the network, the padded size counts.

    MACs predict time only among networks of one kind: in FPIE's tables, networks of 16 channels run at 2.3 GMAC per
    second and one of 64 channels at 14.7.
    """
    network = build_net(net, seed=0).eval()  # a throwaway: fake tensors may stick to it
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        apply(network, torch.empty(1, 3, height_px, width_px))
    return int(counter.get_total_flops()) // 2  # torch counts a multiply-accumulate as two operations
