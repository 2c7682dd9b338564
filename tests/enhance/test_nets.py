"""The contract that every family in FAMILIES inherits, and what is true of each family alone.

The contract runs on small variants, which follow from the laws of a family: small channels, few blocks and levels, then
each of its options changed, one at a time. The golden file tests/golden/parameters.json holds the parameter count of
every family at its defaults, and those of the small variants. After adding a family, or changing one on purpose:
`python -m tests.enhance.test_nets`.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config import Law, Scalar, flatten, from_flat, laws
from enhance.config.nets import NET_CONFIGS, NetConfig
from enhance.nets import FAMILIES, Network, apply, build, build_net
from enhance.nets.network import reseed

torch.set_num_threads(1)

GOLDEN = Path(__file__).resolve().parents[1] / "golden/parameters.json"
SMALL: dict[str, Scalar] = {"net.channels": 4, "net.blocks": 1, "net.levels": 3}
SMALL_BASE = "resnet"


def changed(name: str, law: Law, default: Scalar) -> Iterator[Scalar]:
    """Other allowed values of a leaf: every choice, or one other number. Weights from the network are left out."""
    if law.choices:
        yield from (value for value in law.choices if value not in (default, "imagenet"))
    else:
        yield next(v for v in (default + 1, default + 2, default / 2) if law.problem(name, v) is None)


def small(chosen: dict[str, Scalar]) -> dict[str, Scalar]:
    """Flat names of a network: those `chosen`, small sizes where the family has any, and nothing else."""
    if "net.base" in laws(chosen):
        chosen = {"net.base": SMALL_BASE, **chosen}
    return {**{name: SMALL[name] for name in laws(chosen) if name in SMALL}, **chosen}


def variants(family: str) -> dict[str, NetConfig]:
    """A small network of a family, and the same with one option changed, by name."""
    default = from_flat(small({"net.family": family}))
    values, found = flatten(default), {family: default.net}
    for name, law in laws(small({"net.family": family})).items():
        if name.startswith("net.") and name != "net.family":
            for value in changed(name, law, values[name]):
                config = from_flat(small({"net.family": family, name: value}))
                found[f"{family} {name.removeprefix('net.')}={value}"] = config.net
    return found


VARIANTS = {name: config for family in FAMILIES for name, config in variants(family).items()}
every_family = pytest.mark.parametrize("family", FAMILIES)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def counts() -> dict[str, int]:
    """The golden file's content, as the code has it now."""
    full = {family: count(build(family, seed=0)) for family in FAMILIES}
    return full | {f"small {name}": count(build_net(config, seed=0)) for name, config in VARIANTS.items()}


def noise(number: int, height: int, width: int) -> Tensor:
    return torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(7))


