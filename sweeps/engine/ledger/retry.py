"""Try failed trials again: move their rows out of the dataset `trials`, so that they count as not ended."""

from analysis.ledger.files import Content, LedgerError, read_files, table_files
from analysis.ledger.location import Location, move
from analysis.ledger.schema import DATASETS

RETRIED = "_retried"
"""The folder of a run that keeps the rows of failed trials that were tried again."""


def set_failed_aside(run: Location) -> int:
    """Move the rows of failed trials to RUN/_retried. Returns how many. Only for the driver that holds the run.

    Raises LedgerError before anything is moved if a file holds other rows too, as a compacted copy does.
    """
    paths = table_files(run, "trials")
    # All files are read before the first is moved, so that a refusal leaves the run as it was.
    chosen: list[Location] = []
    for path, found in zip(paths, read_files(paths, DATASETS["trials"].key, ["trial", "ending"]), strict=True):
        # A damaged file names no endings. Reading the run, which follows, puts it aside.
        endings = set(found.table["ending"].to_pylist()) if isinstance(found, Content) else set()
        if "failed" in endings and len(endings) > 1:
            raise LedgerError(f"--retry failed: {path} holds trials with other endings too; resume the original run")
        if "failed" in endings:
            chosen.append(path)
    for path in chosen:
        # No fsync here: a retried trial's new row goes into the same folder, and its commit syncs both changes.
        move(path, run / RETRIED / path.name)
    return len(chosen)
