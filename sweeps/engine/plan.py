"""The plan: what a sweep will do, in numbers, before anything is computed."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sweeps.engine.options import Options
from sweeps.engine.space import describe
from sweeps.engine.sweep import Budget, Sweep


def expected_steps(budget: Budget) -> int:
    """Training steps of the whole search if at every rung one in `reduction` goes on."""
    trials = budget.trials * budget.seeds
    rungs = budget.rung_steps()
    stretches = [after - before for before, after in zip((0, *rungs), rungs, strict=False)]
    return round(sum(trials * stretch / float(budget.reduction**rung) for rung, stretch in enumerate(stretches)))


def most_steps(budget: Budget) -> int:
    """Training steps of the whole search if nothing is stopped: the bound that cannot be exceeded."""
    return budget.trials * budget.seeds * budget.steps


def render_plan(sweep: Sweep, options: Options) -> RenderableType:
    """The plan as tables: question, space, what stays fixed, budget, where it will run."""
    budget = sweep.budget
    facts = Table.grid(padding=(0, 2))
    facts.add_row("question", sweep.question)
    facts.add_row("known", sweep.found)
    facts.add_row("data", sweep.data)
    facts.add_row("objectives", ", ".join(sweep.objectives) + f" (rungs look at {sweep.objectives[0]})")
    facts.add_row("trials", f"{budget.trials} configurations x {budget.seeds} seed(s), sampler {sweep.sampler}")
    facts.add_row(
        "rungs", " -> ".join(map(str, budget.rung_steps())) + f" steps, about 1 in {budget.reduction} goes on"
    )
    facts.add_row("steps", f"about {expected_steps(budget):,}, at most {most_steps(budget):,}")
    where = f"Ray at {options.address}" if options.address else "Ray on this machine"
    where = "this process" if options.workers == 0 else f"{where}, {options.workers} workers"
    facts.add_row("runs on", f"{where}, {options.device}, {options.dtype}")
    facts.add_row("ledger", str(options.out))
    space = Table(title="varies", title_justify="left", box=None, padding=(0, 2))
    space.add_column("parameter")
    space.add_column("range")
    for label in sweep.first:
        space.add_column(label, justify="right")
    for name, entry in sweep.space.items():
        space.add_row(name, describe(entry), *(_short(values.get(name, "")) for values in sweep.first.values()))
    fixed = "  ".join(f"{name}={_short(value)}" for name, value in sorted(sweep.fixed.items()))
    return Group(Text(sweep.name, style="bold"), facts, space, Text(f"fixed: {fixed}", style="dim"))


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
