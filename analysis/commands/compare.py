"""`analysis compare`: what differs between two runs, and whether their results do by more than noise."""

import argparse
from collections.abc import Sequence

import pandas as pd

from analysis.commands.arguments import RUN, run_location
from analysis.compare.comparable import comparable
from analysis.compare.endings import discordant, ending_differences
from analysis.compare.figure import two_runs_figure
from analysis.compare.front import Best, best
from analysis.compare.latency import latency_differences
from analysis.compare.pairs import pairing, sameness, sameness_lines
from analysis.compare.scores import score_differences
from analysis.compare.setup import setup_differences
from analysis.compare.table import endings_table, latency_table, scores_table, setup_table
from analysis.compare.words import best_line, discordant_line, legend_lines, made_line, verdict_lines
from analysis.ledger.load import Ledger, Objective, load
from analysis.ledger.units import COSTS
from analysis.output import console, say_notes, say_written, write_numbers, written

_MOST = 15


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("a", metavar="RUN_A", type=run_location, help=RUN)
    parser.add_argument("b", metavar="RUN_B", type=run_location, help="the run whose difference to RUN_A is asked for")
    parser.add_argument(
        "--out", metavar="DIR", type=run_location, help="where the files go (default: analysis in RUN_A)"
    )
    parser.add_argument("--all", action="store_true", help=f"list every configuration, not only {_MOST}")


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    a, b = load(options.a), load(options.b)
    say_notes(dict.fromkeys([*a.notes, *b.notes]))
    setup, same, pairs = setup_differences(a, b), sameness(a, b), pairing(a, b)
    objectives, refused = comparable(a, b)
    refused += _uncompleted(a, b)
    scored = [own for own in objectives if own.metric not in COSTS and not _uncompleted(a, b)]
    scores = _ordered(score_differences(a, b, pairs, scored), scored)
    top = best(a, b, objectives) if scored else None
    endings, apart, timed = ending_differences(a, b), discordant(a, b, pairs), latency_differences(a, b)
    verdict = verdict_lines(scores, scored)
    if scored and scores.empty:
        refused.append("no configuration completed in both runs, so that no scores pair")
    lines = [*sameness_lines(same, pairs), *verdict]
    lines += [best_line(top, objectives[0].metric if len(objectives) == 1 else None)] if top else []
    folder = options.out or options.a / "analysis"
    foot = [
        f"A: {options.a}. B: {options.b}.",
        made_line(setup),
        *verdict,
        *(f"Not compared: {line}" for line in refused),
    ]
    foot.append("Bars: 95 % intervals; blue: more than noise (scores: corrected p < 0.05, Holm). "
                "Rates: Newcombe's interval; in brackets how many trials, A then B.")  # fmt: skip
    figure = two_runs_figure(_title(a, b), scores, endings, scored, foot)
    paths = written(_numbers(scores, endings, timed, top), figure, folder, "compare")
    paths.append(write_numbers(setup, folder, "compare-setup"))

    most, screen = None if options.all else _MOST, console()
    print(f"\n{_title(a, b)}\n\nA: {options.a}\nB: {options.b}")
    if len(setup):
        screen.print(setup_table(setup))
    else:
        print("\nnothing differs in how they were made\n")
    for objective in () if same.whole else scored:
        if (scores["metric"] == objective.metric).any():
            screen.print(scores_table(scores, objective, most))
    if len(scores) and not same.whole:
        print("\n".join(legend_lines(scores)))
    screen.print(endings_table(endings))
    print("rates: Newcombe's intervals over trials, each by itself; bold: without 0")
    print("\n".join(discordant_line(apart)), end="\n" if apart.both else "")
    if len(timed):
        screen.print(latency_table(timed, most))
        print(f"latency: {'; '.join(timed['conditions'].drop_duplicates())}; each by itself; bold: without 1")
    print("\n".join(["", *lines, *(f"not compared: {line}" for line in refused)]))
    hidden = max(0, int((scores["kind"] == "each").sum() / max(len(scored), 1)) - _MOST)
    if hidden and not options.all:
        print(f"({hidden} configurations not listed; --all lists them)")
    say_written(paths)


# --- the steps ---------------------------------------------------------------------------------------------------


def _uncompleted(a: Ledger, b: Ledger) -> list[str]:
    """Why there are no scores at all, where a run has none."""
    found = []
    for name, ledger in (("A", a), ("B", b)):
        if not (ledger.read("trials", ["ending"])["ending"] == "completed").any():
            found.append(f"scores: no trial of {name} completed")
    return found


def _title(a: Ledger, b: Ledger) -> str:
    questions = dict.fromkeys(str(ledger.runs["question"].iloc[-1]) for ledger in (a, b))
    return " / ".join(questions)


def _ordered(scores: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """Averages first, then configurations from B's greatest gain to its greatest loss in the first objective."""
    if scores.empty:
        return scores
    first = scores[scores["metric"] == objectives[0].metric].set_index("configuration")["mean"] * objectives[0].sign
    gains = scores["configuration"].map(first[first.index != ""]).astype("float64")
    keys = scores.assign(_single=scores["kind"] != "average", _gain=-gains)
    order = keys.sort_values(["_single", "_gain"], kind="stable").index
    return scores.loc[order].reset_index(drop=True)


def _numbers(scores: pd.DataFrame, endings: pd.DataFrame, timed: pd.DataFrame, top: Best | None) -> pd.DataFrame:
    """All numbers under one another, told apart by the column `answer`."""
    parts = {
        "scores": scores.astype({"sure": "bool"}),
        "endings": endings.rename(columns={"ending": "label"}),
        "latency": timed.rename(columns={"ratio": "mean"}),
        "best": pd.DataFrame([top._asdict()]).rename(columns={"what": "label"}) if top else pd.DataFrame(),
    }
    told = [part.assign(answer=name) for name, part in parts.items() if len(part)]
    frame: pd.DataFrame = pd.concat(told, ignore_index=True)
    return frame
