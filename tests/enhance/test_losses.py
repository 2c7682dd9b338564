"""enhance.losses: each term against an oracle or a hand calculation, gradients, and what a zero weight costs."""

import math
import re
import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.filters import filter2d, gaussian_blur2d
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from scipy.stats import norm
from torch import Tensor, nn
from torch.nn import functional as F

from enhance import losses
from enhance.config import LossConfig, laws
from enhance.critics import FAKE, REAL, DPEDCritic
from enhance.losses import Losses, WeightsUnavailable, content, critic_loss, pixel, texture, tv
from enhance.losses.color import BLURS, Blur, ColorLoss, code_taps, paper_taps
from enhance.losses.content import LAYERS, ContentLoss, vgg19_features

torch.set_num_threads(1)

DPED = Path(__file__).resolve().parents[3] / "shared/data/dped/iphone/training_data"


def images(number: int = 2, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(number, 3, height, width)), (0, 0, 3, 3)) * 3
    return torch.from_numpy(np.clip(0.5 + smooth, 0, 1)).float()


def real_patches(side: str, count: int) -> Tensor:
    if not DPED.is_dir():
        pytest.skip(f"no real patches: {DPED} is not there")
    patches = [np.asarray(Image.open(DPED / side / f"{index}.jpg")) for index in range(count)]
    return torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255


# --- pixel and tv ------------------------------------------------------------------------------------------------


def test_pixel_norms() -> None:
    x, y = images(seed=0), images(seed=1)
    difference = (x - y).double().numpy()
    assert pixel.l1(x, y).item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert pixel.mse(x, y).item() == pytest.approx((difference**2).mean(), rel=1e-5)


def test_tv_code_by_hand() -> None:
    x = images(height=20, width=31)
    picture = x.double().numpy()
    dx, dy = np.diff(picture, axis=3), np.diff(picture, axis=2)
    assert tv.tv_code(x).item() == pytest.approx((dx**2).mean() + (dy**2).mean(), rel=1e-5)


def test_tv_paper_by_loops() -> None:
    x = images(height=5, width=7)
    norms = []
    for picture in x.double().numpy():
        total = 0.0
        for channel in picture:
            for row in range(4):
                for column in range(6):
                    here = channel[row, column]
                    total += (channel[row, column + 1] - here + channel[row + 1, column] - here) ** 2
        norms.append(math.sqrt(total) / (3 * 5 * 7))
    assert tv.tv_paper(x).item() == pytest.approx(np.mean(norms), rel=1e-5)


@pytest.mark.parametrize("form", ["code", "paper"])
def test_tv_of_a_flat_image_is_zero_and_has_a_finite_gradient(form: str) -> None:
    flat = torch.full((2, 3, 8, 8), 0.3, requires_grad=True)
    loss = tv.FORMS[form](flat)
    loss.backward()
    assert loss.item() == 0
    assert flat.grad.isfinite().all()


# --- color -------------------------------------------------------------------------------------------------------


def code_kernel_by_scipy() -> np.ndarray:
    """The kernel as the authors describe it in two dimensions: outer product, element-wise root, normalised."""
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


def test_color_forgives_small_shifts_as_the_paper_says() -> None:
    """DPED, the figure of the color loss: flat up to 2 px, 5 to 10 times below MSE at 3 to 5 px, comparable beyond."""
    canon, color = real_patches("canon", 240), ColorLoss("code")
    moved = {shift: (canon[..., :-shift], canon[..., shift:]) for shift in (1, 2, 3, 4, 5, 20)}
    colors = {shift: color(*pair).item() for shift, pair in moved.items()}
    ratios = {shift: pixel.mse(*pair).item() / colors[shift] for shift, pair in moved.items()}
    assert colors[1] < 0.01 * colors[20]
    assert colors[2] < 0.04 * colors[20]
    assert all(5 < ratios[shift] < 14 for shift in (3, 4, 5))
    assert sum(ratios[shift] for shift in (3, 4, 5)) / 3 == pytest.approx(10, abs=1)
    assert ratios[20] < 3


def test_color_sees_colors() -> None:
    x = images(height=64, width=64)
    tinted = x + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)
    assert ColorLoss("code")(tinted, x) > 0.7 * pixel.mse(tinted, x)


# --- texture -----------------------------------------------------------------------------------------------------


