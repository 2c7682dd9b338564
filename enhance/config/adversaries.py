"""The parameters of critics and of adversarial objectives; see `enhance.critics` and `enhance.critics.objectives`."""

from dataclasses import dataclass

from enhance.config.domain import choice, leaf


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticConfig:
    """What all critics have in common."""

    family: str
    norm: str

    @property
    def minimum_px(self) -> int:
        """The smallest crop, in pixels, that the critic can judge."""
        raise NotImplementedError

    @property
    def sees_input(self) -> bool:
        """Whether the critic sees the input next to the picture it judges."""
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class DPEDCriticConfig(CriticConfig):
    """DPED's discriminator (its texture loss): grayscale pictures of one fixed size; see `enhance.critics.dped`."""

    family: str = choice("dped")
    # "instance" as in the authors' code, "batch" as in their paper.
    norm: str = choice("instance", "batch")

    @property
    def minimum_px(self) -> int:
        """Below 17 px the last map is a single pixel, and instance norm maps a single pixel to a constant."""
        # Strides of 4, 2 and 2, each rounding up, take 17 px to 5, 3 and 2, but 16 px to 4, 2 and 1.
        return 17


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchCriticConfig(CriticConfig):
    """PatchGAN: one score per overlapping patch; see `enhance.critics.patch`.

    conditional: also show the critic the input (6 channels). layers: number of strided convolutions; 3 of them see
    patches of 70 px.
    """

    family: str = choice("patch")
    norm: str = choice("instance", "batch", "none")
    conditional: bool = leaf(False)
    channels: int = leaf(64, minimum=1, maximum=256)
    layers: int = leaf(3, minimum=1, maximum=5)

    @property
    def minimum_px(self) -> int:
        """The strided layers must leave 3 pixels: each of the two 4x4 layers of stride 1 that follow takes one."""
        # int(), because a type checker cannot rule out a negative exponent, which would give a float.
        return 3 * int(2**self.layers)

    @property
    def sees_input(self) -> bool:
        """Whether it is conditional."""
        return self.conditional


CRITIC_CONFIGS: dict[str, type[CriticConfig]] = {"dped": DPEDCriticConfig, "patch": PatchCriticConfig}


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """What all adversarial objectives have in common; see `enhance.critics.objectives`.

    shown: what the critic sees of each sample in one step: "both" the real and the enhanced picture, or one of the two,
        chosen by the toss of a seeded "coin" (DPED's code).
    critic_steps: critic steps per generator step.
    pretrain_steps: critic steps before the first generator step (DPED's paper pretrains the critic, its code does not).
    """

    objective: str
    shown: str = choice("both", "coin")
    critic_steps: int = leaf(1, minimum=1, maximum=100)
    pretrain_steps: int = leaf(0, minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class BCEConfig(ObjectiveConfig):
    """Binary cross-entropy (Goodfellow et al. 2014).

    form: "non_saturating" minimizes -log p(real), as in pix2pix and DPED's paper; "saturating" minimizes log p(fake),
        as in DPED's code.
    """

    objective: str = choice("bce")
    form: str = choice("non_saturating", "saturating")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeastSquaresConfig(ObjectiveConfig):
    """Squared distance of the score to 1 for real and to 0 for enhanced pictures (Mao et al. 2017), as in CycleGAN."""

    objective: str = choice("least_squares")


@dataclass(frozen=True, kw_only=True, slots=True)
class WassersteinConfig(ObjectiveConfig):
    """Difference of mean scores, with the critic's weights clipped to [-clip, clip] (Arjovsky et al. 2017).

    Clipping also hits the scales of norms. At 0.01 the critic "dped" is nearly blind: its scores differ by 1e-7 where
    a clip of 0.05 drives them 15 apart. "patch" with instance norm has no scales and is unaffected.
    """

    objective: str = choice("wasserstein")
    clip: float = leaf(0.01, above=0, maximum=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class WassersteinGPConfig(ObjectiveConfig):
    """Difference of mean scores, with a penalty on the norm of the critic's gradient (Gulrajani et al. 2017)."""

    objective: str = choice("wasserstein_gp")
    # The paper's lambda.
    penalty: float = leaf(10.0, above=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class HingeConfig(ObjectiveConfig):
    """Hinge loss (Lim and Ye 2017; Miyato et al. 2018)."""

    objective: str = choice("hinge")


OBJECTIVE_CONFIGS: dict[str, type[ObjectiveConfig]] = {
    "bce": BCEConfig,
    "least_squares": LeastSquaresConfig,
    "wasserstein": WassersteinConfig,
    "wasserstein_gp": WassersteinGPConfig,
    "hinge": HingeConfig,
}
