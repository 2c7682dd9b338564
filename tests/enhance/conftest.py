"""The bundled photographs as training data, and one thread, so that sums have one order."""

import pytest
import torch

from enhance.data import PatchStore, open_data


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))
