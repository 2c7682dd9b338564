"""`analysis report`: one HTML file that needs no server and no network, or a page that follows a running sweep."""

import argparse
from pathlib import Path

from analysis.commands.arguments import RUN, run_location
from analysis.ledger.load import LedgerError
from analysis.output import say_notes, say_written, writing
from analysis.report.page import page
from analysis.report.reading import read


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=RUN)
    parser.add_argument(
        "--out", metavar="DIR", type=run_location, help="where report.html goes (default: analysis in the first RUN)"
    )
    parser.add_argument("--live", action="store_true", help="serve the report on this machine and follow the run")
    parser.add_argument("--port", metavar="N", type=int, help="the port of --live (default: a free one)")


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    if options.live:
        _serve(options)
        return
    if options.port is not None:
        raise LedgerError("--port is the port of --live, and there is no --live")
    readings = [read(run) for run in options.runs]
    say_notes(note for reading in readings for note in reading.ledger.notes)
    folder = options.out or options.runs[0] / "analysis"
    text = page(readings)
    with writing(folder) as local:
        (local / "report.html").write_text(text, encoding="utf-8")
    say_written([folder / "report.html"])


def _serve(options: argparse.Namespace) -> None:
    if options.out is not None:
        raise LedgerError("--live writes no file, so it takes no --out; leave one of them out")
    distant = [str(run) for run in options.runs if not isinstance(run, Path)]
    if distant:
        raise LedgerError(f"--live follows folders of this machine, and {distant[0]} is none; leave --live out")
    from analysis.report.live import server  # only a live report needs one

    with server(options.runs, options.port or 0) as serving:
        host, port = serving.server_address[:2]
        print(f"http://{host!s}:{port}/ follows the run; ^C ends it", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
