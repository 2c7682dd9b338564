"""A photograph in tiles is the photograph in one piece, and what cannot be cut is not."""

import numpy as np
import pytest
import torch

from enhance.nets import Network, apply, build
from enhance.photos import tiles
from enhance.photos.tiles import Reach, enhanced, whole_bytes
from enhance.training.feed import to_images

PIXELS = np.random.default_rng(0).integers(0, 256, (83, 131, 3)).astype(np.uint8)


def local(name: str) -> Network:
    leaves = {
        "srcnn": {"channels": 4, "init": "he"},
        "resnet": {"channels": 4, "blocks": 1, "norm": "none", "init": "he"},
        "strided": {"channels": 4, "blocks": 1, "norm": "batch", "init": "he"},
        "shuffle": {"channels": 4, "blocks": 1},
    }
    return build(name, seed=0, **leaves[name]).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["srcnn", "resnet", "strided", "shuffle"])
def test_tiles_have_no_seams(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE_PX", 32)
    net = local(name)
    reach = Reach.of(net)
    assert reach.px is not None
    with torch.inference_mode():
        whole = apply(net, to_images(PIXELS[None].copy()))[0].clamp(0, 1).permute(1, 2, 0).numpy()
    assert np.abs(enhanced(net, PIXELS, reach) - whole).max() < 1e-5
    assert whole.std() > 0.01, "a constant picture would hide a seam"


def test_the_reach_is_that_of_the_kernels() -> None:
    # 9x9, two 3x3 in a block, two 3x3 and 9x9: 4 + 2 + 2 + 4.
    assert Reach.of(local("resnet")).px == 12


@pytest.mark.parametrize(
    ("name", "leaves"), [("resnet", {"channels": 4, "norm": "instance"}), ("unet", {"channels": 4, "levels": 8})]
)
@pytest.mark.slow
def test_what_sees_the_whole_picture_is_not_cut(name: str, leaves: dict[str, object]) -> None:
    net = build(name, seed=0, **leaves).eval()  # type: ignore[arg-type]
    assert Reach.of(net).px is None


@pytest.mark.parametrize("name", ["lut3d", "bilateral", "quarter", "nafnet", "rsgunet"])
def test_families_that_see_the_photo_are_never_cut(name: str) -> None:
    assert Reach.of(build(name, seed=0).eval()).px is None


def test_the_memory_of_a_whole_picture_follows_from_its_largest_layer() -> None:
    net = local("resnet")
    # Four channels in and out, float32, three times, for every pixel.
    assert whole_bytes(net, 1000, 1000) == 3 * 8 * 4 * 1_000_000


def test_a_thumbnail_takes_the_same_memory_in_every_picture() -> None:
    net = build("lut3d", seed=0, channels=2, vertices=9).eval()
    # The picture itself, in and out, is what grows.
    assert whole_bytes(net, 4000, 3000) == pytest.approx(3 * 6 * 4 * 12_000_000, rel=0.01)