def suitable(config: NetConfig, px: int) -> int:
    """The smallest size that a network takes and that is not below `px`."""
    return -(-max(px, config.minimum_px) // config.multiple_of) * config.multiple_of


def images(config: NetConfig, height: int = 16, width: int = 16) -> Tensor:
    """Two pictures of seeded noise, of the smallest size that suits the network and is not below the one asked for."""
    return noise(2, suitable(config, height), suitable(config, width))


def run(net: Network, x: Tensor) -> Tensor:
    """A forward pass whose dropout is always the same."""
    reseed(net, 0)
    return net(x)


# --- the contract ------------------------------------------------------------------------------------------------


def test_families_and_configurations_are_the_same_set() -> None:
    assert {name: family.config for name, family in FAMILIES.items()} == NET_CONFIGS


@every_family
@pytest.mark.parametrize("height, width", [(1, 1), (17, 30), (33, 21)])
def test_shape_is_kept_at_every_allowed_size(family: str, height: int, width: int) -> None:
    config = VARIANTS[family]
    x = images(config, height, width)
    y = build_net(config, seed=0).train()(x)
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert y.isfinite().all()


@every_family
@pytest.mark.parametrize("height, width", [(1, 1), (17, 30), (64, 64)])
def test_apply_takes_any_size(family: str, height: int, width: int) -> None:
    config = VARIANTS[family]
    net, x = build_net(config, seed=0).eval(), noise(1, height, width)
    rows = torch.arange(suitable(config, height)).clamp(max=height - 1)
    columns = torch.arange(suitable(config, width)).clamp(max=width - 1)
    with torch.no_grad():
        y = apply(net, x)
        expected = net(x[:, :, rows][..., columns])[..., :height, :width]
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert torch.equal(y, expected)
    if (height, width) == (64, 64):
        assert torch.equal(y, net(x))  # 64 px suit every small network


@every_variant
def test_deep_features_are_what_the_network_says(variant: str) -> None:
    config = VARIANTS[variant]
    net, x = build_net(config, seed=0).train(), images(config)
    assert (net.multiple_of, net.minimum_px) == (config.multiple_of, config.minimum_px)
    reseed(net, 0)
    y, deep = net.forward_deep(x)
    assert deep.ndim == 4
    assert deep.shape[:2] == (len(x), net.deep_channels)
    assert torch.equal(run(net, x), y)
    assert torch.autograd.grad(y.square().mean(), deep)[0].isfinite().all()  # raises where the output is not of them


@every_variant
def test_every_parameter_is_trained(variant: str) -> None:
    config = VARIANTS[variant]
    x, idle = images(config), None
    for seed in range(4):  # a ReLU may be dead for all of a few pictures under one seed, but hardly under four
        net = build_net(config, seed).train()
        (run(net, x) - x).square().mean().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        still = {name for name, parameter in net.named_parameters() if parameter.ndim > 1 and not parameter.grad.any()}
        idle = still if idle is None else idle & still
        if not idle:
            return
    assert not idle


def test_parameter_counts_are_the_golden_ones() -> None:
    assert counts() == json.loads(GOLDEN.read_text()), "regenerate with `python -m tests.enhance.test_nets`"


@every_variant
def test_bf16_stays_close_where_it_is_claimed(variant: str) -> None:
    config = VARIANTS[variant]
    if "bf16" not in config.dtypes:
        pytest.skip(f"{config.family} does not claim bf16")
    net, x = build_net(config, seed=0).train(), images(config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = run(net, x)
    assert y.dtype == torch.float32
    # bfloat16 keeps 8 bits: the part of the output that depends on the picture must survive.
    expected = run(net, x)
    assert (y - expected).std() < 0.1 * expected.std()
    (y - x).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@every_variant
def test_the_seed_alone_decides_the_weights(variant: str) -> None:
    config = VARIANTS[variant]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_net(config, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = build_net(config, seed=5).state_dict()
    assert first.state_dict().keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.state_dict().items())
    other = dict(build_net(config, seed=6).named_parameters())
    assert all(not torch.equal(second[name], other[name]) for name in other if other[name].ndim > 1)
    before = torch.get_rng_state()
    run(first.train(), images(config))
    assert torch.equal(torch.get_rng_state(), before)


@every_family
def test_no_option_is_ignored(family: str) -> None:
    default = build_net(VARIANTS[family], seed=0).train()
    for name, config in variants(family).items():
        if name != family:
            net, x = build_net(config, seed=0).train(), images(config)
            assert count(net) != count(default) or not torch.equal(run(net, x), run(default, x)), name


@every_variant
def test_channels_last_changes_nothing(variant: str) -> None:
    config = VARIANTS[variant]
    net, x = build_net(config, seed=0).eval(), images(config)
    with torch.no_grad():
        expected = net(x)
        last = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


@every_variant
def test_claims_are_possible(variant: str) -> None:
    config = VARIANTS[variant]
    assert set(config.dtypes) <= set(laws()["train.dtype"].choices)
    assert "fp32" in config.dtypes
    assert config.multiple_of >= 1
    assert config.minimum_px >= config.multiple_of


def test_errors_name_the_choices() -> None:
    with pytest.raises(ValueError, match=r"net\.family='resnt' is not a choice; choose from srcnn, resnet"):
        build("resnt", seed=0)
    with pytest.raises(ValueError, match=r"(?s)unknown name 'net.chanels'; did you mean net.channels.*net.kernel=4"):
        build("resnet", seed=0, chanels=16, kernel=4)


# --- parameter counts of papers, and by hand ---------------------------------------------------------------------

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


@pytest.mark.parametrize(
    "kernel, strided_kernel, channels, activation, parameters",
    [
        (3, 3, 16, "relu", 207_171),
        (3, 3, 32, "relu", 810_627),
        (3, 4, 16, "relu", 243_011),  # the released weights: 972,044 bytes
        (3, 4, 32, "relu", 953_987),
        (4, 4, 16, "relu", 361_283),
        (4, 4, 32, "relu", 1_427_075),
        (4, 4, 32, "prelu", 1_427_971),
    ],
)
def test_strided_counts_of_fpie_table_2(
    kernel: int, strided_kernel: int, channels: int, activation: str, parameters: int
) -> None:
    options = {"kernel": kernel, "strided_kernel": strided_kernel, "channels": channels, "activation": activation}
    for skips in ("code", "paper"):
        assert count(build("strided", seed=0, skips=skips, **options)) == parameters


def test_srcnn_count_of_pirm() -> None:
    # The released network has two parameters fewer: one bias for its three outputs.
    assert count(build("srcnn", seed=0)) == (243 * 64 + 64) + (25 * 64 * 32 + 32) + (25 * 32 * 3 + 3) == 69_251


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_johnson_count(norm: str) -> None:
    ends, resized = (243 * 32 + 32) + (243 * 32 + 3), 2 * 9 * (32 * 64 + 64 * 128) + (64 + 128) + (64 + 32)
    blocks, norms = 5 * 2 * (9 * 128 * 128 + 128), 2 * (32 + 64 + 128 + 5 * 2 * 128 + 64 + 32)
    assert count(build("johnson", seed=0, norm=norm)) == ends + resized + blocks + (norms if norm != "none" else 0)
    assert ends + resized + blocks + norms == 1_679_235


def test_cycle_resnet_counts_of_both_public_codes() -> None:
    ends, resized, blocks = 2 * 147 * 64 + 3, 2 * 9 * (64 * 128 + 128 * 256), 18 * 9 * 256 * 256
    channels = 64 + 128 + 256 + 18 * 256 + 128 + 64  # of all layers but the last
    # Keras' example: a scale and a shift each. The authors' code: instance norm without them, and a bias each.
    assert count(build("cycle_resnet", seed=0)) == ends + resized + blocks + 2 * channels == 11_383_427
    assert count(build("cycle_resnet", seed=0, norm="none")) == ends + resized + blocks + channels == 11_378_179


@pytest.mark.parametrize("k, c, b", [(3, 32, 4), (5, 8, 1), (1, 6, 0)])
def test_shuffle_and_separable_counts(k: int, c: int, b: int) -> None:
    options = {"seed": 0, "kernel": k, "channels": c, "blocks": b}
    for f in (2, 4):
        formula = (k * k * 3 * f * f * c + c) + 2 * b * (k * k * c * c + c) + (k * k * c * 3 * f * f + 3 * f * f)
        assert count(build("shuffle", factor=f, **options)) == formula
    formula = (k * k * 3 * c + c) + 2 * b * (k * k * c + c * c + c) + (k * k * c * 3 + 3)
    norms, slopes = 4 * b * c, (1 + 2 * b) * c
    assert count(build("separable", **options)) == formula
    assert count(build("separable", norm="batch", activation="prelu", **options)) == formula + norms + slopes


# --- forward passes by hand --------------------------------------------------------------------------------------


class Hand:
    """Layers written out from their description; they take a network's parameters in the order in which they are used.

    Zero padding is given in pixels (before, after); None is TensorFlow's SAME, from its definition.
    """

    def __init__(self, net: nn.Module, config: NetConfig) -> None:
        self.parameters, self.config = list(net.parameters()), config

    def vector(self) -> Tensor:
        return self.parameters.pop(0).view(1, -1, 1, 1)

    def conv(self, x: Tensor, stride: int = 1, padding: tuple[int, int] | None = None, bias: bool = True) -> Tensor:
        weight = self.parameters.pop(0)
        y = zero_padded_conv(x, weight, stride, padding)
        return y + self.vector() if bias else y

    def reflecting_conv(self, x: Tensor, bias: bool) -> Tensor:
        border = self.parameters[0].shape[-1] // 2
        return self.conv(reflected(reflected(x, border, 2), border, 3), padding=(0, 0), bias=bias)

    def transposed(self, x: Tensor, padding: tuple[int, int] | None = None, bias: bool = True) -> Tensor:
        """Of stride 2: by definition the gradient of a convolution with respect to its input."""
        weight = self.parameters.pop(0)
        height, width = x.shape[-2:]
        above = torch.zeros(len(x), weight.shape[1], 2 * height, 2 * width, dtype=x.dtype, requires_grad=True)
        (y,) = torch.autograd.grad(zero_padded_conv(above, weight, 2, padding), above, x)
        return y + self.vector() if bias else y

    def norm(self, x: Tensor) -> Tensor:
        if self.config.norm == "none":
            return x
        scale, shift = self.vector(), self.vector()
        dims = (2, 3) if self.config.norm == "instance" else (0, 2, 3)
        centred = x - x.mean(dims, keepdim=True)
        return scale * centred / (centred.square().mean(dims, keepdim=True) + 1e-3).sqrt() + shift

    def act(self, x: Tensor) -> Tensor:
        slope = self.vector() if getattr(self.config, "activation", "relu") == "prelu" else 0
        return x.clamp(min=0) + slope * x.clamp(max=0)

    def dped_block(self, x: Tensor) -> Tensor:
        return x + self.act(self.norm(self.conv(self.act(self.norm(self.conv(x))))))


def zero_padded_conv(x: Tensor, weight: Tensor, stride: int, padding: tuple[int, int] | None) -> Tensor:
    sides = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((math.ceil(size / stride) - 1) * stride + weight.shape[-1] - size, 0)
        sides += padding or (total // 2, total - total // 2)
    return F.conv2d(F.pad(x, sides), weight, stride=stride)


def reflected(x: Tensor, border: int, dim: int) -> Tensor:
    size = x.shape[dim]
    places = [abs(place) for place in range(-border, size + border)]
    return x.index_select(dim, torch.tensor([min(place, 2 * (size - 1) - place) for place in places]))


def resnet_by_hand(x: Tensor, hand: Hand) -> Tensor:
    x = hand.act(hand.conv(x))
    for _ in range(hand.config.blocks):
        x = hand.dped_block(x)
    x = hand.act(hand.conv(hand.act(hand.conv(x))))
    return 0.58 * hand.conv(x).tanh() + 0.5


def srcnn_by_hand(x: Tensor, hand: Hand) -> Tensor:
    return hand.conv(hand.act(hand.conv(hand.act(hand.conv(x)))))


def strided_by_hand(x: Tensor, hand: Hand) -> Tensor:
    c1 = hand.act(hand.conv(x))
    c2 = hand.act(hand.norm(hand.conv(c1, stride=2)))
    x = hand.act(hand.norm(hand.conv(c2, stride=2)))
    for _ in range(hand.config.blocks):
        x = hand.dped_block(x)
    x = hand.act(hand.norm(hand.transposed(x)))
    if hand.config.skips == "paper":
        x = x + c2
    x = hand.act(hand.norm(hand.transposed(x))) + c1
    x = hand.act(hand.conv(hand.act(hand.conv(x))))
    return 0.58 * hand.conv(x).tanh() + 0.5


def johnson_by_hand(x: Tensor, hand: Hand) -> Tensor:
    x = hand.act(hand.norm(hand.conv(x)))
    for _ in range(2):
        x = hand.act(hand.norm(hand.conv(x, stride=2, padding=(1, 1))))
    for _ in range(hand.config.blocks):
        x = x + hand.norm(hand.conv(hand.act(hand.norm(hand.conv(x)))))
    for _ in range(2):
        x = hand.act(hand.norm(hand.transposed(x, padding=(1, 1))))
    return 0.58 * hand.conv(x).tanh() + 0.5


def cycle_resnet_by_hand(x: Tensor, hand: Hand) -> Tensor:
    bias = hand.config.norm == "none"
    x = hand.act(hand.norm(hand.reflecting_conv((x - 0.5) / 0.5, bias)))
    for _ in range(2):
        x = hand.act(hand.norm(hand.conv(x, stride=2, padding=(1, 1), bias=bias)))
    for _ in range(hand.config.blocks):
        branch = hand.act(hand.norm(hand.reflecting_conv(x, bias)))
        x = x + hand.norm(hand.reflecting_conv(branch, bias))
    for _ in range(2):
        x = hand.act(hand.norm(hand.transposed(x, padding=(1, 1), bias=bias)))
    return hand.reflecting_conv(x, bias=True).tanh() * 0.5 + 0.5


def shuffle_by_hand(x: Tensor, hand: Hand) -> Tensor:
    factor, squares = hand.config.factor, x
    number, _, height, width = x.shape
    h, w = height // factor, width // factor
    folded = torch.stack([x[..., dy::factor, dx::factor] for dy in range(factor) for dx in range(factor)], dim=2)
    x = hand.act(hand.conv(folded.reshape(number, -1, h, w)))
    for _ in range(hand.config.blocks):
        x = hand.dped_block(x)
    places, z = hand.conv(x).view(number, 3, factor**2, h, w), torch.zeros_like(squares)
    for place in range(factor**2):
        z[..., place // factor :: factor, place % factor :: factor] = places[:, :, place]
    return squares + z if hand.config.output == "residual" else 0.58 * z.tanh() + 0.5


def separable_by_hand(x: Tensor, hand: Hand) -> Tensor:
    def separable(x: Tensor) -> Tensor:
        kernels = hand.parameters.pop(0)
        each = [zero_padded_conv(x[:, [c]], kernels[[c]], 1, None) for c in range(x.shape[1])]
        return hand.act(hand.norm(hand.conv(torch.cat(each, dim=1))))

    images = x
    x = hand.act(hand.conv(x))
    for _ in range(hand.config.blocks):
        x = x + separable(separable(x))
    z = hand.conv(x)
    return images + z if hand.config.output == "residual" else 0.58 * z.tanh() + 0.5


BY_HAND: dict[str, Callable[[Tensor, Hand], Tensor]] = {
    "srcnn": srcnn_by_hand,
    "resnet": resnet_by_hand,
    "johnson": johnson_by_hand,
    "strided": strided_by_hand,
    "cycle_resnet": cycle_resnet_by_hand,
    "shuffle": shuffle_by_hand,
    "separable": separable_by_hand,
}
MORE = [
    ("resnet", {"kernel": 1, "blocks": 0}),
    ("resnet", {"norm": "batch", "activation": "prelu", "blocks": 2}),
    ("strided", {"kernel": 4, "strided_kernel": 3, "norm": "batch", "activation": "prelu", "skips": "paper"}),
    ("strided", {"kernel": 2, "strided_kernel": 2, "norm": "none", "blocks": 0}),
    ("strided", {"kernel": 4, "strided_kernel": 7, "norm": "none"}),
    ("johnson", {"norm": "instance", "blocks": 2}),
    ("cycle_resnet", {"norm": "none", "blocks": 2}),
    ("shuffle", {"factor": 3, "kernel": 5, "norm": "instance", "activation": "prelu", "output": "tanh"}),
    ("separable", {"kernel": 5, "norm": "batch", "activation": "prelu", "blocks": 2}),
]
CASES = {name: config for family in BY_HAND for name, config in variants(family).items()} | {
    f"{family} {' '.join(f'{leaf}={value}' for leaf, value in options.items())}": FAMILIES[family].config(
        channels=6, **options
    )
    for family, options in MORE
}


@pytest.mark.parametrize("case", CASES)
def test_forward_by_hand(case: str) -> None:
    config = CASES[case]
    net = build_net(config, seed=0).double().train()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():  # away from the start, where scales are 1, shifts and slopes 0
            parameter.normal_(0, 0.15, generator=generator)
    x, hand = images(config, 12, 19).double(), Hand(net, config)
    expected = BY_HAND[config.family](x, hand).float()
    assert expected.std() > 0.02
    torch.testing.assert_close(net(x), expected, rtol=1e-6, atol=1e-6)
    assert not hand.parameters  # every one was used


# --- how networks start ------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("family", ["resnet", "strided"])
def test_he_start_keeps_the_size_of_activations(family: str) -> None:
    net = build(family, seed=0, init="he", channels=64)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.03)
            assert layer.bias.eq(0).all()


def test_cycle_resnet_starts_as_the_authors_set_it() -> None:
    net = build("cycle_resnet", seed=0)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
        elif isinstance(layer, nn.InstanceNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.35)


@pytest.mark.parametrize("family", ["shuffle", "separable"])
@pytest.mark.parametrize("init", ["he", "dped"])
def test_residual_networks_start_near_the_input(family: str, init: str) -> None:
    x = noise(2, 24, 24)
    first, second = (build(family, seed=seed, init=init)(x) for seed in (0, 1))
    assert (first - x).square().mean().sqrt() < 0.05
    assert not torch.equal(first, x)
    assert not torch.equal(first, second)


# --- what is true of one family ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "family, low, high",
    [("resnet", -0.08, 1.08), ("johnson", -0.08, 1.08), ("strided", -0.08, 1.08), ("cycle_resnet", 0.0, 1.0)],
)
def test_output_range(family: str, low: float, high: float) -> None:
    config = VARIANTS[family]
    net, x = build_net(config, seed=0), images(config)
    last = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    for bias, limit in ((50.0, high), (-50.0, low)):
        nn.init.constant_(last.bias, bias)
        assert net(x).sub(limit).abs().max() < 1e-6


@pytest.mark.parametrize("family", ["resnet", "strided", "cycle_resnet"])
def test_image_does_not_depend_on_its_batch_or_on_eval_with_instance_norm(family: str) -> None:
    config = VARIANTS[family]
    net, x = build_net(config, seed=0), images(config)
    expected = net.train()(x)
    torch.testing.assert_close(net.train()(x[:1]), expected[:1], rtol=0, atol=1e-6)
    assert torch.equal(net.eval()(x), expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_shuffle_of_identities_doubles_the_input(factor: int) -> None:
    folded = 3 * factor**2
    net, x = build("shuffle", seed=0, factor=factor, channels=folded, blocks=0), noise(1, 16, 24)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight)
    torch.testing.assert_close(net(x), 2 * x)
    nn.init.zeros_(net.last.weight)
    assert torch.equal(net(x), x)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(counts(), indent=2) + "\n")
