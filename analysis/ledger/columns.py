"""One table of a run, whose columns are read when they are first needed.

The reports of a large run do not fit into memory (ten million rows, forty columns), but an answer needs few columns.
Small files are read whole right away, since opening a file costs more than reading its rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.ledger.files import REQUESTS, Damaged, LedgerError, read_files, skip, table_files
from analysis.ledger.location import Location, StoreError
from analysis.ledger.schema import column_type


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The `names`, in order, that match one of `patterns`: a name, or a prefix followed by "*"."""
    exact = {pattern for pattern in patterns if not pattern.endswith("*")}
    prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
    return [name for name in names if name in exact or name.startswith(prefixes)]


class Columns:
    """The table `name` of a run, with unique keys: the first of several rows with the same key counts.

    Only the key columns are read at the start. `say` receives a sentence about whatever is left out, as soon as it is
    known: damaged files and repeated rows. A file that turns out damaged later is left out from then on. Raises
    LedgerError, here and in every method, as `files.read_files` does.
    """

    def __init__(self, run: Location, name: str, key: Sequence[str], say: Callable[[str], None]) -> None:
        self.run, self.name, self.key, self._say = run, name, list(key), say
        # The columns read so far of each file, in the order of the file names. The mask `_unique` has an entry for each
        # row of all parts in this order, so a part may gain columns but never rows.
        self._parts: dict[Location, pa.Table] = {}
        self._schemas: dict[Location, pa.Schema] = {}
        for path, part in self._read(self._files(), self.key):
            if part is not None:
                self._parts[path] = part
        self.names = self._all_names()
        self._unique: NDArray[np.bool_] | None = self._first_of_each_key()

    def __len__(self) -> int:
        """The number of rows with different keys."""
        rows = sum(part.num_rows for part in self._parts.values())
        return rows if self._unique is None else int(self._unique.sum())

    def table(self, patterns: Sequence[str]) -> pa.Table:
        """The columns that match `patterns`, merged by name; null where a file lacks one."""
        wanted = matching(self.names, patterns)
        # Keeps the order of the parts. If a file turns out damaged here, `_forget` has already dropped it and its rows.
        self._parts.update(self._with(list(self._parts), wanted))
        table = self._concat([part.select(_present(wanted, part)) for part in self._parts.values()])
        return table if self._unique is None else table.filter(pa.array(self._unique))

    def frame(self, patterns: Sequence[str], trials: Iterable[str] | None = None) -> pd.DataFrame:
        """`table` in pandas; with `trials`, only their rows, holding few files in memory at a time."""
        wanted = matching(self.names, patterns)
        table = self.table(patterns) if trials is None else self._take(self._rows_of(trials), wanted)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def firsts(self, by: str, patterns: Sequence[str]) -> pd.DataFrame:
        """The first row for each value of the column `by`, with `by` and the columns that match `patterns`.

        Holds these columns of few files in memory at a time.
        """
        # For its effect: every part now holds the column `by`.
        self.table([by])
        wanted, seen = [by, *matching(self.names, patterns)], pa.array([], pa.string())
        new: dict[Location, NDArray[np.intp]] = {}
        for path, part in self._parts.items():
            values = part[by].combine_chunks()
            rows = _first_rows(values, seen)
            if rows.size:
                new[path], seen = rows, pa.concat_arrays([seen, values.take(rows)])
        frame: pd.DataFrame = self._take(new, wanted).to_pandas()
        return frame

    # --- the rows ------------------------------------------------------------------------------------------------

    def _rows_of(self, trials: Iterable[str]) -> dict[Location, NDArray[np.intp]]:
        """The row numbers of `trials` in each file, each key once."""
        known = pa.array(list(trials), pa.string())
        wanted = [pc.is_in(part["trial"], value_set=known).to_numpy() for part in self._parts.values()]
        if self._unique is not None:
            # The mask runs over all files; cut it where the files end.
            ends = np.cumsum([len(own) for own in wanted])
            wanted = [own & first for own, first in zip(wanted, np.split(self._unique, ends[:-1]), strict=True)]
        return {path: np.flatnonzero(own) for path, own in zip(self._parts, wanted, strict=True)}

    def _take(self, rows: dict[Location, NDArray[np.intp]], wanted: Sequence[str]) -> pa.Table:
        """The columns `wanted` of the given rows of each file, holding few files in memory at a time."""
        found = []
        for paths in _batches([path for path, own in rows.items() if own.size], REQUESTS):
            for path, part in self._with(paths, wanted).items():
                found.append(part.select(_present(wanted, part)).take(rows[path]))
        # Files without a chosen row may have more columns: an empty table brings those, with their types.
        everything = self._unify(pa.unify_schemas, list(dict.fromkeys(self._schemas.values())))
        none = _with_floats(everything.empty_table().select(wanted))
        return self._concat([none, *found])

    # --- the files -----------------------------------------------------------------------------------------------

    def _files(self) -> list[Location]:
        try:
            return table_files(self.run, self.name)
        except StoreError as error:
            raise LedgerError(str(error)) from error

    def _all_names(self) -> list[str]:
        """The names of all columns, in file order. Raises LedgerError if their types do not fit together."""
        different = list(dict.fromkeys(self._schemas.values()))
        return list(self._unify(pa.unify_schemas, different).names) if different else []

    def _with(self, paths: Sequence[Location], wanted: Sequence[str]) -> dict[Location, pa.Table]:
        """The columns of these files that are in memory, plus those `wanted` that must be read first."""
        # Files may differ in their columns: a trial of another family has other leaves.
        missing: dict[Location, list[str]] = {}
        for path in paths:
            lacking = set(wanted) & set(self._schemas[path].names) - set(self._parts[path].column_names)
            if lacking:
                missing[path] = sorted(lacking)
        columns = sorted({name for names in missing.values() for name in names})
        parts = {path: self._parts[path] for path in paths}
        for path, more in self._read(list(missing), columns):
            if more is None:
                del parts[path]
            else:
                parts[path] = _join(parts[path], more.select(missing[path]))
        return parts

    def _read(self, paths: Sequence[Location], columns: Sequence[str]) -> Iterator[tuple[Location, pa.Table | None]]:
        """Some columns of each file; None for a damaged one, which is skipped and leaves the table."""
        try:
            for path, content in zip(paths, read_files(paths, self.key, columns), strict=True):
                if isinstance(content, Damaged):
                    self._say(skip(self.run, path, str(content)))
                    self._forget(path)
                    yield path, None
                else:
                    self._schemas[path] = content.schema
                    yield path, _with_floats(content.table)
        except StoreError as error:
            raise LedgerError(str(error)) from error

    def _forget(self, path: Location) -> None:
        self._schemas.pop(path, None)
        if self._parts.pop(path, None) is not None:
            # A row that repeated one of the lost file is now the first with its key.
            self._unique = self._first_of_each_key(said=True)

    def _concat(self, tables: Sequence[pa.Table]) -> pa.Table:
        return self._unify(pa.concat_tables, tables) if tables else pa.table({})

    def _unify(self, unite: Callable[..., Any], parts: Sequence[Any]) -> Any:
        try:
            return unite(parts, promote_options="permissive")
        except pa.ArrowException as error:
            line = str(error).strip().splitlines()[0].rstrip(".")
            raise LedgerError(f"the files of {self.run / self.name} do not fit together: {line}") from error

    def _first_of_each_key(self, said: bool = False) -> NDArray[np.bool_] | None:
        """A mask of the rows that come first with their key; None if every row does."""
        keys = self._concat([part.select(self.key) for part in self._parts.values()])
        again = repeats(keys)
        count = int(again.sum())
        if not count:
            return None
        if not said:
            self._say(f"{self.name}: {count} of {keys.num_rows} rows repeat a key and were dropped")
        return ~again


