"""How much there is to do in a sweep: trials, training steps and evaluations, expected and at most."""

from collections.abc import Iterator

from sweeps.engine.sweep import Budget


def expected_steps(budget: Budget, stopping: str = "pareto") -> int:
    """Training steps of the whole run if every rung keeps one trial in `reduction` and spares the audit's share."""
    rungs = budget.rung_steps()
    spans = (after - before for before, after in zip((0, *rungs), rungs, strict=False))
    steps = sum(share * span for share, span in zip(_shares(budget, stopping), spans, strict=True))
    return round(budget.trials * budget.seeds * steps) + confirmation_steps(budget)


def expected_evaluations(budget: Budget, stopping: str = "pareto") -> int:
    """Evaluations of the whole run under the same assumption: one per trial and rung."""
    search = budget.trials * budget.seeds * sum(_shares(budget, stopping))
    return round(search) + budget.confirm * budget.confirm_seeds * len(budget.rung_steps())


def most_steps(budget: Budget) -> int:
    """Training steps of the whole run if nothing is stopped early: the upper bound."""
    return budget.trials * budget.seeds * budget.steps + confirmation_steps(budget)


def most_evaluations(budget: Budget) -> int:
    """Evaluations of the whole run if nothing is stopped early."""
    return most_trials(budget) * len(budget.rung_steps())


def most_trials(budget: Budget) -> int:
    """How many trials there will be, if the search completes enough configurations to confirm."""
    return budget.trials * budget.seeds + budget.confirm * budget.confirm_seeds


def confirmation_steps(budget: Budget) -> int:
    """Training steps of the confirmation, which stops nothing early."""
    return budget.confirm * budget.confirm_seeds * budget.steps


def _shares(budget: Budget, stopping: str) -> Iterator[float]:
    """The share of the search's trials that reach each rung."""
    keep = {"none": 1.0, "median": 0.5}.get(stopping, 1 / budget.reduction)
    # `going` were good enough so far, `spared` are there only for the audit.
    going, spared = 1.0, 0.0
    for _ in budget.rung_steps():
        yield going + spared
        spared += going * (1 - keep) * budget.audit_share
        going *= keep
