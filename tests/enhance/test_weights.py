"""Trained networks in files: the same bits after saving and loading, and one clear sentence for what is no network."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import enhance
from enhance.config import flatten
from enhance.config.config import Config
from enhance.config.nets import NetConfig
from enhance.data import PatchStore
from enhance.microrun import MicroRun
from enhance.nets import Network, apply, build_net
from enhance.weights.files import CONFIG, MODEL, WeightsError, config_json
from enhance.weights.network import pack
from tests.enhance.nets.small import VARIANTS, images, noise
from tests.enhance.small_configs import config_of


def save(net: Network, config: NetConfig, folder: Path) -> Path:
    folder.mkdir()
    weights = pack(net)
    leaves = {name: value for name, value in flatten(Config(net=config)).items() if name.startswith("net.")}
    (folder / MODEL).write_bytes(weights.model)
    (folder / CONFIG).write_bytes(config_json(weights, leaves, {}))
    return folder


def trained(config: NetConfig) -> Network:
    """A network as training leaves it: channels-last, with running statistics that are not those of the start."""
    net = build_net(config, seed=3).to(memory_format=torch.channels_last).train()
    with torch.no_grad():
        net(images(config))
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_mean.abs().sum() > 0
    return net.eval()


@pytest.mark.parametrize(
    "variant",
    # Its 21 million weights take seconds.
    [pytest.param(name, marks=[pytest.mark.slow] if "unet_resnet34" in name else []) for name in VARIANTS],
)
def test_every_network_gives_the_same_bits_after_saving_and_loading(variant: str, tmp_path: Path) -> None:
    config = VARIANTS[variant]
    net = trained(config)
    loaded = enhance.load(save(net, config, tmp_path / "net"))
    assert type(loaded) is type(net)
    assert not loaded.training
    for x in (images(config), noise(1, 19, 23).to(memory_format=torch.channels_last)):
        with torch.no_grad():
            assert torch.equal(apply(loaded, x), apply(net, x))
    for (name, one), (other_name, other) in zip(net.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    config = VARIANTS["resnet"]
    return save(trained(config), config, tmp_path / "net")


TINY = {
    "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.steps": 4, "train.batch_size": 2,
    "train.crop_px": 32, "train.val_images": 2,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "enabled"),
    [
        ({"train__ema": 0.9}, None),
        ({"net__family": "curve", "net__base": "resnet", "train__rule": "phased", "phases__curve_at": 1.0}, False),
        ({"net__family": "curve", "net__base": "resnet", "train__ema": 0.9}, True),
    ],
)
def test_what_was_evaluated_is_what_is_loaded(
    demo: PatchStore, tmp_path: Path, changes: dict[str, object], enabled: bool | None
) -> None:
    config = config_of(TINY, **changes)
    run = MicroRun(config, 0, demo)
    run.advance(4)
    loaded = enhance.load(save(run.evaluated, config.net, tmp_path / "net"))
    assert loaded.switches() == ({} if enabled is None else {"enabled": enabled})
    x = noise(1, 24, 40).to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(apply(loaded, x), apply(run.evaluated, x))
        if "train__ema" in changes:
            assert not torch.equal(apply(loaded, x), apply(run.rule.net.eval(), x))


@pytest.mark.slow
def test_weights_that_training_began_from_are_not_needed_again(tmp_path: Path) -> None:
    config = VARIANTS["unet_resnet34"]
    folder = save(trained(config), config, tmp_path / "net")
    content = json.loads((folder / CONFIG).read_text())
    content["parameters"]["weights"] = "file:/gone.pth#0123456789abcdef"
    (folder / CONFIG).write_text(json.dumps(content))
    assert enhance.load(folder).parameters()


def test_what_is_not_there_is_said_in_one_sentence(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(WeightsError, match=r"no trained network.*config\.json.*RUN/weights/TRIAL"):
        enhance.load(tmp_path / "nothing")
    (stored / MODEL).unlink()
    with pytest.raises(WeightsError, match=r"no readable model\.safetensors"):
        enhance.load(stored)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_truncated_weights_are_refused(stored: Path, kept: int) -> None:
    model = (stored / MODEL).read_bytes()
    (stored / MODEL).write_bytes(model[:kept])
    with pytest.raises(WeightsError, match="cut off, changed or replaced"):
        enhance.load(stored)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "does not describe a network of Teststrip"),
        ('{"model_type": "bert"}', "does not describe a network of Teststrip"),
        ('{"kind": "teststrip network", "version": 2}', "version 2"),
        ('{"kind": "teststrip network", "version": 1}', "no readable family, parameters, switches, sha256"),
    ],
)
def test_a_foreign_description_is_refused(stored: Path, text: str, said: str) -> None:
    (stored / CONFIG).write_text(text)
    with pytest.raises(WeightsError, match=said):
        enhance.load(stored)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("family", "transformer", "no known network.*net.family"),
        ("parameters", {"channels": 0}, "no known network.*net.channels"),
        ("parameters", {"channels": 5}, "does not fit"),
        ("switches", {"enabled": "no", "other": True}, "no readable switches"),
    ],
)
def test_a_description_of_another_network_is_refused(stored: Path, name: str, value: object, said: str) -> None:
    content = json.loads((stored / CONFIG).read_text())
    (stored / CONFIG).write_text(json.dumps({**content, name: value}))
    with pytest.raises(WeightsError, match=said):
        enhance.load(stored)


def test_a_file_that_is_no_safetensors_is_refused_whatever_its_digest(stored: Path) -> None:
    content = json.loads((stored / CONFIG).read_text())
    (stored / MODEL).write_bytes(b"PK\x03\x04 a pickle of torch")
    content["sha256"] = hashlib.sha256((stored / MODEL).read_bytes()).hexdigest()
    (stored / CONFIG).write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="does not fit"):
        enhance.load(stored)
