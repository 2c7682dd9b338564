"""`analysis stopping`: whether stopping trials early was right, and what it saved."""

import argparse
import json

import pandas as pd

from analysis.commands.arguments import RUN, run_location
from analysis.figures.stopping import Audit, numbers, stopping_figure
from analysis.load import Ledger, LedgerError, contract, load
from analysis.location import Location
from analysis.losses import FEWEST_FOR_REGRET, losses
from analysis.output import console, say_notes, say_written, written
from analysis.replays import arms, replay_command, replays
from analysis.stopping import FEWEST, agreement, audited, saved_by_rung, scores, stopped_trials
from analysis.tables.stopping import agreement_table, arms_table, legend_lines, losses_table, saved_table
from analysis.units import COSTS


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=RUN)
    parser.add_argument("--out", metavar="DIR", type=run_location, help="where the files go (default: RUN/analysis)")


def run(options: argparse.Namespace) -> None:
    """Carry the command out, run by run. Raises LedgerError."""
    names = [place.name for place in options.runs]
    twice = {name for name in names if names.count(name) > 1}
    if options.out and twice:
        raise LedgerError(f"two runs are called {', '.join(sorted(twice))}: give --out for each of them alone")
    for place in options.runs:
        ledger = load(place)
        say_notes(ledger.notes)
        stem = f"stopping-{place.name}" if len(names) > 1 and options.out else "stopping"
        _one(ledger, options.out or place / "analysis", stem)


def _one(ledger: Ledger, folder: Location, stem: str) -> None:
    _check(ledger)
    objectives = [objective for objective in ledger.objectives if objective.metric not in COSTS]
    played, notes = replays(ledger.path)
    say_notes(notes)
    audit = Audit(objectives, scores(ledger, objectives), agreement(ledger, objectives), losses(ledger, objectives),
                  saved_by_rung(ledger), arms(played))  # fmt: skip
    said = [*_audit_lines(ledger), *_replay_lines(ledger, played)]
    title = str(ledger.runs["question"].iloc[-1])
    rule = contract(ledger, "stopping")
    foot = [f"Stopping rule: {rule}. Data: {ledger.runs['run.data_spec'].iloc[-1]}. Intervals: 95 %.",
            *(f"{line[0].upper()}{line[1:]}." for line in said)]  # fmt: skip
    paths = written(numbers(audit), stopping_figure(title, audit, foot), folder, stem)
    if played.empty:
        said.append(f"no replays of other rules yet; they are made by: {replay_command(ledger.path)}")
    _say(title, audit, said, json.loads(played["objectives"].iloc[0])[0] if len(played) else "")
    say_written(paths)


def _check(ledger: Ledger) -> None:
    """Refuse what rungs have nothing to do with."""
    rungs, trials = contract(ledger, "rungs"), ledger.read("trials", ["stage", "ending"])
    search = trials[trials["stage"] == "search"]
    if len(rungs) < 2:
        raise LedgerError(f"the only rung of {ledger.path} is its last step, {rungs[-1]}: it stops nobody")
    completed = int((search["ending"] == "completed").sum())
    if completed < 2:
        raise LedgerError(
            f"{completed} of the {len(search)} trials of the search in {ledger.path} completed; at least 2 must, for "
            "the rungs to be held against the end"
        )


def _audit_lines(ledger: Ledger) -> list[str]:
    """What the tables can say, and what they cannot."""
    stopped, share = len(stopped_trials(ledger)), float(contract(ledger, "audit_share"))
    if not stopped:
        return ["nothing was stopped, so every end is known and needs no audit"]
    if not share:
        return [f"{stopped} trials were stopped and none was spared, so how they would have ended is not known: start "
                "a run with --audit-share 0.1, which spares one in ten"]  # fmt: skip
    spared = int((audited(ledger)["spared"] >= 0).sum())
    counted = f"{stopped} trials were stopped; of those spared instead (audit_share {share:g}) {spared} completed"
    if spared < FEWEST:
        return [f"{counted}, too few to judge the rungs by: {FEWEST} are needed, {FEWEST_FOR_REGRET} for a regret"]
    return [counted]


def _replay_lines(ledger: Ledger, played: pd.DataFrame) -> list[str]:
    if played.empty:
        return []
    search = int((ledger.read("trials", ["stage"])["stage"] == "search").sum())
    used = f"{played['curves'].iloc[0]} curves of {search} trials, those to the end, one seed of each configuration"
    return [f"arms: medians and quartiles over replays of {used}"]


def _say(title: str, audit: Audit, said: list[str], best: str) -> None:
    print(f"\n{title}\n")
    screen = console()
    if len(audit.agreement):
        screen.print(agreement_table(audit.agreement))
    if len(audit.losses):
        screen.print(losses_table(audit.losses))
    screen.print(saved_table(audit.saved))
    if len(audit.arms):
        screen.print(arms_table(audit.arms, best))
    print("\n".join([*legend_lines(), "", *said]))