def test_texture_values() -> None:
    logits = torch.tensor([[0.3, -1.2], [2.0, 1.0], [-0.5, 0.5]], dtype=torch.float64)
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    assert texture.texture_code(logits).item() == pytest.approx(np.log(p[:, FAKE]).mean(), rel=1e-6)
    assert texture.texture_paper(logits).item() == pytest.approx(-np.log(p[:, REAL]).mean(), rel=1e-6)
    sure = torch.zeros(1, 2)
    sure[0, REAL] = 100.0
    assert texture.texture_code(sure).item() == pytest.approx(math.log(1e-10), rel=1e-6)


@pytest.mark.parametrize("form", texture.FORMS)
def test_a_generator_step_raises_the_probability_of_real(form: str) -> None:
    logits = torch.tensor([[0.0, 0.0], [-3.0, 3.0], [3.0, -3.0]], requires_grad=True)
    texture.FORMS[form](logits).backward()
    after = logits - logits.grad
    assert after.softmax(1)[:, REAL].gt(logits.softmax(1)[:, REAL]).all()


def test_only_the_paper_form_still_pushes_where_the_critic_is_sure() -> None:
    pushes = {}
    for form in texture.FORMS:
        logits = torch.zeros(1, 2)
        logits[0, FAKE] = 40.0
        logits.requires_grad_()
        texture.FORMS[form](logits).backward()
        pushes[form] = logits.grad.abs().max().item()
    assert pushes["paper"] == pytest.approx(1)
    assert pushes["code"] < 1e-10  # it saturates: that is the form


@pytest.mark.parametrize("form", ["code", "paper"])
def test_texture_reaches_the_generator_through_the_critic(form: str) -> None:
    critic = DPEDCritic(32, seed=0)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(4)  # the start is so small that a step would be lost in rounding
    enhanced = images().requires_grad_()
    term = Losses(LossConfig(texture=1.0, texture_form=form), "cpu")
    term.total(term(enhanced, images(seed=1), critic(enhanced))).backward()
    assert enhanced.grad.ne(0).any()
    direction = enhanced.grad / enhanced.grad.abs().max()
    before, after = (critic(image).softmax(1)[:, REAL] for image in (enhanced, enhanced - 0.05 * direction))
    assert after.mean() > before.mean()


def test_critic_loss_is_cross_entropy_and_teaches_the_critic() -> None:
    logits = torch.zeros(4, 2, requires_grad=True)
    loss = critic_loss(logits, torch.tensor([True, True, False, False]))
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    after = (logits - logits.grad).softmax(1)
    assert after[:2, REAL].gt(0.5).all()
    assert after[2:, FAKE].gt(0.5).all()


def test_critic_loss_still_teaches_when_wrong_beyond_doubt() -> None:
    logits = torch.zeros(1, 2)
    logits[0, FAKE] = 100.0
    logits.requires_grad_()
    critic_loss(logits, torch.tensor([True])).backward()
    assert logits.grad[0, REAL] < 0 < logits.grad[0, FAKE]


# --- content -----------------------------------------------------------------------------------------------------


def torchvision_features(seed: int) -> nn.Sequential:
    from torchvision.models import vgg19

    torch.manual_seed(seed)
    return vgg19(weights=None, init_weights=False).features.eval()


@pytest.fixture(scope="module")
def reference() -> nn.Sequential:
    return torchvision_features(0)


