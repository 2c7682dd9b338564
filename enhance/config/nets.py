"""The parameters of every network family, and what callers must know before a network is built.

The networks are in `enhance.nets`, one file per family; the parameters of the fast ones are in `fast_nets`. Their size
constraints depend on the parameters (a U-Net halves the picture once per level) and live here, so that a driver can
check them without torch.
"""

from dataclasses import dataclass, field

from enhance.config.domain import choice, leaf, weights
from enhance.config.fast_nets import (
    BilateralConfig,
    LUT3DConfig,
    NAFNetConfig,
    PolynomialConfig,
    QuarterConfig,
    RSGUNetConfig,
)
from enhance.config.network import NetConfig as NetConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class SRCNNConfig(NetConfig):
    """SRCNN, one of DPED's comparison networks: three convolutions, 9-5-5; see `enhance.nets.srcnn`."""

    family: str = choice("srcnn")
    # The second layer has half as many, hence at least 2.
    channels: int = leaf(64, minimum=2, maximum=1024)
    init: str = choice("dped", "he")


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNetConfig(NetConfig):
    """DPED's generator and the FPIE grid; see `enhance.nets.resnet`."""

    family: str = choice("resnet")
    kernel: int = leaf(3, minimum=1, maximum=15)
    channels: int = leaf(64, minimum=1, maximum=1024)
    blocks: int = leaf(4, minimum=0, maximum=64)
    norm: str = choice("instance", "batch", "none")
    activation: str = choice("relu", "prelu")
    init: str = choice("dped", "he")


@dataclass(frozen=True, kw_only=True, slots=True)
class JohnsonConfig(NetConfig):
    """Johnson's network, DPED's other comparison network; see `enhance.nets.johnson`."""

    family: str = choice("johnson")
    channels: int = leaf(32, minimum=1, maximum=512)
    blocks: int = leaf(5, minimum=0, maximum=64)
    norm: str = choice("batch", "instance", "none")
    init: str = choice("dped", "he")

    @property
    def multiple_of(self) -> int:
        """Two layers of stride 2."""
        return 4

    @property
    def minimum_px(self) -> int:
        """An instance norm needs more than one pixel at a quarter of the size."""
        return 8


