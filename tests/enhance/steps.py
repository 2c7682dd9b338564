"""Both halves of a training step, one after the other."""

from enhance.rules import Rule, StepStats


def train_step(rule: Rule, step: int) -> StepStats:
    """Train step number `step`, counted from 0."""
    rule.stage(step)
    return rule.compute()
