"""Which columns the files of a run have, known from its sweep before the first trial starts.

Most readers of Parquet take the columns of a dataset from its first file: a column that this one lacks is dropped by
pandas and refused by DuckDB and polars. So every file of a dataset has every column that any trial of the run may
fill, null if a trial has no value: it diverged before its first rung, or its optimizer has no momentum.
"""

import itertools
from datetime import UTC, datetime

from enhance.conditions import Cost
from enhance.config import Config, Domain, Scalar, domains, flatten, from_flat
from enhance.config.config import VARIANTS
from enhance.config.conflicts import TERMS
from enhance.report import Report
from enhance.samples import Sample
from sweeps.engine.ledger.writer import Row
from sweeps.engine.run.samples import sample_rows
from sweeps.engine.run.trials import RunContext, Trial, cost_row, report_row, start_row, trial_row
from sweeps.engine.space import When, corner_points, inner
from sweeps.engine.sweep import COSTS, KNOWN_BEFORE, METRICS, UNPAIRED_METRICS, Sweep

CRITIC_SIGNALS = ("critic_loss", "critic_grad_norm", "critic_accuracy", "critic_penalty")
"""What `enhance.rules.adversary` reports of a critic; `enhance.rules.cycle` says critic_back_... of its second one."""

CURVE_SIGNALS = ("control_point",)
"""What `enhance.nets.curve` reports."""

# A default configuration lacks the variants of parts that it does not use; these come from the table of variants.
_DEFAULTS: dict[str, Scalar] = {**{name: own[2] for name, own in VARIANTS.items()}, **flatten(Config())}
_NO_TARGET = (*UNPAIRED_METRICS, *KNOWN_BEFORE)
"""Metrics that need no target; all others compare with one."""


def full_rows(sweep: Sweep, context: RunContext, *, paired: bool) -> dict[str, Row]:
    """One made-up row for each dataset whose rows differ in their columns: it has all of them.

    Its values show the kind of each column and mean nothing. `paired` says whether the data have targets: only then are
    there metrics that compare with one. The datasets `runs` and `originals` are left out: their rows all have the same
    columns.
    """
    every: dict[str, Scalar] = {f"config.{name}": own.kind() for name, own in config_leaves(sweep).items()}
    nets = {name: value for name, value in every.items() if name.startswith("config.net.")}
    trial, report = _trial(sweep), _report(sweep, paired=paired)
    # The real row functions make the rows, so that a column added there is promised without a change here.
    trial.reports[report.step] = report
    sample = Sample(image="", scores=_of_one_image(report), output=None)
    rows = {
        "starts": {**start_row(trial, sweep.name), **every},
        "reports": report_row(trial, report),
        "trials": {**trial_row(trial, sweep.name, sweep.budget.rung_steps(), context), **every},
        "samples": sample_rows("", 0, [sample])[0],
    }
    if sweep.cost is not None:
        cost = Cost(conditions=sweep.cost, spent_s=0.0, load_1min=0.0, device_name="", torch="")
        rows["costs"] = {**cost_row("", flatten(trial.config), cost, "", context, ""), **nets}
    return rows


def config_leaves(sweep: Sweep) -> dict[str, Domain]:
    """The leaves of every configuration that the sweep can propose, whatever variants it chooses."""
    parts = dict.fromkeys(name.split(".")[0] for name in VARIANTS)
    found = {name: own for name, own in domains().items() if name.split(".")[0] not in parts}
    for part in parts:
        # Parts do not influence each other's leaves; of one part all choices do (a curve has its base's leaves too).
        own = [name for name in VARIANTS if name.startswith(f"{part}.")]
        for values in itertools.product(*(possible_values(sweep, name) for name in own)):
            known = domains(dict(zip(own, values, strict=True)))
            found |= {name: domain for name, domain in known.items() if name.startswith(f"{part}.")}
    return found


def possible_values(sweep: Sweep, name: str) -> tuple[Scalar, ...]:
    """The corners of what the leaf `name` can be in the sweep: searched, fixed, or its default."""
    base = sweep.fixed.get(name, _DEFAULTS[name])
    if name not in sweep.space:
        return (base,)
    entry = sweep.space[name]
    # Where a condition does not hold, the leaf keeps its base value.
    return (*inner(entry).corners(), base) if isinstance(entry, When) else inner(entry).corners()


def _of_one_image(report: Report) -> dict[str, float]:
    """The metrics that differ from picture to picture."""
    return {name: value for name, value in report.metrics.items() if name not in KNOWN_BEFORE}


def _trial(sweep: Sweep) -> Trial:
    """A trial with a value of the right kind in every field that the row functions read."""
    now = datetime.now(UTC)
    config = sweep.config(next(corner_points(sweep.space)))
    return Trial(id="", number=0, config=config, values={}, label="", seed=0, started=now, ending="completed")


def _report(sweep: Sweep, *, paired: bool) -> Report:
    """A report at the last rung with every metric, loss term and signal that some trial of the sweep may report."""
    rules = possible_values(sweep, "train.rule")
    own = [name for name in METRICS if paired and name not in _NO_TARGET]
    own += [name for name in UNPAIRED_METRICS if "cycle" in rules]
    # An untouched picture goes through no cycle, and gains nothing over itself.
    untouched = [name for name in own if name not in (*UNPAIRED_METRICS, "psnr_gain_db")]
    terms = [name for name in TERMS if any(value != 0 for value in possible_values(sweep, f"loss.{name}"))]
    families = (*possible_values(sweep, "net.family"), *possible_values(sweep, "net.base"))
    terms += dict.fromkeys(term for family in families for term in from_flat({"net.family": family}).net.penalties)
    measured = COSTS if sweep.cost is not None else ()
    return Report(
        step=sweep.budget.rung_steps()[-1],
        metrics=dict.fromkeys([*own, "parameters", *measured], 0.0),
        spread=dict.fromkeys([*own, "parameters"], 0.0),
        untouched=dict.fromkeys(untouched, 0.0),
        images=0,
        losses=dict.fromkeys(terms, 0.0),
        signals=dict.fromkeys(_signals(sweep, critic="adversarial" in terms, two="cycle" in rules), 0.0),
        loss_total=0.0,
        grad_norm=0.0,
        learning_rate=0.0,
        train_s=0.0,
        eval_s=0.0,
    )


def _signals(sweep: Sweep, *, critic: bool, two: bool) -> list[str]:
    found = list(CURVE_SIGNALS) if "curve" in possible_values(sweep, "net.family") else []
    # Only a cycle trains a second critic, for the way back.
    critics = [name for name, there in {"critic": critic, "critic_back": critic and two}.items() if there]
    return found + [signal.replace("critic", name, 1) for name in critics for signal in CRITIC_SIGNALS]
