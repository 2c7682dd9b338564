"""What commands share: their answer (numbers for `--json`, text for people), and how they load runs."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from analysis.ledger.load import Ledger, load
from analysis.ledger.location import Location
from analysis.ledger.names import file_names, refuse_copies, run_names
from analysis.output import say_notes

T = TypeVar("T")


class Answer(NamedTuple):
    """The answer of a command: `numbers` become the JSON object, or `say` prints the same for people."""

    numbers: Mapping[str, object]
    say: Callable[[], None]


def load_all(runs: Sequence[Location]) -> list[Ledger]:
    """Load the ledgers of different runs and print their notes on standard error. Raises LedgerError."""
    # Refuses a run that is named twice, before anything is read.
    run_names(runs)
    ledgers = [load(run) for run in runs]
    refuse_copies(ledgers)
    say_notes(note for ledger in ledgers for note in ledger.notes)
    return ledgers


def answer_each(
    command: str,
    options: Namespace,
    find: Callable[[Ledger, Location, str], T],
    numbers: Callable[[T], dict[str, object]],
    say: Callable[[T], None],
) -> Answer:
    """The answer of a `command` that treats its runs separately.

    `find` answers one run and writes its files, named by a folder and a stem. Raises LedgerError.
    """
    ledgers = load_all(options.runs)
    places = places_to_write(command, ledgers, options.out)
    # All are answered before any is printed: an error leaves no half of an answer on standard output.
    found = [find(ledger, *place) for ledger, place in zip(ledgers, places, strict=True)]

    def say_all() -> None:
        for one in found:
            say(one)

    return Answer({"runs": [numbers(one) for one in found]}, say_all)


def places_to_write(stem: str, ledgers: Sequence[Ledger], out: Location | None) -> list[tuple[Location, str]]:
    """The folder and the file stem for each run, for commands that answer each run separately.

    In the run's own folder `stem` is enough; runs that share the folder `out` also need their names in the stem.
    """
    if out is None:
        return [(ledger.path / "analysis", stem) for ledger in ledgers]
    names = run_names([ledger.path for ledger in ledgers])
    return [(out, own) for own in (file_names(stem, names) if len(names) > 1 else [stem])]


def described(ledgers: Sequence[Ledger]) -> list[dict[str, object]]:
    """The description of the runs that is part of every JSON object."""
    names = run_names([ledger.path for ledger in ledgers])
    return [_run(name, ledger) for name, ledger in zip(names, ledgers, strict=True)]


def described_one(ledger: Ledger) -> dict[str, object]:
    """The description of a single run."""
    return described([ledger])[0]


def question(ledger: Ledger) -> str:
    """The question of the run's newest invocation."""
    return str(ledger.runs["question"].iloc[-1])


def _run(name: str, ledger: Ledger) -> dict[str, object]:
    return {
        "name": name,
        "path": ledger.path,
        "sweep": ledger.runs["sweep"].iloc[-1] if "sweep" in ledger.runs.columns else None,
        "question": question(ledger),
        "data": ledger.runs["run.data_spec"].iloc[-1],
        "started": ledger.runs["started"].iloc[0],
        "endings": ledger.read("trials", ["ending"])["ending"].value_counts().to_dict(),
        "objectives": list(ledger.objectives),
    }
