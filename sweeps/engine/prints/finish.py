"""The end of a print: its scores beside the untouched input's and the micro-run's promise, pictures, and a page."""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.ledger.load import Ledger, LedgerError, contract_facts, load
from analysis.ledger.location import Location, StorePath, folders, local_folder_for
from analysis.ledger.units import COSTS, counted, metric_label, metric_text, signed_text
from analysis.statistics.differences import ONE, Difference, unpaired_difference
from analysis.statistics.intervals import mean_interval, mean_interval_from_spread
from enhance.data import PatchStore
from enhance.weights.files import CARD, CONFIG, MODEL, WeightsError
from sweeps.engine.run.kept.weights import FOLDER
from sweeps.engine.sweep import METRICS

PICTURES = "pictures"
STRIPS = 4
"""Before and after pictures of each network."""


@dataclass(frozen=True)
class Printed:
    """A print as its ledger has it: for each trial that ended with scores, the report whose network was kept."""

    ledger: Ledger
    origin: Mapping[str, Any]
    steps: int
    kept: pd.DataFrame
    endings: pd.DataFrame

    @property
    def metrics(self) -> list[str]:
        """The metrics that every kept report has."""
        columns = map(str, self.kept.columns)
        names = [column.removeprefix("metric.") for column in columns if column.startswith("metric.")]
        return [name for name in names if name not in COSTS and self.kept[f"metric.{name}"].notna().all()]

    def promised(self, metric: str) -> list[float]:
        """The scores of the micro-runs, one per seed."""
        return [score for score in self.origin["scores"].get(metric, []) if score is not None]

    @property
    def comparable(self) -> bool:
        """Whether the micro-runs were scored on the same pictures."""
        return set(self.endings["run.data"]) == {self.origin["data"]}


def printed(place: Location) -> Printed:
    """Read a print. Raises LedgerError if no trial of it has ended with scores."""
    ledger = load(place)
    facts = contract_facts(ledger)
    ended = ledger.trials[ledger.trials["ending"].isin(["completed", "stopped"])]
    reports = ledger.reports[ledger.reports["trial"].isin(ended["trial"])]
    if reports.empty:
        raise LedgerError(f"no trial of {place} has ended with scores: {'; '.join(_reasons(ledger.trials))}")
    objective = ledger.objectives[0]
    # With patience the network of the best report is kept (the first of equal ones), else that of the last.
    by = f"metric.{objective.metric}" if facts.get("patience") else "step"
    upwards = by == "step" or objective.maximize
    ordered = reports.sort_values(["trial", by, "step"], ascending=[True, upwards, False])
    kept = ordered.groupby("trial", sort=True).tail(1).reset_index(drop=True)
    origin = json.loads(ledger.runs["origin"].iloc[-1])
    return Printed(ledger, origin, int(facts["fixed"]["train.steps"]), kept, ended)


def summary(found: Printed) -> list[str]:
    """The results as lines of Markdown, which read well on a terminal too."""
    seeds, origin = len(found.kept), found.origin
    short = f"{origin['steps']:,} steps, {counted(len(origin['seeds']), 'seed')}"
    lines = [
        f"| metric | untouched | micro-run ({short}) | print ({found.steps:,} steps, {counted(seeds, 'seed')}) |",
        "|---|---|---|---|",
        *(_row(found, metric) for metric in found.metrics),
        "",
        f"95 % intervals: over {'the seeds' if seeds > 1 else _pictures(found)}; "
        f"those of the micro-run over its seeds. {_held_out(found)}",
        "",
        *(f"- {line}" for line in _verdict(found)),
    ]
    return lines


def _row(found: Printed, metric: str) -> str:
    untouched = found.kept.get(f"untouched.{metric}")
    known = untouched is not None and untouched.notna().all()
    before = metric_text(metric, float(untouched.iloc[-1])) if known and untouched is not None else ""
    promised = found.promised(metric)
    short = _over_seeds(metric, promised) if promised else ""
    return f"| {metric_label(metric)} | {before} | {short} | {_own(found, metric)} |"


def _own(found: Printed, metric: str) -> str:
    scores = [float(score) for score in found.kept[f"metric.{metric}"]]
    if len(scores) > 1:
        return _over_seeds(metric, scores)
    row = found.kept.iloc[0]
    low, high = mean_interval_from_spread(scores[0], row[f"spread.{metric}"], row["images"])
    return _interval(metric, scores[0], float(low), float(high))


def _over_seeds(metric: str, scores: Sequence[float]) -> str:
    if len(scores) < 2:
        return metric_text(metric, scores[0])
    return _interval(metric, *mean_interval(scores))


def _interval(metric: str, mean: float, low: float, high: float) -> str:
    text = metric_text(metric, mean)
    return text if math.isnan(low) else f"{text} [{metric_text(metric, low)}, {metric_text(metric, high)}]"


