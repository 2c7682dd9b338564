"""enhance.losses.vgg: features against torchvision, what is built, and which weights are loaded or refused."""

import re
import urllib.error
from pathlib import Path

import pytest
import torch
from torch import nn

from enhance.config import domains
from enhance.config.training import LossConfig
from enhance.losses import Losses, vgg
from enhance.losses.vgg import INPUTS, LAYERS, VGG19Features
from enhance.nets.pretrained import WeightsUnavailable
from tests.enhance.losses.pictures import images
from tests.enhance.losses.vgg_oracle import CUTS, normalized


@pytest.mark.parametrize("leaf, choices", {"content_layer": LAYERS, "style_layer": LAYERS}.items())
def test_layers_are_the_choices_of_the_configuration(leaf: str, choices: dict[str, int]) -> None:
    assert set(choices) == set(domains()[f"loss.{leaf}"].choices)


@pytest.mark.parametrize("normalization", INPUTS)
@pytest.mark.slow
def test_features_agree_with_torchvision(normalization: str, reference: nn.Sequential, weights_file: str) -> None:
    x = images(2, 47, 38)  # every pool meets an odd size
    maps = VGG19Features(LAYERS, weights_file, normalization)(x)
    assert list(maps) == list(LAYERS)
    for layer, cut in CUTS.items():
        expected = reference[:cut](normalized(x, normalization))
        torch.testing.assert_close(maps[layer], expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("layer, convs", [("relu1_2", 2), ("relu2_2", 4), ("relu3_4", 8), ("relu5_4", 16)])
def test_only_the_needed_layers_are_built(layer: str, convs: int) -> None:
    net = vgg.vgg19(LAYERS[layer], "random", "cpu", False)
    assert sum(isinstance(module, nn.Conv2d) for module in net) == convs
    assert len(net) == CUTS[layer]
    assert isinstance(net[-1], nn.ReLU)


@pytest.mark.slow
def test_random_weights_are_the_same_in_every_trial_and_at_every_depth() -> None:
    x, values = images(), []
    for seed, layers in ((1, ["relu2_2"]), (2, ["relu2_2"]), (3, LAYERS)):
        vgg.vgg19.cache_clear()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        values.append(VGG19Features(layers, "random")(x)["relu2_2"])
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])
    # He's rule keeps the size of the signal through 16 layers.
    deep = vgg.vgg19(LAYERS["relu5_4"], "random", "cpu", False)(torch.randn(2, 3, 64, 64))
    assert 0.1 < deep.square().mean().item() < 10


def test_channels_last_changes_nothing() -> None:
    x = images()
    last = VGG19Features(["relu3_4"], "random", channels_last=True)(x.to(memory_format=torch.channels_last))
    first = VGG19Features(["relu3_4"], "random")(x)["relu3_4"]
    # The sums are taken in another order, and how far apart that leaves them depends on the CPU.
    torch.testing.assert_close(last["relu3_4"], first, rtol=0, atol=1e-5 * first.abs().max().item())


def test_features_are_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = VGG19Features(["relu1_2"], "random")(images().bfloat16())
    assert maps["relu1_2"].dtype == torch.float32


def test_the_smallest_images_reach_the_deepest_layer() -> None:
    maps = VGG19Features(["relu5_4"], "random")(images(2, 16, 16))
    assert maps["relu5_4"].shape == (2, 512, 1, 1)


# --- weights -----------------------------------------------------------------------------------------------------


def download(monkeypatch: pytest.MonkeyPatch, result: object) -> None:
    def load(*_args: object, **_options: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    vgg.vgg19.cache_clear()


def test_imagenet_weights_come_through_torchvision(
    monkeypatch: pytest.MonkeyPatch, reference: nn.Sequential, weights_file: str
) -> None:
    download(monkeypatch, {f"features.{name}": value for name, value in reference.state_dict().items()})
    x = images()
    downloaded, read = (VGG19Features(["relu2_2"], weights)(x) for weights in ("imagenet", weights_file))
    assert torch.equal(downloaded["relu2_2"], read["relu2_2"])
    vgg.vgg19.cache_clear()  # the next one that asks for imagenet must not find these


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("invalid hash value")])
@pytest.mark.parametrize("term", ["content", "style"])
def test_an_offline_place_is_told_its_choices(monkeypatch: pytest.MonkeyPatch, error: Exception, term: str) -> None:
    download(monkeypatch, error)
    with pytest.raises(
        WeightsUnavailable,
        match=r"VGG-19 weights 'imagenet' are not available: .*(no route|hash).*; choose from .*random",
    ):
        Losses(LossConfig(**{term: 1.0}, vgg_weights="imagenet"), "cpu")


def test_bad_weights_files_are_refused(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("absent", "empty", "text", "list", "other", "partial")}
    files["empty"].write_bytes(b"")
    files["text"].write_text("not weights")
    torch.save([1, 2], files["list"])
    torch.save({"features.0.weight": torch.zeros(3)}, files["other"])
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}, files["partial"])
    for path in files.values():
        with pytest.raises(WeightsUnavailable, match=re.escape(f"'file:{path}")):
            VGG19Features(["relu1_2"], f"file:{path}")


def test_a_file_with_other_content_gives_other_features(tmp_path: Path) -> None:
    x, path, seen = images(), tmp_path / "vgg19.pth", []
    for scale in (1.0, 2.0):
        state = vgg.vgg19(LAYERS["relu1_2"], "random", "cpu", False).state_dict()
        torch.save({f"features.{name}": scale * value for name, value in state.items()}, path)
        seen.append(VGG19Features(["relu1_2"], f"file:{path}")(x)["relu1_2"])
    torch.testing.assert_close(seen[1], 4 * seen[0])


class Intruder:
    """Runs code when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_a_weights_file_cannot_run_code(tmp_path: Path) -> None:
    path, marker = tmp_path / "weights.pth", tmp_path / "marker"
    torch.save({"features.0.weight": Intruder(marker)}, path)
    with pytest.raises(WeightsUnavailable, match="read safely"):
        VGG19Features(["relu1_2"], f"file:{path}")
    assert not marker.exists()


@pytest.mark.parametrize("term", ["content", "style"])
def test_vgg_is_frozen_and_teaches_the_output_alone(term: str) -> None:
    output, target = images(seed=0).requires_grad_(), images(seed=1).requires_grad_()
    before = output.detach().clone()
    config = LossConfig(**{term: 1.0}, content_layer="relu3_4", style_layer="relu3_4")
    Losses(config, "cpu")(output, target)[term].backward()
    assert output.grad.ne(0).any()
    assert target.grad is None
    assert torch.equal(output.detach(), before)  # VGG works in place, but not on our images
    net = vgg.vgg19(LAYERS["relu3_4"], "random", "cpu", False)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
