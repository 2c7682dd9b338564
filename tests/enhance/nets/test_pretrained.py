"""enhance.nets.pretrained: which weights load from where, and which are refused."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from enhance.config.files import pin_digest
from enhance.nets.pretrained import WeightsUnavailable, fill, load_state

torch.set_num_threads(1)


def tiny(seed: int) -> nn.Sequential:
    net = nn.Sequential(nn.utils.skip_init(nn.Conv2d, 3, 4, 3), nn.BatchNorm2d(4))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(seed))
    return net


def never() -> dict[str, Tensor]:
    raise AssertionError("nothing was to be downloaded")


def raising(error: Exception) -> Callable[[], dict[str, Tensor]]:
    def download() -> dict[str, Tensor]:
        raise error

    return download


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pth"
    torch.save({f"features.{name}": value for name, value in tiny(1).state_dict().items()}, path)
    return path


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("form", ["plain", "pinned"])
def test_a_file_comes_back_as_it_was_saved(file: Path, form: str) -> None:
    weights = f"file:{file}"
    weights = pin_digest(weights) if form == "pinned" else weights
    net = tiny(2)
    fill(net, "tiny", weights, load_state("tiny", weights, never), prefix="features.")
    assert same(net, tiny(1))


def test_imagenet_is_what_the_caller_downloads() -> None:
    net = tiny(2)
    fill(net, "tiny", "imagenet", load_state("tiny", "imagenet", lambda: tiny(3).state_dict()))
    assert same(net, tiny(3))


def test_only_counters_may_lack() -> None:
    state = dict(tiny(1).state_dict())
    del state["1.num_batches_tracked"]
    net = tiny(2)
    fill(net, "tiny", "imagenet", state)
    assert same(net, tiny(1))
    del state["1.running_var"]
    with pytest.raises(WeightsUnavailable, match=r"not a state dict of tiny.*running_var"):
        fill(net, "tiny", "imagenet", state)


def test_a_misfit_is_refused() -> None:
    state = {**tiny(1).state_dict(), "0.weight": torch.zeros(4, 3, 5, 5)}
    with pytest.raises(WeightsUnavailable, match=r"not a state dict of tiny.*size mismatch"):
        fill(tiny(2), "tiny", "imagenet", state)


def test_the_digest_names_the_content_and_not_the_path(file: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pth"
    copy.write_bytes(file.read_bytes())
    other.write_bytes(file.read_bytes() + b" ")
    digest, of_copy, of_other = (pin_digest(f"file:{path}").partition("#")[2] for path in (file, copy, other))
    assert digest == of_copy != of_other
    assert re.fullmatch("[0-9a-f]{16}", digest)


def test_what_is_pinned_or_no_file_stays() -> None:
    for weights in ("random", "imagenet", "file:gone.pth#0123456789abcdef"):
        assert pin_digest(weights) == weights


def test_a_path_may_hold_a_hash_sign(file: Path, tmp_path: Path) -> None:
    odd = tmp_path / "run#3.pth"
    file.rename(odd)
    weights = pin_digest(f"file:{odd}")
    assert re.search(r"run#3\.pth#[0-9a-f]{16}$", weights)
    for name in (f"file:{odd}", weights):
        assert "features.0.weight" in load_state("tiny", name, never)


def test_a_changed_file_is_refused(file: Path) -> None:
    weights = pin_digest(f"file:{file}")
    torch.save({f"features.{name}": value for name, value in tiny(9).state_dict().items()}, file)
    with pytest.raises(WeightsUnavailable, match=r"the file has changed: its digest is now [0-9a-f]{16}"):
        load_state("tiny", weights, never)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    gone = f"file:{tmp_path / 'gone.pth'}"
    with pytest.raises(WeightsUnavailable, match=r"FileNotFoundError.*gone\.pth"):
        load_state("tiny", gone, never)
    with pytest.raises(FileNotFoundError):
        pin_digest(gone)


@pytest.mark.parametrize("damage", ["empty", "text", "half"])
def test_a_damaged_file_is_refused(file: Path, damage: str) -> None:
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "text": b"<html>404</html>", "half": whole[: len(whole) // 2]}[damage])
    with pytest.raises(WeightsUnavailable, match=r"tiny weights 'file:.*not available"):
        load_state("tiny", f"file:{file}", never)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_executed(file: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    torch.save({"features.0.weight": Bomb(trace)}, file)
    with pytest.raises(WeightsUnavailable, match="cannot be read safely as a state dict") as refused:
        load_state("tiny", f"file:{file}", never)
    assert not trace.exists()
    assert "weights_only" not in str(refused.value)  # no advice to read it unsafely
    torch.load(file, weights_only=False)  # the bomb is a real one
    assert trace.exists()


def test_a_file_that_holds_something_else_is_refused(file: Path) -> None:
    torch.save([torch.zeros(3)], file)
    with pytest.raises(WeightsUnavailable, match="holds a list, not a state dict"):
        load_state("tiny", f"file:{file}", never)


@pytest.mark.parametrize(
    "error", [OSError("no network"), RuntimeError("invalid hash value"), ImportError("torchvision")]
)
def test_a_failed_download_is_said_with_the_choices(error: Exception) -> None:
    with pytest.raises(WeightsUnavailable) as refused:
        load_state("tiny", "imagenet", raising(error))
    said = str(refused.value)
    for part in ("tiny weights 'imagenet'", str(error), "choose from imagenet", "random (seeded", "file:PATH"):
        assert part in said


def test_an_error_that_is_not_about_weights_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        load_state("tiny", "imagenet", raising(ZeroDivisionError()))


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(WeightsUnavailable, match=r"'imagenot'.*no such source of weights; choose from imagenet"):
        load_state("tiny", "imagenot", never)
