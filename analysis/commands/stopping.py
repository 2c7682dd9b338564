"""`analysis stopping`: whether stopping trials early was right, and what it saved."""

import argparse
from typing import NamedTuple

from analysis.commands.answer import Answer, answer_each, described_one, question
from analysis.commands.arguments import add_out, add_runs
from analysis.ledger.load import Ledger, contract
from analysis.ledger.location import Location
from analysis.output import say_notes, say_written, write
from analysis.screen import terminal
from analysis.stopping.audit import Audit, audit, foot_lines, numbers
from analysis.stopping.figure import stopping_figure
from analysis.stopping.replays import replay_command
from analysis.stopping.table import audit_cells, legend_lines


class _Found(NamedTuple):
    ledger: Ledger
    audit: Audit
    files: list[Location]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several are answered separately")
    add_out(parser, "RUN/analysis")


def run(options: argparse.Namespace) -> Answer:
    """Answer each run separately. Raises LedgerError."""
    return answer_each("stopping", options, _one, _numbers, _say)


def _one(ledger: Ledger, folder: Location, stem: str) -> _Found:
    found = audit(ledger)
    say_notes(found.notes)
    figure = stopping_figure(question(ledger), found, foot_lines(ledger, found))
    return _Found(ledger, found, write(numbers(found), figure, folder, stem))


def _numbers(found: _Found) -> dict[str, object]:
    ledger, own = found.ledger, found.audit
    return {
        **described_one(ledger),
        "rule": contract(ledger, "stopping"),
        "rungs": contract(ledger, "rungs"),
        "audit_share": contract(ledger, "audit_share"),
        "agreement": own.agreement,
        "regret": own.regret,
        "saved": own.saved,
        "replays": own.arms,
        "files": found.files,
    }


def _say(found: _Found) -> None:
    ledger, own = found.ledger, found.audit
    more = [] if len(own.arms) else [f"no replays of other rules yet; make them with: {replay_command(ledger.path)}"]
    print(f"\n{question(ledger)}\n")
    screen = terminal()
    for cells in audit_cells(own):
        screen.print(cells.to_table())
    print("\n".join([*legend_lines(), "", *own.said, *more]))
    say_written(found.files)
