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
from torch.utils._python_dispatch import TorchDispatchMode

from enhance import losses
from enhance.config import laws
from enhance.config.training import LossConfig
from enhance.data import open_data
from enhance.losses import RULE_TERMS, TERMS, Losses, content, cycle, identity, pixel, tv, vgg
from enhance.losses.color import BLURS, Blur, ColorLoss, code_taps, paper_taps
from enhance.losses.style import gram, style, style_layers
from enhance.losses.vgg import INPUTS, LAYERS, VGG19Features
from enhance.pretrained import WeightsUnavailable

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


# --- cycle and identity ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", [cycle, identity])
def test_cycle_and_identity_are_mean_absolute_differences(term: losses.PairedTerm) -> None:
    x, y = images(seed=0), images(seed=1)
    assert term(x, y).item() == pytest.approx(np.abs((x - y).double().numpy()).mean(), rel=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert term(x.bfloat16(), y).dtype == torch.float32


# --- VGG-19 ------------------------------------------------------------------------------------------------------

CUTS = {"relu1_2": 4, "relu2_2": 9, "relu3_4": 18, "relu4_4": 27, "relu5_4": 36}


@pytest.fixture(scope="module")
def reference() -> nn.Sequential:
    """torchvision's own VGG-19, on seeded weights."""
    from torchvision.models import vgg19

    torch.manual_seed(0)
    return vgg19(weights=None, init_weights=False).features.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def weights_file(reference: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({f"features.{name}": value for name, value in reference.state_dict().items()}, path)
    return f"file:{path}"


def normalised(picture: Tensor, normalisation: str) -> Tensor:
    if normalisation == "dped":
        return 255 * picture - torch.tensor((123.68, 116.779, 103.939)).view(1, 3, 1, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (picture - mean) / std


@pytest.mark.parametrize("leaf, choices", {"content_layer": LAYERS, "style_layer": LAYERS}.items())
def test_layers_are_the_choices_of_the_configuration(leaf: str, choices: dict[str, int]) -> None:
    assert set(choices) == set(laws()[f"loss.{leaf}"].choices)


@pytest.mark.parametrize(
    "leaf, table",
    {
        "content_norm": content.NORMS,
        "vgg_input": INPUTS,
        "pixel_norm": pixel.NORMS,
        "color_blur": BLURS,
        "tv_form": tv.FORMS,
    }.items(),
)
def test_every_choice_is_implemented_and_no_other(leaf: str, table: dict[str, object]) -> None:
    assert set(table) == set(laws()[f"loss.{leaf}"].choices)


@pytest.mark.parametrize("normalisation", INPUTS)
def test_features_agree_with_torchvision(normalisation: str, reference: nn.Sequential, weights_file: str) -> None:
    x = images(2, 47, 38)  # every pool meets an odd size
    maps = VGG19Features(LAYERS, weights_file, normalisation)(x)
    assert list(maps) == list(LAYERS)
    for layer, cut in CUTS.items():
        expected = reference[:cut](normalised(x, normalisation))
        torch.testing.assert_close(maps[layer], expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("layer, convs", [("relu1_2", 2), ("relu2_2", 4), ("relu3_4", 8), ("relu5_4", 16)])
def test_only_the_needed_layers_are_built(layer: str, convs: int) -> None:
    net = vgg.vgg19(LAYERS[layer], "random", "cpu", False)
    assert sum(isinstance(module, nn.Conv2d) for module in net) == convs
    assert len(net) == CUTS[layer]
    assert isinstance(net[-1], nn.ReLU)


def test_random_weights_are_the_same_in_every_trial_and_at_every_depth() -> None:
    x, values = images(), []
    for seed, layers in ((1, ["relu2_2"]), (2, ["relu2_2"]), (3, LAYERS)):
        vgg.vgg19.cache_clear()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        values.append(VGG19Features(layers, "random")(x)["relu2_2"])
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])
    # He's rule keeps the size of the signal through 16 layers.
    deep = vgg.vgg19(LAYERS["relu5_4"], "random", "cpu", False)(torch.randn(2, 3, 64, 64))
    assert 0.1 < deep.square().mean().item() < 10


def test_channels_last_changes_nothing() -> None:
    x = images()
    last = VGG19Features(["relu3_4"], "random", channels_last=True)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last["relu3_4"], VGG19Features(["relu3_4"], "random")(x)["relu3_4"])


def test_features_are_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = VGG19Features(["relu1_2"], "random")(images().bfloat16())
    assert maps["relu1_2"].dtype == torch.float32


def test_the_smallest_images_reach_the_deepest_layer() -> None:
    maps = VGG19Features(["relu5_4"], "random")(images(2, 16, 16))
    assert maps["relu5_4"].shape == (2, 512, 1, 1)


# --- VGG-19: weights ---------------------------------------------------------------------------------------------


def download(monkeypatch: pytest.MonkeyPatch, result: object) -> None:
    def load(*_args: object, **_options: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    vgg.vgg19.cache_clear()


def test_imagenet_weights_come_through_torchvision(
    monkeypatch: pytest.MonkeyPatch, reference: nn.Sequential, weights_file: str
) -> None:
    download(monkeypatch, {f"features.{name}": value for name, value in reference.state_dict().items()})
    x = images()
    downloaded, read = (VGG19Features(["relu2_2"], weights)(x) for weights in ("imagenet", weights_file))
    assert torch.equal(downloaded["relu2_2"], read["relu2_2"])
    vgg.vgg19.cache_clear()  # the next one that asks for imagenet must not find these


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("invalid hash value")])
@pytest.mark.parametrize("term", ["content", "style"])
def test_an_offline_place_is_told_its_choices(monkeypatch: pytest.MonkeyPatch, error: Exception, term: str) -> None:
    download(monkeypatch, error)
    with pytest.raises(
        WeightsUnavailable, match=r"VGG-19 weights 'imagenet' cannot be had: .*(no route|hash).*; choose from .*random"
    ):
        Losses(LossConfig(**{term: 1.0}, vgg_weights="imagenet"), "cpu")


