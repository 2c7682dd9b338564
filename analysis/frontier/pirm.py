"""The scores of the PIRM 2018 challenge on perceptual image enhancement on smartphones, track B.

A, B and C weigh the gain in PSNR, the gain in MS-SSIM and the speed differently (Ignatov et al., "PIRM Challenge on
Perceptual Image Enhancement on Smartphones", 2018; weights and anchors of the evaluation kit). Gains are relative to
fixed anchor scores, speed is relative to SRCNN on the same machine; speedups beyond 4 earn nothing.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.frontier.configurations import scored_trials
from analysis.ledger.load import Ledger, LedgerError
from analysis.statistics.intervals import Floats, mean_interval_from_spread

WEIGHTS = {"A": (4.0, 100.0, 2.0), "B": (1.0, 400.0, 2.0), "C": (2.0, 200.0, 2.9)}
"""For each score the weights of PSNR (per dB), of MS-SSIM and of speed."""

PSNR_DB, MS_SSIM, MOST_SPEED = 21.0, 0.9, 4.0
SRCNN_RATIO = 3274 / 20462
"""SRCNN's time in units of DPED's, from the challenge's table of CPU times (ms)."""

_NEEDED = ("metric.psnr_db", "metric.ms_ssim", "metric.latency_ratio")


def pirm_scores(psnr_db: ArrayLike, ms_ssim: ArrayLike, speed: ArrayLike) -> dict[str, Floats]:
    """The scores A, B and C; `speed` is SRCNN's time on a machine divided by the network's. Arrays are broadcast."""
    gain, likeness = np.asarray(psnr_db, dtype=np.float64) - PSNR_DB, np.asarray(ms_ssim, dtype=np.float64) - MS_SSIM
    fast = np.minimum(np.asarray(speed, dtype=np.float64), MOST_SPEED)
    return {name: a * gain + b * likeness + g * fast for name, (a, b, g) in WEIGHTS.items()}


def with_pirm(frame: pd.DataFrame, ledger: Ledger, search: bool = False) -> pd.DataFrame:
    """`frame` (as `configurations` gives it) with `pirm.A` to `pirm.C`, and `pirm_low.*` and `pirm_high.*`.

    Means over seeds with 95 % t intervals; with one seed there is no interval. SRCNN's time is taken as SRCNN_RATIO of
    DPED's, which every latency here is relative to. Raises LedgerError if the run lacks one of the three metrics.
    """
    missing = [column for column in _NEEDED if column not in frame.columns]
    if missing:
        raise LedgerError(
            f"PIRM scores need psnr_db, ms_ssim and latency_ratio; {ledger.path} has no {', '.join(missing)}"
        )
    trials = scored_trials(ledger, search)
    psnr_db, ms_ssim, ratio = (trials[column].to_numpy(dtype=np.float64) for column in _NEEDED)
    scores = pd.DataFrame(pirm_scores(psnr_db, ms_ssim, SRCNN_RATIO / ratio), index=trials.index)
    grouped = scores.groupby(trials["configuration"])
    mean, spread, n = grouped.mean(), grouped.std(ddof=1), grouped.size()
    columns = {}
    for name in WEIGHTS:
        low, high = mean_interval_from_spread(mean[name], spread[name], n)
        for part, values in (("pirm", mean[name]), ("pirm_low", low), ("pirm_high", high)):
            columns[f"{part}.{name}"] = pd.Series(values, index=mean.index).reindex(frame["configuration"]).to_numpy()
    return frame.assign(**columns)


def conventions() -> str:
    """How these scores differ from the challenge's own, in a sentence."""
    return (
        f"PIRM scores: SRCNN's time is taken as {SRCNN_RATIO:.2f} of DPED's, as in the challenge's table; the "
        "challenge used its own test patches, and its final a mean opinion score in place of MS-SSIM"
    )
