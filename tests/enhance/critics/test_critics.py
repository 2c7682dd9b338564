"""enhance.critics: architectures, padding, seeds, inputs, and allowed sizes."""

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.adversaries import CRITIC_CONFIGS, CriticConfig, DPEDCriticConfig, PatchCriticConfig
from enhance.critics import CRITICS, Critic, build_critic
from enhance.critics.dped import FAKE, REAL, DPEDCritic, gray, same_padding, same_size
from enhance.critics.patch import PatchCritic

torch.set_num_threads(1)

CONFIGS: dict[str, CriticConfig] = {f"dped-{norm}": DPEDCriticConfig(norm=norm) for norm in ("instance", "batch")} | {
    f"patch-{norm}-{conditional}": PatchCriticConfig(norm=norm, conditional=conditional, channels=8, layers=2)
    for norm in ("instance", "batch", "none")
    for conditional in (False, True)
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def images(size_px: int, number: int = 2, seed: int = 7) -> Tensor:
    return torch.rand(number, 3, size_px, size_px, generator=torch.Generator().manual_seed(seed))


def shown(config: CriticConfig, size_px: int) -> tuple[Tensor, Tensor | None]:
    return images(size_px), images(size_px, seed=8) if config.sees_input else None


def count(critic: nn.Module) -> int:
    return sum(parameter.numel() for parameter in critic.parameters())


def scattered(critic: Critic, std: float = 0.1) -> Critic:
    """The critic with every parameter away from its start, where scales are 1 and shifts 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.normal_(0, std, generator=generator)
    return critic


def dped(size_px: int, norm: str = "instance", seed: int = 0) -> DPEDCritic:
    critic = build_critic(DPEDCriticConfig(norm=norm), size_px, seed)
    assert isinstance(critic, DPEDCritic)
    return critic


# --- the contract ------------------------------------------------------------------------------------------------


def test_critics_and_configurations_are_the_same_set() -> None:
    assert {name: family.config for name, family in CRITICS.items()} == CRITIC_CONFIGS


@every_config
@pytest.mark.parametrize("more_px", [0, 1, 16])
def test_every_size_from_the_smallest_gives_scores_and_trains(config: CriticConfig, more_px: int) -> None:
    size_px = config.minimum_px + more_px
    critic = build_critic(config, size_px, seed=0)
    scores = critic(*shown(config, size_px))
    assert scores.shape[:2] == (2, 1)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()
    assert (scores[0] - scores[1]).abs().min() > 0  # not blind
    F.softplus(scores[0] - scores[1]).mean().add(F.softplus(-scores).mean()).backward()
    for name, parameter in critic.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.ne(0).any(), name


@every_config
def test_a_smaller_size_is_refused(config: CriticConfig) -> None:
    least = config.minimum_px
    with pytest.raises(ValueError, match=rf"size_px={least - 1} is too small for critic.family=.* at least {least}"):
        build_critic(config, least - 1, seed=0)


@every_config
def test_another_shape_is_refused(config: CriticConfig) -> None:
    critic = build_critic(config, 32, seed=0)
    for wrong in (images(33), images(32)[:, :1], images(32)[0], images(32)[..., :31]):
        with pytest.raises(ValueError, match=r"takes pictures of shape \(N, 3, 32, 32\), not \("):
            critic(wrong, wrong if config.sees_input else None)


@every_config
def test_inputs_are_given_to_conditional_critics_only(config: CriticConfig) -> None:
    critic, x = build_critic(config, 32, seed=0), images(32)
    assert critic.sees_input == config.sees_input
    if config.sees_input:
        with pytest.raises(ValueError, match="conditional: it must be given the inputs"):
            critic(x)
        with pytest.raises(ValueError, match=r"the shape of the pictures, \(2, 3, 32, 32\), not \(1, 3, 32, 32\)"):
            critic(x, x[:1])
    else:
        with pytest.raises(ValueError, match=r"sees only the pictures: it must not be given inputs"):
            critic(x, x)


@every_config
def test_the_seed_alone_decides_the_weights(config: CriticConfig) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_critic(config, 24, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = (build_critic(config, 24, seed=seed).state_dict() for seed in (5, 6))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if first[name].ndim > 1)


@pytest.mark.slow
@every_config
def test_bf16_autocast_gives_float32_scores_near_the_exact_ones(config: CriticConfig) -> None:
    critic = scattered(build_critic(config, 64, seed=0))
    x, inputs = shown(config, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = critic(x, inputs)
    assert scores.dtype == torch.float32
    exact = critic(x, inputs)
    assert (scores - exact).abs().max() < 0.05 * exact.abs().max()


def test_bf16_keeps_the_difference_of_logits_that_are_nearly_the_same() -> None:
    critic, x, found = scattered(dped(32)), images(32), []
    for shift in (0.0, 100.0):
        with torch.no_grad():
            critic.units.bias += shift
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found.append(critic(x))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-4)


@every_config
def test_channels_last_changes_nothing(config: CriticConfig) -> None:
    critic, (x, inputs) = build_critic(config, 24, seed=0), shown(config, 24)
    expected = critic(x, inputs)
    last = critic.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last), inputs), expected, rtol=0, atol=1e-5)


@every_config
def test_only_batch_norm_lets_a_score_depend_on_the_other_samples(config: CriticConfig) -> None:
    critic, (x, inputs) = build_critic(config, 24, seed=0), shown(config, 24)
    alone = critic(x[:1], None if inputs is None else inputs[:1])
    together = critic(x, inputs)[:1]
    # Not by bits: a convolution may add up in another order for another batch.
    assert torch.allclose(alone, together, rtol=0, atol=1e-5) == (config.norm != "batch")


def test_no_option_is_ignored() -> None:
    default, x = PatchCriticConfig(channels=8), images(32)
    for leaf, value in (("norm", "batch"), ("norm", "none"), ("channels", 9), ("layers", 2), ("conditional", True)):
        config = dataclasses.replace(default, **{leaf: value})
        one, two = (build_critic(c, 32, seed=0) for c in (default, config))
        assert count(one) != count(two) or not torch.equal(one(x), two(x)), leaf
    assert not torch.allclose(dped(32)(x), dped(32, "batch")(x), rtol=0, atol=1e-4)


# --- dped --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_parameters_of_the_authors_network(norm: str) -> None:
    convs = 48 * (121 + 1) + 128 * (25 * 48 + 1) + 192 * (9 * 128 + 1) + 192 * (9 * 192 + 1) + 128 * (9 * 192 + 1)
    norms = 2 * (128 + 192 + 192 + 128)
    heads = (128 * 7 * 7 + 1) * 1024 + (1024 + 1) * 2
    assert count(dped(100, norm)) == convs + norms + heads == 7_361_122


@pytest.mark.slow
def test_map_sizes_at_100_px() -> None:
    sizes: list[int] = []
    critic = dped(100)
    for layer in critic.features:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.shape[-1]))
    critic(images(100))
    assert sizes == [25, 13, 13, 13, 7]


@pytest.mark.parametrize(
    "size_px, kernel, stride, expected",
    [
        (100, 11, 4, (3, 4)),  # the uneven one of DPED
        (25, 5, 2, (2, 2)),
        (13, 3, 2, (1, 1)),
        (13, 3, 1, (1, 1)),
        (8, 3, 2, (0, 1)),
        (9, 2, 4, (0, 1)),
        (8, 1, 4, (0, 0)),
    ],
)
def test_same_padding(size_px: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size_px, kernel, stride) == expected


def dped_by_hand(critic: DPEDCritic, x: Tensor, norm: str) -> Tensor:
    """The logits written out from the description, taking the parameters in the order in which they are used."""
    weights = iter(list(critic.parameters()))
    axes = (2, 3) if norm == "instance" else (0, 2, 3)
    x = (x * torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    for kernel, stride, normalized in ((11, 4, 0), (5, 2, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1)):
        size = x.shape[-1]
        total = max(kernel - stride if size % stride == 0 else kernel - size % stride, 0)
        border = (total // 2, total - total // 2)
        x = F.leaky_relu(F.conv2d(F.pad(x, border * 2), next(weights), next(weights), stride=stride), 0.2)
        if normalized:
            centred = x - x.mean(axes, keepdim=True)
            scale, shift = (next(weights).view(1, -1, 1, 1) for _ in range(2))
            x = scale * centred / (centred.square().mean(axes, keepdim=True) + 1e-3).sqrt() + shift
    x = F.leaky_relu(x.flatten(1) @ next(weights).T + next(weights), 0.2)
    x = x @ next(weights).T + next(weights)
    assert next(weights, None) is None
    return x


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("size_px", [17, 32, 50, 100])
def test_dped_forward_by_hand(size_px: int, norm: str) -> None:
    critic, x = scattered(dped(size_px, norm)), images(size_px)
    logits = dped_by_hand(critic, x, norm)
    torch.testing.assert_close(critic.logits(x), logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(critic(x), logits[:, REAL : REAL + 1] - logits[:, FAKE:], rtol=1e-4, atol=1e-4)


def test_the_score_is_the_log_odds_of_the_authors_softmax() -> None:
    critic, x = scattered(dped(17)), images(17)
    p = critic.logits(x).double().softmax(1)
    torch.testing.assert_close(critic(x).double(), (p[:, REAL] / p[:, FAKE]).log()[:, None], rtol=1e-4, atol=1e-5)


def test_the_smallest_size_is_where_the_last_map_has_more_than_one_pixel() -> None:
    def last_map_px(size_px: int) -> int:
        for stride in (4, 2, 1, 1, 2):
            size_px = same_size(size_px, stride)
        return size_px

    assert last_map_px(DPEDCriticConfig().minimum_px) == 2
    assert last_map_px(DPEDCriticConfig().minimum_px - 1) == 1


@pytest.mark.slow
def test_dped_start_values() -> None:
    for layer in dped(100).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight.abs().max() <= 0.02
            assert layer.bias.eq(0.01).all()
            if layer.weight.numel() > 10_000:
                assert layer.weight.std().item() == pytest.approx(0.0088, rel=0.02)


def test_dped_sees_no_color() -> None:
    critic, x = scattered(dped(32)), images(32)
    same_gray = x.clone()
    same_gray[:, 0] += 0.1 / 0.2989
    same_gray[:, 2] -= 0.1 / 0.114
    torch.testing.assert_close(gray(same_gray), gray(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(critic(same_gray), critic(x), rtol=1e-3, atol=1e-3)
    assert gray(torch.ones(1, 3, 2, 2)).sub(0.9999).abs().le(1e-6).all()


# --- patch -------------------------------------------------------------------------------------------------------


def test_parameters_of_pix2pix() -> None:
    critic = build_critic(PatchCriticConfig(norm="batch", conditional=True), 32, seed=0)
    first, last = 16 * 6 * 64 + 64, 16 * 512 + 1
    convs = 16 * (64 * 128 + 128 * 256 + 256 * 512)
    norms = 2 * (128 + 256 + 512)
    assert count(critic) == first + convs + norms + last == 2_768_705
    assert count(build_critic(PatchCriticConfig(norm="instance", conditional=True), 32, 0)) == 2_768_705 - norms
    biases = 128 + 256 + 512
    assert count(build_critic(PatchCriticConfig(norm="none"), 32, 0)) == first - 16 * 3 * 64 + convs + biases + last


def test_channels_double_up_to_eight_times() -> None:
    critic = build_critic(PatchCriticConfig(channels=2, layers=5), 96, seed=0)
    convs = [layer for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [2, 4, 8, 16, 16, 16, 1]
    assert [conv.stride[0] for conv in convs] == [2, 2, 2, 2, 2, 1, 1]


@pytest.mark.parametrize("size_px, layers, map_px", [(256, 3, 30), (64, 3, 6), (100, 3, 10), (24, 3, 1), (31, 3, 1)])
def test_map_of_scores(size_px: int, layers: int, map_px: int) -> None:
    critic = build_critic(PatchCriticConfig(channels=2, layers=layers), size_px, seed=0)
    assert critic(images(size_px)).shape == (2, 1, map_px, map_px)


@pytest.mark.parametrize("layers, field_px", [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field_by_gradients(layers: int, field_px: int) -> None:
    size_px = 2 * field_px + 4
    critic = build_critic(PatchCriticConfig(norm="none", channels=2, layers=layers), size_px, seed=0)
    x = images(size_px, number=1).requires_grad_()
    scores = critic(x)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    rows, columns = (x.grad[0].abs().sum((0, axis)) > 0 for axis in (2, 1))
    for seen in (rows, columns):
        where = seen.nonzero().flatten()
        assert len(where) == field_px == where[-1] - where[0] + 1
        assert where[0] > 0
        assert where[-1] < size_px - 1  # no border cuts it


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_the_smallest_size_is_the_smallest_that_leaves_a_score(layers: int, norm: str) -> None:
    config = PatchCriticConfig(layers=layers, norm=norm, channels=2)
    critic = build_critic(config, config.minimum_px, seed=0)
    assert isinstance(critic, PatchCritic)
    scores = critic(images(config.minimum_px))
    assert scores.shape == (2, 1, 1, 1)
    assert scores[0] != scores[1]
    with pytest.raises((RuntimeError, ValueError), match=r"Kernel size|spatial element"):
        critic.judge(images(config.minimum_px - 1))


def patch_by_hand(critic: Critic, seen: Tensor, norm: str, layers: int) -> Tensor:
    weights = iter(list(critic.parameters()))
    x = F.leaky_relu(F.conv2d((seen - 0.5) / 0.5, next(weights), next(weights), stride=2, padding=1), 0.2)
    for index in range(1, layers + 1):
        weight, bias = next(weights), next(weights) if norm == "none" else None
        x = F.conv2d(x, weight, bias, stride=2 if index < layers else 1, padding=1)
        if norm == "instance":
            x = F.instance_norm(x)
        elif norm == "batch":
            x = F.batch_norm(x, None, None, next(weights), next(weights), training=True)
        x = F.leaky_relu(x, 0.2)
    x = F.conv2d(x, next(weights), next(weights), padding=1)
    assert next(weights, None) is None
    return x


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_patch_forward_by_hand(norm: str, layers: int, conditional: bool) -> None:
    config = PatchCriticConfig(norm=norm, layers=layers, conditional=conditional, channels=4)
    critic = scattered(build_critic(config, 32, seed=0))
    x, inputs = shown(config, 32)
    seen = x if inputs is None else torch.cat([inputs, x], 1)  # pix2pix: the input first
    torch.testing.assert_close(critic(x, inputs), patch_by_hand(critic, seen, norm, layers), rtol=1e-4, atol=1e-4)


def norms_of(critic: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (layer for layer in critic.modules() if isinstance(layer, nn.BatchNorm2d))


def test_patch_start_values() -> None:
    critic = build_critic(PatchCriticConfig(norm="batch"), 32, seed=0)
    for layer in critic.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert layer.bias is None or layer.bias.eq(0).all()
    scales = torch.cat([layer.weight for layer in norms_of(critic)])
    assert scales.mean().item() == pytest.approx(1, abs=0.003)
    assert scales.std().item() == pytest.approx(0.02, rel=0.1)
    assert all(layer.bias.eq(0).all() for layer in norms_of(critic))
