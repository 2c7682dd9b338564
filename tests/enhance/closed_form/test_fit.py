"""The polynomial of colors, and its fit in closed form."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from enhance.closed_form import fit
from enhance.closed_form.folds import held_out
from enhance.config import from_flat
from enhance.config.fast_nets import PolynomialConfig
from enhance.data import PatchStore, open_data
from enhance.data.batches import Pictures
from enhance.nets.fast.polynomial import COUNTS, Polynomial
from enhance.rules import build_rule
from tests.places import DPED

SIDE_PX = 24


def polynomial(**options: object) -> Polynomial:
    """A network away from its start."""
    net = Polynomial(PolynomialConfig(**options), torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    torch.nn.init.normal_(net.coefficients, 0.0, 0.02, generator=torch.Generator().manual_seed(2))
    return net


def pictures(number: int, seed: int = 0) -> Pictures:
    """Pictures of noise whose brightness and contrast differ, uint16 and away from the ends of the range."""
    random = np.random.default_rng(seed)
    level, contrast = random.uniform(0.3, 0.6, (number, 1, 1, 3)), random.uniform(0.1, 0.5, (number, 1, 1, 1))
    noise = random.random((number, SIDE_PX, SIDE_PX, 3)) - 0.5
    return ((level + contrast * noise) * 65535).round().astype(np.uint16)


def images(source: Pictures) -> Tensor:
    return torch.from_numpy(source.astype(np.float32) / 65535).permute(0, 3, 1, 2)


def through(net: Polynomial, source: Pictures) -> Pictures:
    with torch.no_grad():
        output = net(images(source)).permute(0, 2, 3, 1).numpy()
    assert output.min() > 0
    assert output.max() < 1
    return (output * 65535).round().astype(np.uint16)


@pytest.mark.parametrize(("degree", "statistics"), list(itertools.product((1, 3), COUNTS)))
def test_forward_by_hand(degree: int, statistics: str) -> None:
    net = polynomial(degree=degree, statistics=statistics)
    x = images(pictures(2)).double()
    for image, output in zip(x, net(x.float()), strict=True):
        luma = (0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]).flatten().sort().values
        places = [round(share * (len(luma) - 1)) for share in (0.05, 0.95)]
        seen = [torch.tensor([1.0]), image.mean((1, 2)), (image.var((1, 2), correction=0) + 1e-6).sqrt(), luma[places]]
        numbers = torch.cat([part.double() for part in seen])[: COUNTS[statistics]]
        expected = image.clone()
        groups = [g for size in range(degree + 1) for g in itertools.combinations_with_replacement(range(3), size)]
        for row, group in enumerate(groups):
            value = torch.ones_like(image[0])
            for channel in group:
                value = value * image[channel]
            weight = net.coefficients[:, row].double() @ numbers
            expected = expected + weight[:, None, None] * value
        torch.testing.assert_close(output, expected.float(), rtol=1e-5, atol=1e-5)


def test_a_fit_finds_the_map_that_made_the_targets() -> None:
    net, source = polynomial(degree=2), pictures(60)
    found = fit(source, through(net, source), PolynomialConfig(degree=2), ridge=1e-10)
    new = pictures(20, seed=1)
    with torch.no_grad():
        assert (found(images(new)) - net(images(new))).abs().max() < 1e-3  # of outputs in 0..1


def test_the_ridge_means_the_same_for_any_number_of_pairs() -> None:
    source, target = pictures(12), pictures(12, seed=1)
    once = fit(source, target).coefficients
    twice = fit(np.concatenate([source] * 2), np.concatenate([target] * 2)).coefficients
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-4)


def test_a_strong_ridge_leaves_the_picture_as_it_is() -> None:
    source = pictures(12)
    found = fit(source, pictures(12, seed=1), ridge=1e6)
    with torch.no_grad():
        torch.testing.assert_close(found(images(source)), images(source), rtol=0, atol=1e-4)


def test_one_pair_and_flat_pictures_are_fitted() -> None:
    flat = np.full((1, SIDE_PX, SIDE_PX, 3), 20000, dtype=np.uint16)
    with torch.no_grad():
        output = fit(flat, flat + 10000)(images(flat))
    torch.testing.assert_close(output, images(flat + 10000), rtol=0, atol=1e-4)


def test_a_fit_is_the_same_bit_by_bit_with_any_number_of_threads() -> None:
    source, target, threads = pictures(9), pictures(9, seed=1), torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(fit(source, target).coefficients)
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_sides_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="needs pairs: 3 inputs and 2 targets"):
        fit(pictures(3), pictures(2))


@pytest.mark.slow
@pytest.mark.skipif(not DPED.is_dir(), reason=f"{DPED} is not there")
def test_real_pairs_gain_four_decibels(tmp_path: Path) -> None:
    data = open_data(f"dped:{DPED}", cache=tmp_path)
    found = held_out(data, PolynomialConfig(), 1e-5)
    assert float(found.untouched["psnr_db"].mean()) == pytest.approx(17.64, abs=0.01)
    assert float(found.closed_form["psnr_db"].mean()) == pytest.approx(21.63, abs=0.02)
    assert float(found.closed_form["ms_ssim"].mean()) == pytest.approx(0.9121, abs=0.001)


@pytest.mark.slow
def test_a_micro_run_of_the_family_starts_from_the_fit(demo: PatchStore) -> None:
    config = from_flat({"net.family": "polynomial", "loss.pixel": 1.0})
    rule = build_rule(config, 0, demo, torch.device("cpu"))
    assert isinstance(rule.net, Polynomial)
    assert torch.equal(rule.net.coefficients, fit(demo.train_input, demo.train_target).coefficients)
