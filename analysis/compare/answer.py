"""The comparison of two runs, A and B. Differences are always B minus A."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.compare.comparable import comparable
from analysis.compare.endings import Discordant, discordant, ending_differences
from analysis.compare.front import Best, best
from analysis.compare.latency import latency_differences
from analysis.compare.pairs import Pairing, Sameness, pairing, sameness
from analysis.compare.scores import score_differences
from analysis.compare.setup import setup_differences
from analysis.ledger.load import Ledger, Objective
from analysis.ledger.units import COSTS


@dataclass(frozen=True, eq=False)
class Comparison:
    """All answers about two runs.

    `scored` are the objectives whose scores are compared; `refused` says of everything else why it is not compared.
    `best` is None if no scores are compared.
    """

    a: Ledger
    b: Ledger
    setup: pd.DataFrame
    sameness: Sameness
    pairing: Pairing
    objectives: Sequence[Objective]
    scored: Sequence[Objective]
    scores: pd.DataFrame
    endings: pd.DataFrame
    discordant: Discordant
    latency: pd.DataFrame
    best: Best | None
    refused: Sequence[str]

    @property
    def title(self) -> str:
        """The question of both runs, or both questions."""
        return " / ".join(dict.fromkeys(str(ledger.runs["question"].iloc[-1]) for ledger in (self.a, self.b)))

    def listed_scores(self, most: int | None) -> pd.DataFrame:
        """The averages, and of each objective at most `most` configurations (None: all)."""
        if most is None or self.scores.empty:
            return self.scores
        place = self.scores.groupby(["metric", "kind"], sort=False).cumcount()
        return self.scores[(self.scores["kind"] == "average") | (place < most)]


def compare(a: Ledger, b: Ledger) -> Comparison:
    """How two runs differ in their setup, and whether their results differ by more than noise."""
    pairs = pairing(a, b)
    objectives, refused = comparable(a, b)
    lacking = _uncompleted(a, b)
    refused += lacking
    scored = [] if lacking else [own for own in objectives if own.metric not in COSTS]
    scores = _ordered(score_differences(a, b, pairs, scored), scored)
    top = best(a, b, objectives) if scored else None
    if scored and scores.empty:
        refused.append("no configuration completed in both runs, so there are no pairs of scores")
    return Comparison(
        a,
        b,
        setup_differences(a, b),
        sameness(a, b),
        pairs,
        objectives,
        scored,
        scores,
        ending_differences(a, b),
        discordant(a, b, pairs),
        latency_differences(a, b),
        top,
        refused,
    )


def numbers(found: Comparison) -> pd.DataFrame:
    """All frames in one, with the column `answer` naming the frame of each row."""
    top = found.best
    parts = {
        "scores": found.scores.astype({"sure": "bool"}),
        "endings": found.endings.rename(columns={"ending": "label"}),
        "latency": found.latency.rename(columns={"ratio": "mean"}),
        "best": pd.DataFrame([top._asdict()]).rename(columns={"what": "label"}) if top else pd.DataFrame(),
    }
    told = [part.assign(answer=name) for name, part in parts.items() if len(part)]
    frame: pd.DataFrame = pd.concat(told, ignore_index=True)
    return frame


# --- the steps ---------------------------------------------------------------------------------------------------


def _uncompleted(a: Ledger, b: Ledger) -> list[str]:
    """A sentence for each run without a completed trial, which therefore has no scores."""
    found = []
    for name, ledger in (("A", a), ("B", b)):
        if not (ledger.read("trials", ["ending"])["ending"] == "completed").any():
            found.append(f"scores: no trial of {name} completed")
    return found


def _ordered(scores: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """Averages first, then configurations from B's greatest gain to its greatest loss in the first objective."""
    if scores.empty:
        return scores
    # Averages have "" for a configuration, once per stage, so they are taken out of the look-up.
    first = scores[scores["metric"] == objectives[0].metric].set_index("configuration")["mean"] * objectives[0].sign
    gains = scores["configuration"].map(first[first.index != ""]).astype("float64")
    keys = scores.assign(_single=scores["kind"] != "average", _gain=-gains)
    # Stable, so that a configuration's objectives stay in their order.
    order = keys.sort_values(["_single", "_gain"], kind="stable").index
    return scores.loc[order].reset_index(drop=True)