def _pictures(found: Printed) -> str:
    return f"the {int(found.kept['images'].iloc[0])} validation pictures of one seed"


def _held_out(found: Printed) -> str:
    patient = bool(contract_facts(found.ledger).get("patience"))
    best = "; the best report was chosen by these pictures, so its score is a little too good" if patient else ""
    return f"Validation pictures were not trained on{best}."


def _verdict(found: Printed) -> Iterator[str]:
    """What the print says about the micro-run's promise."""
    metric = found.ledger.objectives[0].metric
    promised, own = found.promised(metric), [float(score) for score in found.kept[f"metric.{metric}"]]
    label = metric_label(metric)
    if not promised:
        yield f"the micro-run has no {label} to compare with"
    elif not found.comparable:
        yield "the micro-run was scored on other data (their fingerprints differ): the two scores are not comparable"
    else:
        gap = unpaired_difference(promised, own)
        ends = f" [{signed_text(metric, gap.low)}, {signed_text(metric, gap.high)}]"
        yield (
            f"{label}: {signed_text(metric, gap.mean)}{'' if math.isnan(gap.low) else ends} against the micro-run"
            f"{', if the side with one seed scatters like the other' if gap.method == ONE else ''}, "
            f"{_word(gap, METRICS[metric] == 'maximize')}"
        )
        yield from _on_the_way(found, metric)
    for row in found.endings.itertuples():
        if row.ending == "stopped":
            yield f"seed {row.seed} ended early: {row.reason}"
    yield from (f"a trial without scores: {reason}" for reason in _reasons(found.ledger.trials))


def _word(gap: Difference, maximize: bool) -> str:
    """What a difference shows."""
    if math.isnan(gap.low):
        return "from one seed each, so how much of that is luck is not known"
    if gap.low <= 0 <= gap.high:
        return "whose interval includes 0: no difference is shown"
    return "better" if (gap.mean > 0) == maximize else "worse"


def _on_the_way(found: Printed, metric: str) -> Iterator[str]:
    """Where the print stood when it had trained as long as the micro-run."""
    reports = found.ledger.reports
    steps = sorted(int(step) for step in reports["step"].unique() if step >= found.origin["steps"])
    if steps and steps[0] < found.steps:
        then = reports.loc[reports["step"] == steps[0], f"metric.{metric}"].mean()
        yield (
            f"after {steps[0]:,} steps, the first report after the micro-run's {found.origin['steps']:,}, it stood at "
            f"{metric_text(metric, float(then))}; its schedule was laid over {found.steps:,}"
        )


def _reasons(trials: pd.DataFrame) -> list[str]:
    lost = trials[~trials["ending"].isin(["completed", "stopped"])]
    return [f"{ending}: {reason}" for ending, reason in zip(lost["ending"], lost["reason"], strict=True)]


# --- files -------------------------------------------------------------------------------------------------------


def write_page(place: Location, found: Printed, data: PatchStore) -> list[str]:
    """Write PRINT/README.md and the pictures; returns what to say about pictures that could not be made.

    Raises OSError.
    """
    said, shown = [], []
    with local_folder_for(place / PICTURES) as scratch:
        for folder in folders(place / FOLDER):
            try:
                strips = _strips(folder, data)
            except WeightsError as error:
                said.append(str(error))
                continue
            for number, strip in enumerate(strips, 1):
                name = f"{folder.name}-{number}.png"
                (scratch / name).write_bytes(strip)
                shown.append(f"![{name}]({PICTURES}/{name})")
    origin = found.origin
    page = [
        f"# Print of {origin['chosen']}",
        "",
        f"Configuration `{origin['configuration']}` of the run `{origin['run']}`, trained for {found.steps:,} steps.",
        "",
        *summary(found),
        "",
        "## Before, after" + (", target" if data.paired else ""),
        "",
        *shown,
        "",
        "## Networks",
        "",
        *(f"- [{FOLDER}/{folder.name}]({FOLDER}/{folder.name}/README.md)" for folder in folders(place / FOLDER)),
    ]
    with local_folder_for(place) as scratch:
        (scratch / CARD).write_text("\n".join(page) + "\n", encoding="utf-8")
    return said


def _strips(folder: Location, data: PatchStore) -> list[bytes]:
    # Imported here: it loads torch, which the driver does without until the training is over.
    from enhance.weights.pictures import before_after

    if not isinstance(folder, StorePath):
        return before_after(folder, data, STRIPS)
    with tempfile.TemporaryDirectory(prefix="teststrip-") as scratch:
        for name in (MODEL, CONFIG):
            (Path(scratch) / name).write_bytes((folder / name).read())
        return before_after(Path(scratch), data, STRIPS)
