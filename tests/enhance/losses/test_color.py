"""enhance.losses.color: the blurs against three oracles, and how the term forgives small shifts."""

import math

import numpy as np
import pytest
import torch
from kornia.filters import filter2d, gaussian_blur2d
from PIL import Image
from scipy.signal import convolve2d
from scipy.stats import norm
from torch import Tensor
from torch.nn import functional as F

from enhance.data import open_data
from enhance.losses import pixel, tv
from enhance.losses.color import BLURS, Blur, ColorLoss, code_taps, paper_taps
from tests.enhance.losses.pictures import images
from tests.places import DPED

PATCHES = DPED / "iphone" / "training_data"


def real_patches(side: str, count: int) -> Tensor:
    if not PATCHES.is_dir():
        pytest.skip(f"no real patches: {PATCHES} is not there")
    patches = [np.asarray(Image.open(PATCHES / side / f"{index}.jpg")) for index in range(count)]
    return torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255


def code_kernel_by_scipy() -> np.ndarray:
    """The kernel as the authors describe it in two dimensions: outer product, element-wise root, normalized."""
    row = np.diff(norm.cdf(np.linspace(-3 - 1 / 6, 3 + 1 / 6, 22)))
    root = np.sqrt(np.outer(row, row))
    return root / root.sum()


def paper_kernel_by_numpy() -> np.ndarray:
    k, m = np.mgrid[-10:11, -10:11]
    return 0.053 * np.exp(-(k**2) / 6 - m**2 / 6)


KERNELS = {"code": code_kernel_by_scipy, "paper": paper_kernel_by_numpy}


def test_measured_widths_of_the_blurs() -> None:
    ticks = np.arange(-10, 11)
    code, paper = np.array(code_taps()), np.array(paper_taps())
    assert math.sqrt((code * ticks**2).sum()) == pytest.approx(4.34, abs=0.005)
    assert code[10] ** 2 == pytest.approx(0.00756, abs=5e-6)
    assert code.sum() == pytest.approx(1, abs=1e-12)
    assert paper.sum() ** 2 == pytest.approx(0.999, abs=5e-4)
    assert math.sqrt((paper * ticks**2).sum() / paper.sum()) == pytest.approx(math.sqrt(3), abs=1e-3)


