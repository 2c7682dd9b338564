"""What the host writes for a step, and crops that are the same pixels wherever they are cut."""

import numpy as np
import pytest
import torch

from enhance.data.batches import batch_plan
from enhance.training.pictures import DeviceCrops, HostCrops, as_tensor
from enhance.training.staging import Staged

CPU = torch.device("cpu")


def test_new_values_lie_at_the_old_address() -> None:
    staged = Staged(CPU)
    staged.put("indices", np.arange(4))
    first = staged["indices"]
    staged.put("indices", np.arange(4)[::-1])
    assert staged["indices"] is first
    assert first.tolist() == [3, 2, 1, 0]


def test_what_was_put_may_be_changed_afterwards() -> None:
    staged, values = Staged(CPU), np.zeros(2)
    staged.put("values", values)
    values += 1
    assert staged["values"].tolist() == [0, 0]


def test_values_of_another_shape_are_refused() -> None:
    staged = Staged(CPU)
    staged.put("coins", np.ones(8, bool))
    with pytest.raises(RuntimeError, match=r"coins has shape \(1,\), and had \(8,\) at the first step"):
        staged.put("coins", np.ones(1, bool))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("crop_px", [5, 12])
def test_crops_are_the_same_pixels_on_host_and_device(dtype: type, crop_px: int) -> None:
    top = np.iinfo(dtype).max
    records = np.random.default_rng(0).integers(0, top, (9, 2, 12, 12, 3), dtype, endpoint=True)
    side = records[:, 1]  # between the pictures of the other side, as in a store
    staged = Staged(CPU)
    on_host, on_device = HostCrops(side, staged, "host"), DeviceCrops(as_tensor(side), staged, "device")
    for step in range(20):
        plan = batch_plan(3, step, count=9, size_px=12, batch_size=7, crop_px=crop_px, flips=True)
        for crops in (on_host, on_device):
            crops.stage("batch", plan)
        pictures = on_host.read("batch")
        assert torch.equal(pictures, on_device.read("batch"))
        assert pictures.shape == (7, 3, crop_px, crop_px)
        assert pictures.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= pictures.min() < pictures.max() <= 1
