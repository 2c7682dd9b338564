"""Trials of an earlier version of the code: ended ones count, the others start over."""

from dataclasses import replace

import pytest

from sweeps.engine.run.other_code import by_identity
from sweeps.engine.run.proposals import Proposals
from sweeps.engine.run.trials import Trial
from tests.sweeps.engine.pretended import CONTEXT, report_at, small_sweep

NOW = Proposals(small_sweep(), CONTEXT)
BEFORE = Proposals(small_sweep(), replace(CONTEXT, code="b" * 16))
VALUES = {"loss.color": 1.0, "loss.tv": 1.0}


def trial(seed: int, ending: str = "") -> Trial:
    found = NOW.trial(0, VALUES, "even", seed)
    found.ending, found.reports = ending, {10: report_at(10, 20.0)}
    return found


def recorded(proposals: Proposals, seed: int) -> str:
    return proposals.trial(0, VALUES, "even", seed).id


def test_another_identity_is_refused_unless_it_is_accepted() -> None:
    rows = {recorded(BEFORE, 0): trial(0, "completed")}
    with pytest.raises(ValueError, match=recorded(BEFORE, 0)):
        by_identity(rows, other_code=False, start_over=NOW.start_over)
    assert by_identity(rows, other_code=True, start_over=NOW.start_over) == {recorded(NOW, 0): trial(0, "completed")}


def test_what_had_not_ended_starts_over_without_its_reports() -> None:
    other, own = trial(0), trial(1)
    found = by_identity({recorded(BEFORE, 0): other, recorded(NOW, 1): own}, other_code=True, start_over=NOW.start_over)
    assert found[recorded(NOW, 0)].reports == {}
    assert found[recorded(NOW, 1)] is own


@pytest.mark.parametrize("first", [0, 1])
def test_of_one_trial_under_two_identities_the_one_that_went_further_counts(first: int) -> None:
    ended, unfinished = (recorded(BEFORE, 0), trial(0, "stopped")), (recorded(NOW, 0), trial(0))
    pairs = [ended, unfinished]
    found = by_identity(dict([pairs[first], pairs[1 - first]]), other_code=True, start_over=NOW.start_over)
    assert list(found.values()) == [ended[1]]
    again = (recorded(BEFORE, 0), trial(0))
    pairs = [again, unfinished]
    found = by_identity(dict([pairs[first], pairs[1 - first]]), other_code=True, start_over=NOW.start_over)
    assert found[recorded(NOW, 0)] is unfinished[1]
