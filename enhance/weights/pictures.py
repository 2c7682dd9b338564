"""What a trained network does to validation pictures, side by side: input, output and, of pairs, the target."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from enhance.data import PatchStore
from enhance.nets import apply
from enhance.samples import fixed_places
from enhance.training.feed import to_images, to_pixels
from enhance.weights.network import load_network

GAP_PX = 4


@torch.no_grad()
def before_after(folder: Path, data: PatchStore, count: int) -> list[bytes]:
    """PNGs of at most `count` validation pictures, spread over the set, as the network in `folder` changes them.

    Raises WeightsError.
    """
    net = load_network(folder)
    strips = []
    for place in sorted(fixed_places(len(data.val_input), count)):
        # A list, not a slice, which would be a view of a file that is mapped read-only.
        before = to_images(data.val_input[[place]])
        parts = [before, apply(net, before)]
        if data.paired:
            parts.append(to_images(data.val_target[[place]]))
        strips.append(_png([to_pixels(part)[0] for part in parts]))
    return strips


def _png(parts: list[np.ndarray]) -> bytes:
    white = np.full((parts[0].shape[0], GAP_PX, 3), 255, np.uint8)
    row = [part for own in parts for part in (own, white)][:-1]
    packed = io.BytesIO()
    Image.fromarray(np.concatenate(row, axis=1)).save(packed, format="PNG")
    return packed.getvalue()
