"""The whole audit of a run's early stopping, for the command and the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, Objective, contract
from analysis.ledger.units import COSTS, sentence
from analysis.stopping.answer import (
    FEWEST,
    agreement_of,
    sample_lines,
    saved_by_rung,
    scores,
    stopped_trials,
    weighted_trials,
)
from analysis.stopping.regret import FEWEST_FOR_REGRET, regret_by_rung
from analysis.stopping.replays import arms, replays

FEWEST_COMPLETED = 2


@dataclass(frozen=True, eq=False)
class Audit:
    """The frames of `answer.py`, `regret.py` and `replays.py` (`arms`, which may be empty).

    `best` names the metric in the column `best` of `arms`; `said` are sentences about the data behind the frames, and
    `notes` are about replay files that were skipped.
    """

    objectives: Sequence[Objective]
    scores: pd.DataFrame
    agreement: pd.DataFrame
    regret: pd.DataFrame
    saved: pd.DataFrame
    arms: pd.DataFrame
    best: str
    said: Sequence[str]
    notes: Sequence[str]


def audit(ledger: Ledger) -> Audit:
    """The audit of a run, for all objectives but costs, which are known before training.

    Raises LedgerError if no rung can stop a trial, and if fewer than FEWEST_COMPLETED trials of the search completed.
    """
    _check(ledger)
    objectives = [objective for objective in ledger.objectives if objective.metric not in COSTS]
    # Both the agreement and the figure need the scores, so they are read once.
    early_end, stopped = scores(ledger, objectives), len(stopped_trials(ledger))
    played, notes = replays(ledger.path)
    return Audit(
        objectives,
        early_end,
        agreement_of(early_end, stopped > 0),
        regret_by_rung(ledger, objectives),
        saved_by_rung(ledger),
        arms(played),
        json.loads(played["objectives"].iloc[0])[0] if len(played) else "",
        [*_audit_lines(ledger, stopped), *sample_lines(ledger), *_replay_lines(ledger, played)],
        notes,
    )


def numbers(found: Audit) -> pd.DataFrame:
    """All frames in one, with the column `answer` naming the frame of each row."""
    parts = {name: getattr(found, name) for name in ("agreement", "regret", "saved", "arms", "scores")}
    told = [part.assign(answer=name) for name, part in parts.items() if len(part)]
    frame: pd.DataFrame = pd.concat(told, ignore_index=True)
    return frame


def foot_lines(ledger: Ledger, found: Audit) -> list[str]:
    """The caption of the figure."""
    spec = ledger.runs["run.data_spec"].iloc[-1]
    rule = f"Stopping rule: {contract(ledger, 'stopping')}. Data: {spec}. Intervals: 95 %."
    return [rule, *(f"{sentence(line)}." for line in found.said)]


# --- the steps ---------------------------------------------------------------------------------------------------


def _check(ledger: Ledger) -> None:
    """Refuse a run without rungs that could stop a trial, or with too few completed trials."""
    rungs, trials = contract(ledger, "rungs"), ledger.read("trials", ["stage", "ending"])
    search = trials[trials["stage"] == "search"]
    if len(rungs) < 2:
        raise LedgerError(
            f"the only rung of {ledger.path} is its last step, {rungs[-1]}, so nothing can be stopped early"
        )
    completed = int((search["ending"] == "completed").sum())
    if completed < FEWEST_COMPLETED:
        raise LedgerError(
            f"{completed} of the {len(search)} trials of the search in {ledger.path} completed; at least "
            f"{FEWEST_COMPLETED} must, so that rungs can be compared with the end"
        )


def _audit_lines(ledger: Ledger, stopped: int) -> list[str]:
    """What the tables can answer, and what they cannot."""
    share = float(contract(ledger, "audit_share"))
    if not stopped:
        return ["nothing was stopped, so every final score is known and no audit is needed"]
    if not share:
        return [
            f"{stopped:,} trials were stopped and none was spared, so how they would have ended is unknown; "
            "--audit-share 0.1 would spare one in ten"
        ]
    spared = int((weighted_trials(ledger)["spared"] >= 0).sum())
    counted = f"{stopped:,} trials were stopped; {spared:,} that were spared (audit_share {share:g}) completed"
    if spared < FEWEST:
        return [f"{counted}, too few to judge the rungs: {FEWEST} are needed, {FEWEST_FOR_REGRET} for a regret"]
    return [counted]


def _replay_lines(ledger: Ledger, played: pd.DataFrame) -> list[str]:
    if played.empty:
        return []
    search = int((ledger.read("trials", ["stage"])["stage"] == "search").sum())
    used = f"{played['curves'].iloc[0]} of {search:,} trials, those trained to the end, one seed per configuration"
    return [f"arms: medians and quartiles over replays of the curves of {used}"]