@dataclass(frozen=True, kw_only=True, slots=True)
class StridedConfig(NetConfig):
    """FPIE's proposed generator; see `enhance.nets.strided`. Each of the two strided layers doubles `channels`."""

    family: str = choice("strided")
    kernel: int = leaf(3, minimum=1, maximum=9)
    strided_kernel: int = leaf(4, minimum=2, maximum=9)
    channels: int = leaf(16, minimum=1, maximum=256)
    blocks: int = leaf(2, minimum=0, maximum=64)
    norm: str = choice("instance", "batch", "none")
    activation: str = choice("relu", "prelu")
    skips: str = choice("code", "paper")  # code: at full resolution only; paper: at every resolution
    init: str = choice("dped", "he")

    @property
    def multiple_of(self) -> int:
        """Two layers of stride 2."""
        return 4

    @property
    def minimum_px(self) -> int:
        """An instance norm needs more than one pixel at a quarter of the size."""
        return 8


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetConfig(NetConfig):
    """pix2pix's generator; see `enhance.nets.unet`. 8 levels are the full network, 6 the one for 64 px patches."""

    family: str = choice("unet")
    levels: int = leaf(8, minimum=2, maximum=9)
    channels: int = leaf(64, minimum=1, maximum=256)
    norm: str = choice("batch", "instance", "none")
    output: str = choice("tanh", "relu")
    dropout: float = leaf(0.5, minimum=0, maximum=0.9)
    init: str = choice("pix2pix", "he")

    @property
    def multiple_of(self) -> int:
        """Every level halves the picture."""
        # int(), because a type checker cannot rule out a negative exponent, which would give a float.
        return int(2**self.levels)

    @property
    def minimum_px(self) -> int:
        """The innermost map is a single pixel, which is fine because no norm follows it."""
        return self.multiple_of


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetResNet34Config(NetConfig):
    """A U-Net whose encoder is torchvision's ResNet-34; see `enhance.nets.unet_resnet34`."""

    family: str = choice("unet_resnet34")
    weights: str = weights()
    channels: int = leaf(32, minimum=1, maximum=256)  # of the decoder at full resolution; each level down doubles it

    @property
    def multiple_of(self) -> int:
        """The encoder halves the picture five times."""
        return 32

    @property
    def minimum_px(self) -> int:
        """Batch norm needs more than one value per channel at 1/32 of the size, even for a batch of one."""
        return 64


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleResNetConfig(NetConfig):
    """CycleGAN's generator; see `enhance.nets.cycle_resnet`. The authors use 9 blocks for 256 px and 6 for 128 px."""

    family: str = choice("cycle_resnet")
    channels: int = leaf(64, minimum=1, maximum=256)
    blocks: int = leaf(9, minimum=0, maximum=64)
    norm: str = choice("instance", "batch", "none")
    init: str = choice("pix2pix", "he")

    @property
    def multiple_of(self) -> int:
        """Two layers of stride 2."""
        return 4

    @property
    def minimum_px(self) -> int:
        """Reflection padding must be smaller than the map: 1 px at a quarter of the size, 3 px at full size."""
        return 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ShuffleConfig(NetConfig):
    """A residual network that works on pixels folded into channels; see `enhance.nets.shuffle`."""

    family: str = choice("shuffle")
    factor: int = leaf(4, minimum=2, maximum=8)
    # Odd, because an even kernel pads unevenly: the result would lie half a pixel off the input it is added to.
    # StridedConfig allows even kernels all the same, because FPIE's Table 2 has them.
    kernel: int = leaf(3, minimum=1, maximum=15, odd=True)
    channels: int = leaf(32, minimum=1, maximum=1024)
    blocks: int = leaf(2, minimum=0, maximum=64)
    norm: str = choice("none", "instance", "batch")
    activation: str = choice("relu", "prelu")
    output: str = choice("residual", "tanh")
    init: str = choice("he", "dped")

    @property
    def multiple_of(self) -> int:
        """Squares of this side are folded into channels."""
        return self.factor

    @property
    def minimum_px(self) -> int:
        """Instance norm needs more than one pixel after folding."""
        return 2 * self.factor


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparableConfig(NetConfig):
    """A residual network of depthwise-separable convolutions; see `enhance.nets.separable`."""

    family: str = choice("separable")
    # Odd for the reason that ShuffleConfig gives.
    kernel: int = leaf(3, minimum=1, maximum=15, odd=True)
    channels: int = leaf(32, minimum=1, maximum=1024)
    blocks: int = leaf(4, minimum=0, maximum=64)
    norm: str = choice("none", "instance", "batch")
    activation: str = choice("relu", "prelu")
    output: str = choice("residual", "tanh")
    init: str = choice("he", "dped")


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveConfig(NetConfig):
    """A network of any other family, followed by a CurveBlock; see `enhance.nets.curve`.

    In flat names "net.base" is the family of the base network, and the base's own leaves sit next to the curve's:
    net.family=curve, net.base=resnet, net.channels=16.
    """

    family: str = choice("curve")
    degree: int = leaf(3, minimum=1, maximum=8)
    # No leaf: in flat names its family is net.base, and its leaves are those of the curve.
    base: NetConfig = field(default_factory=UNetResNet34Config)

    @property
    def multiple_of(self) -> int:
        """The base network's."""
        return self.base.multiple_of

    @property
    def minimum_px(self) -> int:
        """The base network's."""
        return self.base.minimum_px

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The base network's; the curve itself is always computed in float32."""
        return self.base.dtypes

    @property
    def view(self) -> str:
        """The curve follows from the colors of the whole picture."""
        return "photo"

    @property
    def penalties(self) -> tuple[str, ...]:
        """The base network's."""
        return self.base.penalties


BASE_CONFIGS: dict[str, type[NetConfig]] = {
    "srcnn": SRCNNConfig,
    "resnet": ResNetConfig,
    "johnson": JohnsonConfig,
    "strided": StridedConfig,
    "unet": UNetConfig,
    "unet_resnet34": UNetResNet34Config,
    "cycle_resnet": CycleResNetConfig,
    "shuffle": ShuffleConfig,
    "separable": SeparableConfig,
    "lut3d": LUT3DConfig,
    "bilateral": BilateralConfig,
    "quarter": QuarterConfig,
    "nafnet": NAFNetConfig,
    "rsgunet": RSGUNetConfig,
}
# A curve and a polynomial both have a degree, so a polynomial is no base of a curve.
NET_CONFIGS: dict[str, type[NetConfig]] = {**BASE_CONFIGS, "polynomial": PolynomialConfig, "curve": CurveConfig}