def test_bad_weights_files_are_refused(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("absent", "empty", "text", "list", "other", "partial")}
    files["empty"].write_bytes(b"")
    files["text"].write_text("not weights")
    torch.save([1, 2], files["list"])
    torch.save({"features.0.weight": torch.zeros(3)}, files["other"])
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}, files["partial"])
    for path in files.values():
        with pytest.raises(WeightsUnavailable, match=re.escape(f"'file:{path}")):
            VGG19Features(["relu1_2"], f"file:{path}")


def test_a_file_with_other_content_gives_other_features(tmp_path: Path) -> None:
    x, path, seen = images(), tmp_path / "vgg19.pth", []
    for scale in (1.0, 2.0):
        state = vgg.vgg19(LAYERS["relu1_2"], "random", "cpu", False).state_dict()
        torch.save({f"features.{name}": scale * value for name, value in state.items()}, path)
        seen.append(VGG19Features(["relu1_2"], f"file:{path}")(x)["relu1_2"])
    torch.testing.assert_close(seen[1], 4 * seen[0])


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
        VGG19Features(["relu1_2"], f"file:{path}")
    assert not marker.exists()


# --- content -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("normalisation", INPUTS)
def test_content_agrees_with_torchvision(
    layer: str, normalisation: str, reference: nn.Sequential, weights_file: str
) -> None:
    x, y = images(seed=0), images(seed=1)
    seen_x, seen_y = (reference[: CUTS[layer]](normalised(picture, normalisation)) for picture in (x, y))
    difference = (seen_x - seen_y).double().numpy()
    expected = {
        "mse": (difference**2).mean(),
        "l1": np.abs(difference).mean(),
        "paper": np.mean([np.linalg.norm(one.ravel()) / one.size for one in difference]),
    }
    for form, value in expected.items():
        config = LossConfig(
            content=1.0,
            content_layer=layer,
            content_norm=form,
            vgg_input=normalisation,
            vgg_weights=weights_file,
        )
        assert Losses(config, "cpu")(x, y)["content"].item() == pytest.approx(value, rel=1e-3), form


