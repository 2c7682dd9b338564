"""Pair the configurations of two runs, and check whether trials in both give the same numbers."""

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.compare.setup import constant_apart
from analysis.frontier.configurations import labels
from analysis.ledger.design import canonical_text
from analysis.ledger.load import Ledger
from analysis.ledger.schema import ADDED_LEAVES

_ID = "configuration"
_TIMED = ("metric.latency_ms", "metric.latency_ratio")


class Pairing(NamedTuple):
    """The configurations that both runs tried, one row each: digests `a` and `b`, and `label`.

    `changed` are the settings in which the partners differ (none where the digests are equal); `only_a` and `only_b`
    count configurations without a partner.
    """

    table: pd.DataFrame
    changed: tuple[str, ...]
    only_a: int
    only_b: int


class Sameness(NamedTuple):
    """Of the trials in `both` runs (same configuration and seed), `equal` have the same ending and numbers.

    `identities` of the `both` also share data and code; of these, `unlike` have different numbers. `trials_a` and
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
        """Whether the two runs are identical, row by row."""
        return self.both == self.equal == self.trials_a == self.trials_b


def pairing(a: Ledger, b: Ledger) -> Pairing:
    """Pair the configurations of two runs that are equal in every setting.

    If there are none, pair those that are equal except for settings with one constant value in A and another in B:
    such runs ask what that change does to each configuration.
    """
    one, other = a.settings, b.settings
    # The digest covers every setting but not the seed, so equal digests are equal configurations.
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
    """Compare the trials in both runs bit for bit: ending, steps, every score and its spread.

    Latencies are left out: a new measurement never gives exactly the same value.
    """
    sides = [_newest(ledger) for ledger in (a, b)]
    merged = sides[0].merge(sides[1], on=[_ID, "seed"], suffixes=(".a", ".b"))
    equal = (merged["ending.a"] == merged["ending.b"]) & (merged["steps.a"] == merged["steps.b"])
    for column in sides[0].columns.intersection(sides[1].columns):
        if column.startswith(("metric.", "spread.")) and column not in _TIMED:
            one, other = (merged[f"{column}.{side}"].to_numpy(dtype=np.float64) for side in "ab")
            # Bit for bit, but NaN equals NaN here.
            equal &= (one == other) | (np.isnan(one) & np.isnan(other))
    identical = merged["trial.a"] == merged["trial.b"]
    unlike = int((identical & ~equal).sum())
    return Sameness(len(merged), int(equal.sum()), int(identical.sum()), unlike, len(sides[0]), len(sides[1]))


def sameness_lines(same: Sameness, pairs: Pairing) -> list[str]:
    """The findings of `sameness` and `pairing` in sentences."""
    if same.whole:
        return [f"the same rows: all {same.both} trials are in both runs, with the same numbers, bit for bit"]
    lines = []
    if same.both:
        lines.append(
            f"{same.both} trials (configuration and seed) are in both runs, of {same.trials_a} in A and "
            f"{same.trials_b} in B; {same.equal} of them have the same numbers, bit for bit"
        )
    if same.unlike:
        lines.append(
            f"{same.unlike} trials have the same configuration, seed, data and code, but different numbers: "
            "check device, dtype and versions"
        )
    alike = "equal in all settings" if not pairs.changed else f"equal except for {', '.join(pairs.changed)}"
    lines.append(
        f"{len(pairs.table)} configurations pair ({alike}); {pairs.only_a} are only in A, {pairs.only_b} only in B"
    )
    return lines


# --- the steps ---------------------------------------------------------------------------------------------------


def _newest(ledger: Ledger) -> pd.DataFrame:
    """The newest trial of each configuration and seed."""
    names = ["trial", _ID, "seed", "ending", "steps", "metric.*", "spread.*"]
    return ledger.read("trials", names).drop_duplicates([_ID, "seed"], keep="last")


def _names(settings: pd.DataFrame) -> pd.Series:
    """The display name of each configuration: the one its sweep gave it, or else the parameters that vary."""
    full = labels(settings.reset_index())
    if "label" not in settings.columns:
        return full
    given = settings["label"].fillna("").astype("str")
    # A sweep may give several configurations one name, which then tells nothing.
    return given.where((given != "") & ~given.duplicated(keep=False), full.reindex(given.index))


def _keys(settings: pd.DataFrame, without: list[str]) -> pd.Series:
    """A key per configuration that ignores the settings `without`; ambiguous keys are dropped."""
    left_out = {f"config.{name}" for name in (*without, "seed")}
    leaves = sorted(name for name in settings.columns if name.startswith("config.") and name not in left_out)
    texts = [_key(row) for row in settings[leaves].to_dict("records")]
    # keep=False drops every copy: of two equal keys nobody knows which is the partner.
    return pd.Series(texts, index=settings.index, dtype="object").drop_duplicates(keep=False)


def _key(row: dict[Hashable, Any]) -> str:
    # A leaf with the value that older ledgers imply says no more than one that they lack.
    implied = {name: canonical_text(value) for name, value in ADDED_LEAVES.items()}
    texts = {name: canonical_text(value) for name, value in row.items()}
    return "\n".join(f"{name} {text}" for name, text in texts.items() if text and text != implied.get(str(name)))
