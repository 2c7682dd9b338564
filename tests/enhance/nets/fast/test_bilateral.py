"""The bilateral grid against plain loops, and HDRNet's sizes and guide."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from enhance.nets import build
from enhance.nets.fast import bilateral
from enhance.nets.fast.bilateral import Bilateral, Guide, slice_grid
from tests.enhance.nets.small import count, noise


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(4))


def neighbors(place: float, cells: int) -> list[tuple[int, float]]:
    """Cells of which a place lies between the centers, with their shares; beyond the ends, the last cell counts."""
    low = int((place - 0.5) // 1)
    return [(min(max(cell, 0), cells - 1), 1 - abs(place - 0.5 - cell)) for cell in (low, low + 1)]


def test_slicing_is_trilinear_between_the_centers_of_cells() -> None:
    depth, rows, columns, height, width = 3, 4, 2, 9, 5  # all different: no two axes can be swapped
    grid, guide = random(2, 4, 3, depth, rows, columns), random(2, height, width)
    guide[0, 0, 0], guide[1, 8, 4] = 0, 1
    expected = torch.zeros(2, height, width, 3, 4)
    for n, y, x in itertools.product(range(2), range(height), range(width)):
        at = (
            neighbors(float(guide[n, y, x]) * depth, depth),
            neighbors((y + 0.5) * rows / height, rows),
            neighbors((x + 0.5) * columns / width, columns),
        )
        for (z, one), (row, other), (column, third) in itertools.product(*at):
            expected[n, y, x] += one * other * third * grid[n, :, :, z, row, column].T
    torch.testing.assert_close(slice_grid(grid, guide, 0, height), expected)
    torch.testing.assert_close(slice_grid(grid, guide[:, 3:7], 3, height), expected[:, 3:7])


def test_slicing_is_torchs_grid_sample() -> None:
    grid, guide = random(1, 4, 3, 8, 16, 16), random(1, 30, 50)
    y, x = ((torch.arange(px) * 2 + 1) / px - 1 for px in (30, 50))
    places = torch.stack((x.expand(30, 50), y[:, None].expand(30, 50), 2 * guide[0] - 1), dim=-1)[None, None]
    sampled = F.grid_sample(grid.flatten(1, 2), places, align_corners=False, padding_mode="border")
    found = slice_grid(grid, guide, 0, 30)
    torch.testing.assert_close(
        found, sampled[:, :, 0].unflatten(1, (4, 3)).permute(0, 3, 4, 2, 1), rtol=1e-4, atol=1e-5
    )


def test_the_guide_is_a_mean_of_curves() -> None:
    guide, x = Guide(16), noise(2, 6, 7)
    torch.testing.assert_close(guide(x), x.mean(1))  # before training
    with torch.no_grad():
        for parameter in guide.parameters():
            parameter.normal_(0.1, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    mixed = torch.einsum("oi,nihw->nohw", guide.matrix, x) + guide.shift[:, None, None]
    above = F.relu(mixed[:, :, None] - guide.knots[..., None, None])
    curves = (guide.slopes[..., None, None] * above).sum(2)
    expected = ((guide.mix[:, None, None] * curves).sum(1) + guide.bias).clamp(0, 1)
    assert 0 < expected.mean() < 1
    torch.testing.assert_close(guide(x), expected)


def test_counts_are_those_of_hdrnet() -> None:
    splat = sum(9 * a * b + b for a, b in ((3, 8), (8, 16), (16, 32), (32, 64)))
    local, down = 2 * 9 * 64 * 64 + 64, 2 * (9 * 64 * 64 + 64)
    linear = (1024 * 256 + 256) + (256 * 128 + 128) + (128 * 64 + 64)
    last, guide = 64 * 96 + 96, 9 + 3 + 2 * 3 * 16 + 3 + 1
    assert count(build("bilateral", seed=0)) == splat + local + down + linear + last + guide == 482_080


def test_it_starts_near_the_identity_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(2, 21, 16)
    net = build("bilateral", seed=1, channels=2).eval()
    assert isinstance(net, Bilateral)
    whole = net(x)
    assert 0 < (whole - x).square().mean().sqrt() < 0.05
    monkeypatch.setattr(bilateral, "CHUNK_PX", 40)
    torch.testing.assert_close(net(x), whole)
    nn.init.zeros_(net.last.weight)
    nn.init.zeros_(net.last.bias)
    with torch.no_grad():
        net.last.bias.view(4, 3, 8)[[0, 1, 2], [0, 1, 2]] = 2.0  # twice the color, whatever the guide
        net.last.bias.view(4, 3, 8)[3, 1] = 0.25  # and a little green
    torch.testing.assert_close(net(x), 2 * x + torch.tensor([0, 0.25, 0]).view(3, 1, 1), rtol=1e-5, atol=1e-5)