def _present(wanted: Sequence[str], part: pa.Table) -> list[str]:
    # pyarrow builds a new list on every access.
    held = set(part.column_names)
    return [name for name in wanted if name in held]


def _first_rows(values: pa.Array, seen: pa.Array) -> NDArray[np.intp]:
    """The row where each of the `values` first occurs, leaving out values already `seen`."""
    rows = np.flatnonzero(pc.invert(pc.is_in(values, seen)).to_numpy(zero_copy_only=False))
    # Codes, since `np.unique` would sort the strings; its index is that of the first occurrence.
    codes = values.take(pa.array(rows)).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return rows[np.sort(np.unique(codes, return_index=True)[1])]


def _batches(paths: Sequence[Location], size: int) -> Iterator[Sequence[Location]]:
    return (paths[start : start + size] for start in range(0, len(paths), size))


def _with_floats(table: pa.Table) -> pa.Table:
    """Cast the columns that the schema declares as floats: a file in which one is empty cannot show its type."""
    for index, name in enumerate(table.column_names):
        if column_type(name) == pa.float64():
            table = table.set_column(index, name, table[name].cast(pa.float64()))
    return table


def _join(part: pa.Table, more: pa.Table) -> pa.Table:
    for name in more.column_names:
        part = part.append_column(name, more[name])
    return part


def repeats(keys: pa.Table) -> NDArray[np.bool_]:
    """A mask (n,) of the rows that repeat an earlier row's key; nulls equal each other."""
    # As categories, a million trials are a million integers and not Python strings.
    frame: pd.DataFrame = keys.to_pandas(strings_to_categorical=True)
    return frame.duplicated().to_numpy()
