"""The closing summary of a run, read from its ledger by the same code that `python -m analysis` uses."""

from collections.abc import Callable, Sequence

from rich.console import Console

from analysis.frontier.answer import frontier
from analysis.frontier.configurations import untouched
from analysis.frontier.confirmation import luck_lines
from analysis.frontier.table import endings_line, frontier_table, hidden_line, legend_lines
from analysis.ledger.load import Ledger, LedgerError, load
from analysis.ledger.location import Location, StoreError, folders
from analysis.ledger.units import counted, metric_label, metric_text
from analysis.screen import shell_words
from analysis.stopping.answer import stopping_lines
from sweeps.engine.cli.display.answers import print_answer
from sweeps.engine.environment import analysis_command
from sweeps.engine.run.kept.weights import FOLDER

OTHERS = 5
"""How many configurations behind the front are listed."""


def print_summary(run: Location, answered_by: str, notes: Sequence[str], console: Console) -> None:
    """The front with its intervals, what confirmations and the audit say, the endings, and the next command.

    Where configurations were confirmed, only these are shown. `answered_by` is `Sweep.answered_by`, and `notes` is
    what the ledger does not know about the search.
    """

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    try:
        ledger = load(run)
    except LedgerError as error:
        say(str(error))
        return
    for note in ledger.notes:
        say(f"note: {note}")
    try:
        found = frontier([ledger])
        said = [*luck_lines(ledger, ledger.objectives), *stopping_lines(ledger)]
    except LedgerError as error:
        say(f"note: {error}")
    else:
        # Without the chances of being on the front, which take a moment to compute.
        console.print(frontier_table(found.ranked, found.objectives, OTHERS))
        say("\n".join(legend_lines(found.ranked, found.objectives)))
        for line in [*hidden_line(found.hidden), *_untouched_lines(ledger), *said]:
            say(line)
        for remark in found.caveats:
            say(f"note: {remark}")
    _say_answer(answered_by, ledger, console, say)
    for note in notes:
        say(f"note: {note}")
    say(f"\n{endings_line(ledger)}")
    say(f"ledger: {run}")
    for line in _weights_line(run):
        say(line)
    say(f"next:   {analysis_command()} {answered_by} {shell_words(run)}")


def _say_answer(answered_by: str, ledger: Ledger, console: Console, say: Callable[[str], None]) -> None:
    try:
        print_answer(answered_by, ledger, console)
    except LedgerError as error:
        # With a single seed, for example, there is no spread; the front and the endings are shown all the same.
        say(f"note: {error}")


def _weights_line(run: Location) -> list[str]:
    """Where the trained networks are, if any were kept."""
    try:
        count = len(folders(run / FOLDER))
    except StoreError as error:
        return [f"note: the trained networks cannot be listed; {error}"]
    return [f"weights: {run / FOLDER} ({counted(count, 'trained network')})"] if count else []


def _untouched_lines(ledger: Ledger) -> list[str]:
    """What every network has to beat, in a line; none if no objective compares with a target."""
    scores = {objective.metric: untouched(ledger, objective.metric) for objective in ledger.objectives}
    parts = [f"{metric_label(name)} {metric_text(name, score)}" for name, score in scores.items() if score is not None]
    return [f"the input pictures, untouched: {', '.join(parts)}"] if parts else []
