"""What the closing summary says beside the front, where another analysis answers a sweep's question."""

from collections.abc import Callable

from rich.console import Console

from analysis.ablation.answer import ablation
from analysis.ablation.table import ablation_table, legend_lines
from analysis.ledger.load import Ledger
from analysis.ledger.units import metric_label
from analysis.stability.answer import (
    default_grouping,
    divergence,
    edge,
    first_objective,
    onset_lines,
    outcomes,
    spreads,
    varying_factors,
)
from analysis.stability.factors import learning_rate, searched_factors
from analysis.stability.table import divergence_table, spreads_table


def print_answer(answered_by: str, ledger: Ledger, console: Console) -> None:
    """The tables of `python -m analysis ANSWERED_BY`, in short. Raises LedgerError where the run cannot answer."""
    _ANSWERS[answered_by](ledger, console)


def _front(ledger: Ledger, console: Console) -> None:
    """The summary begins with it."""


def _stability(ledger: Ledger, console: Console) -> None:
    frame = outcomes([ledger], searched_factors([ledger]))
    factors, objective = varying_factors(frame, [ledger]), first_objective([ledger])
    rate = learning_rate(factors)
    by = default_grouping(frame, factors, rate)
    console.print(divergence_table(divergence(frame, factors)))
    if rate is not None:
        for line in onset_lines(edge(frame, rate, by)):
            console.print(f"{rate.name}: {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{metric_label(objective.metric)} over seeds (95 % intervals)", markup=False, highlight=False)
    console.print(spreads_table(spreads(frame, objective, by), objective.metric))


def _ablation(ledger: Ledger, console: Console) -> None:
    """In the first objective, without interactions."""
    frame = ablation(ledger)
    first = frame["metric"] == frame["metric"].iloc[0]
    console.print(ablation_table(frame[first & (frame["kind"] != "interaction")]))
    console.print("\n".join(legend_lines(ledger, frame)), markup=False, highlight=False, soft_wrap=True)


_ANSWERS: dict[str, Callable[[Ledger, Console], None]] = {
    "frontier": _front,
    "stability": _stability,
    "ablation": _ablation,
}
