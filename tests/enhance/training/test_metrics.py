"""enhance.training.metrics against independent oracles, its edge rules, and its invariants."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from enhance.training import metrics
from tests.places import DPED

torch.set_num_threads(1)

PATCHES = DPED / "iphone" / "test_data" / "patches"
PER_IMAGE = [metrics.psnr_db, metrics.ssim, metrics.ms_ssim, metrics.uqi]
STRUCTURAL = [metrics.ssim, metrics.ms_ssim, metrics.uqi]


def synthetic_pairs(height: int = 100, width: int = 100, count: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth pictures with edges and fine noise, and a darker, noisier, slightly blurred version of each."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(count, 3, height, width)), (0, 0, 6, 6)) * 5
    edges = gaussian_filter(rng.normal(size=(count, 1, height, width)), (0, 0, 8, 8)) > 0
    target = np.clip(0.45 + smooth * 0.5 + 0.2 * edges + 0.01 * rng.normal(size=smooth.shape), 0, 1)
    output = gaussian_filter(target, (0, 0, 0.8, 0.8)) ** 1.2 + 0.03 * rng.normal(size=target.shape)
    return torch.from_numpy(output).float(), torch.from_numpy(target).float()


def real_pairs(count: int = 8) -> tuple[Tensor, Tensor]:
    if not PATCHES.is_dir():
        pytest.skip(f"no real patches: {PATCHES} is not there")
    names = sorted((path.name for path in (PATCHES / "canon").glob("*.jpg")), key=lambda name: int(name[:-4]))[:count]
    phone, canon = ([np.asarray(Image.open(PATCHES / side / name)) for name in names] for side in ("iphone", "canon"))
    return tuple(torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) / 255 for side in (phone, canon))


@pytest.fixture(params=["synthetic", "real"])
def pairs(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    return synthetic_pairs() if request.param == "synthetic" else real_pairs()


def clipped(images: Tensor) -> np.ndarray:
    return images.double().clamp(0, 1).numpy()


def per_pair(oracle: Callable[[np.ndarray, np.ndarray], float], output: Tensor, target: Tensor) -> Tensor:
    values = [oracle(x, y) for x, y in zip(clipped(output), clipped(target), strict=True)]
    return torch.tensor(values, dtype=torch.float64)


# --- oracles -----------------------------------------------------------------------------------------------------


def test_psnr_agrees_with_skimage(pairs: tuple[Tensor, Tensor]) -> None:
    expected = per_pair(lambda x, y: peak_signal_noise_ratio(y, x, data_range=1), *pairs)
    torch.testing.assert_close(metrics.psnr_db(*pairs), expected, rtol=0, atol=1e-9)


def test_ssim_agrees_with_skimage(pairs: tuple[Tensor, Tensor]) -> None:
    def oracle(x: np.ndarray, y: np.ndarray) -> float:
        return structural_similarity(
            x, y, data_range=1, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )

    torch.testing.assert_close(metrics.ssim(*pairs), per_pair(oracle, *pairs), rtol=0, atol=1e-9)


def ms_ssim_by_scipy(x: np.ndarray, y: np.ndarray) -> float:
    """The recipe of the tables for one image (C, H, W) in 0..255: 2-D windows, explicit padding of odd sizes."""
    x, y = x * 255, y * 255
    contrasts, similarity = [], math.nan
    for _ in range(5):
        size = min(11, *x.shape[1:])
        ticks = np.arange(size) - (size - 1) / 2
        window = np.exp(-(ticks[:, None] ** 2 + ticks[None] ** 2) / (2 * (1.5 * size / 11) ** 2))
        window /= window.sum()
        mean_x, mean_y, xx, yy, xy = (
            np.stack([convolve2d(channel, window, mode="valid") for channel in image])
            for image in (x, y, x * x, y * y, x * y)
        )
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        contrast = (2 * (xy - mean_x * mean_y) + c2) / (xx - mean_x**2 + yy - mean_y**2 + c2)
        similarity = (contrast * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)).mean()
        contrasts.append(contrast.mean())
        x, y = halved(x), halved(y)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    return float(np.prod(np.array(contrasts[:4]) ** weights[:4]) * similarity ** weights[4])


def halved(image: np.ndarray) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (0, 1), (0, 1)), mode="edge")
    means = (padded[:, :-1, :-1] + padded[:, 1:, :-1] + padded[:, :-1, 1:] + padded[:, 1:, 1:]) / 4
    return means[:, ::2, ::2]


@pytest.mark.slow
def test_ms_ssim_agrees_with_scipy(pairs: tuple[Tensor, Tensor]) -> None:
    expected = per_pair(ms_ssim_by_scipy, *pairs)
    torch.testing.assert_close(metrics.ms_ssim(*pairs), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("height, width", [(37, 64), (16, 16), (11, 90), (180, 75)])
def test_ms_ssim_agrees_with_scipy_at_odd_and_small_sizes(height: int, width: int) -> None:
    output, target = synthetic_pairs(height, width)
    expected = per_pair(ms_ssim_by_scipy, output, target)
    torch.testing.assert_close(metrics.ms_ssim(output, target), expected, rtol=0, atol=1e-9)


def test_ms_ssim_is_near_torchmetrics(pairs: tuple[Tensor, Tensor]) -> None:
    # With kernel_size=5 torchmetrics accepts 100 px; its window still has 11 taps, but it reflects at the borders.
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as oracle

    output, target = (side.clamp(0, 1) for side in pairs)
    expected = oracle(output, target, data_range=1.0, kernel_size=5, sigma=1.5, reduction="none", normalize="relu")
    assert metrics.ms_ssim(output, target).mean().item() == pytest.approx(expected.mean().item(), abs=2e-3)


def uqi_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    values = []
    for channel_x, channel_y in zip(x, y, strict=True):
        for row in range(x.shape[1] - 7):
            for column in range(x.shape[2] - 7):
                a, b = (c[row : row + 8, column : column + 8].ravel() for c in (channel_x, channel_y))
                covariance, means = np.cov(a, b), a.mean() ** 2 + b.mean() ** 2
                agreement = 2 * a.mean() * b.mean() / means if means else 1.0
                variances = covariance[0, 0] + covariance[1, 1]
                values.append(agreement * 2 * covariance[0, 1] / variances if variances > 1e-12 else agreement)
    return float(np.mean(values))


def test_uqi_agrees_with_naive_loops() -> None:
    output, target = synthetic_pairs(21, 18, count=2)
    output[0, :, :9], target[0, :, :9] = 0.3, 0.7  # windows where both are flat
    output[1, :, :9], target[1, :, :9] = 0.0, 0.0  # windows where both are black
    target[1, :, 9:, :9] = 0.25  # windows where one is flat
    expected = per_pair(uqi_by_loops, output, target)
    torch.testing.assert_close(metrics.uqi(output, target), expected, rtol=0, atol=1e-9)


# --- rules -------------------------------------------------------------------------------------------------------


def test_evaluate_equals_the_single_functions(pairs: tuple[Tensor, Tensor]) -> None:
    values = metrics.evaluate(*pairs)
    assert list(values) == ["psnr_db", "ssim", "ms_ssim", "uqi"]
    for name, value in values.items():
        assert torch.equal(value, getattr(metrics, name)(*pairs)), name
        assert value.shape == (len(pairs[0]),)
        assert value.dtype == torch.float64


def test_an_image_does_not_depend_on_its_batch() -> None:
    output, target = synthetic_pairs()
    for name, value in metrics.evaluate(output, target).items():
        alone = [getattr(metrics, name)(output[i : i + 1], target[i : i + 1]) for i in range(len(output))]
        assert torch.equal(value, torch.cat(alone)), name


def test_identical_images_are_perfect() -> None:
    image = synthetic_pairs()[1]
    image[1] = 0.3  # flat patches exist in the real data
    image[2] = 0.0
    assert pytest.approx(58.92, abs=0.005) == metrics.PSNR_CEILING_DB
    assert metrics.psnr_db(image, image).eq(metrics.PSNR_CEILING_DB).all()
    assert metrics.psnr_db(image, image, ceiling_db=math.inf).eq(math.inf).all()
    assert metrics.uqi(image, image).eq(1).all()
    for metric in (metrics.ssim, metrics.ms_ssim):
        torch.testing.assert_close(metric(image, image), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_ceiling_is_eight_bit_rounding_noise() -> None:
    image = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rounded = (image * 255).round() / 255
    assert metrics.psnr_db(rounded, image, ceiling_db=math.inf).item() == pytest.approx(
        metrics.PSNR_CEILING_DB, abs=0.1
    )
    barely_different = (image + 1e-4).clamp(0, 1)
    assert metrics.psnr_db(barely_different, image).item() == metrics.PSNR_CEILING_DB
    assert metrics.psnr_db(barely_different, image, ceiling_db=math.inf).item() > 79


def test_two_flat_images_differ_only_by_their_means() -> None:
    a, b = torch.full((1, 3, 32, 32), 0.3), torch.full((1, 3, 32, 32), 0.6)
    assert metrics.uqi(a, b).item() == pytest.approx(2 * 0.3 * 0.6 / (0.09 + 0.36), rel=1e-6)
    assert metrics.ssim(a, b).item() == pytest.approx((0.36 + 1e-4) / (0.45 + 1e-4), rel=1e-6)


def test_inverted_images_are_finite_and_bad() -> None:
    image = synthetic_pairs()[1]
    assert metrics.ms_ssim(1 - image, image).eq(0).all()  # negative contrast counts as 0
    assert metrics.ssim(1 - image, image).lt(0).all()
    assert metrics.uqi(1 - image, image).lt(0).all()


@pytest.mark.parametrize("metric", PER_IMAGE)
@pytest.mark.parametrize("side", [0, 1])
def test_nan_is_never_hidden_and_never_spreads(metric: Callable[[Tensor, Tensor], Tensor], side: int) -> None:
    pair = synthetic_pairs(count=3)
    pair[side][1, 2, 50, 50] = math.nan
    assert metric(*pair).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("metric", PER_IMAGE)
def test_images_are_clipped_and_left_untouched(metric: Callable[[Tensor, Tensor], Tensor]) -> None:
    output, target = synthetic_pairs()
    wild = torch.where(output > 0.8, output + 5, torch.where(output < 0.2, output - 5, output))
    before = wild.clone()
    assert torch.equal(metric(wild, target), metric(wild.clamp(0, 1), target))
    assert torch.equal(wild, before)
    assert not metric(wild.requires_grad_(), target).requires_grad


def test_autocast_and_channels_last_change_nothing() -> None:
    output, target = synthetic_pairs()
    plain = metrics.evaluate(output, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = metrics.evaluate(output, target)
    last = metrics.evaluate(output.to(memory_format=torch.channels_last), target)
    for name in plain:
        assert torch.equal(plain[name], cast[name]), name
        torch.testing.assert_close(plain[name], last[name], rtol=1e-12, atol=0)


def test_bad_shapes_are_refused_with_the_rule_and_the_value() -> None:
    image = torch.rand(2, 3, 10, 40)
    with pytest.raises(ValueError, match=r"H and W must be at least 11 px .* \(2, 3, 10, 40\)"):
        metrics.ssim(image, image)
    with pytest.raises(ValueError, match=r"H and W must be at least 8 px .* \(2, 3, 7, 40\)"):
        metrics.uqi(image[:, :, :7], image[:, :, :7])
    with pytest.raises(ValueError, match=r"same shape \(N, C, H, W\), not \(2, 3, 10, 40\) and \(1, 3, 10, 40\)"):
        metrics.psnr_db(image, image[:1])
    with pytest.raises(ValueError, match=r"\(3, 10, 40\)"):
        metrics.psnr_db(image[0], image[0])
    with pytest.raises(ValueError, match=r"float with range \[0, 1\], not torch.uint8"):
        metrics.psnr_db((image * 255).byte(), (image * 255).byte())


# --- properties --------------------------------------------------------------------------------------------------


@st.composite
def image_pairs(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Small pairs from pure noise to flat, related or not, at 8 bits or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (2, draw(st.integers(1, 3)), draw(st.integers(11, 30)), draw(st.integers(11, 30)))
    x, y = rng.uniform(size=shape), rng.uniform(size=shape)
    x = draw(st.floats(0, 1)) + draw(st.sampled_from([0.0, 1e-7, 0.1, 1.0])) * (x - 0.5)
    y = x + draw(st.sampled_from([0.0, 1e-3, 0.3])) * (y - 0.5) if draw(st.booleans()) else y
    if draw(st.booleans()):
        x, y = np.round(x * 255) / 255, np.round(y * 255) / 255
    return torch.from_numpy(x), torch.from_numpy(y)


@settings(max_examples=60, derandomize=True)
@given(image_pairs())
@pytest.mark.slow
def test_bounds_symmetry_and_self_identity(pair: tuple[Tensor, Tensor]) -> None:
    x, y = pair
    for metric in PER_IMAGE:
        assert torch.equal(metric(x, y), metric(y, x)), metric.__name__
    for metric in STRUCTURAL:
        assert metric(x, y).abs().le(1 + 1e-9).all(), metric.__name__
        assert metric(x, x).sub(1).abs().le(1e-9).all(), metric.__name__
    assert metrics.uqi(x, x).eq(1).all()
    assert metrics.ms_ssim(x, y).ge(0).all()
    assert metrics.psnr_db(x, y).le(metrics.PSNR_CEILING_DB).all()
    assert metrics.psnr_db(x, y).ge(0).all()


def test_the_product_of_the_levels_has_the_bits_that_it_always_had() -> None:
    """Reported values are compared bit by bit; powers by single numbers differed in the last ones."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor(metrics._LEVEL_WEIGHTS, dtype=torch.float64)
    for count in (1, 2, 7, 20):
        terms = [torch.rand(count, dtype=torch.float64, generator=generator) - 0.02 for _ in weights]
        before = torch.stack(terms, dim=-1).relu().pow(weights).prod(-1)
        assert torch.equal(metrics.product([(term, term) for term in terms]), before)
