"""Trials that an earlier version of the code made, in a run whose user accepted the change (`--accept-change code`).

The hash of the code is part of a trial's identity, so that rows of two versions never pass for one trial. When a run
continues after a change, a trial that has ended keeps its rows and counts: for the budget, the sampler, the rungs and
the confirmation. It is not trained again. A trial that had not ended starts over as a new one, and its old reports are
ignored, since today's code might not have made them.
"""

from collections.abc import Callable, Mapping

from sweeps.engine.run.trials import Trial


def by_identity(
    recorded: Mapping[str, Trial], *, other_code: bool, start_over: Callable[[Trial], Trial]
) -> dict[str, Trial]:
    """The trials of the ledger (`recorded`, by the ID that they have there), by the ID that they have today.

    With `other_code`, trials that other code made are accepted; without, one whose ID would differ today raises
    ValueError. `start_over` makes the same trial, not begun.
    """
    found: dict[str, Trial] = {}
    rank: dict[str, tuple[bool, ...]] = {}
    for name, trial in recorded.items():
        own = trial.id == name
        if not (own or other_code):
            raise ValueError(f"trial {name} of the ledger has another identity here ({trial.id})")
        # After several changes the ledger may hold one trial under several ids. One that ended comes before one that
        # did not, and one of today's code before the others.
        mine = (bool(trial.ending), own)
        # Every pair is greater than the empty tuple, so the first trial with an ID is always taken.
        if mine > rank.get(trial.id, ()):
            rank[trial.id] = mine
            found[trial.id] = trial if own or trial.ending else start_over(trial)
    return found
