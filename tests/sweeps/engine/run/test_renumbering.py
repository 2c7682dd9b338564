"""A run resumes from the rows of two drivers whose writing overlapped."""

import dataclasses

from sweeps.engine.run.trials import Trial, renumber
from tests.sweeps.engine.pretended import small_sweep


def trial(number: int, color: float, seed: int = 0) -> Trial:
    values = {"loss.color": color, "loss.tv": 1.0}
    return Trial(f"{color}/{seed}", number, small_sweep().config(values), values, "", seed)


def test_a_number_that_two_configurations_have_is_given_to_the_first_alone() -> None:
    trials = [trial(0, 1.0), trial(1, 2.0), trial(1, 3.0), trial(1, 2.0, seed=1), trial(1, 3.0, seed=1), trial(2, 4.0)]
    assert [one.number for one in renumber(trials)] == [0, 1, 3, 1, 3, 2]


def test_where_every_configuration_has_its_own_number_nothing_changes() -> None:
    trials = [trial(5, 1.0), trial(0, 2.0), trial(5, 1.0, seed=1)]
    assert renumber([dataclasses.replace(one) for one in trials]) == trials
