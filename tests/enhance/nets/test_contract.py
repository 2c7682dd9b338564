"""The contract that every family in FAMILIES inherits, on small variants."""

import pytest
import torch

from enhance.config import domains
from enhance.config.nets import NET_CONFIGS
from enhance.nets import FAMILIES, Network, apply, build, build_net
from enhance.nets.network import reseed
from tests.enhance.nets.small import (
    VARIANTS,
    count,
    every_family,
    every_variant,
    images,
    noise,
    run,
    suitable,
    variants,
)

SET_BY_HAND = {"tables", "knots", "slopes"}
"""Parameters that start alike under every seed."""


def test_families_and_configurations_are_the_same_set() -> None:
    assert {name: family.config for name, family in FAMILIES.items()} == NET_CONFIGS


@pytest.mark.slow
@every_family
@pytest.mark.parametrize("height, width", [(1, 1), (17, 30), (33, 21)])
def test_shape_is_kept_at_every_allowed_size(family: str, height: int, width: int) -> None:
    config = VARIANTS[family]
    x = images(config, height, width)
    y = build_net(config, seed=0).train()(x)
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert y.isfinite().all()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    drawn = {name for name in other if other[name].ndim > 1 and name.split(".")[-1] not in SET_BY_HAND}
    assert all(not torch.equal(second[name], other[name]) for name in drawn)
    before = torch.get_rng_state()
    run(first.train(), images(config))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@every_family
def test_no_option_is_ignored(family: str) -> None:
    default = build_net(VARIANTS[family], seed=0).train()
    for name, config in variants(family).items():
        if name != family:
            net, x = build_net(config, seed=0).train(), images(config)
            same = torch.equal(run(net, x), run(default, x)) and charges(net) == charges(default)
            assert count(net) != count(default) or not same, name


def charges(net: Network) -> dict[str, float]:
    """The weights of the terms that a network adds to the loss, after a pass in training."""
    return {name: weight for name, (weight, _) in net.penalties().items()}


@pytest.mark.slow
@every_variant
def test_penalties_are_promised_finite_and_reach_parameters(variant: str) -> None:
    config = VARIANTS[variant]
    net = build_net(config, seed=0).train()
    run(net, images(config))
    found = net.penalties()
    assert found.keys() <= set(config.penalties)
    for weight, value in found.values():
        assert weight > 0
        assert value.shape == ()
        parts = [p for p in torch.autograd.grad(value, list(net.parameters()), allow_unused=True) if p is not None]
        assert parts
        assert all(part.isfinite().all() for part in parts)


@pytest.mark.slow
@every_variant
def test_channels_last_changes_nothing(variant: str) -> None:
    config = VARIANTS[variant]
    net, x = build_net(config, seed=0).eval(), images(config)
    with torch.no_grad():
        expected = net(x)
        last = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)  # of outputs in 0..1


@every_variant
def test_claims_are_possible(variant: str) -> None:
    config = VARIANTS[variant]
    assert set(config.dtypes) <= set(domains()["train.dtype"].choices)
    assert "fp32" in config.dtypes
    assert config.view in ("patch", "photo")
    assert config.multiple_of >= 1
    assert config.minimum_px >= config.multiple_of


def test_errors_name_the_choices() -> None:
    with pytest.raises(ValueError, match=r"net\.family='resnt' is not a choice; choose from srcnn, resnet"):
        build("resnt", seed=0)
    with pytest.raises(ValueError, match=r"(?s)unknown name 'net.chanels'; did you mean net.channels.*net.kernel=16"):
        build("resnet", seed=0, chanels=16, kernel=16)
