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
        """The smallest crop that the critic can judge."""
        raise NotImplementedError

    @property
    def sees_input(self) -> bool:
        """Whether the critic is shown the input beside the picture that it judges."""
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class DPEDCriticConfig(CriticConfig):
    """DPED's discriminator of gray pictures of one fixed size (its texture loss); see `enhance.critics.dped`."""

    family: str = choice("dped")
    norm: str = choice("instance", "batch")  # the authors' code; their paper's text

    @property
    def minimum_px(self) -> int:
        """Below, the last map is a single pixel, which instance norm turns into a constant."""
        return 17


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchCriticConfig(CriticConfig):
    """PatchGAN: a score for every overlapping patch; `conditional`: the input is shown too (6 channels).

    `layers` strided convolutions: 3 see patches of 70 px. See `enhance.critics.patch`.
    """

    family: str = choice("patch")
    norm: str = choice("instance", "batch", "none")
    conditional: bool = leaf(False)
    channels: int = leaf(64, minimum=1, maximum=256)
    layers: int = leaf(3, minimum=1, maximum=5)

    @property
    def minimum_px(self) -> int:
        """After the strided layers three pixels must be left, of which the next layer makes two, and the last one."""
        return 3 * int(2**self.layers)

    @property
    def sees_input(self) -> bool:
        """Whether it is conditional."""
        return self.conditional


CRITIC_CONFIGS: dict[str, type[CriticConfig]] = {"dped": DPEDCriticConfig, "patch": PatchCriticConfig}


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """What all adversarial objectives have in common; see `enhance.critics.objectives`.

    shown: "both": a critic step shows the real and the enhanced picture of every sample; "coin": one of the two, by a
        seeded coin per sample (DPED's code).
    critic_steps: critic steps per generator step.
    pretrain_steps: critic steps before the first generator step (DPED's paper pre-trains it, its code does not).
    """

    objective: str
    shown: str = choice("both", "coin")
    critic_steps: int = leaf(1, minimum=1, maximum=100)
    pretrain_steps: int = leaf(0, minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class BCEConfig(ObjectiveConfig):
    """Binary cross-entropy (Goodfellow et al. 2014).

    form: "non_saturating" is pix2pix's and DPED's paper, -log p(real); "saturating" is DPED's code, log p(fake).
    """

    objective: str = choice("bce")
    form: str = choice("non_saturating", "saturating")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeastSquaresConfig(ObjectiveConfig):
    """Squared distance of the score to 1 for real and 0 for enhanced (Mao et al. 2017), CycleGAN's."""

    objective: str = choice("least_squares")


@dataclass(frozen=True, kw_only=True, slots=True)
class WassersteinConfig(ObjectiveConfig):
    """Difference of mean scores, with the critic's weights clipped to [-clip, clip] (Arjovsky et al. 2017).

    The scales of norms are weights too: at 0.01 the critic "dped" is nearly blind (a gap of 1e-7 between scores that
    0.05 drives 15 apart); "patch" with instance norm has no scales and is not.
    """

    objective: str = choice("wasserstein")
    clip: float = leaf(0.01, above=0, maximum=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class WassersteinGPConfig(ObjectiveConfig):
    """Difference of mean scores, with a penalty on the critic's gradient norm (Gulrajani et al. 2017)."""

    objective: str = choice("wasserstein_gp")
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
