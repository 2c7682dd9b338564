"""Trials that an earlier state of the code made, in a run whose user has accepted the change (`--accept-change code`).

The hash of the code is part of a trial's identity, so that rows of two states never pass for one trial. When a run goes
on after a change, a trial that has ended keeps its rows and counts: for the budget, the sampler, the rungs and the
confirmation. It is not trained again. A trial that had not ended starts over as a new one, and its old reports count
for nothing, since the code of today might not have made them.
"""

from collections.abc import Callable, Mapping

from sweeps.engine.run.trials import Trial


def by_identity(
    recorded: Mapping[str, Trial], *, other_code: bool, start_over: Callable[[Trial], Trial]
) -> dict[str, Trial]:
    """The trials of the ledger, by id there, under the ids that they have today.

    `other_code`: trials of another code are accepted. `start_over` makes a trial that has not begun. Raises ValueError
    where a trial would have another identity today and that is not accepted.
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
        if mine > rank.get(trial.id, ()):
            rank[trial.id] = mine
            found[trial.id] = trial if own or trial.ending else start_over(trial)
    return found