def test_the_paper_norm_falls_with_the_patch() -> None:
    x = torch.zeros(1, 4, 8, 8)
    small, large = content.paper(x, x + 0.5), content.paper(x.repeat(1, 1, 2, 2), x.repeat(1, 1, 2, 2) + 0.5)
    assert small.item() == pytest.approx(0.5 / math.sqrt(4 * 8 * 8))
    assert large.item() == pytest.approx(small.item() / 2)


@pytest.mark.parametrize("term", ["content", "style"])
def test_vgg_is_frozen_and_teaches_the_output_alone(term: str) -> None:
    output, target = images(seed=0).requires_grad_(), images(seed=1).requires_grad_()
    before = output.detach().clone()
    config = LossConfig(**{term: 1.0}, content_layer="relu3_4", style_layer="relu3_4")
    Losses(config, "cpu")(output, target)[term].backward()
    assert output.grad.ne(0).any()
    assert target.grad is None
    assert torch.equal(output.detach(), before)  # VGG works in place, but not on our images
    net = vgg.vgg19(LAYERS["relu3_4"], "random", "cpu", False)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())


# --- style -------------------------------------------------------------------------------------------------------


def test_gram_by_hand() -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    f = x.double().numpy()
    for n, i, j in np.ndindex(2, 3, 3):
        assert gram(x)[n, i, j].item() == pytest.approx((f[n, i] * f[n, j]).sum() / (3 * 4 * 5), rel=1e-4, abs=1e-6)


def test_style_agrees_with_torchvision(reference: nn.Sequential, weights_file: str) -> None:
    x, y = images(seed=0), images(seed=1)
    expected, values = 0.0, {}
    for layer, cut in CUTS.items():
        grams = []
        for picture in (x, y):
            f = reference[:cut](normalised(picture, "torchvision")).double().numpy()
            grams.append(np.einsum("nihw,njhw->nij", f, f) / f[0].size)
        expected += (np.linalg.norm(grams[0] - grams[1], axis=(1, 2)) ** 2).mean()
        config = LossConfig(style=1.0, style_layer=layer, vgg_weights=weights_file)
        values[layer] = Losses(config, "cpu")(x, y)["style"].item()
        assert values[layer] == pytest.approx(expected, rel=1e-3), layer
    assert sorted(values.values()) == list(values.values())  # every layer adds


def test_style_does_not_care_where_things_are() -> None:
    maps = {layer: torch.rand(2, 4, 6, 6) for layer in style_layers("relu2_2")}
    moved = {layer: value.roll((1, 2), dims=(2, 3)).flip(3).repeat(1, 1, 2, 1) for layer, value in maps.items()}
    assert style(maps, moved, "relu2_2").item() == pytest.approx(0, abs=1e-9)
    mixed = {layer: value.flip(1) for layer, value in maps.items()}
    assert style(maps, mixed, "relu2_2").item() > 1e-4


# --- Losses ------------------------------------------------------------------------------------------------------

WEIGHTS = {"pixel": 1.0, "color": 2.0, "content": 4.0, "style": 6.0, "tv": 5.0}
ALL = LossConfig(**WEIGHTS, adversarial=3.0, cycle=7.0, identity=8.0, content_layer="relu2_2", style_layer="relu1_2")


def test_every_weight_of_the_configuration_has_a_term() -> None:
    weights = [name for name in LossConfig.__dataclass_fields__ if laws()[f"loss.{name}"].kind is float]
    assert [*TERMS, *RULE_TERMS] == weights


