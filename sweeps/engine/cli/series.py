"""Several sweeps of one script, run one after the other, and resumed by one command.

Their ledgers lie side by side in one folder, FOLDER/NAME each, so that `--resume FOLDER` finds them all. It continues
those that have begun, each with the options of its own latest invocation. The others start with the options of the one
before them, as they would have without the interruption.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.ledger.location import Location
from analysis.screen import shell_words
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.invocations import recorded_sweep
from sweeps.engine.cli.options import fresh_folder
from sweeps.engine.cli.sources import holds, located
from sweeps.engine.sweep import NAME, Sweep

ALL = "all"


@dataclass(frozen=True)
class Part:
    """One sweep of a script, and how it is started.

    `name` is the sweep's among those of its script, and `chosen` the arguments that say so; `argv` are the others. A
    part that has not begun takes over the options of the run `like`. `series` are the runs that `again`, the arguments
    that resume them, continues; without them, a part is resumed alone.
    """

    sweep: Sweep
    argv: Sequence[str]
    name: str = ""
    chosen: tuple[str, ...] = ()
    like: Location | None = None
    series: tuple[Location, ...] = ()
    again: tuple[object, ...] = ()


def parts(sweeps: Mapping[str, Sweep], switch: str, default: str, argv: Sequence[str], script: str) -> list[Part]:
    """The sweeps that the arguments choose, by `switch NAME`: one, or ALL. `script` names the folder that they share.

    Raises UsageError for another name, and for a folder whose runs are not those of the sweeps chosen.
    """
    chosen, rest = _read(switch, default, argv)
    if chosen.name not in (*sweeps, ALL):
        raise UsageError(f"{switch} {chosen.name}: choose from {', '.join(sweeps)}, {ALL}")
    places = {option: text for option in ("out", "resume") if (text := getattr(chosen, option)) is not None}
    found = {option: _located(option, text) for option, text in places.items()}
    if chosen.name != ALL:
        _check_one(chosen.name, switch, found.get("resume"))
        own = [word for option, text in places.items() for word in (f"--{option}", text)]
        return [Part(sweeps[chosen.name], [*rest, *own], chosen.name, (switch, chosen.name))]
    if len(set(found.values())) > 1:
        raise UsageError(f"--resume {found['resume']} and --out {found['out']} name two runs; give one of them")
    if not found:
        folder = fresh_folder(script if NAME.fullmatch(script) else "sweeps")
        places, found = {"out": str(folder)}, {"out": folder}
    return _series(sweeps, switch, places, next(iter(found.values())), rest)


def _read(switch: str, default: str, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The choice and the folder, and the other arguments: these the parser of each sweep reads, with its defaults."""
    # No help: --help is left among the others, for the sweep's own parser.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(switch, dest="name", default=default)
    parser.add_argument("--out")
    parser.add_argument("--resume")
    try:
        return parser.parse_known_args(list(argv))
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from None


def _located(option: str, text: str) -> Location:
    found = located(f"--{option}", text)
    assert found is not None, "the option has a value"
    return found


def _check_one(name: str, switch: str, resumed: Location | None) -> None:
    """Raise UsageError if one sweep is to be resumed in the folder of all."""
    if resumed is not None and not _holds_run(resumed) and _holds_run(resumed / name):
        raise UsageError(
            f"--resume {resumed} holds the runs of several sweeps; continue all of them with {switch} {ALL} "
            f"--resume {shell_words(resumed)}, or this one with {switch} {name} --resume {shell_words(resumed / name)}"
        )


def _series(
    sweeps: Mapping[str, Sweep], switch: str, places: Mapping[str, str], folder: Location, rest: Sequence[str]
) -> list[Part]:
    """All sweeps, each in its own folder inside `folder`, which the options `places` name."""
    runs = {name: folder / name for name in sweeps}
    begun = [name for name, run in runs.items() if _holds_run(run)]
    _check_folder(sweeps, switch, folder, begun, resumed="resume" in places)
    found, like = [], runs[begun[0]] if begun else None
    for name, sweep in sweeps.items():
        resumed = "resume" in places and name in begun
        option = "--resume" if resumed else "--out"
        # As it was typed, since it is printed again.
        text = f"{next(iter(places.values())).rstrip('/')}/{name}"
        model = like if "resume" in places and not resumed else None
        again = (switch, ALL, "--resume", folder)
        found.append(Part(sweep, [*rest, option, text], name, (switch, name), model, tuple(runs.values()), again))
        like = runs[name] if resumed else like
    return found


def _check_folder(
    sweeps: Mapping[str, Sweep], switch: str, folder: Location, begun: Sequence[str], *, resumed: bool
) -> None:
    """Raise UsageError if the folder holds runs of other sweeps, or none of those to resume."""
    if _holds_run(folder):
        there = recorded_sweep(folder)
        own = [name for name, sweep in sweeps.items() if sweep.name == there]
        raise UsageError(
            f"{folder} holds a run of one sweep, {there or 'of which no name is readable'}; "
            + (f"continue it with {switch} {own[0]} --resume {shell_words(folder)}" if own else _sweeps_here(sweeps))
        )
    found = {name: recorded_sweep(folder / name) for name in begun}
    if others := {name: there for name, there in found.items() if there not in ("", sweeps[name].name)}:
        listed = ", ".join(f"{folder / name} is one of {there}" for name, there in others.items())
        raise UsageError(f"{folder} holds runs of another script: {listed}; {_sweeps_here(sweeps)}")
    if resumed and not begun:
        looked = ", ".join(str(folder / name) for name in sweeps)
        raise UsageError(f"--resume {folder}: no run in {looked}; start them with --out {shell_words(folder)}")


def _sweeps_here(sweeps: Mapping[str, Sweep]) -> str:
    return f"the sweeps of this script are {', '.join(sweep.name for sweep in sweeps.values())}"


def _holds_run(run: Location) -> bool:
    return holds("--resume", run, "runs")
