"""The parameters of the fast families, most of which predict one color transform for a whole picture."""

from dataclasses import dataclass

from enhance.config.domain import choice, leaf
from enhance.config.network import NetConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class LUT3DConfig(NetConfig):
    """The image-adaptive 3D lookup table; see `enhance.nets.fast.lut3d`.

    smoothness, monotonicity: the weights of the family's own loss terms; 0 turns one off.
    """

    family: str = choice("lut3d")
    tables: int = leaf(3, minimum=1, maximum=16)
    # With 2, the first and the last cell of an axis would be one.
    vertices: int = leaf(33, minimum=3, maximum=65)
    lookup: str = choice("trilinear", "tetrahedral")
    channels: int = leaf(16, minimum=1, maximum=128)
    dropout: float = leaf(0.5, minimum=0, maximum=0.9)
    smoothness: float = leaf(1e-4, minimum=0)
    monotonicity: float = leaf(10.0, minimum=0)
    init: str = choice("identity", "code")

    @property
    def view(self) -> str:
        """The weights of the tables come from a thumbnail."""
        return "photo"

    @property
    def penalties(self) -> tuple[str, ...]:
        """Both regularizations of the paper."""
        return ("smoothness", "monotonicity")


@dataclass(frozen=True, kw_only=True, slots=True)
class BilateralConfig(NetConfig):
    """HDRNet, a bilateral grid of affine color transforms; see `enhance.nets.fast.bilateral`."""

    family: str = choice("bilateral")
    channels: int = leaf(8, minimum=1, maximum=64)  # of the first layer; each of the next three doubles them
    depth: int = leaf(8, minimum=2, maximum=32)
    knots: int = leaf(16, minimum=1, maximum=64)
    init: str = choice("identity", "code")

    @property
    def view(self) -> str:
        """The grid comes from a thumbnail."""
        return "photo"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuarterConfig(NetConfig):
    """A color transform for the whole picture, and a small body at a fraction of its size.

    See `enhance.nets.fast.quarter`.
    """

    family: str = choice("quarter")
    factor: int = leaf(4, minimum=2, maximum=8)
    # Odd for the reason that ShuffleConfig gives.
    kernel: int = leaf(3, minimum=1, maximum=7, odd=True)
    channels: int = leaf(32, minimum=1, maximum=256)
    blocks: int = leaf(2, minimum=0, maximum=16)
    activation: str = choice("relu", "prelu")
    branches: str = choice("three", "one")
    color: str = choice("cubic", "affine", "grid", "none")
    init: str = choice("he", "dped")

    @property
    def multiple_of(self) -> int:
        """Squares of this side are folded into channels."""
        return self.factor

    @property
    def minimum_px(self) -> int:
        """A single folded pixel has no deviation."""
        return 2 * self.factor

    @property
    def view(self) -> str:
        """The color transform follows from the whole picture, unless there is none."""
        return "patch" if self.color == "none" else "photo"


@dataclass(frozen=True, kw_only=True, slots=True)
class NAFNetConfig(NetConfig):
    """NAFNet, by default a very small one; see `enhance.nets.fast.nafnet`."""

    family: str = choice("nafnet")
    channels: int = leaf(16, minimum=1, maximum=128)  # at full resolution; each level down doubles them
    levels: int = leaf(2, minimum=1, maximum=4)
    blocks: int = leaf(1, minimum=1, maximum=32)  # on each level, on the way down and up, and in the middle
    init: str = choice("he", "dped")

    @property
    def multiple_of(self) -> int:
        """Every level halves the picture."""
        return int(2**self.levels)

    @property
    def minimum_px(self) -> int:
        """One pixel in the middle is enough: its norm is over channels."""
        return self.multiple_of

    @property
    def view(self) -> str:
        """The attention to channels follows from means over the picture."""
        return "photo"


@dataclass(frozen=True, kw_only=True, slots=True)
class RSGUNetConfig(NetConfig):
    """RSGUNet, the winner of PIRM 2018; see `enhance.nets.fast.rsgunet`."""

    family: str = choice("rsgunet")
    channels: int = leaf(16, minimum=1, maximum=64)  # at half the size; each of the four levels down doubles them
    init: str = choice("xavier", "he")

    @property
    def multiple_of(self) -> int:
        """Five layers of stride 2."""
        return 32

    @property
    def minimum_px(self) -> int:
        """The innermost map may be a single pixel."""
        return self.multiple_of

    @property
    def view(self) -> str:
        """One of its features is a mean over the picture."""
        return "photo"


@dataclass(frozen=True, kw_only=True, slots=True)
class PolynomialConfig(NetConfig):
    """A polynomial of colors, fitted in closed form; see `enhance.nets.fast.polynomial`.

    statistics: those of the picture that the coefficients depend on: "all" of them, "moments" without the percentiles
    of the luma, or "none".
    """

    family: str = choice("polynomial")
    degree: int = leaf(3, minimum=1, maximum=3)
    statistics: str = choice("all", "moments", "none")

    @property
    def view(self) -> str:
        """The coefficients follow from statistics of the whole picture, unless there are none."""
        return "patch" if self.statistics == "none" else "photo"
