"""Looking colors up in three-dimensional tables, by gathering rows.

torch's `grid_sample` would do the same, but its five-dimensional form is missing from several runtimes of exported
networks. A table of V^3 colors is a tensor (V^3, 3), red running fastest: the color at vertices (r, g, b) is in row
r + V g + V^2 b, as in a .cube file. Between vertices the result is linear along each axis ("trilinear", 8 rows a pixel)
or within six tetrahedra that share the gray diagonal ("tetrahedral", 4 rows); outside [0, 1], the outermost cells go
on.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_PX = 1 << 18
"""So many pixels are looked up at a time: the intermediate values of a whole photograph would fill the memory."""


def look_up(kind: str, images: Tensor, tables: Tensor) -> Tensor:
    """(N, 3, H, W) float32 images, each through its own table of (N, V^3, 3): (N, 3, H, W)."""
    number, _, height, width = images.shape
    interpolate = INTERPOLATIONS[kind]
    vertices = round(tables.shape[1] ** (1 / 3))
    # One long table: the rows of picture n begin at n V^3.
    first = torch.arange(number, device=images.device)[:, None] * vertices**3
    rows, pixels = tables.flatten(0, 1), images.permute(0, 2, 3, 1).flatten(1, 2)
    parts = [interpolate(part, rows, first, vertices) for part in pixels.split(CHUNK_PX, dim=1)]
    return torch.cat(parts, dim=1).unflatten(1, (height, width)).permute(0, 3, 1, 2)


def identity_table(vertices: int) -> Tensor:
    """The table (V^3, 3) that returns every color as it is."""
    steps = torch.linspace(0, 1, vertices)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
    return torch.stack((red, green, blue), dim=-1).flatten(0, 2)


def _trilinear(pixels: Tensor, rows: Tensor, first: Tensor, vertices: int) -> Tensor:
    """(N, P, 3) pixels to colors (N, P, 3)."""
    row, (red, green, blue) = _cell(pixels, first, vertices)

    def along(value: Tensor, step: int, inner: Callable[[int], Tensor]) -> Callable[[int], Tensor]:
        return lambda at: torch.lerp(inner(at), inner(at + step), value)

    corner: Callable[[int], Tensor] = lambda at: F.embedding(row + at, rows)  # noqa: E731
    for value, step in ((red, 1), (green, vertices), (blue, vertices**2)):
        corner = along(value[..., None], step, corner)
    return corner(0)


def _tetrahedral(pixels: Tensor, rows: Tensor, first: Tensor, vertices: int) -> Tensor:
    """(N, P, 3) pixels to colors (N, P, 3).

    From the darkest vertex of the cell to the brightest one, along the axis of the largest fraction first.
    """
    row, (red, green, blue) = _cell(pixels, first, vertices)
    largest, smallest = torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)
    middle = red + green + blue - largest - smallest
    over, above, beyond = red >= green, green >= blue, red >= blue
    red_first, red_last = over & beyond, ~(over | beyond)
    green_first, green_last = above & ~over, over & ~above
    blue_first, blue_last = ~(red_first | green_first), ~(red_last | green_last)
    one = red_first + vertices * green_first + vertices**2 * blue_first
    other = red_last + vertices * green_last + vertices**2 * blue_last
    whole = 1 + vertices + vertices**2
    shares = (1 - largest, largest - middle, middle - smallest, smallest)
    corners = (row, row + one, row + whole - other, row + whole)
    parts = [F.embedding(at, rows) * share[..., None] for at, share in zip(corners, shares, strict=True)]
    return parts[0] + parts[1] + parts[2] + parts[3]


INTERPOLATIONS: dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "trilinear": _trilinear,
    "tetrahedral": _tetrahedral,
}


def _cell(pixels: Tensor, first: Tensor, vertices: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The row of the darkest vertex of each pixel's cell, (N, P), and where in the cell it lies, three of (N, P)."""
    places = pixels * (vertices - 1)
    # Clamped as whole numbers: NaN has no place, and must not become a row that does not exist.
    cells = places.detach().floor().long().clamp(0, vertices - 2)
    red, green, blue = cells.unbind(-1)
    return first + red + vertices * green + vertices**2 * blue, (places - cells).unbind(-1)
