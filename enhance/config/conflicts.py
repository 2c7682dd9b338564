"""Constraints between leaves: values that are each valid but do not go together.

A sweep's fixed part may be incomplete (its space has the loss weights, say), so these are asked of whole
configurations only: by a sweep of its first settings and corners, and by a micro-run before it builds anything.
"""

from collections.abc import Callable, Iterator

from enhance.config.config import Config
from enhance.config.domain import listed
from enhance.config.nets import CurveConfig
from enhance.config.optimizers import SGDConfig
from enhance.config.training import CycleConfig, PhasesConfig

PAIRED_TERMS = ("pixel", "color", "content", "style")
CYCLE_TERMS = ("cycle", "identity")
TERMS = (*PAIRED_TERMS, "tv", "adversarial", *CYCLE_TERMS)


def conflicts(config: Config) -> list[str]:
    """A sentence for every two things in `config` that do not go together; empty where it can be trained."""
    return [problem for domain in _CONFLICTS for problem in domain(config)]


def _net(config: Config) -> Iterator[str]:
    net, train = config.net, config.train
    if train.crop_px < net.minimum_px or train.crop_px % net.multiple_of:
        several = f" and a multiple of {net.multiple_of}" if net.multiple_of > 1 else ""
        yield (
            f"train.crop_px={train.crop_px} does not suit net.family={net.family}: with these parameters it must be "
            f">= {net.minimum_px}{several}"
        )
    if train.dtype not in net.dtypes:
        yield f"train.dtype={train.dtype} is not tested with net.family={net.family}; choose from {listed(net.dtypes)}"


def _losses(config: Config) -> Iterator[str]:
    weights = {term: getattr(config.loss, term) for term in TERMS}
    if not any(weights.values()):
        yield f"at least one loss weight must be > 0, but all are 0: {', '.join(f'loss.{term}' for term in TERMS)}"
    wrong, why = (
        (PAIRED_TERMS, "they compare with a target, and it has none")
        if config.train.rule == "cycle"
        else (CYCLE_TERMS, "it has no way back")
    )
    for term in wrong:
        if weights[term]:
            yield f"loss.{term}={weights[term]:g} cannot be used by train.rule={config.train.rule}: {why}"


def _critic(config: Config) -> Iterator[str]:
    if not config.loss.adversarial:
        return
    critic, objective = config.critic, config.adversarial
    if config.train.crop_px < critic.minimum_px:
        yield (
            f"train.crop_px={config.train.crop_px} is too small for critic.family={critic.family}: with these "
            f"parameters it must be >= {critic.minimum_px}"
        )
    if objective.objective == "wasserstein_gp":
        if critic.norm == "batch":
            yield (
                "critic.norm=batch cannot be used with adversarial.objective=wasserstein_gp: its penalty is on the "
                "gradient of each sample alone, and batch norm mixes samples; choose instance or none"
            )
        if objective.shown == "coin":
            yield (
                "adversarial.shown=coin cannot be used with adversarial.objective=wasserstein_gp: its penalty needs "
                "the real and the enhanced picture of every sample; choose both"
            )
    if config.train.rule == "cycle" and critic.sees_input:
        yield "critic.conditional=True cannot be used by train.rule=cycle: a real picture has no input to be shown with"
    if config.train.rule == "cycle" and objective.shown == "coin":
        yield "adversarial.shown=coin cannot be used by train.rule=cycle; choose both"


def _rule(config: Config) -> Iterator[str]:
    phases, rule = config.phases, config.train.rule
    if rule != "phased" and phases != PhasesConfig():
        yield f"phases.* is used by train.rule=phased only, not by {rule}"
    if rule != "cycle" and config.cycle != CycleConfig():
        yield f"cycle.* is used by train.rule=cycle only, not by {rule}"
    if rule != "phased":
        return
    if phases.curve_at > 0 and not isinstance(config.net, CurveConfig):
        yield f"phases.curve_at={phases.curve_at:g} needs net.family=curve, not {config.net.family}"
    if phases.adversarial_at > 0 and not config.loss.adversarial:
        yield f"phases.adversarial_at={phases.adversarial_at:g} needs loss.adversarial > 0"
    if phases.adversarial_at > 0 and not any(getattr(config.loss, term) for term in TERMS if term != "adversarial"):
        yield "phases.adversarial_at > 0 needs another loss.* > 0, or the phases before have nothing to train for"


def _optimizers(config: Config) -> Iterator[str]:
    for part in ("optimizer", "critic_optimizer"):
        optimizer = getattr(config, part)
        if isinstance(optimizer, SGDConfig) and optimizer.nesterov and not optimizer.momentum:
            yield f"{part}.nesterov=True needs {part}.momentum > 0"
        if optimizer.schedule == "constant" and optimizer.hold_share:
            yield f"{part}.hold_share={optimizer.hold_share:g} is without effect where {part}.schedule=constant"
        if optimizer.schedule != "constant" and 0 < optimizer.hold_share < optimizer.warmup_share:
            yield (
                f"{part}.hold_share={optimizer.hold_share:g} must not be before the end of the warm-up, "
                f"{part}.warmup_share={optimizer.warmup_share:g}"
            )


_CONFLICTS: tuple[Callable[[Config], Iterator[str]], ...] = (_net, _losses, _critic, _rule, _optimizers)
