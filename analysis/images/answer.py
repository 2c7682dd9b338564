"""Which networks are shown with their output images, and the scores of those images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.frontier.configurations import configurations, rank, results, settings_labels
from analysis.images.numbers import picture_numbers
from analysis.ledger.load import Ledger, LedgerError
from analysis.ledger.names import letters, run_names
from analysis.ledger.samples import is_photo, picture_name, sample_pictures, sample_scores

_NETWORK = ["name", "run", "label", "configuration", "trial", "seed"]


@dataclass(frozen=True, eq=False)
class Gallery:
    """Some networks with their output images.

    `networks` as `shown_networks` gives it. `pictures` has a row per network and kept picture: `name` of the network,
    `image`, `fixed`, `input`, `output`, `target` (None if there is none). `numbers` has a row per network and
    validation picture, as `picture_numbers` gives it. `notes` are sentences on what is left out.
    """

    networks: pd.DataFrame
    pictures: pd.DataFrame
    numbers: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def crops(self) -> list[str]:
        """The validation pictures, fixed before the run, that every network has; in the order of the data set."""
        fixed = self.pictures[self.pictures["fixed"] & ~self.pictures["image"].map(is_photo)]
        return self._of_all(fixed)

    @property
    def photos(self) -> list[str]:
        """The whole photographs that at least one network has enhanced."""
        return sorted({image for image in self.pictures["image"] if is_photo(image)})

    @property
    def paired(self) -> bool:
        """Whether there are targets to compare outputs with."""
        return "metric.psnr_db" in self.numbers.columns

    def picture(self, name: str, image: str) -> pd.Series | None:
        """The row of `pictures` for one network and image; None if that image was not kept."""
        found = self.pictures[(self.pictures["name"] == name) & (self.pictures["image"] == image)]
        return None if found.empty else found.iloc[0]

    def _of_all(self, pictures: pd.DataFrame) -> list[str]:
        counts = pictures.groupby("image")["name"].nunique()
        common = counts[counts == len(self.networks)].index
        # By number: as texts, validation/10 would come before validation/9.
        return sorted(common, key=lambda image: int(image.partition("/")[2]))


def gallery(ledgers: Sequence[Ledger], most: int, trials: Sequence[str] = ()) -> Gallery:
    """The networks that `shown_networks` chooses, with their pictures; the runs must be on the same data.

    Raises LedgerError if the runs differ in their data or have no samples, or if the networks share no picture.
    """
    _check_data(ledgers)
    scores, names = [sample_scores(ledger) for ledger in ledgers], _names(ledgers)
    fronts = [_front(*one) for one in zip(ledgers, scores, names, strict=True)]
    networks, left_out = _networks(ledgers, scores, fronts, most, trials), []
    pictures, numbers = [], []
    for ledger, scored, front, name in zip(ledgers, scores, fronts, names, strict=True):
        own = networks.loc[networks["run"] == name, ["name", "trial"]]
        pictures.append(own.merge(sample_pictures(ledger, own["trial"]), on="trial"))
        numbers.append(own.merge(scored[~scored["image"].map(is_photo)], on="trial"))
        left_out += _failures(own.merge(scored, on="trial"))
        left_out += [] if trials else _not_shown(ledger, front, len(own))
    kept = pd.concat(pictures, ignore_index=True).drop(columns="trial")
    evaluated = pd.concat(numbers, ignore_index=True).drop(columns="trial")
    found = Gallery(networks, kept, picture_numbers(networks, evaluated, kept), tuple(left_out))
    if not found.crops and not found.photos:
        raise LedgerError(
            "the networks have no picture in common; choose others with --trial, or give all runs the same --samples"
        )
    return found


def shown_networks(
    ledgers: Sequence[Ledger], scores: Sequence[pd.DataFrame], most: int, trials: Sequence[str] = ()
) -> pd.DataFrame:
    """One row per network to show: at most `most` of the fronts, or those of `trials` (identities or prefixes of them).

    Columns: `name` (the number on the front, else the first digits of the trial; with several runs, after the run's
    letter), `run` (its name, `run_names`), `label`, `configuration`, `trial`, `seed`. From a front with more networks
    both ends are taken and others evenly in between. Each configuration is represented by its median seed in the first
    objective, neither the luckiest nor the unluckiest. Raises LedgerError for a trial that is unknown or ambiguous.
    """
    fronts = [_front(*one) for one in zip(ledgers, scores, _names(ledgers), strict=True)]
    return _networks(ledgers, scores, fronts, most, trials)


# --- choosing ----------------------------------------------------------------------------------------------------


class _Front(NamedTuple):
    """The networks of a front that have samples, and the size of the whole front."""

    networks: pd.DataFrame
    size: int


def _networks(
    ledgers: Sequence[Ledger],
    scores: Sequence[pd.DataFrame],
    fronts: Sequence[_Front],
    most: int,
    trials: Sequence[str],
) -> pd.DataFrame:
    parts = [front.networks for front in fronts]
    if trials:
        named = [_named(*one) for one in zip(ledgers, scores, _names(ledgers), strict=True)]
        parts = _choose(parts, named, trials)
    else:
        # The places are shared by the runs, with at least one for each.
        parts = [part.iloc[_spread(len(part), most // len(parts) or 1)] for part in parts]
    if len(parts) > 1:
        parts = [part.assign(name=letters(place) + part["name"]) for place, part in enumerate(parts)]
    networks: pd.DataFrame = pd.concat(parts, ignore_index=True)[_NETWORK]
    if networks.empty:
        raise LedgerError(
            "no network on the front has samples; name other trials with --trial, or run the sweep with --samples"
        )
    return networks


def _check_data(ledgers: Sequence[Ledger]) -> None:
    told = {str(ledger.path): ledger.read("trials", ["run.data"])["run.data"] for ledger in ledgers}
    data = {path: sorted(own.astype(str).unique()) for path, own in told.items()}
    if len({tuple(found) for found in data.values()}) > 1:
        each = "; ".join(f"{path}: {', '.join(found)}" for path, found in data.items())
        raise LedgerError(f"the runs used different data, so they have no picture in common: {each}")


def _names(ledgers: Sequence[Ledger]) -> list[str]:
    return run_names([ledger.path for ledger in ledgers])


def _failures(scored: pd.DataFrame) -> list[str]:
    failed = scored[scored["failure"] != ""].to_dict("records")
    return [f"network {row['name']} could not enhance {picture_name(row['image'])}: {row['failure']}" for row in failed]


def _not_shown(ledger: Ledger, front: _Front, count: int) -> list[str]:
    """Sentences on how many networks of the front are not shown, and why."""
    on, there = front.size, len(front.networks)
    why = [f"{there - count} of the {on} networks on the front of {ledger.path} are not shown; --most N shows more"]
    lost = [f"{on - there} of the {on} networks on the front of {ledger.path} have no samples"]
    return (why if there > count else []) + (lost if on > there else [])


def _named(ledger: Ledger, scores: pd.DataFrame, run: str) -> pd.DataFrame:
    """Every completed trial with samples, as a network named by the first digits of the trial's identity."""
    trials = ledger.read("trials", ["*"], set(scores["trial"]))
    label = trials["configuration"].map(settings_labels(ledger))
    return trials.assign(name=trials["trial"].str[:8], run=run, label=label)


