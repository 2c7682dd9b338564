"""Other runs and photographs that an invocation reads. What the user names must exist.

What a resumed run takes over may have been deleted since, which must not block it: that becomes a note. The sampler
then learns from this run's own trials alone, some of which the deleted run suggested. A reproducible run is the
exception: it repeats its earlier decisions, and cannot do so without everything that they were based on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from analysis.ledger.files import table_files
from analysis.ledger.location import Location, LocationError, StoreError, locate
from enhance.data.reading.pictures import PictureError
from enhance.samples import Photo, read_photo
from sweeps.engine.cli.arguments import Arguments, UsageError
from sweeps.engine.sweep import Sweep

T = TypeVar("T")


def located(option: str, address: str | None) -> Location | None:
    """The location that an option names. Raises UsageError."""
    try:
        return None if address is None else locate(address)
    except (LocationError, StoreError) as error:
        raise UsageError(f"{option} {error}") from None


def holds(option: str, run: Location, table: str) -> bool:
    """Whether the run that an option names has any rows of a table. Raises UsageError."""
    try:
        return bool(table_files(run, table))
    except StoreError as error:
        raise UsageError(f"{option} {error}") from None


@dataclass
class Sources:
    """Looks up what `arguments` name. `given` are those of this command line; the others were taken over.

    `name` is the sweep's among several of its script: in a folder with the runs of all, its own is taken. `notes`
    collects a sentence for each thing taken over that is gone.
    """

    arguments: Arguments
    given: Mapping[str, Any]
    name: str = ""
    notes: list[str] = field(default_factory=list)

    def warm_start(self) -> tuple[Location, ...]:
        """The runs of --warm-start that are there. Raises UsageError."""
        gone = "the sampler goes on with what this run's own trials say"
        look_up = partial(self._run, "--warm-start", "trials", "finished trial")
        return tuple(self._each("warm_start", look_up, gone, self.arguments.reproducible))

    def costs_from(self, sweep: Sweep) -> tuple[Location, ...]:
        """The runs of --costs-from that are there. Raises UsageError."""
        named = self.arguments.costs_from
        if named and sweep.cost is None:
            raise UsageError(f"--costs-from {named[0]}: the sweep {sweep.name} measures no costs; leave it out")
        gone = "networks that this run has not measured yet are measured here"
        return tuple(self._each("costs_from", partial(self._run, "--costs-from", "costs", "measured network"), gone))

    def photos(self) -> tuple[Photo, ...]:
        """The photographs of --photo that are there. Raises UsageError."""
        gone = "networks that are still to be confirmed are not shown it"
        # An invocation may name again what it has taken over.
        return tuple(dict.fromkeys(self._each("photo", _photo, gone)))

    def _each(self, name: str, look_up: Callable[[str], T], gone: str, strict: bool = False) -> list[T]:
        """What `look_up` finds for each value of an option; `gone` says what follows if it finds nothing.

        With `strict`, what was taken over must be found as well.
        """
        named: Sequence[str] = getattr(self.arguments, name)
        found = []
        for text in named:
            try:
                found.append(look_up(text))
            except UsageError as error:
                if strict or text in self.given.get(name, ()):
                    raise
                self.notes.append(f"{error}; an earlier invocation named it, so the run continues, and {gone}")
        return found

    def _run(self, option: str, table: str, what: str, text: str) -> Location:
        run = located(option, text)
        assert run is not None, "the option has a value"
        # Of a script with several sweeps, the folder that holds the runs of all is named more easily.
        looked = [run, run / self.name] if self.name else [run]
        for place in looked:
            if holds(option, place, table):
                return place
        nowhere = " or ".join(str(place / table) for place in looked)
        raise UsageError(f"{option} {run}: no {what} there (nothing in {nowhere})")


def _photo(text: str) -> Photo:
    try:
        return read_photo(Path(text).expanduser())
    except PictureError as error:
        raise UsageError(f"--photo {text}: {error}; give a JPEG or PNG in color") from None
