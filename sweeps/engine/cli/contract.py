"""Whether a command may continue a run: the facts of its contract must be the same, or their change accepted.

A command is compared with the newest invocation, since that was compared with the one before it, and so on. The row of
an invocation records what it accepted (column `accepted`): {"code": {"from": "aa8d15a54d219d4e", "to": "0123..."}}.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from analysis.ledger.location import Location
from analysis.ledger.units import recorded_text
from analysis.screen import shell_words
from sweeps.engine.cli.arguments import ACCEPTABLE
from sweeps.engine.ledger.encoding import encode_design, encode_entry
from sweeps.engine.sweep import Sweep


class RunMismatch(ValueError):
    """The folder holds a run whose trials would not be comparable with those of this command."""


def contract_of(sweep: Sweep, reproducible: bool, *, data: str, code: str) -> dict[str, Any]:
    """What all invocations of one run must have in common, so that their trials compare. More trials may be added.

    `data` is the fingerprint of the data, and `code` the hash of `enhance/`.
    """
    # Lists, not tuples: it is compared with one that was read from JSON. Left out on purpose, because they may change:
    # how many trials and confirmations there are, and on which machines.
    return {
        "sweep": sweep.name,
        "objectives": list(sweep.objectives),
        "space": {name: encode_entry(entry) for name, entry in sweep.space.items()},
        "fixed": {**sweep.fixed, "train.steps": sweep.budget.steps},
        "rungs": list(sweep.budget.rung_steps()),
        "reduction": sweep.budget.reduction,
        "seeds": sweep.budget.seeds,
        "sampler": sweep.sampler,
        "sampler_options": dict(sweep.sampler_options),
        "design": encode_design(sweep.design),
        "stopping": sweep.stopping,
        "constraints": {name: list(bound) for name, bound in sweep.constraints.items()},
        "audit_share": sweep.budget.audit_share,
        "cost": None if sweep.cost is None else asdict(sweep.cost),
        "reproducible": reproducible,
        "data": data,
        "code": code,
        # Only where it is set, since runs that were begun without it do not record it.
        **({"patience": sweep.budget.patience} if sweep.budget.patience else {}),
    }


def check_contract(
    runs: Sequence[dict[str, Any]], now: dict[str, Any], accept: Sequence[str], out: Location
) -> dict[str, Any]:
    """What differs from the newest of the `runs`, by name, and is accepted: {"code": {"from": ..., "to": ...}}.

    Raises RunMismatch if anything else differs, or if such a run cannot continue after a change.
    """
    # A new run has nothing to differ from.
    before = json.loads(runs[-1]["contract"]) if runs else now
    differing = [name for name in now if before.get(name) != now[name]]
    if refused := [name for name in differing if name not in accept]:
        raise RunMismatch(
            f"{out} holds a run that this command cannot continue:\n"
            + "".join(f"  - {name}: there {_difference(before.get(name), now[name])}\n" for name in refused)
            + _advice(refused, out)
        )
    if differing and now["reproducible"]:
        raise RunMismatch(
            f"--accept-change {differing[0]}: the run in {out} is --reproducible and repeats its earlier decisions, "
            f"which needs the same {differing[0]}"
        )
    return {name: {"from": before.get(name), "to": now[name]} for name in differing}


def warning(accepted: dict[str, Any]) -> str:
    """What it means that a change was accepted."""
    said = " and ".join(f"{name} changed from {own['from']} to {own['to']}" for name, own in accepted.items())
    return (
        f"warning: {said} within this run. Trials that ended before count as they are, and are not trained again; "
        "unfinished ones start over. The column run.code says which code made a trial; `analysis frontier` points out "
        "where completed trials come from several, and these should be compared within one of them"
    )


def _advice(refused: Sequence[str], out: Location) -> str:
    others = f"another --out, with --warm-start {shell_words(out)} to let the sampler learn from it"
    if set(refused) <= set(ACCEPTABLE):
        flags = " ".join(f"--accept-change {name}" for name in refused)
        return (
            f"If you know that the change does not matter for what you compare, continue with {flags}: what has ended "
            f"counts, what has not starts over, and the ledger records the change. Otherwise use {others}."
        )
    return f"Give the options with which it was started; or {others}."


def _difference(before: Any, now: Any) -> str:
    """Two values side by side; of two mappings, only what differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        return ", ".join(f"{name} is {_words(before, name)}, here {_words(now, name)}" for name in names)
    return f"{recorded_text(before)}, here {recorded_text(now)}"


def _words(facts: dict[str, Any], name: str) -> str:
    return recorded_text(facts.get(name))