def test_terms_are_unweighted_and_total_weighs_them() -> None:
    x, y = images(seed=0), images(seed=1)
    terms_of = Losses(ALL, "cpu")
    assert terms_of.weights == {**WEIGHTS, "adversarial": 3.0, "cycle": 7.0, "identity": 8.0}
    assert all(weight.dtype == torch.float32 and weight.shape == () for weight in terms_of.weights.values())
    terms = terms_of(x, y)
    maps_x, maps_y = (VGG19Features(["relu1_2", "relu2_2"], "random")(picture) for picture in (x, y))
    expected = {
        "pixel": pixel.l1(x, y),
        "color": ColorLoss("code")(x, y),
        "content": pixel.mse(maps_x["relu2_2"], maps_y["relu2_2"]),
        "style": style(maps_x, maps_y, "relu1_2"),
        "tv": tv.tv_code(x),
    }
    assert list(terms) == list(expected)
    assert all(torch.equal(terms[name], value) and value.shape == () for name, value in expected.items())
    ruled = {"cycle": torch.tensor(0.5), **terms, "adversarial": torch.tensor(-0.25)}
    weighted = [getattr(ALL, name) * value.item() for name, value in ruled.items()]
    assert terms_of.weighted(ruled).tolist() == pytest.approx(weighted, rel=1e-6)
    assert terms_of.total(ruled).item() == pytest.approx(sum(weighted), rel=1e-6)
    terms_of.weights["cycle"].fill_(0.0)  # a phase changes a weight this way
    assert terms_of.total(ruled).item() == pytest.approx(sum(weighted) - 3.5, rel=1e-6)


def test_content_and_style_share_one_pass_and_keep_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(seed=0), images(seed=1)
    layers = {"content_layer": "relu1_2", "style_layer": "relu3_4"}
    alone = {
        name: Losses(LossConfig(**{name: 1.0}, **layers), "cpu")(x, y)[name].item() for name in ("content", "style")
    }
    passes = []
    see = VGG19Features.__call__
    monkeypatch.setattr(VGG19Features, "__call__", lambda self, picture: passes.append(1) or see(self, picture))
    both = Losses(LossConfig(content=1.0, style=1.0, **layers), "cpu")(x, y)
    assert {name: value.item() for name, value in both.items()} == pytest.approx(alone, rel=1e-6)
    assert len(passes) == 2  # the output's and the target's


VARIANTS = [
    {"pixel": 1.0, "pixel_norm": "mse"},
    {"color": 1.0, "color_blur": "paper"},
    {"content": 1.0, "content_layer": "relu2_2"},
    {"content": 1.0, "content_norm": "l1"},
    {"content": 1.0, "content_norm": "paper"},
    {"content": 1.0, "vgg_input": "dped"},
    {"style": 1.0, "style_layer": "relu2_2"},
    {"style": 1.0, "vgg_input": "dped"},
    {"tv": 1.0, "tv_form": "paper"},
]


def named(options: dict[str, object]) -> str:
    return "-".join(map(str, options.values()))


@pytest.mark.parametrize("options", VARIANTS, ids=named)
def test_no_option_is_ignored(options: dict[str, object]) -> None:
    name, _ = options
    x, y = images(seed=0), images(seed=1)
    default = Losses(LossConfig(**{name: 1.0}), "cpu")(x, y)[name].item()
    assert Losses(LossConfig(**options), "cpu")(x, y)[name].item() != pytest.approx(default, rel=1e-2)


@pytest.mark.parametrize("options", [*VARIANTS, *({name: 1.0} for name in TERMS)], ids=named)
def test_no_term_depends_on_the_batch_size(options: dict[str, object]) -> None:
    name, x, y = next(iter(options)), images(4, seed=0), images(4, seed=1)
    term = Losses(LossConfig(**options), "cpu")
    one_by_one = [term(x[i : i + 1], y[i : i + 1])[name].item() for i in range(4)]
    assert term(x, y)[name].item() == pytest.approx(np.mean(one_by_one), rel=1e-4)


def test_a_zero_weight_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a term of weight zero was built")

    monkeypatch.setattr(losses, "VGG19Features", refuse)
    monkeypatch.setattr(losses, "ColorLoss", refuse)
    terms_of = Losses(LossConfig(pixel=1.0), "cpu")
    assert list(terms_of(images(seed=0), images(seed=1))) == list(terms_of.weights) == ["pixel"]
    for name in ("color", "content", "style"):
        with pytest.raises(AssertionError, match="was built"):
            Losses(LossConfig(**{"pixel": 1.0, name: 1e-9}), "cpu")


