"""The driver: runs a sweep into a ledger. One driver holds one run at a time."""

import contextlib
import math
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from analysis.ledger.files import put_aside, read_table
from analysis.ledger.location import Location, StorePath
from analysis.ledger.schema import DATASETS
from enhance.data import PatchStore, open_data
from sweeps.engine import environment
from sweeps.engine.cli.arguments import MOST_S, UsageError
from sweeps.engine.cli.contract import RunMismatch, check_contract, contract_of, warning
from sweeps.engine.cli.display.live import Board, aside
from sweeps.engine.cli.options import Options
from sweeps.engine.cluster import shared_folder
from sweeps.engine.ledger.retry import set_failed_aside
from sweeps.engine.ledger.writer import Ledger, encode
from sweeps.engine.run.admission import Immediate
from sweeps.engine.run.cohorts import Cohorts
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.judge import higher_is_better
from sweeps.engine.run.kept.states import KeptStates
from sweeps.engine.run.kept.weights import KeptWeights
from sweeps.engine.run.measuring import NetworkCosts
from sweeps.engine.run.row_columns import full_rows
from sweeps.engine.run.samples import Gallery
from sweeps.engine.run.shutdown import GRACE_S, Limits, interrupt_kept, signals_close, signals_interrupt
from sweeps.engine.run.study import PriorResult
from sweeps.engine.run.trials import RunContext
from sweeps.engine.sweep import METRICS, Sweep

# A run on this machine does not load them.
if TYPE_CHECKING:
    from sweeps.engine.cli.preflight import Cluster
    from sweeps.engine.cluster.node_check import Requirements


def drive(sweep: Sweep, options: Options, console: Console, cluster: "Cluster | None" = None) -> RunController:
    """Run `sweep` into the ledger at `options.out`, continuing what is there. Returns the controller at the end.

    `cluster` is the one that has been joined, None for this machine. Raises DataError, LedgerBusy, RunMismatch or
    NotReady before anything is computed, OSError if the ledger cannot be written.
    """
    # Read now, though it is needed late: a wrong value must be refused before anything starts.
    grace_s = grace_seconds()
    # Ray before the data: its processes load torch while this one opens or packs them.
    with interrupt_kept() as raise_again:
        if options.workers and cluster is None:
            # Imported here, because a run without Ray does not load it.
            from sweeps.engine.cluster.ray_session import start_ray

            start_ray(options.workers)
        raise_again()
    store = open_data(sweep.data, progress=aside(console))
    sweep.check_data(store.paired, store.spec, store.train_input.shape[1])
    with contextlib.ExitStack() as held:
        held.enter_context(signals_interrupt())  # again: Ray has replaced the handler of SIGTERM
        # The machines before the ledger: a cluster that is refused must leave no run behind.
        required = None if cluster is None else held.enter_context(cluster.checked(sweep, options, store))
        ledger = held.enter_context(Ledger(options.out, aside(console)))
        # Under the lock of the ledger: no living driver has left these files.
        if required is not None and required.folder_check is not None and isinstance(options.out, Path):
            shared_folder.clear(options.out, but=required.folder_check)
        controller = _controller(sweep, options, store, ledger, console)
        with Board(sweep, console) as board, signals_close(controller, grace_s):
            controller.listener = board.hear
            board.recall(list(controller.trials.values()))
            _carry(controller, ledger, options, store.path, board, required)
        return controller


def grace_seconds() -> float:
    """TESTSTRIP_GRACE_S, else GRACE_S. Raises UsageError if that is not a number of seconds."""
    named = os.environ.get("TESTSTRIP_GRACE_S") or str(GRACE_S)
    try:
        grace_s = float(named)
    except ValueError:
        grace_s = math.nan
    if not 0 < grace_s <= MOST_S:
        raise UsageError(f"TESTSTRIP_GRACE_S={named} must be a number of seconds > 0 and <= {MOST_S:.0f}, a year")
    return grace_s


