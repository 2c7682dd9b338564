"""The report of a micro-run at one step. Free of torch, so that a driver can import it quickly."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a micro-run reports at one rung; it becomes one row of the ledger.

    metrics, spread: mean and standard deviation (ddof 1) over the `images` validation patches, under the names used by
        `enhance.training.metrics.evaluate`, plus "psnr_gain_db", the gain over the untouched input, and "parameters",
        the size of the network. Without pairs, only metrics that need no target.
    untouched: the mean metrics of the inputs as they are, which any network has to beat; empty without pairs.
    losses: the unweighted loss terms. grad_norm: before clipping. signals: diagnostics of critics and networks. These
        and `loss_total` are means over the steps since the last report, each over the steps that had it.
    train_s, eval_s: seconds of training and of evaluation since the last report.
    """

    step: int
    metrics: dict[str, float]
    spread: dict[str, float]
    untouched: dict[str, float]
    images: int
    losses: dict[str, float]
    signals: dict[str, float]
    loss_total: float
    grad_norm: float
    learning_rate: float
    train_s: float
    eval_s: float
