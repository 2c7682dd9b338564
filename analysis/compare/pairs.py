"""Which configurations and trials of two runs belong together, and whether they are the same."""

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.compare.setup import constant_apart
from analysis.frontier.configurations import labels
from analysis.ledger.design import canonical_text
from analysis.ledger.load import Ledger

_ID = "configuration"
_TIMED = ("metric.latency_ms", "metric.latency_ratio")


class Pairing(NamedTuple):
    """The configurations that both runs tried, a row each: their digests `a` and `b`, and `label`.

    `changed` are the settings that tell each pair apart (none where the digests are equal); `only_a` and `only_b` count
    the configurations without a partner.
    """

    table: pd.DataFrame
    changed: tuple[str, ...]
    only_a: int
    only_b: int


class Sameness(NamedTuple):
    """Of `both` trials that two runs have (configuration and seed), `equal` end alike with the same numbers.

    `identities` of the `both` have the same data and code too; of these, `unlike` have other numbers. `trials_a` and
    `trials_b` count all trials that ended.
    """

    both: int
    equal: int
    identities: int
    unlike: int
    trials_a: int
    trials_b: int

    @property
    def whole(self) -> bool:
        """Whether the runs are the same, row by row."""
        return self.both == self.equal == self.trials_a == self.trials_b


def pairing(a: Ledger, b: Ledger) -> Pairing:
    """The configurations of two runs that are equal in every setting.

    Where there is none, those that are equal in all but the settings that are one value throughout A and another one
    throughout B: the runs then ask what that change does to each configuration.
    """
    one, other = a.settings, b.settings
    common = one.index[one.index.isin(other.index)]
    changed: list[str] = []
    table = pd.DataFrame({"a": common, "b": common})
    if not len(common) and (changed := constant_apart(one, other)):
        keys = [_keys(side, changed) for side in (one, other)]
        table = pd.DataFrame({"key": keys[0], "a": keys[0].index}).merge(
            pd.DataFrame({"key": keys[1], "b": keys[1].index}), on="key"
        )[["a", "b"]]
    table = table.assign(label=_names(one).reindex(table["a"]).to_numpy()).reset_index(drop=True)
    return Pairing(table, tuple(changed) if len(table) else (), len(one) - len(table), len(other) - len(table))


def sameness(a: Ledger, b: Ledger) -> Sameness:
    """Whether trials that both runs have are the same: ending, steps, and every score and its spread, bit for bit.

    Latencies are left out: they are measured anew, and are never the same.
    """
    sides = [_newest(ledger) for ledger in (a, b)]
    merged = sides[0].merge(sides[1], on=[_ID, "seed"], suffixes=(".a", ".b"))
    equal = (merged["ending.a"] == merged["ending.b"]) & (merged["steps.a"] == merged["steps.b"])
    for column in sides[0].columns.intersection(sides[1].columns):
        if column.startswith(("metric.", "spread.")) and column not in _TIMED:
            one, other = (merged[f"{column}.{side}"].to_numpy(dtype=np.float64) for side in "ab")
            equal &= (one == other) | (np.isnan(one) & np.isnan(other))
    identical = merged["trial.a"] == merged["trial.b"]
    unlike = int((identical & ~equal).sum())
    return Sameness(len(merged), int(equal.sum()), int(identical.sum()), unlike, len(sides[0]), len(sides[1]))


def sameness_lines(same: Sameness, pairs: Pairing) -> list[str]:
    """What `sameness` and `pairing` found, in sentences."""
    if same.whole:
        return [f"the same rows: all {same.both} trials are in both runs and give the same numbers, bit for bit"]
    lines = []
    if same.both:
        lines.append(
            f"{same.both} trials are in both runs (configuration and seed), of {same.trials_a} of A and "
            f"{same.trials_b} of B; {same.equal} of them give the same numbers, bit for bit"
        )
    if same.unlike:
        lines.append(
            f"{same.unlike} trials have the same configuration, seed, data and code, and other numbers: "
            "look at device, dtype and versions"
        )
    alike = "equal in all settings" if not pairs.changed else f"equal but for {', '.join(pairs.changed)}"
    lines.append(
        f"{len(pairs.table)} configurations pair ({alike}); {pairs.only_a} are in A alone, {pairs.only_b} in B"
    )
    return lines


# --- the steps ---------------------------------------------------------------------------------------------------


def _newest(ledger: Ledger) -> pd.DataFrame:
    """The newest trial of each configuration and seed."""
    names = ["trial", _ID, "seed", "ending", "steps", "time.ended", "metric.*", "spread.*"]
    trials = ledger.read("trials", names).sort_values(["time.ended", "trial"])
    return trials.drop_duplicates([_ID, "seed"], keep="last").drop(columns="time.ended")


def _names(settings: pd.DataFrame) -> pd.Series:
    """What each configuration is called: as its sweep named it, or by the parameters that vary."""
    full = labels(settings.reset_index())
    if "label" not in settings.columns:
        return full
    given = settings["label"].fillna("").astype("str")
    return given.where((given != "") & ~given.duplicated(keep=False), full.reindex(given.index))


def _keys(settings: pd.DataFrame, without: list[str]) -> pd.Series:
    """A text for each configuration, equal where all settings but some are; those whose text is not unique are out."""
    left_out = {f"config.{name}" for name in (*without, "seed")}
    leaves = sorted(name for name in settings.columns if name.startswith("config.") and name not in left_out)
    texts = [_key(row) for row in settings[leaves].to_dict("records")]
    return pd.Series(texts, index=settings.index, dtype="object").drop_duplicates(keep=False)


def _key(row: dict[Hashable, Any]) -> str:
    return "\n".join(f"{name} {text}" for name, value in row.items() if (text := canonical_text(value)))