@pytest.fixture(scope="module")
def weights_file(reference: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({f"features.{name}": value for name, value in reference.state_dict().items()}, path)
    return str(path)


def test_layers_are_the_choices_of_the_configuration() -> None:
    assert set(LAYERS) == set(laws()["loss.content_layer"].choices)


@pytest.mark.parametrize("layer", LAYERS)
def test_content_agrees_with_torchvision(layer: str, reference: nn.Sequential, weights_file: str) -> None:
    cut = {"relu1_2": 4, "relu2_2": 9, "relu3_4": 18, "relu4_4": 27, "relu5_4": 36}[layer]
    x, y = images(seed=0), images(seed=1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        seen_x, seen_y = (reference[:cut]((image - mean) / std) for image in (x.clone(), y.clone()))
    expected = (seen_x - seen_y).square().mean()
    torch.testing.assert_close(ContentLoss(layer, weights_file)(x, y), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("layer, convs", [("relu1_2", 2), ("relu2_2", 4), ("relu3_4", 8), ("relu5_4", 16)])
def test_only_the_needed_layers_are_built(layer: str, convs: int) -> None:
    net = vgg19_features(layer, "random", "cpu", False)
    assert sum(isinstance(module, nn.Conv2d) for module in net) == convs
    assert len(net) == LAYERS[layer] + 1
    assert isinstance(net[-1], nn.ReLU)


def test_content_is_frozen_and_teaches_the_output_alone() -> None:
    output, target = images(seed=0).requires_grad_(), images(seed=1).requires_grad_()
    before = output.detach().clone()
    ContentLoss("relu3_4", "random")(output, target).backward()
    assert output.grad.ne(0).any()
    assert target.grad is None
    assert torch.equal(output.detach(), before)  # VGG works in place, but not on our images
    net = vgg19_features("relu3_4", "random", "cpu", False)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_random_weights_are_the_same_in_every_trial() -> None:
    x, y = images(seed=0), images(seed=1)
    values = []
    for seed in (1, 2):
        vgg19_features.cache_clear()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        values.append(ContentLoss("relu2_2", "random")(x, y))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*values)
    # He's rule keeps the size of the signal through 16 layers.
    deep = vgg19_features("relu5_4", "random", "cpu", False)(torch.randn(2, 3, 64, 64))
    assert 0.1 < deep.square().mean().item() < 10


def test_channels_last_changes_nothing() -> None:
    x, y = images(seed=0), images(seed=1)
    last = ContentLoss("relu3_4", "random", channels_last=True)
    expected = ContentLoss("relu3_4", "random")(x, y)
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last), y), expected, rtol=1e-4, atol=0)


def test_the_smallest_images_reach_the_deepest_layer() -> None:
    assert ContentLoss("relu5_4", "random")(images(2, 16, 16, seed=0), images(2, 16, 16, seed=1)).item() > 0


def download(monkeypatch: pytest.MonkeyPatch, result: object) -> None:
    def load(*_args: object, **_options: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    vgg19_features.cache_clear()


def test_imagenet_weights_come_through_torchvision(
    monkeypatch: pytest.MonkeyPatch, reference: nn.Sequential, weights_file: str
) -> None:
    download(monkeypatch, {f"features.{name}": value for name, value in reference.state_dict().items()})
    x, y = images(seed=0), images(seed=1)
    assert torch.equal(ContentLoss("relu2_2", "imagenet")(x, y), ContentLoss("relu2_2", weights_file)(x, y))
    vgg19_features.cache_clear()  # the next one that asks for imagenet must not find these


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("invalid hash value")])
def test_an_offline_place_is_told_its_choices(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    download(monkeypatch, error)
    with pytest.raises(
        WeightsUnavailable, match=r"'imagenet' cannot be had: .*(no route|hash).*; choose from .*random"
    ):
        Losses(LossConfig(content=1.0, content_weights="imagenet"), "cpu")


def test_bad_weights_files_are_refused(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("absent", "empty", "text", "list", "other", "partial")}
    files["empty"].write_bytes(b"")
    files["text"].write_text("not weights")
    torch.save([1, 2], files["list"])
    torch.save({"features.0.weight": torch.zeros(3)}, files["other"])
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}, files["partial"])
    for name, path in files.items():
        with pytest.raises(WeightsUnavailable, match=re.escape(repr(str(path)))):
            ContentLoss("relu1_2", str(path))
        assert name in str(path)


