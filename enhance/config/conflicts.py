"""Constraints between leaves: values that are valid one by one but not together.

The fixed part of a sweep may be incomplete (the loss weights may come from its space, say), so only whole
configurations are checked: a sweep checks its enqueued ones and the corners of its space, and a micro-run checks its
own before it builds anything.
"""

from collections.abc import Callable, Iterator

from enhance.config.config import Config
from enhance.config.domain import join_names
from enhance.config.nets import CurveConfig
from enhance.config.optimizers import SGDConfig
from enhance.config.training import CycleConfig, PhasesConfig

# The names of `enhance.losses`, given again because that package loads torch; a test keeps the two equal.
PAIRED_TERMS = ("pixel", "color", "content", "style", "ms_ssim")
CYCLE_TERMS = ("cycle", "identity")
TERMS = (*PAIRED_TERMS, "tv", "adversarial", *CYCLE_TERMS)


def conflicts(config: Config) -> list[str]:
    """One sentence per conflict in `config`; empty if it can be trained."""
    return [problem for check in _CHECKS for problem in check(config)]


def device_conflicts(config: Config, device: str) -> list[str]:
    """One sentence per leaf that has no effect on a `device` of this type, "cpu" or "cuda".

    A row that says TF32 must not be one of fp32.
    """
    only_gpu = {"tf32": "TF32", "cudnn_benchmark": "cuDNN"} if device == "cpu" else {}
    return [
        f"train.{leaf}=True needs a GPU, and this is trained on a CPU, which has no {what}"
        for leaf, what in only_gpu.items()
        if getattr(config.train, leaf)
    ]


# That a crop fits into the pictures is checked where these are known, in `enhance.training.feed`.
def _net(config: Config) -> Iterator[str]:
    net, train = config.net, config.train
    if train.crop_px < net.minimum_px or train.crop_px % net.multiple_of:
        multiple = f" and a multiple of {net.multiple_of}" if net.multiple_of > 1 else ""
        yield (
            f"train.crop_px={train.crop_px} does not suit net.family={net.family}: with these parameters it must be "
            f"at least {net.minimum_px}{multiple}"
        )
    if train.dtype not in net.dtypes:
        choices = join_names(net.dtypes)
        yield f"train.dtype={train.dtype} is not tested with net.family={net.family}; choose from {choices}"
    if train.tf32 and isinstance(net, CurveConfig):
        yield "train.tf32=True cannot be used with net.family=curve: the curve's colors are computed in full fp32"


def _losses(config: Config) -> Iterator[str]:
    weights = {term: getattr(config.loss, term) for term in TERMS}
    if not any(weights.values()):
        yield f"all loss weights are 0; at least one must be above 0: {', '.join(f'loss.{term}' for term in TERMS)}"
    # The form of a term that is off (loss.color_blur, say) is no conflict: a sweep may search the weight, 0 included,
    # and fix the form.
    wrong, why = (
        (PAIRED_TERMS, "these terms compare with a target, and this rule has none")
        if config.train.rule == "cycle"
        else (CYCLE_TERMS, "this rule trains no generator for the way back")
    )
    for term, layer in (("content", config.loss.content_layer), ("style", config.loss.style_layer)):
        need = _vgg_minimum_px(layer)
        if weights[term] and config.train.crop_px < need:
            yield (
                f"train.crop_px={config.train.crop_px} is too small for loss.{term}_layer={layer}: VGG-19 needs at "
                f"least {need} px there"
            )
    for term in wrong:
        if weights[term]:
            yield f"loss.{term}={weights[term]:g} cannot be used by train.rule={config.train.rule}: {why}"


def _vgg_minimum_px(layer: str) -> int:
    """The side of the smallest picture that reaches "reluBLOCK_PLACE": blocks 2 to 5 start by halving it."""
    block = int(layer.removeprefix("relu").partition("_")[0])
    return int(2 ** (block - 1))


def _critic(config: Config) -> Iterator[str]:
    # No critic is built without the term, and the weight may be searched, 0 included, while the critic is fixed.
    if not config.loss.adversarial:
        return
    critic, objective = config.critic, config.adversarial
    if config.train.crop_px < critic.minimum_px:
        yield (
            f"train.crop_px={config.train.crop_px} is too small for critic.family={critic.family}: with these "
            f"parameters it must be at least {critic.minimum_px}"
        )
    if objective.objective == "wasserstein_gp":
        if critic.norm == "batch":
            yield (
                "critic.norm=batch cannot be used with adversarial.objective=wasserstein_gp: the penalty needs the "
                "gradient of each sample alone, and batch norm mixes samples; choose instance or none"
            )
        if objective.shown == "coin":
            yield (
                "adversarial.shown=coin cannot be used with adversarial.objective=wasserstein_gp: the penalty needs "
                "both the real and the enhanced picture of every sample; choose both"
            )
    if config.train.rule == "cycle" and critic.sees_input:
        yield "critic.conditional=True cannot be used by train.rule=cycle: a real picture has no input to go with it"
    if config.train.rule == "cycle" and objective.shown == "coin":
        yield "adversarial.shown=coin cannot be used by train.rule=cycle; choose both"


def _rule(config: Config) -> Iterator[str]:
    phases, rule = config.phases, config.train.rule
    if rule != "phased" and phases != PhasesConfig():
        yield f"phases.* applies to train.rule=phased only, not to {rule}"
    if rule != "cycle" and config.cycle != CycleConfig():
        yield f"cycle.* applies to train.rule=cycle only, not to {rule}"
    if rule != "phased":
        return
    if phases.curve_at > 0 and not isinstance(config.net, CurveConfig):
        yield f"phases.curve_at={phases.curve_at:g} needs net.family=curve, not {config.net.family}"
    if phases.adversarial_at > 0 and not config.loss.adversarial:
        yield f"phases.adversarial_at={phases.adversarial_at:g} needs loss.adversarial above 0"
    if phases.adversarial_at > 0 and not any(getattr(config.loss, term) for term in TERMS if term != "adversarial"):
        yield "phases.adversarial_at above 0 needs another loss.* above 0, or the earlier phases have no loss"


def _optimizers(config: Config) -> Iterator[str]:
    for part in ("optimizer", "critic_optimizer"):
        optimizer = getattr(config, part)
        if isinstance(optimizer, SGDConfig) and optimizer.nesterov and not optimizer.momentum:
            yield f"{part}.nesterov=True needs {part}.momentum above 0"
        if optimizer.schedule == "constant" and optimizer.hold_share:
            yield f"{part}.hold_share={optimizer.hold_share:g} has no effect with {part}.schedule=constant"
        # hold_share=0 goes with every warm-up: the rate starts to fall where the warm-up ends.
        if optimizer.schedule != "constant" and 0 < optimizer.hold_share < optimizer.warmup_share:
            yield (
                f"{part}.hold_share={optimizer.hold_share:g} must not be less than {part}.warmup_share="
                f"{optimizer.warmup_share:g}: the rate cannot start to fall during the warm-up"
            )


_CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (_net, _losses, _critic, _rule, _optimizers)
