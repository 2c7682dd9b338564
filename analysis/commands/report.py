"""`analysis report`: one HTML file that needs no server and no network, or a page that follows a running sweep."""

import argparse
from pathlib import Path

from analysis.commands.answer import Answer, described
from analysis.commands.arguments import add_out, add_runs
from analysis.ledger.load import LedgerError
from analysis.output import say_notes, say_written, writing
from analysis.report.page import page
from analysis.report.reading import read_all


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several become chapters of one page")
    add_out(parser, what="page, report.html,")
    parser.add_argument("--live", action="store_true", help="serve the page on this machine and follow the run")
    parser.add_argument("--port", metavar="N", type=int, help="the port of --live (default: a free one)")


def run(options: argparse.Namespace) -> Answer:
    """Write the page, or serve it until ^C. Raises LedgerError."""
    if options.live:
        _serve(options)
        # The server has said all there is to say.
        return Answer({}, lambda: None)
    if options.port is not None:
        raise LedgerError("--port is the port of --live; add --live, or leave --port out")
    readings = read_all(options.runs)
    say_notes(note for reading in readings for note in reading.ledger.notes)
    folder = options.out or options.runs[0] / "analysis"
    text = page(readings)
    with writing(folder) as local:
        (local / "report.html").write_text(text, encoding="utf-8")
    files = [folder / "report.html"]
    numbers = {"runs": described([reading.ledger for reading in readings]), "files": files}
    return Answer(numbers, lambda: say_written(files))


def _serve(options: argparse.Namespace) -> None:
    for option, given in (("--out", options.out is not None), ("--json", options.json)):
        if given:
            raise LedgerError(
                f"--live serves a page and writes nothing, so it takes no {option}; leave one of them out"
            )
    distant = [str(run) for run in options.runs if not isinstance(run, Path)]
    if distant:
        raise LedgerError(f"--live follows folders on this machine only, and {distant[0]} is not one; leave out --live")
    # Imported here, as only a live report needs a server.
    from analysis.report.live import server

    with server(options.runs, options.port or 0) as serving:
        host, port = serving.server_address[:2]
        print(f"http://{host!s}:{port}/ follows the run; ^C ends it", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
