"""What the closing summary adds to the front if another analysis answers a sweep's question."""

from collections.abc import Callable

from rich.console import Console

from analysis.ablation.answer import ablation
from analysis.ablation.table import ablation_table, legend_lines
from analysis.ledger.load import Ledger
from analysis.stability.study import study
from analysis.stability.table import divergence_table, spreads_table


def print_answer(answered_by: str, ledger: Ledger, console: Console) -> None:
    """The tables of `python -m analysis ANSWERED_BY`, in short. Raises LedgerError if the run cannot answer."""
    _ANSWERS[answered_by](ledger, console)


def _front(ledger: Ledger, console: Console) -> None:
    """Add nothing: the summary begins with the front."""


def _stability(ledger: Ledger, console: Console) -> None:
    found = study([ledger])
    console.print(divergence_table(found.divergence))
    for line in found.onsets:
        console.print(line, soft_wrap=True)
    console.print(f"\n{found.score} over seeds (95 % intervals)")
    console.print(spreads_table(found.spreads, found.objective.metric))


def _ablation(ledger: Ledger, console: Console) -> None:
    """In the first objective, without interactions."""
    frame = ablation(ledger)
    first = frame["metric"] == frame["metric"].iloc[0]
    console.print(ablation_table(frame[first & (frame["kind"] != "interaction")]))
    console.print("\n".join(legend_lines(ledger, frame)), soft_wrap=True)


_ANSWERS: dict[str, Callable[[Ledger, Console], None]] = {
    "frontier": _front,
    "stability": _stability,
    "ablation": _ablation,
}
