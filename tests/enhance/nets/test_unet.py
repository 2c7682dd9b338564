"""The U-Nets: pix2pix's layer table and count, ranges, dropout; the ResNet-34 encoder and its weights."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.nets import NetConfig, UNetConfig, UNetResNet34Config
from enhance.nets import apply, build_net, parameter_count
from enhance.nets.network import reseed
from enhance.nets.pretrained import WeightsUnavailable
from enhance.nets.unet import dropout_layers
from enhance.nets.unet_resnet34 import ENCODER_CHANNELS

torch.set_num_threads(1)

SMALL = UNetConfig(levels=3, channels=4)
RESNET34 = UNetResNet34Config(channels=4)


def images(size: int = 16, number: int = 2) -> Tensor:
    return torch.rand(number, 3, size, size, generator=torch.Generator().manual_seed(7))


def small(**changes: object) -> UNetConfig:
    return dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]


# --- pix2pix -----------------------------------------------------------------------------------------------------

# Table 1 of Jain et al.: inputs, outputs, dropout, norm of layers 1 to 16.
TABLE_1 = """
3 64 - - | 64 128 - n | 128 256 - n | 256 512 - n | 512 512 - n | 512 512 - n | 512 512 - n | 512 512 - -
512 512 d n | 1024 512 d n | 1024 512 d n | 1024 512 - n | 1024 256 - n | 512 128 - n | 256 64 - n | 128 3 - -
"""
LAYERS = [row.split() for row in TABLE_1.replace("\n", "|").split("|") if row.strip()]


def table(levels: int) -> list[list[str]]:
    """The table, without the layers that the paper removes for its small pictures (6, 7, 10, 11, numbered from 1)."""
    removed = {8: (), 6: (6, 7, 10, 11)}[levels]
    return [row for number, row in enumerate(LAYERS, start=1) if number not in removed]


@pytest.mark.slow
@pytest.mark.parametrize("levels, published", [(8, 54_414_531), (6, 29_244_611)])
def test_unet_is_the_layer_table(levels: int, published: int) -> None:
    rows = table(levels)
    by_hand = sum(
        int(i) * int(o) * 16 + (2 * int(o) if normed == "n" else int(o)) for i, o, _, normed in rows
    )  # 4x4 kernels; scale and shift, or a bias
    net = build_net(UNetConfig(levels=levels), seed=0)
    assert parameter_count(net) == by_hand == published
    for layer, (inputs, outputs, dropout, normed) in zip([*net.down, *net.up], rows, strict=True):
        kinds = [type(part).__name__ for part in layer]
        conv = layer[1]
        assert (conv.in_channels, conv.out_channels) == (int(inputs), int(outputs))
        assert ("BatchNorm2d" in kinds) == (normed == "n") == (conv.bias is None)
        assert ("Dropout" in kinds) == (dropout == "d")


def test_dropout_of_every_depth() -> None:
    assert [dropout_layers(levels) for levels in range(2, 10)] == [1, 1, 1, 1, 1, 2, 3, 4]


def unet_by_hand(x: Tensor, weights: dict[str, Tensor], config: UNetConfig) -> Tensor:
    """Written out from the description, with the activation after each layer as the paper's table has it."""

    def normalize(x: Tensor, name: str) -> Tensor:
        if f"{name}.2.weight" not in weights:
            return x
        dims = (0, 2, 3) if config.norm == "batch" else (2, 3)
        centred = x - x.mean(dims, keepdim=True)
        unit = centred / (centred.square().mean(dims, keepdim=True) + 1e-3).sqrt()
        scale, shift = (weights[f"{name}.2.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
        return scale * unit + shift

    def conv(x: Tensor, name: str) -> Tensor:
        step = F.conv2d if name.startswith("down") else F.conv_transpose2d
        y = step(x, weights[f"{name}.1.weight"], weights.get(f"{name}.1.bias"), stride=2, padding=1)
        return normalize(y, name)

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    one = conv((x - 0.5) / 0.5, "down.0")
    two = conv(leaky(one), "down.1")
    three = conv(leaky(two), "down.2")
    up_two = conv(three.clamp(min=0), "up.0")
    up_one = conv(torch.cat((two, up_two), 1).clamp(min=0), "up.1")
    z = conv(torch.cat((one, up_one), 1).clamp(min=0), "up.2")
    return z.clamp(min=0) if config.output == "relu" else z.tanh() / 2 + 0.5


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("output", ["tanh", "relu"])
def test_unet_forward_by_hand(norm: str, output: str) -> None:
    config = small(norm=norm, output=output, dropout=0.0)
    net = build_net(config, seed=0).train()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    weights = dict(net.named_parameters())
    torch.testing.assert_close(net(images()), unet_by_hand(images(), weights, config), rtol=0, atol=1e-5)


@pytest.mark.parametrize("wanted", [0.0, 0.02, 0.25, 0.5, 0.75, 0.98, 1.0])
def test_unet_reaches_the_whole_range(wanted: float) -> None:
    """Were the output a bare tanh read with deviation 0.25, levels below 0.25 and above 0.75 were out of reach."""
    net = build_net(small(), seed=0).eval()
    last = net.up[-1][1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, math.atanh(2 * wanted - 1) if 0 < wanted < 1 else 50 * (2 * wanted - 1))
    torch.testing.assert_close(net(images()), torch.full_like(images(), wanted), rtol=0, atol=1e-6)


def test_unet_relu_is_not_bounded_above() -> None:
    net = build_net(small(output="relu"), seed=0).eval()
    nn.init.constant_(net.up[-1][1].bias, 7.0)
    assert net(images()).mean() > 6
    nn.init.constant_(net.up[-1][1].bias, -7.0)
    assert net(images()).eq(0).all()


def test_unet_dropout_follows_its_seed_and_rests_in_evaluation() -> None:
    net, x = build_net(small(norm="none"), seed=0).train(), images()
    nn.init.normal_(net.up[1][1].weight, 0, 0.5, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    noise = []
    for seed in (3, 3, 4):
        reseed(net, seed)
        noise.append(net(x))
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(net.eval()(x), net(x))


@pytest.mark.parametrize("init, gain", [("pix2pix", 0.02), ("he", math.sqrt(2 / (32 * 16 / 4)))])
def test_unet_init(init: str, gain: float) -> None:
    layer = build_net(UNetConfig(levels=3, channels=16, init=init), seed=0).up[-1][1]  # 32 channels to 3
    assert layer.weight.std().item() == pytest.approx(gain, rel=0.05)
    assert layer.bias.eq(0).all()


# --- ResNet-34 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [4, 32])
def test_unet_resnet34_count(channels: int) -> None:
    c = channels
    encoder = 21_797_672 - (512 * 1000 + 1000)  # torchvision's figure, less its classifier
    inputs = [512 + 256, 16 * c + 128, 8 * c + 64, 4 * c + 64, 2 * c + 3]
    outputs = [16 * c, 8 * c, 4 * c, 2 * c, c]
    decoder = sum(9 * i * o + o + 9 * o * o + o for i, o in zip(inputs, outputs, strict=True))
    assert parameter_count(build_net(UNetResNet34Config(channels=c), seed=0)) == encoder + decoder + 27 * c + 3


@pytest.mark.slow
def test_encoder_is_torchvisions_and_sees_imagenets_normalization() -> None:
    from torchvision.models import resnet34

    net, x = build_net(RESNET34, seed=0).eval(), images(64)
    torch.manual_seed(0)
    oracle = resnet34().eval()
    oracle.load_state_dict(net.encoder.state_dict(), strict=False)
    oracle.avgpool = oracle.fc = nn.Identity()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    output, deep = net.forward_deep(x)
    assert deep.shape == (2, net.deep_channels, 2, 2)
    assert output.dtype == torch.float32
    torch.testing.assert_close(deep.flatten(1), oracle((x - mean) / std))


@pytest.mark.slow
def test_every_skip_reaches_the_output() -> None:
    net, x = build_net(RESNET34, seed=0).eval(), images(64)
    encode = net._encode
    expected = net(x)
    for cut in range(len(ENCODER_CHANNELS)):
        net._encode = lambda x, cut=cut: [m * 0 if i == cut else m for i, m in enumerate(encode(x))]
        assert not torch.equal(net(x), expected), cut


def test_no_checkerboard_from_a_flat_map() -> None:
    """Upsampling must not tell even from odd columns: away from the border, flat maps give flat maps."""
    block = build_net(RESNET34, seed=0).decoder[-1]
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.abs_()  # so that no ReLU hides anything
    inputs = block.convs[0].in_channels - 3
    y = block(torch.ones(1, inputs, 16, 16), torch.ones(1, 3, 32, 32))[..., 4:-4, 4:-4]
    assert y.amax() > 0
    torch.testing.assert_close(y, y[..., :1, :1].expand_as(y))


@pytest.mark.slow
def test_training_starts_from_the_picture_and_every_pixel_has_a_gradient() -> None:
    net, x = build_net(RESNET34, seed=0).train(), images(64)
    x[0], x[1] = (x[0] > 0.5).float(), 0.0  # saturated at both ends, and black
    x.requires_grad_()
    y = net(x)
    assert 0 < (y - x).abs().max() < 0.05
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.isfinite().all()
    assert gradient.min() > 0.5
    nn.init.constant_(net.last.bias, 1.0)
    assert net(x).mean() > 1  # no bound


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole state dict as torchvision writes it, with a classifier, and without counters as its files are."""
    state = build_net(RESNET34, seed=11).encoder.state_dict()
    state["bn1.running_mean"] = torch.full((64,), 0.25)
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("weights") / "resnet34.pth"
    torch.save({**kept, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, path)
    return path


@pytest.mark.slow
def test_weights_from_a_file_replace_the_encoder_alone(file: Path) -> None:
    drawn = build_net(RESNET34, seed=0).state_dict()
    loaded = build_net(dataclasses.replace(RESNET34, weights=f"file:{file}"), seed=0).state_dict()
    wanted = torch.load(file, weights_only=True)
    for name, value in loaded.items():
        encoder = name.removeprefix("encoder.")
        if encoder != name and not name.endswith("num_batches_tracked"):
            assert torch.equal(value, wanted[encoder]), name
        else:
            assert torch.equal(value, drawn[name]), name


@pytest.mark.slow
def test_weights_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsUnavailable, match="ResNet-34 weights 'file:"):
        build_net(dataclasses.replace(RESNET34, weights=f"file:{tmp_path / 'gone.pth'}"), seed=0)

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(WeightsUnavailable, match=r"'imagenet'.*no network; choose from imagenet"):
        build_net(dataclasses.replace(RESNET34, weights="imagenet"), seed=0)


# --- both --------------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("config", [SMALL, RESNET34], ids=str)


@pytest.mark.slow
@BOTH
def test_the_seed_alone_decides_the_weights(config: NetConfig) -> None:
    state = torch.get_rng_state()
    first, again, other = (build_net(config, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if first[name].ndim > 1)


@pytest.mark.slow
@BOTH
def test_every_parameter_has_a_gradient(config: NetConfig) -> None:
    net, x = build_net(config, seed=0).train(), images(64)
    (net(x) - x - 0.1).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim == 1 or parameter.grad.ne(0).any(), name


@BOTH
def test_any_size_can_be_enhanced(config: NetConfig) -> None:
    net, x = build_net(config, seed=0).eval(), torch.rand(1, 3, 37, 70, generator=torch.Generator().manual_seed(0))
    assert apply(net, x).shape == x.shape
