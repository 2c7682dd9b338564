"""Latencies of networks that both runs timed under the same conditions."""

import numpy as np
import pandas as pd

from analysis.frontier.configurations import labels
from analysis.ledger.costs import conditions_text, network_keys
from analysis.ledger.load import Ledger
from analysis.ledger.schema import CONDITIONS, LATENCY_RATIO
from analysis.statistics.differences import estimates_difference


def latency_differences(a: Ledger, b: Ledger) -> pd.DataFrame:
    """A row for each network and set of conditions that both runs timed, with the ratio of the latencies.

    Columns: `label` (the settings in which these networks differ), `conditions`, `a`, `a_low`, `a_high` and the same
    for `b` (latencies in units of the baseline's), `ratio` (b / a) with `low` and `high`, `again` (False: B reuses the
    measurement of A), `sure` (timed again, and the interval excludes 1).

    The interval combines those of the two measurements on a log scale (`estimates_difference`). Each was timed in
    alternation with the baseline, so a machine that is slower on one day cancels out.
    """
    sides = [_timed(ledger.costs) for ledger in (a, b)]
    leaves = [name for name in sides[0].columns if name.startswith("config.net.")]
    known = sides[0][["key", "conditions", *leaves, *LATENCY_RATIO]]
    frame = known.merge(sides[1][["key", "conditions", *LATENCY_RATIO]], on=["key", "conditions"], suffixes=("", "_b"))
    one, other = ([frame[f"{name}{end}"].to_numpy(dtype=np.float64) for name in LATENCY_RATIO] for end in ("", "_b"))
    # Each ratio is a geometric mean, whose interval is symmetric on a log scale; a difference of logs is the log of b /
    # a.
    logs = [tuple(np.log(part) for part in side) for side in (one, other)]
    mean, low, high = (np.exp(part) for part in estimates_difference(logs[0], logs[1]))
    # Two measurements never agree in all digits, so equal numbers are one measurement (`--costs-from`).
    again = ~np.all([x == y for x, y in zip(one, other, strict=True)], axis=0)
    names = labels(frame.rename(columns={"key": "configuration"})[["configuration", *leaves]])
    columns = {f"{side}{end}": part for side, parts in (("a", one), ("b", other))
               for end, part in zip(("", "_low", "_high"), parts, strict=True)}  # fmt: skip
    found = pd.DataFrame({"label": names.reindex(frame["key"]).to_numpy(), "conditions": frame["conditions"]} | columns)
    found = found.assign(ratio=mean, low=low, high=high, again=again)
    return found.assign(sure=again & ((low > 1) | (high < 1)))


def _timed(costs: pd.DataFrame) -> pd.DataFrame:
    """The newest successful measurement of each network and set of conditions (in words)."""
    known = costs[np.isfinite(costs[LATENCY_RATIO[0]].astype("float64"))]
    texts = [conditions_text(row) for row in known[list(CONDITIONS)].to_dict("records")]
    known = known.assign(key=network_keys(known), conditions=pd.Series(texts, index=known.index, dtype="object"))
    return known.drop_duplicates(["key", "conditions"], keep="last")
