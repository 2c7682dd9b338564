"""Counted arithmetic: multiply-accumulates against formulas by hand and the papers' tables."""

import re

import pytest

from enhance.conditions import BASELINE
from enhance.config import Scalar, from_flat
from enhance.cost import macs
from enhance.nets import FAMILIES, build, parameter_count
from tests.enhance.cost.small_networks import net
from tests.places import ROOT


def conv(pixels: int, kernel: int, inputs: int, outputs: int) -> int:
    return pixels * kernel**2 * inputs * outputs


def resnet_macs(pixels: int, kernel: int, channels: int, blocks: int) -> int:
    return 2 * conv(pixels, 9, 3, channels) + (2 * blocks + 2) * conv(pixels, kernel, channels, channels)


def strided_macs(pixels: int, kernel: int, strided: int, c: int, blocks: int) -> int:
    half, quarter = pixels // 4, pixels // 16
    down = conv(half, strided, c, 2 * c) + conv(quarter, strided, 2 * c, 4 * c)
    up = conv(quarter, strided, 4 * c, 2 * c) + conv(half, strided, 2 * c, c)  # each input pixel meets each weight once
    inner = 2 * blocks * conv(quarter, kernel, 4 * c, 4 * c) + 2 * conv(pixels, kernel, c, c)
    return 2 * conv(pixels, 9, 3, c) + down + up + inner


HD = 1280 * 720


@pytest.mark.parametrize(
    ("leaves", "wanted"),
    [
        ({"family": "resnet"}, resnet_macs(HD, 3, 64, 4)),
        ({"family": "resnet", "kernel": 5, "channels": 16, "blocks": 3}, resnet_macs(HD, 5, 16, 3)),
        ({"family": "strided"}, strided_macs(HD, 3, 4, 16, 2)),
        ({"family": "srcnn"}, conv(HD, 9, 3, 64) + conv(HD, 5, 64, 32) + conv(HD, 5, 32, 3)),
        (
            {"family": "separable", "channels": 8, "blocks": 2},
            2 * conv(HD, 3, 3, 8) + 4 * (HD * 9 * 8 + conv(HD, 1, 8, 8)),
        ),
        (
            {"family": "shuffle", "factor": 4, "channels": 8, "blocks": 1},
            2 * conv(HD // 16, 3, 48, 8) + 2 * conv(HD // 16, 3, 8, 8),
        ),
        # a curve adds two linear layers, (deep features + 6) to 64 to 3 (degree + 1), and two color matrices
        (
            {"family": "curve", "base": "resnet", "channels": 4, "blocks": 0, "degree": 2},
            resnet_macs(HD, 3, 4, 0) + 10 * 64 + 64 * 9 + 2 * HD * 9,
        ),
    ],
)
def test_macs_are_those_of_the_formulas(leaves: dict[str, Scalar], wanted: int) -> None:
    assert macs(net(**leaves), 1280, 720) == wanted


def test_macs_are_those_of_fpies_tables() -> None:
    """GMAC at 1280x720, computed apart from this code from the layers that the paper and its code name."""
    assert macs(BASELINE, 1280, 720) / 1e9 == pytest.approx(368.4, abs=0.05)
    assert macs(net(family="strided"), 1280, 720) / 1e9 == pytest.approx(27.5, abs=0.05)
    assert macs(net(channels=16, blocks=1), 1280, 720) / 1e9 == pytest.approx(15.7, abs=0.05)


@pytest.mark.slow
def test_the_documentation_has_the_right_numbers() -> None:
    rows = re.findall(r"\| `(\w+)`.*? \| ([\d,]+) \| ([\d.]+) \| (\w+) \|", (ROOT / "docs/networks.md").read_text())
    assert len(rows) >= 10
    for family, parameters, billions, view in rows:
        config = net(family=family)
        assert f"{parameter_count(build(family, seed=0)):,}" == parameters
        assert f"{macs(config, 1280, 720) / 1e9:.2f}" == billions
        assert config.view == view


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_macs_at_any_size(family: str) -> None:
    """1280x720 suits neither 32 nor 256: what is counted is the image as it is padded."""
    config = net(family=family)
    padded = [-(-px // config.multiple_of) * config.multiple_of for px in (1280, 720)]
    assert macs(config, 1280, 720) == macs(config, *padded) > 0
    assert macs(config, 1, 1) == macs(config, config.multiple_of, config.multiple_of) > 0


def test_the_baseline_is_dpeds_network() -> None:
    assert parameter_count(build("resnet", seed=0)) == 401_475
    assert from_flat({}).net == BASELINE