def read_rows(
    run: Location, dataset: str, key: Sequence[str], *, held: bool = False, keys_only: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a dataset in the order of their commits, the first of each key; and notes about damaged files.

    Damaged files are put aside if this driver holds the run (`held`), and else skipped. `keys_only` leaves out every
    other column, since pictures are large.
    """
    each = (lambda table: table.select(list(key))) if keys_only else (lambda table: table)
    table, notes = read_table(run, dataset, key, each, refuse=put_aside if held else None)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in table.to_pylist() if table is not None else []:
        rows.setdefault(tuple(row[name] for name in key), row)
    return list(rows.values()), notes


def _carry(
    controller: RunController,
    ledger: Ledger,
    options: Options,
    store: Path,
    board: Board,
    required: "Requirements | None",
) -> None:
    limits = Limits(minutes=options.max_minutes, device_hours=options.max_device_hours)

    def tick() -> None:
        limits.check(controller)
        board.tick()

    if options.workers == 0:
        from sweeps.engine.workers.inline import run_inline

        run_inline(controller, store, options.device, options.timeout_s, tick)
    else:
        from sweeps.engine.cluster.ray_session import stop_ray
        from sweeps.engine.workers.ray_actor import WorkerConfig
        from sweeps.engine.workers.ray_tune import run_on_ray

        config = WorkerConfig(options.workers, options.device, store, options.elastic, required, options.per_device)
        run_on_ray(controller, config, options.timeout_s, tick, aside(board.console))
        # The heartbeat of a ledger in a store is a thread, and Ray must be stopped with no other thread running.
        ledger.close()
        stop_ray()


def _controller(sweep: Sweep, options: Options, store: PatchStore, ledger: Ledger, console: Console) -> RunController:
    """A controller that knows everything in the ledger. Records the invocation.

    That comes last: an invocation that is refused leaves no row in `runs`.
    """
    runs = _own_rows(options.out, "runs", console)
    contract = contract_of(sweep, options.reproducible, data=store.fingerprint, code=environment.code_hash())
    accepted = check_contract(runs, contract, options.accept_change, options.out)
    if accepted:
        aside(console, "yellow")(warning(accepted))
    elif options.accept_change:
        aside(console)(f"--accept-change {' '.join(options.accept_change)}: nothing has changed that must be accepted")
    # Before `_restore` reads the trials: without the rows of their endings, they are taken for unfinished.
    if options.retry:
        aside(console)(f"--retry {options.retry}: {set_failed_aside(options.out)} failed trials are tried again")
    # One ID per invocation, so that every row says under which options it was written.
    run = uuid.uuid4().hex[:12]
    columns = _columns(run, options, store)
    prior = [result for past in options.warm_start for result in _prior_results(past, sweep, store, console)]
    context = RunContext(store.fingerprint, environment.code_hash(), columns)
    controller = RunController(
        sweep,
        ledger,
        context,
        admission=Cohorts if options.reproducible else Immediate,
        costs=_network_costs(sweep, options, context, console),
        journal=None if isinstance(options.out, StorePath) else options.out / "optuna.journal",
        history=prior,
    )
    if options.samples or options.photos:
        controller.gallery = _gallery(sweep, options, store, console)
    _keep_networks(controller, ledger, options, console)
    _restore(controller, options, runs, console)
    ledger.promise_columns(full_rows(sweep, context, paired=store.paired))
    ledger.commit("runs", [_run_row(run, sweep, options, contract) | {"accepted": encode(accepted)} | columns])
    return controller


def _keep_networks(controller: RunController, ledger: Ledger, options: Options, console: Console) -> None:
    """Say which trained networks are kept and, for a print, where its checkpoints are."""
    sweep, budget = controller.sweep, controller.sweep.budget
    controller.weights = KeptWeights(
        ledger,
        sweep.name,
        controller.context,
        every=options.keep_weights or bool(budget.every),
        score=(lambda report: higher_is_better(report, sweep)[0]) if budget.patience else None,
    )
    if budget.every:
        controller.states = KeptStates(ledger, aside(console, "yellow"))


def _restore(controller: RunController, options: Options, runs: Sequence[dict[str, Any]], console: Console) -> None:
    """Restore what earlier invocations wrote, even if no file of `runs` is left to say how they were started.

    Raises RunMismatch if their trials are not ones that this command would make.
    """
    rows = {name: _own_rows(options.out, name, console) for name in ("starts", "reports", "trials")}
    # Identities are computed with today's code. They may differ only if an invocation had other code, and
    # `check_contract` has let that pass.
    try:
        controller.restore(**rows, other_code=any(row["run.code"] != controller.context.code for row in runs))
    except ValueError as error:
        raise RunMismatch(f"{options.out} holds a run that this command cannot continue: {error}") from None
    if not runs and any(rows.values()):
        aside(console, "yellow")(
            f"note: no readable file in {options.out / 'runs'} says how this run was started; its trials count, since "
            "their configurations, seeds, data and code are those of this command"
        )


def _gallery(sweep: Sweep, options: Options, store: PatchStore, console: Console) -> Gallery:
    """What is recorded besides numbers, and which of it the ledger already has."""
    originals = _own_rows(options.out, "originals", console, keys_only=True)
    kept = frozenset((row["trial"], row["image"]) for row in _own_rows(options.out, "samples", console, keys_only=True))
    recorded = {row["image"] for row in originals}
    return Gallery(store, options.samples, options.photos, bool(sweep.budget.confirm), recorded, kept)


def _own_rows(run: Location, name: str, console: Console, *, keys_only: bool = False) -> list[dict[str, Any]]:
    """The rows of one dataset of the run that this driver holds; damaged and foreign files are named."""
    rows, notes = read_rows(run, name, DATASETS[name].key, held=True, keys_only=keys_only)
    for note in notes:
        aside(console, "yellow")(f"note: {note}")
    return rows


def _network_costs(sweep: Sweep, options: Options, context: RunContext, console: Console) -> NetworkCosts | None:
    """What this run and those of --costs-from have measured; None if the sweep measures nothing."""
    if sweep.cost is None:
        return None
    costs = NetworkCosts(sweep.cost, context, notice=aside(console))
    costs.recall(_own_rows(options.out, "costs", console))
    for past in options.costs_from:
        count = costs.offer(read_rows(past, "costs", DATASETS["costs"].key)[0])
        costs.notice(f"costs from {past}: {count} networks under these conditions, with this code")
    return costs


def _prior_results(past: Location, sweep: Sweep, store: PatchStore, console: Console) -> list[PriorResult]:
    """What an earlier run teaches the sampler; trials that cannot be used are counted by reason."""
    # Imported here, because it loads pandas, which other runs do not need.
    from sweeps.engine.run.warm_start import history

    found = history(past, sweep, store.fingerprint)
    refused = "".join(f"; not used: {count} trials, {reason}" for reason, count in found.refused.items())
    console.print(f"warm start from {past}: {len(found.known)} configurations{refused}", style="dim")
    return list(found.known)


def _columns(run: str, options: Options, store: PatchStore) -> dict[str, Any]:
    """The run.* columns, which stand in every row of `trials` so that each can be judged by itself."""
    return {
        "run.run": run,
        "run.code": environment.code_hash(),
        "run.data": store.fingerprint,
        "run.data_spec": store.spec,
        "run.device": options.device,
        "run.threads": environment.THREADS,
        **{f"run.{name}": version for name, version in environment.versions().items()},
    }


def _run_row(run: str, sweep: Sweep, options: Options, contract: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": run,
        "sweep": sweep.name,
        "question": sweep.question,
        "found": sweep.found,
        "command": options.command,
        "options": encode(options.in_effect),
        "objectives": encode([{"metric": name, "direction": METRICS[name]} for name in sweep.objectives]),
        "contract": encode(contract),
        "trials": sweep.budget.trials,
        **({"origin": encode(sweep.origin)} if sweep.origin else {}),
        "run.host": environment.host(),
        "started": datetime.now(UTC),
    }
