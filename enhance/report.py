"""What a micro-run says of itself at a step. Apart from the micro-run, so that a driver reads it without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One row per rung.

    `metrics` are means over the `images` validation patches and `spread` their standard deviations (ddof 1), under
    the names of `enhance.training.metrics.evaluate`, and "psnr_gain_db", the mean difference to the untouched input;
    "parameters" is the size of the network. `untouched` are the same means for the inputs as they came: what any
    network has to beat. Without pairs only metrics that need no target are there, and `untouched` is empty. `losses`
    (unweighted terms), `loss_total`, `grad_norm` (before clipping) and `signals` (how critics and parts of networks
    fare) are means over the steps since the last report that had them.
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
