"""`analysis stability`: what diverges, where divergence sets in, and how much depends on the seed."""

import argparse

import pandas as pd

from analysis.commands.answer import Answer, described, load_all, question
from analysis.commands.arguments import add_out, add_runs
from analysis.ledger.location import Location
from analysis.output import say_written, write, write_numbers
from analysis.screen import terminal
from analysis.stability.answer import MOST_CONFIGURATIONS
from analysis.stability.curves import DIAGNOSTICS, diagnostics_by
from analysis.stability.factors import Factor
from analysis.stability.figure import curves_figure, rates_figure, stability_figure
from analysis.stability.study import Study, curves_lines, study
from analysis.stability.table import diagnostics_table, divergence_table, spreads_table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several are pooled, with the run as one more parameter")
    add_out(parser)
    add = parser.add_argument
    add("--by", metavar="NAME", help="split the answer by the values of this searched parameter")
    add("--rate", metavar="NAME", help="the parameter whose growth causes divergence (default: optimizer.lr)")
    add("--heat", metavar=("A", "B"), nargs=2, help="the two parameters of the heat map")


def run(options: argparse.Namespace) -> Answer:
    """Count what diverged, draw and write it. Raises LedgerError."""
    found = study(load_all(options.runs), options.rate, options.by, options.heat)
    files = _write(found, options.out or options.runs[0] / "analysis")
    return Answer(_numbers(found, files), lambda: _say(found, files))


def _write(found: Study, folder: Location) -> list[Location]:
    title, foot, curves = question(found.ledgers[0]), found.trials_lines, found.curves
    files = write(found.divergence, rates_figure(title, found.divergence, foot), folder, "stability-rates")
    files += write(_together(found), stability_figure(title, found, foot), folder, "stability")
    if len(curves.means):
        figure = curves_figure(title, curves.means, curves.panels, curves_lines(curves))
        files += write(curves.means, figure, folder, "stability-curves")
        files.append(write_numbers(curves.figures, folder, "stability-diagnostics"))
    return files


def _together(found: Study) -> pd.DataFrame:
    """The frames of the figure concatenated, with a column `answer` that tells them apart."""
    parts = {name: getattr(found, name) for name in ("edge", "heat", "profiles", "spreads")}
    # One Parquet file per figure: its frames have little in common, so most columns are null in most rows.
    told = [part.assign(answer=name) for name, part in parts.items() if part is not None]
    frame: pd.DataFrame = pd.concat(told, ignore_index=True)
    return frame


def _numbers(found: Study, files: list[Location]) -> dict[str, object]:
    def name(factor: Factor | None) -> str | None:
        return factor.name if factor else None

    return {
        "runs": described(found.ledgers),
        "objective": found.objective,
        "rate": name(found.rate),
        "by": name(found.by),
        "axes": [found.across.name, found.up.name] if found.across and found.up else None,
        "trials": len(found.outcomes),
        "diverged": int(found.outcomes["diverged"].sum()),
        "stopped": found.stopped,
        "kinds": found.kinds.to_dict(),
        "divergence": found.divergence,
        # A list in any case, so that readers of the JSON need no special case.
        "edge": [] if found.edge is None else found.edge,
        "heat": [] if found.heat is None else found.heat,
        "spreads": found.spreads,
        "diagnostics": _diagnostics(found),
        "files": files,
    }


def _diagnostics(found: Study) -> pd.DataFrame:
    """The median over the trials of each line; no rows if no trial reported."""
    figures = found.curves.figures
    return diagnostics_by(figures, figures.set_index("trial")["line"]) if len(figures) else figures


def _say(found: Study, files: list[Location]) -> None:
    print(f"\n{question(found.ledgers[0])}\n")
    screen = terminal()
    screen.print(divergence_table(found.divergence))
    counted = ", ".join(f"{count} {kind}" for kind, count in found.kinds.items())
    print("\n".join([f"diverged by kind: {counted or 'none'}", *found.onsets]))
    print(f"\n{found.score} over seeds (95 % intervals)\n")
    screen.print(spreads_table(found.spreads, found.objective.metric))
    if (found.spreads["drawn"] == MOST_CONFIGURATIONS).any():
        print(f"interquartile means: over {MOST_CONFIGURATIONS} configurations per level, drawn at random")
    if len(found.curves.figures):
        print(f"{found.curves.said}; medians over trials\n")
        screen.print(diagnostics_table(_diagnostics(found)))
        print("\n".join(f"{name.replace('_', ' ')}: {text}" for name, text in DIAGNOSTICS.items()))
    say_written(files)
