"""What torchvision's VGG-19 needs to be the oracle of ours: where its layers end, and what it is shown."""

import torch
from torch import Tensor

CUTS = {"relu1_2": 4, "relu2_2": 9, "relu3_4": 18, "relu4_4": 27, "relu5_4": 36}


def normalized(picture: Tensor, normalization: str) -> Tensor:
    if normalization == "dped":
        return 255 * picture - torch.tensor((123.68, 116.779, 103.939)).view(1, 3, 1, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (picture - mean) / std
