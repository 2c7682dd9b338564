"""How the trials ended, and why."""

from analysis.ledger.load import not_ended
from analysis.ledger.schema import ENDINGS, LOST
from analysis.ledger.units import counted
from analysis.report.blocks import Block, Content, Shares, Table, Text
from analysis.report.reading import Reading
from analysis.statistics.intervals import rate_interval

_MOST_REASONS = 25


def endings(reading: Reading) -> Content:
    """Counts and rates of the endings, and their reasons."""
    trials = reading.ledger.read("trials", ["ending"])
    n = len(trials)
    counts = {ending: int((trials["ending"] == ending).sum()) for ending in ENDINGS}
    rows = [[ending, f"{count:,}", *_rate(count, n)] for ending, count in counts.items()]
    lost = sum(counts[ending] for ending in LOST)
    lead = f"{'No trial' if not lost else f'{lost:,} of {n:,} trials'} ended without a result."
    blocks: list[Block] = [
        Shares([(ending, count, ending) for ending, count in counts.items() if count]),
        Table(["ending", "trials", "share", "95 % interval"], rows, range(1, 4)),
    ]
    if running := not_ended(reading.ledger):
        text = f"{counted(running, 'trial')} started but did not end: still running, or lost with the process."
        blocks.append(Text([text]))
    return Content(lead, [*blocks, *_reasons(reading)])


def _rate(count: int, n: int) -> list[str]:
    share, low, high = (100 * value for value in rate_interval(count, n))
    return [f"{share:.1f} %", f"{low:.1f} to {high:.1f} %"]


def _reasons(reading: Reading) -> list[Block]:
    trials = reading.ledger.read("trials", ["ending", "reason"])
    told = trials[(trials["reason"] != "") & (trials["ending"] != "completed")]
    if told.empty:
        return []
    counts = told.groupby(["ending", "reason"]).size().reset_index(name="count")
    # Ties in a fixed order, so that equal ledgers give equal pages.
    counts = counts.sort_values(["count", "ending", "reason"], ascending=[False, True, True], ignore_index=True)
    rows = [
        [row["ending"], row["reason"], f"{row['count']:,}"] for row in counts.head(_MOST_REASONS).to_dict("records")
    ]
    left = len(counts) - len(rows)
    caption = f"The {len(rows)} most frequent of {len(counts)} reasons." if left > 0 else ""
    return [Table(["ending", "reason", "trials"], rows, (2,), caption)]