class Intruder:
    """Runs code when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_a_weights_file_cannot_run_code(tmp_path: Path) -> None:
    path, marker = tmp_path / "weights.pth", tmp_path / "marker"
    torch.save({"features.0.weight": Intruder(marker)}, path)
    with pytest.raises(WeightsUnavailable, match="read safely"):
        ContentLoss("relu1_2", str(path))
    assert not marker.exists()


# --- Losses ------------------------------------------------------------------------------------------------------

ALL = LossConfig(pixel=1.0, color=2.0, texture=3.0, content=4.0, tv=5.0, content_layer="relu1_2")


def test_terms_are_unweighted_and_total_weighs_them() -> None:
    x, y, logits = images(seed=0), images(seed=1), torch.tensor([[0.1, 0.4], [1.0, -1.0]])
    terms_of = Losses(ALL, "cpu")
    terms = terms_of(x, y, logits)
    expected = {
        "pixel": pixel.l1(x, y),
        "color": ColorLoss("code")(x, y),
        "texture": texture.texture_code(logits),
        "content": ContentLoss("relu1_2", "random")(x, y),
        "tv": tv.tv_code(x),
    }
    assert list(terms) == list(expected)
    assert all(torch.equal(terms[name], value) and value.shape == () for name, value in expected.items())
    weighted = sum(getattr(ALL, name) * value.item() for name, value in expected.items())
    assert terms_of.total(terms).item() == pytest.approx(weighted, rel=1e-6)
    assert terms_of.weighted(terms).tolist() == pytest.approx(
        [getattr(ALL, name) * value.item() for name, value in expected.items()], rel=1e-6
    )
    terms_of.weights["pixel"].fill_(0.0)  # a captured step changes its weights this way
    assert terms_of.total(terms).item() == pytest.approx(weighted - expected["pixel"].item(), rel=1e-6)


VARIANTS = [
    {"pixel": 1.0, "pixel_norm": "mse"},
    {"color": 1.0, "color_blur": "paper"},
    {"texture": 1.0, "texture_form": "paper"},
    {"content": 1.0, "content_layer": "relu2_2"},
    {"tv": 1.0, "tv_form": "paper"},
]


@pytest.mark.parametrize("options", VARIANTS, ids=lambda options: next(iter(options)))
def test_no_option_is_ignored(options: dict[str, object]) -> None:
    name, changed = options
    x, y = images(seed=0), images(seed=1)
    logits = torch.tensor([[0.1, 0.4], [1.0, -1.0]]) if name == "texture" else None
    default = Losses(LossConfig(**{name: 1.0}), "cpu")(x, y, logits)
    assert not torch.equal(Losses(LossConfig(**options), "cpu")(x, y, logits)[name], default[name]), changed


def test_a_zero_weight_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a term of weight zero was built")

    monkeypatch.setattr(content, "vgg19_features", refuse)
    monkeypatch.setattr(losses, "ColorLoss", refuse)
    terms_of = Losses(LossConfig(pixel=1.0), "cpu")
    assert list(terms_of(images(seed=0), images(seed=1))) == list(terms_of.weights) == ["pixel"]
    assert not terms_of.needs_critic
    with pytest.raises(AssertionError, match="was built"):
        Losses(LossConfig(pixel=1.0, color=1e-9), "cpu")


def test_torchvision_is_not_imported_without_its_weights() -> None:
    code = (
        "import sys; from enhance.config import LossConfig; from enhance.losses import Losses;"
        "Losses(LossConfig(pixel=1.0, content=1.0, content_layer='relu1_2'), 'cpu');"
        "sys.exit('torchvision' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_gradients_of_every_term_are_finite_also_where_output_equals_target() -> None:
    x = images().requires_grad_()
    terms_of = Losses(ALL, "cpu")
    terms_of.total(terms_of(x, x.detach().clone(), torch.zeros(2, 2))).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("blur", BLURS)
def test_terms_stay_in_float32_under_autocast(blur: str) -> None:
    x, y, logits = images(seed=0), images(seed=1), torch.tensor([[0.1, 0.4], [1.0, -1.0]])
    terms_of = Losses(LossConfig(pixel=1.0, color=1.0, texture=1.0, tv=1.0, color_blur=blur), "cpu")
    plain = terms_of(x, y, logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = terms_of(x, y, logits)
        assert terms_of.total(cast).dtype == torch.float32
    assert all(torch.equal(plain[name], cast[name]) for name in plain)


def test_a_nan_is_never_hidden() -> None:
    x, y, logits = images(seed=0), images(seed=1), torch.zeros(2, 2)
    x[0, 0, 5, 5], logits[0, 0] = math.nan, math.nan
    assert all(value.isnan() for value in Losses(ALL, "cpu")(x, y, logits).values())


def test_bad_calls_are_refused() -> None:
    x = images()
    with pytest.raises(ValueError, match=r"at least one loss weight must be > 0.*pixel, color, texture, content, tv"):
        Losses(LossConfig(), "cpu")
    with pytest.raises(ValueError, match=r"critic_logits must be given where the texture weight is > 0"):
        Losses(LossConfig(texture=1.0), "cpu")(x, x)
    with pytest.raises(ValueError, match=r"critic_logits are given, but the texture weight is 0"):
        Losses(LossConfig(pixel=1.0), "cpu")(x, x, torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\) and target \(1, 3, 32, 32\) must have one shape"):
        Losses(LossConfig(pixel=1.0), "cpu")(x, x[:1])
