"""The Pareto front, and what fresh seeds say about it."""

import pandas as pd

from analysis.frontier.configurations import caveats, has_confirmations
from analysis.frontier.confirmation import confirmation, luck_lines
from analysis.frontier.table import CHANCE, chance_text, confirmation_cells, estimate, over
from analysis.ledger.load import Objective
from analysis.ledger.schema import LOST
from analysis.ledger.units import COSTS, counted, metric_label, sentence
from analysis.report.blocks import Block, Content, Folded, Interactive, Table, Text
from analysis.report.reading import Reading

_MOST = 40


def frontier(reading: Reading) -> Content:
    """Chart and table of the configurations on the front."""
    ledger, frame = reading.ledger, reading.results
    if frame is None:
        return Content(f"There is no front: {reading.why}.")
    objectives = ledger.objectives
    what = "Confirmed" if has_confirmations(ledger) else "Completed"
    lead = f"{what} configurations that no other dominates in {_names(objectives)}. Bars are 95 % intervals."
    blocks: list[Block] = []
    if found := caveats(ledger, frame, objectives):
        blocks.append(Text([f"{sentence(text)}." for text in found], note=True))
    blocks.append(Interactive("frontier"))
    # A long front is folded away behind its best rows; the chart above shows all of it.
    front = frame[frame["front"]]
    said = [*reading.chance_lines, *([CHANCE] if frame["chance"].notna().any() else [])]
    blocks += [_table(front.head(_MOST), objectives), Text([f"{sentence(line)}." for line in said])]
    if len(front) > _MOST:
        blocks.append(Folded(f"{len(front) - _MOST:,} more on the front", [_table(front.iloc[_MOST:], objectives)]))
    if len(rest := frame[~frame["front"]]):
        more = "" if len(rest) <= _MOST else f", the best {_MOST} of them"
        title = f"{counted(len(rest), 'configuration')} behind the front{more}"
        blocks.append(Folded(title, [_table(rest.head(_MOST), objectives)]))
    return Content(lead, blocks)


def confirmations(reading: Reading) -> Content:
    """How the best configurations of the search did on fresh seeds."""
    ledger = reading.ledger
    objectives = [objective for objective in ledger.objectives if objective.metric not in COSTS]
    if not has_confirmations(ledger):
        return Content("Nothing was retrained on fresh seeds, so every score is the search's own.")
    if not objectives:
        return Content("All objectives are costs of the network, which do not depend on the seed.")
    frame = confirmation(ledger, objectives)
    columns = ["configuration", "seeds: search / fresh", "score", "search", "fresh seeds", "luck"]
    rows = []
    for row in frame.to_dict("records"):
        seeds = f"{row['n_search']} / {row['n_confirm']}"
        for index, objective in enumerate(objectives):
            names = [row["label"], seeds] if index == 0 else ["", ""]
            rows.append([*names, metric_label(objective.metric), *confirmation_cells(row, objective.metric)])
    lead = "The best of many scores is partly luck. Seeds that the search never used show how much."
    lines = [f"{sentence(line)}." for line in luck_lines(ledger, objectives)]
    return Content(lead, [Text(lines), Table(columns, rows, numbers=(3, 4, 5))])


def _names(objectives: tuple[Objective, ...]) -> str:
    words = [
        f"{metric_label(objective.metric)} ({'higher' if objective.maximize else 'lower'} is better)"
        for objective in objectives
    ]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _table(frame: pd.DataFrame, objectives: tuple[Objective, ...]) -> Table:
    arrows = {True: "\N{UPWARDS ARROW}", False: "\N{DOWNWARDS ARROW}"}
    columns = [f"{metric_label(objective.metric)} {arrows[objective.maximize]}" for objective in objectives]
    sure = bool(frame["chance"].notna().any())
    rows = [
        [
            str(row["number"]) if row["front"] else "",
            *([chance_text(row["chance"])] if sure else []),
            row["label"],
            *(estimate(row, objective.metric) for objective in objectives),
            over(row),
            str(sum(row[f"n_{ending}"] for ending in LOST)),
        ]
        for row in frame.to_dict("records")
    ]
    names = ["no.", *(["chance"] if sure else []), "configuration", *columns, "interval over", "lost"]
    numbers = [place for place, name in enumerate(names) if name not in ("configuration", "interval over")]
    return Table(names, rows, numbers)
