"""Lookups in 3D tables against other libraries and plain loops."""

import itertools

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor

from enhance.nets.fast import lookup
from enhance.nets.fast.lookup import INTERPOLATIONS, identity_table, look_up

VERTICES = 5
every_kind = pytest.mark.parametrize("kind", INTERPOLATIONS)


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def test_trilinear_is_scipys() -> None:
    images, tables = random(2, 3, 7, 9), random(2, VERTICES**3, 3)
    found, steps = look_up("trilinear", images, tables), np.linspace(0, 1, VERTICES)
    for image, table, output in zip(images, tables, found, strict=True):
        cube = table.reshape(VERTICES, VERTICES, VERTICES, 3).numpy()  # blue, green, red
        expected = RegularGridInterpolator((steps,) * 3, cube)(image.flip(0).permute(1, 2, 0).numpy())
        np.testing.assert_allclose(output.permute(1, 2, 0).numpy(), expected, atol=1e-12)


@pytest.mark.slow
def test_tetrahedral_walks_from_the_darkest_vertex_to_the_brightest() -> None:
    image, table = random(1, 3, 3, 4), random(1, VERTICES**3, 3)
    cube = table[0].reshape(VERTICES, VERTICES, VERTICES, 3)
    found = look_up("tetrahedral", image, table)
    for y, x in itertools.product(range(3), range(4)):
        place = image[0, :, y, x] * (VERTICES - 1)
        at, share = place.long(), place - place.long()
        color = cube[at[2], at[1], at[0]].clone()
        for axis in share.argsort(descending=True):  # along the axis of the largest share first
            before = cube[at[2], at[1], at[0]]
            at[axis] += 1
            color += share[axis] * (cube[at[2], at[1], at[0]] - before)
        torch.testing.assert_close(found[0, :, y, x], color)


@every_kind
def test_vertices_and_linear_tables_are_exact(kind: str) -> None:
    table = random(1, VERTICES**3, 3)
    vertices = identity_table(VERTICES).double()
    torch.testing.assert_close(look_up(kind, vertices.T[None, :, :, None], table)[0, :, :, 0].T, table[0])
    mixer, images = random(3, 3), 3 * random(1, 3, 8, 8) - 1  # beyond 0 and 1 the outermost cells go on
    linear = vertices @ mixer.T
    expected = torch.einsum("ij,njhw->nihw", mixer, images)
    torch.testing.assert_close(look_up(kind, images, linear[None]), expected)


@every_kind
def test_colors_without_a_place_stay_without(kind: str) -> None:
    images = torch.full((1, 3, 2, 2), 0.5)
    images[0, 1, 0, 0], images[0, 0, 1, 1], images[0, 2, 0, 1] = float("nan"), float("inf"), -float("inf")
    found = look_up(kind, images, identity_table(VERTICES)[None])
    assert not found[0, :, 0, 0].isfinite().all()
    assert not found[0, :, 1, 1].isfinite().all()
    torch.testing.assert_close(found[0, :, 1, 0], torch.full((3,), 0.5))


@every_kind
def test_pieces_of_a_photo_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, tables = random(2, 3, 7, 9), random(2, VERTICES**3, 3)
    whole = look_up(kind, images, tables)
    monkeypatch.setattr(lookup, "CHUNK_PX", 10)
    assert torch.equal(look_up(kind, images, tables), whole)


@every_kind
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    images, tables = random(2, 3, 1, 2).requires_grad_(), random(2, 2**3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, t: look_up(kind, x, t), (images, tables))
