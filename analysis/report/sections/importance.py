"""Which of the searched parameters mattered."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis.importance.answer import common_rung, sample_lines, why_none
from analysis.importance.answer import importance as importance_of
from analysis.importance.table import importance_cells, legend_lines
from analysis.ledger.load import LedgerError, Objective
from analysis.ledger.units import metric_label, sentence
from analysis.report.blocks import Block, Content, Table, Text
from analysis.report.marks import Marks
from analysis.report.reading import Reading
from analysis.report.sampling import sample_configurations
from analysis.statistics.importance import best_share

RESAMPLES = 20
"""Of a bootstrap; `analysis importance` takes more, and needs a minute where a report needs seconds."""


def importance(reading: Reading) -> Content:
    """For each objective a table of the parameters, the most important first."""
    ledger, note = sample_configurations(reading.ledger)
    rung = common_rung([reading.ledger])
    blocks: list[Block] = [Text([note])] if note else []
    try:
        left_out = {own: why for own in ledger.objectives if (why := why_none([ledger], own, rung))}
        explained = [own for own in ledger.objectives if own not in left_out]
        # Together, since what is told from chance depends on how many are looked at.
        every = importance_of([ledger], explained, rung, RESAMPLES) if explained else pd.DataFrame()
    except LedgerError as error:
        return Content(f"{reading.without_path(str(error))}.")
    blocks += [Text([f"{metric_label(own.metric)}: {reading.without_path(why)}."]) for own, why in left_out.items()]
    for objective in explained:
        frame = every[every["metric"] == objective.metric]
        said = [*(f"{sentence(line)}." for line in sample_lines([ledger], objective, rung)), *_legend(frame)]
        blocks += [_table(frame, objective), Text(said)]
    if not any(isinstance(block, Table) for block in blocks):
        return Content(" ".join(text for block in blocks if isinstance(block, Text) for text in block.sentences))
    lead = (
        "How much of the scores each searched parameter accounts for, beside what chance gives; "
        "teststrip importance resamples more, and draws the scores along each."
    )
    return Content(lead, blocks)


def _legend(frame: pd.DataFrame) -> list[str]:
    lines = legend_lines(frame, best_share(int(frame["n"].max())), RESAMPLES)
    return [" ".join(lines).replace("\n", " ")]


def _table(frame: pd.DataFrame, objective: Objective) -> Table:
    conditional = bool((frame["where"] != "").any())
    rows = [
        [row["parameter"], *([row["where"] or "everywhere"] if conditional else []), f"{row['n']:,}", *_cells(row)]
        for row in frame.to_dict("records")
    ]
    strong = frame["told"].tolist()
    # The method that speaks: a mark must not be small where the row is bold for the other one.
    speaks = (frame["ped_anova_p"] < frame["fanova_p"]) | frame["fanova"].isna()
    parts = ("", "_low", "_high")
    mean, low, high = (frame[f"ped_anova{part}"].where(speaks, frame[f"fanova{part}"]) for part in parts)
    marks = Marks.of(mean, low, high, strong, (0, 1), None, ("0", "1"))
    caption = f"{metric_label(objective.metric)}; drawn: the method with the smaller p."
    names = ["parameter", *(["where"] if conditional else [])]
    numbers = ["n", "fANOVA", "p", "PED-ANOVA", "p"]
    places = range(len(names), len(names) + len(numbers))
    return Table([*names, *numbers], rows, places, caption, marks, strong)


def _cells(row: dict[Hashable, Any]) -> list[str]:
    return [*importance_cells(row, "fanova"), *importance_cells(row, "ped_anova")]