@pytest.mark.parametrize("blur", BLURS)
@pytest.mark.parametrize("height, width", [(32, 32), (100, 41), (8, 30)])  # also smaller than the kernel
def test_blur_agrees_with_scipy(blur: str, height: int, width: int) -> None:
    x = images(1, height, width)
    full = convolve2d(x[0, 1].double().numpy(), KERNELS[blur](), mode="full")
    expected = torch.from_numpy(full[10:-10, 10:-10])
    torch.testing.assert_close(Blur(BLURS[blur](), "cpu")(x)[0, 1].double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("blur", BLURS)
def test_blur_agrees_with_kornia(blur: str) -> None:
    x = images()
    kernel = torch.from_numpy(KERNELS[blur]()).float()[None]
    torch.testing.assert_close(
        Blur(BLURS[blur](), "cpu")(x), filter2d(x, kernel, border_type="constant"), rtol=0, atol=1e-6
    )


def test_paper_blur_is_a_gaussian_of_variance_3() -> None:
    x = images()
    sigma = math.sqrt(3)
    unit_sum = gaussian_blur2d(x, (21, 21), (sigma, sigma), border_type="constant")
    torch.testing.assert_close(Blur(paper_taps(), "cpu")(x), 0.999 * unit_sum, rtol=0, atol=5e-4)


@pytest.mark.parametrize("blur", BLURS)
def test_color_is_the_mean_of_blurred_differences(blur: str) -> None:
    x, y = images(seed=0), images(seed=1)
    kernel = torch.from_numpy(KERNELS[blur]()).expand(3, 1, 21, 21)
    blurred_x, blurred_y = (F.conv2d(image.double(), kernel, padding=10, groups=3) for image in (x, y))
    expected = (blurred_x - blurred_y).square().mean().item()
    assert ColorLoss(blur)(x, y).item() == pytest.approx(expected, rel=1e-4)


def test_color_of_real_pairs_is_the_authors_sum() -> None:
    phone, canon = real_patches("iphone", 50), real_patches("canon", 50)
    # 306.9 was measured on these 50 pairs with the authors' definition: the sum over all elements, divided by 2N.
    assert ColorLoss("code")(phone, canon).item() * 15_000 == pytest.approx(306.9, abs=0.05)
    assert tv.tv_code(phone).item() == pytest.approx(0.00134, abs=5e-6)
    assert tv.tv_code(canon).item() == pytest.approx(0.00361, abs=5e-6)
    assert pixel.mse(phone, canon).item() == pytest.approx(0.0257, abs=5e-5)


SHIFTS = (2, 3, 4, 5, 20)


@pytest.fixture(scope="module", params=["real", "demo"])
def sharp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """Patches of the good camera: what the paper shifts."""
    if request.param == "real":
        return real_patches("canon", 240)
    targets = open_data("demo", cache=tmp_path_factory.mktemp("cache")).train_target
    return torch.from_numpy(np.ascontiguousarray(targets)).permute(0, 3, 1, 2).float() / 255


def curves(patches: Tensor, taps: list[float]) -> tuple[dict[int, float], dict[int, float]]:
    """The color term with the blur `taps` between patches and themselves moved, and how far MSE is above it."""
    blur, colors, ratios = Blur(taps, "cpu"), {}, {}
    for shift in SHIFTS:
        difference = patches[..., :-shift] - patches[..., shift:]
        colors[shift] = blur(difference).square().mean().item()
        ratios[shift] = difference.square().mean().item() / colors[shift]
    return colors, ratios


def is_nearly_flat(colors: dict[int, float]) -> bool:
    """Up to 2 px less than 1/40 of what it rises to. (MSE: 1/6; a Gaussian of 3 px: 1/37.)"""
    return colors[2] < 0.025 * colors[20]


def is_well_below_mse(ratios: dict[int, float]) -> bool:
    """At least 5 times at 3 to 5 px, and 5 to 10 times at the end of that range, where the differences settle.

    The paper says "5 to 10" of the whole range. At 3 px the code's blur is better than that: 13 times on real patches.
    """
    return all(ratios[shift] >= 5 for shift in (3, 4, 5)) and ratios[5] <= 10


@pytest.mark.slow
def test_color_forgives_small_shifts_as_the_paper_says(sharp: Tensor) -> None:
    """DPED, the figure of the color loss: flat up to 2 px, 5 to 10 times below MSE at 3 to 5 px, comparable beyond."""
    colors, ratios = curves(sharp, code_taps())
    assert is_nearly_flat(colors)
    assert is_well_below_mse(ratios)
    assert ratios[20] < 3
    moved = sharp[..., :-2], sharp[..., 2:]
    assert ColorLoss("code")(*moved).item() == pytest.approx(colors[2], rel=1e-4)  # the curves are the term's own


def gaussian_taps(sigma: float) -> list[float]:
    taps = np.exp(-(np.arange(-10, 11) ** 2) / (2 * sigma**2))
    return list(taps / taps.sum())


TOO_NARROW = {"mse": [1.0], "paper": paper_taps(), "3 px": gaussian_taps(3)}


@pytest.mark.parametrize("taps", TOO_NARROW.values(), ids=TOO_NARROW)
@pytest.mark.slow
def test_too_narrow_a_blur_does_not_forgive(taps: list[float], sharp: Tensor) -> None:
    colors, ratios = curves(sharp, taps)
    assert not is_nearly_flat(colors)
    assert not is_well_below_mse(ratios)


MEASURED = {"code": (13.1, 9.65, 7.54), "paper": (3.34, 2.67, 2.28)}


@pytest.mark.parametrize("blur", BLURS)
def test_measured_distance_of_color_from_mse_on_real_patches(blur: str) -> None:
    """The formula that the paper prints does not do what the paper says; the blur of its code does."""
    _, ratios = curves(real_patches("canon", 240), BLURS[blur]())
    assert [ratios[shift] for shift in (3, 4, 5)] == pytest.approx(MEASURED[blur], rel=5e-3)


def test_color_sees_colors() -> None:
    x = images(height=64, width=64)
    tinted = x + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)
    assert ColorLoss("code")(tinted, x) > 0.7 * pixel.mse(tinted, x)
