"""The model card of a trained network, in the form that Hugging Face reads: front matter in YAML, then text."""

import json
import math
from collections.abc import Iterator
from typing import Any

from scipy.special import stdtrit

from analysis.ledger.units import COSTS, metric_label, metric_text
from enhance.report import Report
from sweeps.engine.run.trials import RunContext, Trial

CONFIDENCE = 0.95


def model_card(trial: Trial, report: Report, context: RunContext) -> str:
    """The card of a trial's network at `report`: what it is, its scores beside those of the untouched input, its data.

    It names the kind of data and not their place, since a card is published and a path is nobody's business.
    """
    family = trial.config.net.family
    spec = str(context.columns.get("run.data_spec", "")).partition(":")[0]
    lines = [
        *_front_matter(trial, report, spec),
        "",
        f"# {family}, trial {trial.id}",
        "",
        f"A network that enhances photographs: pictures in, pictures of the same size out. Family `{family}`, "
        f"{trial.parameters or 0:,} parameters, trained for {report.step:,} steps with seed {trial.seed}.",
        "",
        "## Scores",
        "",
        *_scores(report),
        "",
        f"Means over {report.images} validation pictures, which were not trained on, with 95 % intervals over these "
        "pictures. They say how well this one network is known, and not how much another seed would change.",
        "",
        "## Use",
        "",
        "```python",
        "import enhance",
        "from enhance.nets import apply",
        "",
        'net = enhance.load("path/to/this/folder")',
        "enhanced = apply(net, pictures).clamp(0, 1)  # pictures: (N, 3, H, W) float32, sRGB in [0, 1]",
        "```",
        "",
        "## Origin",
        "",
        f"- data: {spec or 'unknown'}, fingerprint `{context.data}`",
        f"- code of `enhance/`: `{context.code}`",
        f"- trial `{trial.id}`, {'confirmed on a fresh seed' if trial.stage == 'confirm' else 'of the search'}",
        "- the whole configuration is in `config.json`",
        "",
        "## License",
        "",
        "None is stated: it is yours to choose, within what the training data allow. Write it into the front matter as "
        "`license:`.",
    ]
    return "\n".join(lines) + "\n"


def _front_matter(trial: Trial, report: Report, spec: str) -> list[str]:
    """JSON is YAML too, so that no text can break the front matter."""
    family = trial.config.net.family
    scores = [
        {"type": name, "name": metric_label(name), "value": value}
        for name, value in report.metrics.items()
        if name not in COSTS and math.isfinite(value)
    ]
    result = {
        "task": {"type": "image-to-image", "name": "photo enhancement"},
        "dataset": {"name": spec or "unknown", "type": spec or "unknown", "split": "validation"},
        "metrics": scores,
    }
    facts: dict[str, Any] = {
        "library_name": "pytorch",
        "pipeline_tag": "image-to-image",
        "tags": ["image-enhancement", "teststrip", family],
        "model-index": [{"name": f"{family} {trial.id}", "results": [result]}],
    }
    return ["---", *(f"{name}: {json.dumps(value)}" for name, value in facts.items()), "---"]


def _scores(report: Report) -> Iterator[str]:
    yield "| metric | this network | untouched input |"
    yield "|---|---|---|"
    for name, value in report.metrics.items():
        untouched = report.untouched.get(name)
        before = "" if untouched is None else metric_text(name, untouched)
        yield f"| {metric_label(name)} | {score_text(report, name, value)} | {before} |"


def score_text(report: Report, name: str, value: float) -> str:
    """A mean with its 95 % interval over the pictures: "21.30 [20.84, 21.76]"; costs have none."""
    spread = report.spread.get(name, 0.0)
    if name in COSTS or not spread or report.images < 2:
        return metric_text(name, value)
    # Student's t: the spread is estimated from as many pictures as the mean.
    half = float(stdtrit(report.images - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(report.images)
    return f"{metric_text(name, value)} [{metric_text(name, value - half)}, {metric_text(name, value + half)}]"
