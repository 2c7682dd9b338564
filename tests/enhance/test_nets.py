"""The contract that every family in FAMILIES inherits, and what is true of each family alone.

The golden file tests/golden/parameters.json holds the parameter count of every family at its defaults and with each of
its options changed. After adding a family, or changing one on purpose: `python -m tests.enhance.test_nets`.
"""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config import NET_CONFIGS, Law, NetConfig, Scalar, laws
from enhance.nets import FAMILIES, build, build_net

torch.set_num_threads(1)

GOLDEN = Path(__file__).resolve().parents[1] / "golden/parameters.json"


def changed(law: Law, default: Scalar) -> Iterator[Scalar]:
    """Other allowed values of a leaf: every choice, or the next number."""
    if law.choices:
        yield from (value for value in law.choices if value != default)
    else:
        yield default + (2 if law.odd else 1)


def variants(family: str) -> dict[str, NetConfig]:
    """The defaults of a family, and the defaults with one option changed, by name."""
    default = FAMILIES[family].config()
    found = {family: default}
    for name, law in laws(family).items():
        part, leaf = name.split(".", 1)
        if part == "net" and leaf != "family":
            for value in changed(law, getattr(default, leaf)):
                found[f"{family} {leaf}={value}"] = dataclasses.replace(default, **{leaf: value})
    return found


