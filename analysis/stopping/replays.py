"""Replays of a run's curves (RUN/replay) under other samplers, rungs and stopping rules."""

import pandas as pd

from analysis.ledger.files import read_table
from analysis.ledger.load import LedgerError
from analysis.ledger.location import Location
from analysis.ledger.schema import REPLAY
from analysis.screen import shell_words

# What one replay does differently from another; `rung_steps` follows from rungs and reduction, for the tables.
ARM = ["sampler", "stopping", "rungs", "reduction", "rung_steps"]
CONDITIONS = ["objectives", "curves", "steps", "workers", "stragglers", "slowdown", "lost", "nan", "step_s"]
"""Arms can be compared only if all of these are equal."""

SHARES = ("steps_share", "volume_share", "volume_share_early")


def replay_command(run: Location) -> str:
    """The command that adds replays to a run."""
    return f"teststrip replay {shell_words(run)}"


def replays(run: Location) -> tuple[pd.DataFrame, list[str]]:
    """The newest replays of the run, a row per arm and seed, and notes on files that were skipped.

    Only replays with the conditions of the newest one; of repeated arms and seeds the newest counts. Empty if there
    are none. Raises LedgerError if a file cannot be read or lacks a column.
    """
    table, notes = read_table(run, REPLAY.name, REPLAY.key)
    if table is None:
        return pd.DataFrame(columns=[*ARM, *CONDITIONS, "seed", *SHARES, "best"]), notes
    frame = table.to_pandas()
    missing = [name for name in (*REPLAY.key, *ARM, *CONDITIONS, *SHARES, *REPLAY.needed) if name not in frame.columns]
    if missing:
        raise LedgerError(f"{run / REPLAY.name} has no column {', '.join(missing)}", notes)
    frame = frame.sort_values(["started", "replay"], kind="stable", ignore_index=True)
    # A condition may be null, and NaN is not equal to itself; as group numbers they compare.
    groups = frame.groupby(CONDITIONS, dropna=False, sort=False).ngroup()
    same = frame[groups == groups.iloc[-1]]
    # Sorted by start above, so the last is the newest.
    return same.drop_duplicates([*ARM, "seed"], keep="last").reset_index(drop=True), notes


def arms(frame: pd.DataFrame) -> pd.DataFrame:
    """The arms of `replays`: a row each with `seeds`, and median and quartiles over them.

    Of each of `steps_share` and `volume_share` (shares of all curves' steps and hypervolume, 0 to 1),
    `volume_share_early` (at a fifth of the steps) and `best` (the first objective): NAME, NAME_low, NAME_high.
    """
    rows = []
    for names, part in frame.groupby(ARM, sort=False):
        row = dict(zip(ARM, names, strict=True)) | {"seeds": len(part)}
        for column in (*SHARES, "best"):
            low, middle, high = part[column].astype("float64").quantile([0.25, 0.5, 0.75])
            row |= {column: middle, f"{column}_low": low, f"{column}_high": high}
        rows.append(row)
    ends = [f"{name}{end}" for name in (*SHARES, "best") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*ARM, "seeds", *ends])
