"""Parameter counts: the golden ones of every family, those of papers, and by hand.

The golden file tests/golden/parameters.json holds the parameter count of every family at its defaults, and those of the
small variants. After adding a family, or changing one on purpose: `python -m tests.enhance.nets.test_counts`.
"""

import json

import pytest

from enhance.nets import FAMILIES, build, build_net
from tests.enhance.nets.small import VARIANTS, count
from tests.places import GOLDEN

COUNTS = GOLDEN / "parameters.json"


def counts() -> dict[str, int]:
    """The golden file's content, as the code has it now."""
    full = {family: count(build(family, seed=0)) for family in FAMILIES}
    return full | {f"small {name}": count(build_net(config, seed=0)) for name, config in VARIANTS.items()}


@pytest.mark.slow
def test_parameter_counts_are_the_golden_ones() -> None:
    assert counts() == json.loads(COUNTS.read_text()), "regenerate with `python -m tests.enhance.nets.test_counts`"


FPIE_TABLE_1 = """
3 64 4 401475 | 3 16 1 17139 | 3 16 2 21843 | 3 16 3 26547 | 3 16 4 31251 | 3 32 2 71331 | 3 32 4 108579
3 128 1 653187 | 3 128 3 1244547 | 5 16 1 33523 | 5 16 2 46419 | 5 16 3 59315 | 5 16 4 72211 | 5 32 2 169635
5 32 4 272419 | 5 128 1 1701763 | 5 128 3 3341699
"""
ROWS = [
    tuple(int(number) for number in row.split()) for row in FPIE_TABLE_1.replace("\n", "|").split("|") if row.strip()
]


@pytest.mark.parametrize("kernel, channels, blocks, parameters", ROWS)
def test_resnet_counts_of_fpie_table_1(kernel: int, channels: int, blocks: int, parameters: int) -> None:
    k, c, b = kernel, channels, blocks
    formula = (243 * c + c) + 2 * b * (k * k * c * c + 3 * c) + 2 * (k * k * c * c + c) + (243 * c + 3)
    assert count(build("resnet", seed=0, kernel=k, channels=c, blocks=b)) == parameters == formula


@pytest.mark.parametrize(
    "kernel, strided_kernel, channels, activation, parameters",
    [
        (3, 3, 16, "relu", 207_171),
        (3, 3, 32, "relu", 810_627),
        (3, 4, 16, "relu", 243_011),  # the released weights: 972,044 bytes
        (3, 4, 32, "relu", 953_987),
        (4, 4, 16, "relu", 361_283),
        (4, 4, 32, "relu", 1_427_075),
        (4, 4, 32, "prelu", 1_427_971),
    ],
)
def test_strided_counts_of_fpie_table_2(
    kernel: int, strided_kernel: int, channels: int, activation: str, parameters: int
) -> None:
    options = {"kernel": kernel, "strided_kernel": strided_kernel, "channels": channels, "activation": activation}
    for skips in ("code", "paper"):
        assert count(build("strided", seed=0, skips=skips, **options)) == parameters


def test_srcnn_count_of_pirm() -> None:
    # The released network has two parameters fewer: one bias for its three outputs.
    assert count(build("srcnn", seed=0)) == (243 * 64 + 64) + (25 * 64 * 32 + 32) + (25 * 32 * 3 + 3) == 69_251


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_johnson_count(norm: str) -> None:
    ends, resized = (243 * 32 + 32) + (243 * 32 + 3), 2 * 9 * (32 * 64 + 64 * 128) + (64 + 128) + (64 + 32)
    blocks, norms = 5 * 2 * (9 * 128 * 128 + 128), 2 * (32 + 64 + 128 + 5 * 2 * 128 + 64 + 32)
    assert count(build("johnson", seed=0, norm=norm)) == ends + resized + blocks + (norms if norm != "none" else 0)
    assert ends + resized + blocks + norms == 1_679_235


def test_cycle_resnet_counts_of_both_public_codes() -> None:
    ends, resized, blocks = 2 * 147 * 64 + 3, 2 * 9 * (64 * 128 + 128 * 256), 18 * 9 * 256 * 256
    channels = 64 + 128 + 256 + 18 * 256 + 128 + 64  # of all layers but the last
    # Keras' example: a scale and a shift each. The authors' code: instance norm without them, and a bias each.
    assert count(build("cycle_resnet", seed=0)) == ends + resized + blocks + 2 * channels == 11_383_427
    assert count(build("cycle_resnet", seed=0, norm="none")) == ends + resized + blocks + channels == 11_378_179


@pytest.mark.parametrize("k, c, b", [(3, 32, 4), (5, 8, 1), (1, 6, 0)])
def test_shuffle_and_separable_counts(k: int, c: int, b: int) -> None:
    options = {"seed": 0, "kernel": k, "channels": c, "blocks": b}
    for f in (2, 4):
        formula = (k * k * 3 * f * f * c + c) + 2 * b * (k * k * c * c + c) + (k * k * c * 3 * f * f + 3 * f * f)
        assert count(build("shuffle", factor=f, **options)) == formula
    formula = (k * k * 3 * c + c) + 2 * b * (k * k * c + c * c + c) + (k * k * c * 3 + 3)
    norms, slopes = 4 * b * c, (1 + 2 * b) * c
    assert count(build("separable", **options)) == formula
    assert count(build("separable", norm="batch", activation="prelu", **options)) == formula + norms + slopes


if __name__ == "__main__":
    COUNTS.write_text(json.dumps(counts(), indent=2) + "\n")