def test_torchvision_is_not_imported_without_its_weights() -> None:
    code = (
        "import sys; from enhance.config.training import LossConfig; from enhance.losses import Losses;"
        "Losses(LossConfig(pixel=1.0, content=1.0, content_layer='relu1_2'), 'cpu');"
        "sys.exit('torchvision' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


class NoWaiting(TorchDispatchMode):
    """Refuses what makes the program wait for the values on a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "aten.equal.")
        assert not any(name in str(func) for name in waits), func
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device() -> None:
    x, y, terms_of = images(seed=0).requires_grad_(), images(seed=1), Losses(ALL, "cpu")
    with NoWaiting():
        terms_of.total(terms_of(x, y)).backward()
    with NoWaiting(), pytest.raises(AssertionError):
        x.sum().item()


@pytest.mark.parametrize("norm", content.NORMS)
def test_gradients_of_every_term_are_finite_also_where_output_equals_target(norm: str) -> None:
    x = images().requires_grad_()
    terms_of = Losses(LossConfig(**WEIGHTS, content_norm=norm), "cpu")
    terms_of.total(terms_of(x, x.detach().clone())).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("blur", BLURS)
def test_picture_terms_stay_in_float32_under_autocast(blur: str) -> None:
    x, y = images(seed=0), images(seed=1)
    terms_of = Losses(LossConfig(pixel=1.0, color=1.0, tv=1.0, color_blur=blur), "cpu")
    plain = terms_of(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = terms_of(x, y)
        assert terms_of.total(cast).dtype == torch.float32
    assert all(torch.equal(plain[name], cast[name]) for name in plain)
    half = terms_of(x.bfloat16(), y.bfloat16())
    assert all(value.dtype == torch.float32 for value in half.values())


@pytest.mark.parametrize("normalisation", INPUTS)
@pytest.mark.parametrize("norm", content.NORMS)
def test_feature_terms_are_near_float32_under_autocast(norm: str, normalisation: str) -> None:
    config = LossConfig(content=1.0, style=1.0, content_norm=norm, vgg_input=normalisation)
    x, y, terms_of = images(seed=0).requires_grad_(), images(seed=1), Losses(config, "cpu")
    plain = terms_of(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = terms_of(x, y)
    for name, value in cast.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(plain[name].item(), rel=0.03), name  # bfloat16 has 8 bits
    terms_of.total(cast).backward()
    assert x.grad.isfinite().all()


def test_gram_is_not_cast() -> None:
    x = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = gram(x)
        assert cast.dtype == torch.float32
    assert torch.equal(cast, gram(x))


def test_a_nan_is_never_hidden() -> None:
    x, y = images(seed=0), images(seed=1)
    x[0, 0, 5, 5] = math.nan
    assert all(value.isnan() for value in Losses(ALL, "cpu")(x, y).values())


def test_terms_without_a_target() -> None:
    x = images()
    assert Losses(LossConfig(tv=1.0, cycle=10.0), "cpu")(x, None) == {"tv": tv.tv_code(x)}
    assert Losses(LossConfig(adversarial=1.0, cycle=10.0, identity=5.0), "cpu")(x, None) == {}
    with pytest.raises(ValueError, match=r"target must be given: the terms pixel, style compare with it"):
        Losses(LossConfig(pixel=1.0, style=1.0, tv=1.0, style_layer="relu1_2"), "cpu")(x, None)


def test_bad_calls_are_refused() -> None:
    x = images()
    with pytest.raises(ValueError, match=r"must be > 0.*pixel, color, content, style, tv, adversarial, cycle, ident"):
        Losses(LossConfig(), "cpu")
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\) and target \(1, 3, 32, 32\) must have one shape"):
        Losses(LossConfig(pixel=1.0), "cpu")(x, x[:1])
