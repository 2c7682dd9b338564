"""How a metric is written for people: its label with the unit, and how many decimals of it mean something."""

_LABELS = {
    "psnr_db": "PSNR (dB)",
    "psnr_gain_db": "PSNR gain over the phone image (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "uqi": "UQI",
    "parameters": "parameters",
}

COUNTS = ("parameters",)
"""Metrics that are whole numbers and known before training: they have no interval, no luck and nothing to predict."""


def metric_label(metric: str) -> str:
    """The label of an axis or column; a metric without a written label goes by its own name, which holds its unit."""
    return _LABELS.get(metric, metric)


def metric_text(metric: str, value: float) -> str:
    """A value in the precision that fits: whole counts, two decimals for decibels, four for indices up to 1."""
    if metric in COUNTS:
        return f"{value:,.0f}"
    return f"{value:.2f}" if metric.endswith("_db") else f"{value:.4f}"
