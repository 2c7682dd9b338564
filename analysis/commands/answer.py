"""What a command gives back: numbers for `--json`, or words and tables for people; and how runs are loaded for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from analysis.ledger.load import Ledger, load
from analysis.ledger.location import Location
from analysis.ledger.names import file_names, run_names
from analysis.output import say_notes


class Answer(NamedTuple):
    """`numbers` are the fields of the JSON object, `say` prints the same on standard output: one of them is used."""

    numbers: Mapping[str, object]
    say: Callable[[], None]


def load_all(runs: Sequence[Location]) -> list[Ledger]:
    """The ledgers of different runs; what was put aside in them is said on standard error. Raises LedgerError."""
    run_names(runs)  # refuses a run that is named twice before anything is read
    ledgers = [load(run) for run in runs]
    say_notes(note for ledger in ledgers for note in ledger.notes)
    return ledgers


def places_to_write(stem: str, ledgers: Sequence[Ledger], out: Location | None) -> list[tuple[Location, str]]:
    """A folder and the stem of its files for each run of a command that answers run by run.

    In the run's own folder the stem is enough; several runs that share the folder `out` need their names in it.
    """
    if out is None:
        return [(ledger.path / "analysis", stem) for ledger in ledgers]
    names = run_names([ledger.path for ledger in ledgers])
    return [(out, own) for own in (file_names(stem, names) if len(names) > 1 else [stem])]


def described(ledgers: Sequence[Ledger]) -> list[dict[str, object]]:
    """What every JSON object says of its runs."""
    names = run_names([ledger.path for ledger in ledgers])
    return [_run(name, ledger) for name, ledger in zip(names, ledgers, strict=True)]


def described_one(ledger: Ledger) -> dict[str, object]:
    """The same of a single run."""
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
