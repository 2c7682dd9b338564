"""`fetch` copies a run from a store while its driver still holds it, and later what is new."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.ledger.load import load
from analysis.ledger.location import StorePath, files
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.run.controller import RunController
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, play, small_sweep

TABLES = ("runs", "starts", "reports", "trials")
RUN_ROW = {
    "run": "r1",
    "sweep": "small",
    "question": "Which weight?",
    "objectives": '[{"metric": "psnr_db", "direction": "maximize"}]',
    "run.data_spec": "demo",
}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--compact",)])
def test_a_run_in_progress_is_brought_home_and_what_is_new_later(
    options: tuple[str, ...], run: StorePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    with Ledger(run) as ledger:
        controller = RunController(small_sweep(), ledger, CONTEXT)
        ledger.commit("runs", [RUN_ROW | {"started": pd.Timestamp("2026-03-01", tz="UTC").to_pydatetime()}])
        for trials in (3, 2):
            play(controller, PretendedWorker(), trials)
            assert main(["fetch", str(run), str(home), *options]) == 0
        assert files(run / "_drivers") != []
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("fetched ")
    assert "starts 2" in said[1]
    there, here = load(run), load(home)
    assert len(here.trials) == 5
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(there, table), getattr(here, table), check_exact=True)
    assert {path.name for path in home.iterdir()} == {*TABLES, ".lock"}
    assert (len(list((home / "starts").iterdir())) == 2) == bool(options)
