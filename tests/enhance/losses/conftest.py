"""torchvision's VGG-19, on weights that need no download."""

import pytest
import torch
from torch import nn


@pytest.fixture(scope="package")
def reference() -> nn.Sequential:
    """torchvision's own VGG-19, on seeded weights."""
    from torchvision.models import vgg19

    torch.manual_seed(0)
    return vgg19(weights=None, init_weights=False).features.eval().requires_grad_(False)


@pytest.fixture(scope="package")
def weights_file(reference: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({f"features.{name}": value for name, value in reference.state_dict().items()}, path)
    return f"file:{path}"
