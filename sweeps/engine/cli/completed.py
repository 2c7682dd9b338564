"""Whether a run has nothing left to do, found out without data, workers or a lock.

The controller that would continue the run is built from its ledger, and asked. A run is judged by the data and the code
that it recorded: later changes do not affect what has ended.
"""

import json
from collections.abc import Sequence

from analysis.ledger.schema import DATASETS
from sweeps.engine.cli.contract import contract_of
from sweeps.engine.cli.driver import read_rows
from sweeps.engine.cli.options import Options
from sweeps.engine.environment import code_hash
from sweeps.engine.ledger.writer import Row, encode
from sweeps.engine.run.admission import Immediate
from sweeps.engine.run.cohorts import Cohorts
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.study import PriorResult
from sweeps.engine.run.trials import RunContext
from sweeps.engine.sweep import Sweep


def completed(sweep: Sweep, options: Options) -> str:
    """What the run at `options.out` holds, in words, if the sweep needs nothing more there; else ""."""
    rows = {name: read_rows(options.out, name, DATASETS[name].key)[0] for name in ("runs", "starts", "trials")}
    # The cheap answers first: a run that was interrupted has trials that have not ended.
    if not rows["runs"] or {row["trial"] for row in rows["starts"]} - {row["trial"] for row in rows["trials"]}:
        return ""
    recorded = json.loads(rows["runs"][-1]["contract"])
    data, code = recorded["data"], recorded["code"]
    # Through JSON, as the recorded contract has gone.
    if json.loads(encode(contract_of(sweep, options.reproducible, data=data, code=code))) != recorded:
        return ""
    if options.retry and any(row["ending"] == options.retry for row in rows["trials"]):
        return ""
    controller = RunController(
        sweep,
        _Nowhere(),
        RunContext(data, code, {}),
        admission=Cohorts if options.reproducible else Immediate,
        history=_history(sweep, options, data),
    )
    reports, _ = read_rows(options.out, "reports", DATASETS["reports"].key)
    other_code = any(row["run.code"] != code for row in rows["runs"])
    try:
        controller.restore(rows["starts"], reports, rows["trials"], other_code=other_code)
    except ValueError:
        # The driver that continues the run says what is wrong with it.
        return ""
    # `has_work` first: it makes the search ask for what comes next, and choose what to confirm.
    if controller.has_work() or not controller.finished:
        return ""
    changed = "" if code == code_hash() else f", trained by the code {code}, which has changed since"
    return f"complete with {len(rows['trials'])} trials in {options.out}{changed}"


class _Nowhere:
    """A ledger for a controller that is only asked."""

    def commit(self, dataset: str, rows: Sequence[Row]) -> None:
        """Write nothing."""


def _history(sweep: Sweep, options: Options, data: str) -> list[PriorResult]:
    """What earlier runs taught the sampler. Only a reproducible search asks it again for what it has proposed."""
    if not (options.reproducible and options.warm_start):
        return []
    from sweeps.engine.run.warm_start import history  # here: it loads pandas

    return [result for past in options.warm_start for result in history(past, sweep, data).known]