VARIANTS = {name: config for family in FAMILIES for name, config in variants(family).items()}
every_family = pytest.mark.parametrize("family", FAMILIES)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def images(family: str, height: int = 24, width: int = 24, number: int = 2) -> Tensor:
    """Seeded noise, of the smallest size that the family takes and that is not below the one asked for."""
    needs = FAMILIES[family]
    height, width = (-(-max(s, needs.minimum_px) // needs.multiple_of) * needs.multiple_of for s in (height, width))
    return torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(7))


# --- the contract ------------------------------------------------------------------------------------------------


def test_families_and_configurations_are_the_same_set() -> None:
    assert {name: family.config for name, family in FAMILIES.items()} == NET_CONFIGS


@every_family
@pytest.mark.parametrize("height, width", [(1, 1), (17, 30), (33, 21)])
def test_shape_is_kept_at_every_allowed_size(family: str, height: int, width: int) -> None:
    x = images(family, height, width)
    y = build(family, seed=0).train()(x)
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert y.isfinite().all()


@every_variant
def test_every_parameter_is_trained(variant: str) -> None:
    net = build_net(VARIANTS[variant], seed=0).train()
    x = images(VARIANTS[variant].family)
    (net(x) - x).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim == 1 or parameter.grad.ne(0).any(), name


@every_variant
def test_parameter_count_is_the_golden_one(variant: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert variant in golden, f"{variant!r} is new: regenerate with `python -m tests.enhance.test_nets`"
    assert count(build_net(VARIANTS[variant], seed=0)) == golden[variant]


def test_the_golden_file_has_no_stale_rows() -> None:
    assert set(json.loads(GOLDEN.read_text())) == set(VARIANTS)


@every_variant
def test_bf16_stays_close_where_it_is_claimed(variant: str) -> None:
    config = VARIANTS[variant]
    if "bf16" not in FAMILIES[config.family].dtypes:
        pytest.skip(f"{config.family} does not claim bf16")
    net, x = build_net(config, seed=0).train(), images(config.family)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(x)
    assert y.dtype == torch.float32
    # bfloat16 keeps 8 bits: the part of the output that depends on the picture must survive.
    expected = net(x)
    assert (y - expected).std() < 0.1 * expected.std()
    (y - x).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@every_variant
def test_the_seed_alone_decides_the_weights(variant: str) -> None:
    config = VARIANTS[variant]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_net(config, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = build_net(config, seed=5).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_net(config, seed=6).state_dict()
    assert all(not torch.equal(first[name], other[name]) for name in first if first[name].ndim > 1)


@every_family
def test_no_option_is_ignored(family: str) -> None:
    x = images(family)
    default = build(family, seed=0).train()
    for name, config in variants(family).items():
        if name != family:
            net = build_net(config, seed=0).train()
            assert count(net) != count(default) or not torch.equal(net(x), default(x)), name


@every_variant
def test_channels_last_changes_nothing(variant: str) -> None:
    net, x = build_net(VARIANTS[variant], seed=0).train(), images(VARIANTS[variant].family)
    expected = net(x)
    last = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-5)


@every_family
def test_claims_are_possible(family: str) -> None:
    claims = FAMILIES[family]
    assert set(claims.dtypes) <= set(laws(family)["train.dtype"].choices)
    assert "fp32" in claims.dtypes
    assert claims.multiple_of >= 1
    assert claims.minimum_px >= claims.multiple_of


def test_errors_name_the_choices() -> None:
    with pytest.raises(ValueError, match=r"net\.family='resnt' is not a choice; choose from resnet"):
        build("resnt", seed=0)
    with pytest.raises(ValueError, match=r"(?s)unknown name 'net.chanels'; did you mean net.channels.*net.kernel=4"):
        build("resnet", seed=0, chanels=16, kernel=4)


# --- resnet ------------------------------------------------------------------------------------------------------

FPIE_TABLE_1 = """
3 64 4 401475 | 3 16 1 17139 | 3 16 2 21843 | 3 16 3 26547 | 3 16 4 31251 | 3 32 2 71331 | 3 32 4 108579
3 128 1 653187 | 3 128 3 1244547 | 5 16 1 33523 | 5 16 2 46419 | 5 16 3 59315 | 5 16 4 72211 | 5 32 2 169635
5 32 4 272419 | 5 128 1 1701763 | 5 128 3 3341699
"""
ROWS = [
    tuple(int(number) for number in row.split()) for row in FPIE_TABLE_1.replace("\n", "|").split("|") if row.strip()
]


@pytest.mark.parametrize("kernel, channels, blocks, parameters", ROWS)
def test_resnet_counts_of_fpie_table_1(kernel: int, channels: int, blocks: int, parameters: int) -> None:
    k, c, b = kernel, channels, blocks
    formula = (243 * c + c) + 2 * b * (k * k * c * c + 3 * c) + 2 * (k * k * c * c + c) + (243 * c + 3)
    assert count(build("resnet", seed=0, kernel=k, channels=c, blocks=b)) == parameters == formula


def resnet_by_hand(x: Tensor, weights: Iterator[Tensor], config: NetConfig) -> Tensor:
    """The generator written out from its description, taking its parameters in the order in which they are used."""

    def conv(x: Tensor) -> Tensor:
        weight, bias = next(weights), next(weights)
        border = (weight.shape[-1] - 1) // 2
        return F.conv2d(F.pad(x, (border,) * 4), weight, bias)

    def normalise(x: Tensor) -> Tensor:
        if config.norm == "none":
            return x
        scale, shift = (next(weights).view(1, -1, 1, 1) for _ in range(2))
        dims = (2, 3) if config.norm == "instance" else (0, 2, 3)
        centred = x - x.mean(dims, keepdim=True)
        return scale * centred / (centred.square().mean(dims, keepdim=True) + 1e-3).sqrt() + shift

    def activate(x: Tensor) -> Tensor:
        slope = next(weights).view(1, -1, 1, 1) if config.activation == "prelu" else 0
        return x.clamp(min=0) + slope * x.clamp(max=0)

    x = activate(conv(x))
    for _ in range(config.blocks):
        x = x + activate(normalise(conv(activate(normalise(conv(x))))))
    x = activate(conv(activate(conv(x))))
    return 0.58 * conv(x).tanh() + 0.5


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("activation", ["relu", "prelu"])
@pytest.mark.parametrize("kernel, blocks", [(3, 2), (5, 1), (1, 1), (3, 0)])
def test_resnet_forward_by_hand(norm: str, activation: str, kernel: int, blocks: int) -> None:
    net = build("resnet", seed=0, kernel=kernel, channels=6, blocks=blocks, norm=norm, activation=activation)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():  # away from the start, where scales are 1, shifts and slopes 0
            parameter.normal_(0, 0.15, generator=generator)
    config = FAMILIES["resnet"].config(kernel=kernel, blocks=blocks, norm=norm, activation=activation)
    x = images("resnet", 19, 26)
    weights = iter(list(net.parameters()))
    torch.testing.assert_close(net.train()(x), resnet_by_hand(x, weights, config), rtol=0, atol=1e-5)
    assert next(weights, None) is None  # every parameter was used


def test_resnet_starts_as_the_authors_set_it() -> None:
    net = build("resnet", seed=0, activation="prelu")
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.abs().max() <= 0.02
            if module.weight.numel() > 10_000:
                # a normal of 0.01 cut at two deviations has a deviation of 0.0088
                assert module.weight.std().item() == pytest.approx(0.0088, rel=0.02)
            assert module.bias.eq(0.01).all()
        elif isinstance(module, nn.InstanceNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
        elif isinstance(module, nn.PReLU):
            assert module.weight.eq(0).all()


def test_resnet_he_start_keeps_the_size_of_activations() -> None:
    net = build("resnet", seed=0, init="he")
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.03)
            assert layer.bias.eq(0).all()


def test_resnet_output_range() -> None:
    net, x = build("resnet", seed=0, channels=8, blocks=1), images("resnet")
    last = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    for bias, limit in ((50.0, 1.08), (-50.0, -0.08)):
        nn.init.constant_(last.bias, bias)
        assert net(x).sub(limit).abs().max() < 1e-6


def test_resnet_image_does_not_depend_on_its_batch_or_on_eval() -> None:
    net, x = build("resnet", seed=0, channels=8, blocks=2), images("resnet")
    expected = net.train()(x)
    torch.testing.assert_close(net.train()(x[:1]), expected[:1], rtol=0, atol=1e-6)
    assert torch.equal(net.eval()(x), expected)


if __name__ == "__main__":
    counts = {name: count(build_net(config, seed=0)) for name, config in VARIANTS.items()}
    GOLDEN.write_text(json.dumps(counts, indent=2) + "\n")
