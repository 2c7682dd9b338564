"""What training asks of the device's libraries: TF32, cuDNN's benchmark, the memory format of pictures and weights.

The first two are switches of the whole process, so they are set for as long as something runs, and set back.
"""

import contextlib
from collections.abc import Iterator

import torch

from enhance.config.training import TrainConfig

FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
"""torch's memory formats by the names of `train.memory_format`."""

TF32_SINCE = (8, 0)
"""The compute capability of the first GPUs with TF32, NVIDIA's Ampere; on older ones torch ignores the switch."""


@contextlib.contextmanager
def training_kernels(config: TrainConfig) -> Iterator[None]:
    """Training as configured, while the context lasts."""
    with _switched(config.tf32, config.cudnn_benchmark):
        yield


@contextlib.contextmanager
def exact_kernels() -> Iterator[None]:
    """Evaluation: fp32 means fp32 while the context lasts. By default torch allows TF32 in convolutions."""
    with _switched(False, False):
        yield


def gpu_problems(config: TrainConfig, device: torch.device) -> list[str]:
    """One sentence per leaf that this GPU cannot do; empty for other devices."""
    if device.type != "cuda" or not config.tf32:
        return []
    found = torch.cuda.get_device_capability(device)
    if found >= TF32_SINCE:
        return []
    wanted, own = (".".join(map(str, version)) for version in (TF32_SINCE, found))
    return [f"train.tf32=True needs a GPU of compute capability {wanted} or newer, and this one has {own}"]


@contextlib.contextmanager
def _switched(tf32: bool, benchmark: bool) -> Iterator[None]:
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = tf32, tf32, benchmark
    try:
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
