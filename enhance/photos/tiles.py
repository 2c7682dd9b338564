"""Running a network over a whole photograph: by overlapping tiles where each pixel depends on a neighborhood only.

How far that neighborhood reaches is measured on the network itself, by the gradient of some output pixels. Where it
has no end (instance norms, predictors that look at a thumbnail, deep U-Nets), tiles would change the output, so the
photograph goes through whole, and the memory for that is estimated before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from enhance.data.storage.store import Patches
from enhance.nets import Network, apply
from enhance.training.feed import to_images

TILE_PX = 512
"""The side of a tile without its surroundings. Larger ones gain little and take more memory."""

PROBES_PX = (128, 256)
"""The sides of the pictures on which the reach is measured: the smallest that has room for it counts."""

DRAWS = 3
"""Random pictures per probe: a unit that is off for one of them hides what lies behind it."""

COPIES = 3
"""Of the largest layer's input and output together, how many are in memory at a time: a margin."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reach:
    """How far from an output pixel its inputs lie, in pixels; None if they are the whole picture."""

    px: int | None

    @classmethod
    def of(cls, net: Network) -> "Reach":
        """Measure the reach of a network in evaluation mode, unless its family is known to see the whole picture."""
        # Not measured: a thumbnail skips pixels of a large picture, which then seem not to matter.
        if net.view == "photo":
            return cls(None)
        for size in PROBES_PX:
            # A block of outputs with the period of the network: pixels at other phases reach less far.
            period = net.multiple_of
            side = max(size, net.minimum_px) // period * period
            if side < 4 * period:
                continue
            first = side // 2 // period * period
            near, far = _support(net, side, first, first + period)
            if near > 0 and far < side - 1:
                return cls(max(first - near, far - (first + period - 1)))
        return cls(None)


def enhanced(net: Network, pixels: Patches, reach: Reach) -> Floats:
    """(H, W, 3) uint8 or uint16 sRGB pixels, enhanced: (H, W, 3) float32 in [0, 1]. On the device of `net`."""
    device = next(net.parameters()).device
    result = np.empty(pixels.shape, np.float32)
    for rows, columns, around in _tiles((len(pixels), pixels.shape[1]), net, reach):
        images = to_images(pixels[around].copy()[None], device)
        with torch.inference_mode():
            output = apply(net, images)[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        down, right = rows.start - around[0].start, columns.start - around[1].start
        height, width = rows.stop - rows.start, columns.stop - columns.start
        result[rows, columns] = output[down : down + height, right : right + width]
    return result


def whole_bytes(net: Network, height_px: int, width_px: int) -> int:
    """About how much memory a picture takes that goes through the network whole, from the sizes of its layers.

    Those grow with the picture, or do not: a predictor looks at a thumbnail of any. So each is measured at two sizes.
    """
    one = max(PROBES_PX[0], net.minimum_px) // net.multiple_of * net.multiple_of
    small, large = (_layer_bytes(net, side) for side in (one, 2 * one))
    # Per pixel: three quarters of the larger picture's pixels are those that the smaller one lacks.
    rates = [(after - before) / (3 * one**2) for before, after in zip(small, large, strict=True)]
    pixels = height_px * width_px
    layers = [before + rate * (pixels - one**2) for before, rate in zip(small, rates, strict=True)]
    return round(COPIES * max(layers))


def _layer_bytes(net: Network, side_px: int) -> list[int]:
    """The bytes of input and output of every layer, in the order of the calls, for a square picture."""
    found: list[int] = []

    def note(_: nn.Module, given: tuple[Tensor, ...], output: object) -> None:
        made = output if isinstance(output, tuple) else (output,)
        tensors = [each for each in (*given, *made) if isinstance(each, Tensor)]
        found.append(sum(each.numel() * each.element_size() for each in tensors))

    # The network too: what it does outside of its layers is at least a picture in and out.
    layers = [layer for layer in net.modules() if layer is net or not list(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.inference_mode():
            net(torch.zeros(1, 3, side_px, side_px, device=next(net.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _support(net: Network, side: int, first: int, stop: int) -> tuple[int, int]:
    """The first and the last row or column whose values the outputs in [first, stop)^2 depend on."""
    generator = torch.Generator().manual_seed(0)
    device = next(net.parameters()).device
    near, far = first, stop - 1
    for _ in range(DRAWS):
        images = torch.rand(1, 3, side, side, generator=generator).to(device).requires_grad_()
        output = net(images)[..., first:stop, first:stop]
        # Random weights, so that no two contributions cancel.
        weights = torch.rand(output.shape, generator=generator).to(device)
        (slope,) = torch.autograd.grad((output * weights).sum(), images)
        depends = slope[0].abs().sum(0) != 0
        for line in (depends.any(0), depends.any(1)):
            places = line.nonzero().flatten().tolist()
            if places:
                near, far = min(near, places[0]), max(far, places[-1])
    return near, far


def _tiles(size: tuple[int, int], net: Network, reach: Reach) -> Iterator[tuple[slice, slice, tuple[slice, slice]]]:
    """Rows and columns of each tile, and the part of the picture that its outputs depend on."""
    height, width = size
    if reach.px is None:
        yield slice(0, height), slice(0, width), (slice(0, height), slice(0, width))
        return
    # Whole periods, so that pixels keep their phase, and strided layers sample the places that they would.
    period = net.multiple_of
    tile, margin = (-(-size // period) * period for size in (TILE_PX, reach.px))
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            rows, columns = slice(top, min(top + tile, height)), slice(left, min(left + tile, width))
            around = tuple(
                slice(max(0, own.start - margin), min(end, own.stop + margin))
                for own, end in ((rows, height), (columns, width))
            )
            yield rows, columns, (around[0], around[1])