def _front(ledger: Ledger, scores: pd.DataFrame, run: str) -> _Front:
    """The front's networks, each represented by its median seed in the first objective."""
    frame = rank(results(configurations(ledger)), ledger.objectives)
    front = frame.loc[frame["front"], ["configuration", "stage", "number"]].rename(columns={"number": "front"})
    named = _named(ledger, scores, run).merge(front, on=["configuration", "stage"])
    named = named.sort_values([ledger.objectives[0].column, "trial"])
    # `cumcount` follows the order of the scores, so it is the rank of a seed among those of its configuration.
    place, count = named.groupby("front").cumcount(), named.groupby("front")["trial"].transform("size")
    # With an even number of seeds the lower of the two in the middle.
    middle = named[place == (count - 1) // 2].sort_values("front")
    return _Front(middle.assign(name=middle["front"].astype(str)), len(front))


def _choose(fronts: Sequence[pd.DataFrame], named: Sequence[pd.DataFrame], trials: Sequence[str]) -> list[pd.DataFrame]:
    """The given trials, run by run; one that represents its network on the front has that number as its name."""
    every = pd.concat(named)
    for wanted in trials:
        matching = every[every["trial"].str.startswith(wanted)]
        if len(matching) != 1:
            few = ", ".join(every["trial"].head(8)) + (", ..." if len(every) > 8 else "")
            what = "no completed trial with samples" if matching.empty else f"{len(matching)} trials"
            raise LedgerError(f"--trial {wanted} names {what}; choose from {few}")
    parts = []
    for front, own in zip(fronts, named, strict=True):
        # A trial that also stands on the front keeps its number there, so that figures and tables agree.
        numbers = dict(zip(front["trial"], front["name"], strict=True))
        rows = [own[own["trial"].str.startswith(wanted)] for wanted in dict.fromkeys(trials)]
        found = pd.concat(rows).drop_duplicates("trial")
        parts.append(found.assign(name=found["trial"].map(numbers).fillna(found["name"])))
    return parts


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to `count` - 1: the first, the last, and others evenly in between."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist())) if count else []
