"""The weights of a run's results: RUN/weights/TRIAL/ holds a network, all that rebuilds it, and a model card.

They travel from the worker with the last report, and are written before that report is: a ledger with the report has
the weights too, and a trial whose weights were lost by a kill has no such report, so it is trained again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from enhance.config import digest, flatten
from enhance.report import Report
from enhance.weights.files import CARD, CONFIG, MODEL, Weights, config_json
from sweeps.engine.environment import versions
from sweeps.engine.protocol import EACH, LAST
from sweeps.engine.run.kept.card import model_card
from sweeps.engine.run.trials import RunContext, Trial

FOLDER = "weights"
"""The folder of a run that holds one folder per trial whose network was kept."""


class FolderSink(Protocol):
    """What is needed of a ledger."""

    def commit_folder(self, inside: str, name: str, files: Mapping[str, bytes], mark: str) -> object:
        """Make the files of the folder `name` inside `inside` durable before returning: all of them, or none."""


@dataclass(frozen=True)
class KeptWeights:
    """Writes the weights of the confirmed trials or, with `every`, of all that complete. `sweep` is the run's name.

    With `score`, of all trials those of the best report so far by this score, of which more is better: a trial that
    may end early for want of progress is best some time before its end.
    """

    ledger: FolderSink
    sweep: str
    context: RunContext
    every: bool = False
    score: Callable[[Report], float] | None = None

    def wanted(self, stage: str) -> str:
        """With which reports a trial of this stage ("search" or "confirm") hands over its network (`Assignment`)."""
        if self.score is not None:
            return EACH
        return LAST if self.every or stage == "confirm" else ""

    def keep(self, trial: Trial, report: Report, weights: Weights) -> None:
        """Write the network of a trial, and a card with the scores of `report`, if it is the one to keep."""
        if self.score is not None:
            own = self.score(report)
            if any(self.score(earlier) >= own for earlier in trial.reports.values()):
                return
        leaves = flatten(trial.config)
        facts = {
            "sweep": self.sweep,
            "trial": trial.id,
            "configuration": digest(trial.config),
            "stage": trial.stage,
            "seed": trial.seed,
            "step": report.step,
            "data": self.context.data,
            "code": self.context.code,
            **versions(),
            "config": leaves,
        }
        net = {name: value for name, value in leaves.items() if name.startswith("net.")}
        files = {
            MODEL: weights.model,
            CARD: model_card(trial, report, self.context).encode(),
            CONFIG: config_json(weights, net, facts),
        }
        self.ledger.commit_folder(FOLDER, trial.id, files, mark=CONFIG)
