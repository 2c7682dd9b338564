"""Rates of the endings in two runs."""

from typing import NamedTuple

import pandas as pd

from analysis.compare.pairs import Pairing
from analysis.ledger.load import Ledger
from analysis.ledger.schema import LOST, TRAINED
from analysis.statistics.differences import mcnemar_p, rate_differences

_ENDINGS = ("stopped", *LOST)


class Discordant(NamedTuple):
    """Of the trials that trained in `both` runs (same configuration and seed), those that diverged in one run only."""

    both: int
    only_a: int
    only_b: int
    p: float


def ending_differences(a: Ledger, b: Ledger) -> pd.DataFrame:
    """Difference in the rate of each ending, a row per ending: "diverged", and the others that occurred.

    Columns: `ending`, `count_a`, `n_a`, `count_b`, `n_b`, `a`, `b` (rates, 0 to 1), `mean` (B minus A), `low`, `high`
    (Newcombe's 95 % interval over trials, not corrected for several endings), `sure` (the interval excludes 0).
    `stopped` and `diverged` are rates among the trials that trained, `failed` and `refused` among all trials.
    """
    counts = [ledger.read("trials", ["ending"])["ending"].value_counts() for ledger in (a, b)]
    rows = []
    for ending in _ENDINGS:
        times = [int(own.get(ending, 0)) for own in counts]
        of = [own.reindex(TRAINED).sum() if ending in TRAINED else own.sum() for own in counts]
        if any(times) or ending == "diverged":
            rows.append((ending, times[0], int(of[0]), times[1], int(of[1])))
    frame = pd.DataFrame(rows, columns=["ending", "count_a", "n_a", "count_b", "n_b"])
    # Divergence first, the others as they are: False sorts before True.
    frame = frame.sort_values("ending", key=lambda own: own != "diverged", kind="stable", ignore_index=True)
    for side in "ab":
        frame[side] = frame[f"count_{side}"] / frame[f"n_{side}"].where(frame[f"n_{side}"] > 0)
    frame["mean"], frame["low"], frame["high"] = rate_differences(
        frame["count_a"], frame["n_a"], frame["count_b"], frame["n_b"]
    )
    return frame.assign(sure=(frame["low"] > 0) | (frame["high"] < 0))


def discordant(a: Ledger, b: Ledger, pairs: Pairing) -> Discordant:
    """Divergence of the same configurations on the same seeds, with McNemar's exact p value (0 to 1)."""
    sides = []
    for ledger, key in ((a, "a"), (b, "b")):
        trials = ledger.read("trials", ["configuration", "seed", "ending"])
        trials = trials[trials["ending"].isin(TRAINED)].drop_duplicates(["configuration", "seed"], keep="last")
        # Paired configurations may have different digests, so both sides are known by the number of their pair.
        numbers = pd.Series(pairs.table.index, index=pairs.table[key].to_numpy())
        trials = trials.assign(pair=trials["configuration"].map(numbers)).dropna(subset="pair")
        sides.append(trials[["pair", "seed", "ending"]])
    both = sides[0].merge(sides[1], on=["pair", "seed"], suffixes=("_a", "_b"))
    one, other = (both[f"ending_{side}"] == "diverged" for side in "ab")
    only_a, only_b = int((one & ~other).sum()), int((other & ~one).sum())
    return Discordant(len(both), only_a, only_b, mcnemar_p(only_a, only_b))
