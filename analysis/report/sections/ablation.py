"""What each part of a configuration contributes, for runs whose design has pairs."""

import numpy as np
import pandas as pd

from analysis.ablation.answer import ablation as effects_of
from analysis.ablation.table import effect_cells, legend_lines
from analysis.ledger.units import metric_label, signed_text
from analysis.report.blocks import Block, Content, Table, Text
from analysis.report.marks import Marks
from analysis.report.reading import Reading

_MOST_ROWS = 60


def ablation(reading: Reading) -> Content:
    """Effects with their intervals, a table per metric."""
    frame = effects_of(reading.ledger)
    sure = int(frame["sure"].sum())
    lead = (
        f"Each part is compared with its absence on the same seeds; {sure or 'none'} of {len(frame)} effects "
        f"{'is' if sure == 1 else 'are'} significant."
    )
    blocks: list[Block] = [_table(frame[frame["metric"] == metric]) for metric in frame["metric"].drop_duplicates()]
    return Content(lead, [*blocks, Text(legend_lines(reading.ledger, frame))])


def _table(frame: pd.DataFrame) -> Table:
    metric, shown = str(frame["metric"].iloc[0]), frame.head(_MOST_ROWS)
    rows, before = [], None
    for row in shown.to_dict("records"):
        rows.append(["" if row["kind"] == before else str(row["kind"]), str(row["effect"]), *effect_cells(row, metric)])
        before = row["kind"]
    strong = shown["sure"].tolist()
    ends = _ends(shown)
    texts = (signed_text(metric, ends[0]), signed_text(metric, ends[1]))
    marks = Marks.of(shown["mean"], shown["low"], shown["high"], strong, ends, 0.0, texts)
    left = f" Shown: the first {len(shown)} of {len(frame)} effects." if len(shown) < len(frame) else ""
    columns = ["kind", "with", "change", "95 % interval", "p (Holm)", "pairs", "lost"]
    return Table(columns, rows, range(2, 7), f"Change of {metric_label(metric)}.{left}", marks, strong)


def _ends(frame: pd.DataFrame) -> tuple[float, float]:
    """The ends of the scale: zero, all means, and intervals up to twice the largest mean (two seeds: huge ones)."""
    values = frame[["mean", "low", "high"]].to_numpy(dtype=np.float64)
    farthest = 2 * max(float(np.nanmax(np.abs(values[:, 0]), initial=0.0)), 1e-9)
    kept = np.clip(values, -farthest, farthest)
    return float(np.nanmin(kept, initial=0.0)), float(np.nanmax(kept, initial=0.0))
