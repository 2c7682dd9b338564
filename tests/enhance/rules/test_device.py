"""A step's device half, on a device that holds no values: torch's "meta" stands in for a GPU.

It needs no GPU, and what would make the host wait for one has no answer there: `item`, `nonzero`, a copy to the CPU. A
dispatch mode adds what a recorded step forbids: tensors of the CPU among the arguments or results of an operation.
"""

from typing import Any

import kornia.color  # noqa: F401  (importing it makes tensors, which is no part of a step)
import pytest
import torch
from torch.optim import adam, optimizer, rmsprop
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode

from enhance.config import from_flat
from enhance.data import PatchStore
from enhance.rules import Rule, build_rule
from tests.golden.record_losses import cases, make_store

META = torch.device("meta")
DROPOUT = {"net.family": "unet", "net.channels": 4, "net.levels": 4, "net.dropout": 0.5, "loss.pixel": 1.0}
CASES = cases() | {
    "dropout": {**DROPOUT, "train.batch_size": 2, "train.crop_px": 32},
    "average, colors": {
        "net.family": "resnet", "net.channels": 4, "net.blocks": 1, "loss.pixel": 1.0, "train.batch_size": 2,
        "train.crop_px": 32, "augment.brightness": 0.2, "augment.contrast": 0.2, "augment.saturation": 0.2,
    },
}  # fmt: skip

STEPS = (0, 1, 2, 6, 12, 13)
"""Of the 20 steps of a case: the first ones, those that begin a phase, and with them a critic's first and next."""

NO_META_KERNEL = (torch.ops.aten._fused_adam_.tensor_lr, torch.ops.aten._fused_adamw_.tensor_lr)


class OnOneDevice(TorchDispatchMode):
    """Refuses every operation that takes or makes a tensor of another device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # torch has no kernel of these for "meta"; they change their arguments in place and return nothing.
        result = None if func in NO_META_KERNEL else func(*args, **(kwargs or {}))
        for tensor in tree.tree_leaves((args, kwargs, result)):
            assert not isinstance(tensor, torch.Tensor) or tensor.device == META, (
                f"{func} with a {tensor.device} tensor"
            )
        return result


class CPUAutocast(torch.autocast):
    """Autocast of the CPU, whatever device is asked for: it does not know "meta"."""

    def __init__(self, device_type: str, **settings: Any) -> None:
        super().__init__("cpu", **settings)


class CPUGenerator(torch.Generator):
    """A generator of the CPU, whatever device is asked for."""

    def __new__(cls, device: object = "cpu") -> "CPUGenerator":
        return super().__new__(cls, "cpu")


class NoConstants(TorchFunctionMode):
    """Refuses tensors made from values of the host: a recorded step would copy them from where they once lay."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = (torch.tensor, torch.as_tensor, torch.from_numpy, torch.Tensor.new_tensor)
        assert func not in made, f"{func} copies from the host"
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return make_store(tmp_path_factory.mktemp("device") / "noise.patches")


@pytest.fixture(autouse=True)
def meta_is_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused optimizers, autocast and generators know a list of devices; here "meta" is one of them."""
    known = [*_foreach_utils._get_fused_kernels_supported_devices(), "meta"]
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: known)
    for module in (adam, rmsprop):
        monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda **_: known)
    monkeypatch.setattr(torch, "autocast", CPUAutocast)
    monkeypatch.setattr(torch, "Generator", CPUGenerator)


def marked(case: str) -> Any:
    """Curves are known to fail: kornia makes the matrices of its color conversions on the host, at every call."""
    known = pytest.mark.xfail(raises=AssertionError, reason="kornia's matrices")
    return pytest.param(case, marks=known if CASES[case]["net.family"] == "curve" else ())


def started(store: PatchStore, case: str) -> Rule:
    return build_rule(from_flat(CASES[case]), 0, store, META)


@pytest.mark.slow
@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_a_step_stays_on_its_device_and_waits_for_nothing(store: PatchStore, case: str) -> None:
    rule = started(store, case)
    for step in STEPS:
        rule.stage(step)
        with OnOneDevice(), NoConstants():
            stats = rule.compute()
    assert stats.total.device == META
