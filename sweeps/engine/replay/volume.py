"""How much of a recorded front a search has found: the hypervolume of its points."""

import moocore
import numpy as np
from numpy.typing import NDArray

from sweeps.engine.replay.recording import Recording, RecordingError
from sweeps.engine.sweep import METRICS


class Volume:
    """Hypervolume (moocore) as a share of the whole recording's; only trials at the full budget count.

    The reference point is a tenth of the front's range beyond its worst value in each objective, as is common when
    multi-objective searches are compared: points beyond it, which any search finds, count for nothing. If the front has
    no range (a single point), it is the worst value of all points.
    """

    def __init__(self, recording: Recording) -> None:
        self.maximise = [METRICS[name] == "maximize" for name in recording.objectives]
        points = recording.final(recording.curves)
        front = self.front(points)
        columns = zip(front.T, points.T, self.maximise, strict=True)
        self.reference = [_beyond(own, everything, more) for own, everything, more in columns]
        self.full = self._of(front)
        if self.full == 0:
            raise RecordingError("no recorded trial is better than another: there is nothing to find")

    def front(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Those of `points` (n, objectives) that no other one dominates."""
        return np.asarray(moocore.filter_dominated(points, maximise=self.maximise))

    def share(self, points: NDArray[np.float64]) -> float:
        """The share of the whole, 0 to 1, that `points` (n, objectives) attain."""
        return self._of(points) / self.full

    def _of(self, points: NDArray[np.float64]) -> float:
        return float(moocore.hypervolume(points, ref=self.reference, maximise=self.maximise))


def _beyond(front: NDArray[np.float64], everything: NDArray[np.float64], maximise: bool) -> float:
    # With this sign higher is better, so the worst is the smallest.
    sign = 1 if maximise else -1
    margin = np.ptp(front) / 10
    return float(sign * ((sign * front).min() - margin if margin else (sign * everything).min()))
