"""The plan of a sweep, printed before anything is computed: what will be tried, how long, and where."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.ledger.location import StorePath
from analysis.ledger.units import recorded_text
from enhance.conditions import Conditions
from sweeps.engine.cli.options import Options
from sweeps.engine.cli.sizing.workload import expected_steps, most_steps, most_trials
from sweeps.engine.environment import ENHANCE, code_hash
from sweeps.engine.ledger.encoding import encode_entry
from sweeps.engine.rungs import RULES
from sweeps.engine.space import corner_points
from sweeps.engine.sweep import METRICS, Budget, Sweep

SAMPLE_MB = 0.02
"""A PNG of 100 x 100 px takes 10 to 20 kB."""

COLUMNS = 5
"""Up to this many enqueued configurations get a column each; more are listed by name only."""


def render_plan(sweep: Sweep, options: Options) -> RenderableType:
    """The plan as tables: question, budget, where it will run, search space, fixed parameters."""
    budget = sweep.budget
    facts = Table.grid(padding=(0, 2))
    # A narrow terminal wraps the text: cut off, a path would be of no use.
    for _ in range(2):
        facts.add_column(overflow="fold")
    facts.add_row("question", sweep.question)
    facts.add_row("known", sweep.found)
    facts.add_row("data", sweep.data)
    facts.add_row("objectives", ", ".join(map(_objective, sweep.objectives)))
    facts.add_row("trials", _trials(sweep, options))
    facts.add_row("rungs", _rungs(sweep))
    if budget.audit_share and budget.rungs > 1:
        facts.add_row(
            "audit",
            f"{budget.audit_share:.0%} of the trials due to be stopped are trained to the end, to measure what "
            "stopping costs",
        )
    if budget.confirm:
        seeds = f"{budget.confirm_seeds} fresh seed(s)"
        facts.add_row("confirmed", f"the best {budget.confirm} at the end, retrained to the full budget on {seeds}")
    facts.add_row("steps", f"about {expected_steps(budget, sweep.stopping):,}, at most {most_steps(budget):,}")
    for name, words in (
        ("set", options.settings),
        ("measured", _measured(sweep.cost)),
        ("pictures", _pictures(budget, options)),
        ("limits", _limits(options)),
        ("beware", _partial_view(sweep)),
    ):
        if words:
            facts.add_row(name, words)
    facts.add_row("runs on", f"{_where(options)}, {options.device}, {options.dtype}")
    facts.add_row("code", f"{code_hash()} ({ENHANCE})")
    without = " (without optuna.journal: an object store cannot append to a file)"
    facts.add_row("ledger", f"{options.out}{without if isinstance(options.out, StorePath) else ''}")
    space = Table(title="varies", title_justify="left", box=None, padding=(0, 2))
    space.add_column("parameter", overflow="fold")
    space.add_column("range", overflow="fold")
    shown = sweep.enqueue if len(sweep.enqueue) <= COLUMNS else {}
    for label in shown:
        space.add_column(label, justify="right", overflow="fold")
    for name, entry in sweep.space.items():
        space.add_row(
            name, recorded_text(encode_entry(entry)), *(_short(values.get(name, "")) for values in shown.values())
        )
    fixed = "  ".join(f"{name}={_short(value)}" for name, value in sorted(sweep.fixed.items()))
    named = [] if shown or not sweep.enqueue else [Text(f"tried first: {', '.join(sweep.enqueue)}")]
    return Group(Text(sweep.name, style="bold"), facts, space, *named, Text(f"fixed: {fixed}", style="dim"))


def _trials(sweep: Sweep, options: Options) -> str:
    """How many trials there are, and how their configurations are chosen."""
    budget = sweep.budget
    if budget.every:
        return f"one configuration, {budget.seeds} fresh seed(s)"
    return f"{budget.trials} configurations x {budget.seeds} seed(s), {_way(sweep, options)}"


def _rungs(sweep: Sweep) -> str:
    """At which steps trials report, and who is stopped there."""
    budget = sweep.budget
    if budget.every:
        wait = f"; ends early after {budget.patience} reports without progress" if budget.patience else ""
        return f"a report and a checkpoint every {budget.every:,} of {budget.steps:,} steps{wait}"
    rungs = " -> ".join(map(str, budget.rung_steps())) + " steps"
    if budget.rungs > 1:
        rungs += f", reduction {budget.reduction}; {sweep.stopping}: {RULES[sweep.stopping].line}"
    return rungs


def _where(options: Options) -> str:
    """This process, this machine or a cluster, with the number of workers."""
    if options.workers == 0:
        return "this process"
    shared = "" if options.per_device is None else f", {options.per_device} on each GPU"
    if options.per_device == "auto":
        shared = ", as many on each GPU as measure best"
    if options.address is None:
        most = "at most " if options.per_device == "auto" else ""
        return f"Ray on this machine, {most}{options.workers} workers{shared}"
    workers = (
        f"as many workers as it has room for ({options.workers} now)"
        if options.elastic
        else f"{options.workers} workers"
    )
    return f"Ray at {options.address} (from {options.told_by}), {workers}{shared}"


def _measured(cost: Conditions | None) -> str:
    """What is measured before training, and how; "" if nothing is."""
    if cost is None:
        return ""
    size = f"{cost.width_px}x{cost.height_px}"
    how = f"{size} on {cost.device}, {cost.threads} thread(s), {cost.dtype}, {cost.memory_format}"
    return f"latency of every network before training ({how}), also relative to DPED's; up to {cost.max_s:g} s each"


def _partial_view(sweep: Sweep) -> str:
    """Which families are meant to see photos, since all are trained on patches; "" if none is."""
    nets = [sweep.config(point).net for point in corner_points(sweep.space)]
    names = list(dict.fromkeys(net.family for net in nets if net.view == "photo"))
    if not names:
        return ""
    return (
        f"{', '.join(names)}: what is done to a picture depends on the whole of it. Patches differ in that from "
        "photos, so look at photos too (--photo)"
    )


def _limits(options: Options) -> str:
    limits = [f"{options.max_minutes:g} minutes"] if options.max_minutes is not None else []
    limits += [f"{options.max_device_hours:g} device hours"] if options.max_device_hours is not None else []
    return f"no trial starts after {' or '.join(limits)}" if limits else ""


def _pictures(budget: Budget, options: Options) -> str:
    """The output pictures that are saved, and how much disk space they take; "" if there are none."""
    said = []
    if options.samples:
        # The fixed ones, and the trial's best and worst.
        each = (options.samples + 2) * SAMPLE_MB
        most = f"about {each:.2g} MB per trial, at most {most_trials(budget) * each:.2g} MB"
        said = [f"{options.samples} validation patches of every completed trial, and its best and worst ({most})"]
    if options.photos:
        # An image is called photo/NAME#DIGEST.
        names = ", ".join(photo.image.partition("/")[2].partition("#")[0] for photo in options.photos)
        said.append(f"{names}, enhanced by {'the confirmed networks' if budget.confirm else 'every network'}")
    return "; ".join(said)


def _objective(name: str) -> str:
    arrow = "highest" if METRICS[name] == "maximize" else "lowest"
    return f"{name} ({arrow})"


def _way(sweep: Sweep, options: Options) -> str:
    """How configurations are chosen: by a sampler, or from the points of a design."""
    way = f"sampler {sweep.sampler}"
    if sweep.design is not None:
        way = f"of the {sweep.design.size(sweep.space)} points of {sweep.design!r}"
    way += "".join(f", {name} {value}" for name, value in sweep.sampler_options.items())
    return f"{way}, in reproducible batches" if options.reproducible else way


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
