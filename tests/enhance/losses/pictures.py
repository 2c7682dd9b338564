"""The pictures that the losses are tested on."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor


def images(number: int = 2, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(number, 3, height, width)), (0, 0, 3, 3)) * 3
    return torch.from_numpy(np.clip(0.5 + smooth, 0, 1)).float()
