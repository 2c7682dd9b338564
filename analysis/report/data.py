"""The data behind the charts and the trial table of a run, ready for `embed.script_json`."""

from typing import Any

import pandas as pd

from analysis.frontier.configurations import settings_labels, untouched, varying_parameters
from analysis.ledger.schema import LOST
from analysis.ledger.units import COSTS, metric_decimals, metric_label, metric_unit
from analysis.report.pictures import crops
from analysis.report.reading import Reading

_CURVES = ("metric.", "loss.", "signal.")
_ALONE = ("grad_norm", "learning_rate")


def run_data(reading: Reading) -> dict[str, Any]:
    """Everything the scripts need for one run.

    `metrics` say how values are formatted and which way is better (`direction`: 1, -1, or 0 for neither); `views` hold
    configurations with a mean and interval per metric; `trials` has a list per column; `curves` has for each trial, in
    the order of `trials`, a list of rows [step, one value per `curve_names`]; `crops` come from `pictures.crops`.
    """
    metrics = _metrics(reading)
    names = [metric["name"] for metric in metrics]
    views = {} if reading.results is None else {"results": _configurations(reading.results, names, reading)}
    if reading.search is not None:
        views["search"] = _configurations(reading.search, names, reading)
    curve_names = _curve_names(reading)
    return {
        "name": reading.name,
        "metrics": metrics,
        "objectives": [names.index(objective.metric) for objective in reading.ledger.objectives],
        "views": views,
        "parameters": list(_parameters(reading).values()),
        "trials": _trials(reading, names),
        "curve_names": [_curve_label(name) for name in curve_names],
        "curves": _curves(reading, curve_names),
        "crops": crops(reading.pictures),
    }


def _metrics(reading: Reading) -> list[dict[str, Any]]:
    ledger = reading.ledger
    directions = {objective.metric: objective.sign for objective in ledger.objectives}
    there = [column.removeprefix("metric.") for column in ledger.columns("trials") if column.startswith("metric.")]
    order = [*directions, *(name for name in there if name not in directions)]
    return [
        {
            "name": name,
            "label": metric_label(name),
            "unit": metric_unit(name),
            "decimals": metric_decimals(name),
            "direction": directions.get(name, 0),
            "untouched": untouched(ledger, name),
            "cost": name in COSTS,
        }
        for name in order
    ]


def _configurations(frame: pd.DataFrame, metrics: list[str], reading: Reading) -> list[dict[str, Any]]:
    """The configurations of a view, one dict each, without those whose trials are not shown."""
    # A point opens its trial, so it needs one that the page holds.
    kept = frame["configuration"].isin(reading.trials["configuration"])
    numbers = _first_numbers(reading)
    return [
        {
            "id": row["configuration"],
            "label": row["label"],
            "front": row["number"],
            "chance": row["chance"],
            "first": numbers.get(row["configuration"]),
            "over": f"{row['n_seeds']} seeds" if row["interval_over"] == "seeds" else f"{row['images']} images",
            "lost": sum(row[f"n_{ending}"] for ending in LOST),
            "mean": [row.get(f"metric.{metric}") for metric in metrics],
            "low": [row.get(f"low.{metric}") for metric in metrics],
            "high": [row.get(f"high.{metric}") for metric in metrics],
        }
        for row in frame[kept].to_dict("records")
    ]


def _first_numbers(reading: Reading) -> dict[str, int]:
    """The number of each configuration's first trial: its place in the order of the search."""
    if "number" not in reading.trials:
        return {}
    # From all trials, not only the shown ones, whose first may come later.
    told = reading.ledger.read("trials", ["configuration", "number"])
    own = told[told["configuration"].isin(reading.trials["configuration"])]
    return dict(own.groupby("configuration")["number"].min())


def _parameters(reading: Reading) -> dict[str, str]:
    return varying_parameters(reading.ledger.settings)


def _trials(reading: Reading, metrics: list[str]) -> dict[str, Any]:
    shown = reading.trials
    known = settings_labels(reading.ledger)
    return {
        "id": shown["trial"].tolist(),
        "configuration": shown["configuration"].tolist(),
        "label": shown["configuration"].map(known).tolist(),
        "name": _column(shown, "label", ""),
        "number": _column(shown, "number", None),
        "stage": shown["stage"].tolist(),
        "seed": shown["seed"].tolist(),
        "ending": shown["ending"].tolist(),
        "reason": shown["reason"].tolist(),
        "steps": shown["steps"].tolist(),
        "wall_s": _column(shown, "time.wall_s", None),
        "metrics": [_column(shown, f"metric.{metric}", None) for metric in metrics],
        "parameters": [shown[column].tolist() for column in _parameters(reading)],
    }


def _column(frame: pd.DataFrame, name: str, missing: Any) -> list[Any]:
    """A column as a list, with `missing` for empty cells or an absent column."""
    if name not in frame:
        return [missing] * len(frame)
    # As objects, or pandas would turn None back into NaN.
    column = frame[name].astype(object)
    return column.where(column.notna(), missing).tolist()


def _curve_names(reading: Reading) -> list[str]:
    """The report columns to draw as curves: objectives first, then metrics, losses and signals."""
    reports = reading.reports
    first = [objective.column for objective in reading.ledger.objectives if objective.metric not in COSTS]
    rest = [column for column in reports.columns if column.startswith(_CURVES) or column in _ALONE]
    # Costs do not change during training.
    flat = {f"metric.{name}" for name in COSTS}
    known = [name for name in dict.fromkeys([*first, *rest]) if name not in flat and name in reports]
    return [name for name in known if reports[name].notna().any()]


def _curve_label(name: str) -> dict[str, str]:
    if name.startswith("metric."):
        metric = name.removeprefix("metric.")
        return {"label": metric_label(metric), "metric": metric}
    return {"label": name.replace("_", " ").replace(".", ": "), "metric": ""}


def _curves(reading: Reading, names: list[str]) -> list[list[list[Any]]]:
    # A list per row, without column names: they would be most of the page.
    rows = {trial: own[["step", *names]].values.tolist() for trial, own in reading.reports.groupby("trial")}
    return [rows.get(trial, []) for trial in reading.trials["trial"]]
