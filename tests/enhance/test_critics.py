"""enhance.critics: the architecture, its padding, its seed, and the sizes it takes."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.critics import DPEDCritic, grey, same_padding, same_size
from enhance.losses import critic_loss

torch.set_num_threads(1)


def images(size_px: int, number: int = 2) -> Tensor:
    return torch.rand(number, 3, size_px, size_px, generator=torch.Generator().manual_seed(7))


def scattered(critic: DPEDCritic, std: float = 0.1) -> DPEDCritic:
    """The critic with every parameter away from its start, where scales are 1 and shifts 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.normal_(0, std, generator=generator)
    return critic


def test_parameters_of_the_authors_network() -> None:
    critic = DPEDCritic(100, seed=0)
    convs = 48 * (121 + 1) + 128 * (25 * 48 + 1) + 192 * (9 * 128 + 1) + 192 * (9 * 192 + 1) + 128 * (9 * 192 + 1)
    norms = 2 * (128 + 192 + 192 + 128)
    heads = (128 * 7 * 7 + 1) * 1024 + (1024 + 1) * 2
    assert sum(parameter.numel() for parameter in critic.parameters()) == convs + norms + heads == 7_361_122


def test_map_sizes_at_100_px() -> None:
    sizes: list[int] = []
    critic = DPEDCritic(100, seed=0)
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


def critic_by_hand(critic: DPEDCritic, x: Tensor) -> Tensor:
    """The critic written out from its description, taking its parameters in the order in which they are used."""
    weights = iter(list(critic.parameters()))
    x = (x * torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    for kernel, stride, normalised in ((11, 4, 0), (5, 2, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1)):
        size = x.shape[-1]
        total = max(kernel - stride if size % stride == 0 else kernel - size % stride, 0)
        border = (total // 2, total - total // 2)
        x = F.leaky_relu(F.conv2d(F.pad(x, border * 2), next(weights), next(weights), stride=stride), 0.2)
        if normalised:
            centred = x - x.mean((2, 3), keepdim=True)
            scale, shift = (next(weights).view(1, -1, 1, 1) for _ in range(2))
            x = scale * centred / (centred.square().mean((2, 3), keepdim=True) + 1e-3).sqrt() + shift
    x = F.leaky_relu(x.flatten(1) @ next(weights).T + next(weights), 0.2)
    x = x @ next(weights).T + next(weights)
    assert next(weights, None) is None
    return x


@pytest.mark.parametrize("size_px", [17, 32, 50, 100])
def test_forward_by_hand(size_px: int) -> None:
    critic, x = scattered(DPEDCritic(size_px, seed=0)), images(size_px)
    torch.testing.assert_close(critic(x), critic_by_hand(critic, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size_px", [17, 31, 32, 33, 48, 64, 101])
def test_every_size_trains(size_px: int) -> None:
    critic = DPEDCritic(size_px, seed=0)
    logits = critic(images(size_px))
    assert logits.shape == (2, 2)
    critic_loss(logits, torch.tensor([True, False])).backward()
    for name, parameter in critic.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim == 1 or parameter.grad.ne(0).any(), name


def test_the_smallest_size_is_where_the_last_map_has_more_than_one_pixel() -> None:
    def last_map_px(size_px: int) -> int:
        for stride in (4, 2, 1, 1, 2):
            size_px = same_size(size_px, stride)
        return size_px

    assert last_map_px(DPEDCritic.MINIMUM_PX) == 2
    assert last_map_px(DPEDCritic.MINIMUM_PX - 1) == 1
    with pytest.raises(ValueError, match=r"size_px=16 must be >= 17: .* single pixel"):
        DPEDCritic(16, seed=0)


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 3, 32, 32\), not \(2, 3, 33, 33\)"):
        DPEDCritic(32, seed=0)(images(33))


def test_the_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = DPEDCritic(32, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = DPEDCritic(32, seed=5).state_dict(), DPEDCritic(32, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if first[name].ndim > 1)


def test_start_values() -> None:
    for layer in DPEDCritic(100, seed=0).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight.abs().max() <= 0.02
            assert layer.bias.eq(0.01).all()
            if layer.weight.numel() > 10_000:
                assert layer.weight.std().item() == pytest.approx(0.0088, rel=0.02)


def test_the_critic_sees_no_colour() -> None:
    critic, x = scattered(DPEDCritic(32, seed=0)), images(32)
    same_grey = x.clone()
    same_grey[:, 0] += 0.1 / 0.2989
    same_grey[:, 2] -= 0.1 / 0.114
    torch.testing.assert_close(grey(same_grey), grey(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(critic(same_grey), critic(x), rtol=1e-3, atol=1e-3)
    assert grey(torch.ones(1, 3, 2, 2)).sub(0.9999).abs().le(1e-6).all()


def test_bf16_autocast_gives_float32_logits_near_the_exact_ones() -> None:
    critic, x = scattered(DPEDCritic(32, seed=0)), images(32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = critic(x)
    assert logits.dtype == torch.float32
    assert (logits - critic(x)).abs().max() < 0.05 * critic(x).abs().max()
