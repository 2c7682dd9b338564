"""What to show of a large run. Nothing is cut silently: a sentence says how many of how many, and which."""

import dataclasses
from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger

MOST_TRIALS = 3000
"""Rows of the trial table; with more, a phone cannot scroll the page."""

MOST_REPORTS = 20_000
"""Reports in the curves; with about 20 numbers each, 3 MB."""

MOST_CONFIGURATIONS = 200
"""Configurations used for importance: bootstrapping forests over more takes minutes."""


def shown_trials(ledger: Ledger, kept: Collection[str], most: int = MOST_TRIALS) -> tuple[pd.DataFrame, str]:
    """At most `most` trials of the ledger, by number, and a sentence that says which ("" for all).

    Confirmations and trials of the configurations `kept` have priority: they get half of `most`, or more if the others
    leave room. The others are sampled evenly.
    """
    # Ledgers of early versions have no numbers; the order of the endings comes close.
    place = "number" if "number" in ledger.columns("trials") else "time.ended"
    told = ledger.read("trials", ["trial", place, "stage", "configuration"])
    ordered = told.sort_values([place, "trial"])
    if len(ordered) <= most:
        return _rows(ledger, ordered["trial"]), ""
    first = ((ordered["stage"] == "confirm") | ordered["configuration"].isin(list(kept))).to_numpy()
    # Half of the places, or all that the others cannot fill.
    leading = _spread(np.flatnonzero(first), max(most // 2, most - int((~first).sum())))
    chosen = np.concatenate([leading, _spread(np.flatnonzero(~first), most - len(leading))])
    those = "those" if len(leading) == first.sum() else f"{len(leading):,} of the {first.sum():,}"
    text = (
        f"Shown: {len(chosen):,} of {len(ordered):,} trials: {those} of the front and the confirmations, "
        "and of the others a sample spread evenly over the search."
    )
    return _rows(ledger, ordered["trial"].iloc[np.sort(chosen)]), text


def shown_reports(trials: pd.DataFrame, reports: pd.DataFrame, most: int = MOST_REPORTS) -> tuple[pd.DataFrame, str]:
    """The reports of `trials`, by trial and step; of more than `most` reports, those of an even sample of trials."""
    own = reports[reports["trial"].isin(trials["trial"])].sort_values(["trial", "step"], ignore_index=True)
    if len(own) <= most:
        return own, ""
    counts = own["trial"].value_counts()
    # In the order of the search, so that an even choice of places is even over the search.
    order = [trial for trial in trials["trial"] if trial in counts.index]
    # By the mean number of reports, so that `most` is met roughly: whole curves are kept.
    chosen = [order[place] for place in _spread(np.arange(len(order)), int(most / counts.mean()))]
    text = f"Shown: the curves of {len(chosen):,} of {len(order):,} trials, spread evenly over the search."
    return own[own["trial"].isin(chosen)].reset_index(drop=True), text


def sample_configurations(ledger: Ledger, most: int = MOST_CONFIGURATIONS) -> tuple[Ledger, str]:
    """The ledger reduced to `most` configurations of the search, drawn with a fixed seed, and a sentence that says so.

    A ledger with no more than that is returned unchanged.
    """
    trials = ledger.read("trials", ["trial", "stage", "configuration"])
    known = np.sort(trials.loc[trials["stage"] == "search", "configuration"].unique().astype(str))
    if len(known) <= most:
        return ledger, ""
    drawn = np.random.default_rng(0).choice(known, most, replace=False)
    own = ledger.read("trials", ["*"], trials.loc[trials["configuration"].isin(drawn), "trial"])
    part = dataclasses.replace(ledger)
    # These are cached properties: set here, they are never read from the files.
    vars(part).update(trials=own, reports=ledger.read("reports", ["*"], own["trial"]))
    return part, f"Based on {most:,} of {len(known):,} configurations of the search, drawn at random."


def _rows(ledger: Ledger, trials: "pd.Series[str]") -> pd.DataFrame:
    """The full rows of `trials`, in their order."""
    frame = ledger.read("trials", ["*"], trials)
    # `read` returns rows in the order of the ledger.
    order = pd.Index(frame["trial"]).get_indexer(pd.Index(trials))
    found: pd.DataFrame = frame.iloc[order].reset_index(drop=True)
    return found


def _spread(places: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of `places`, evenly spaced."""
    if len(places) <= most:
        return places
    chosen: NDArray[np.intp] = places[np.linspace(0, len(places) - 1, max(0, most)).round().astype(np.intp)]
    return chosen
