"""No change of the code changes a number unnoticed: the first losses of training are those that were recorded.

Where a change is meant: `python -m tests.golden.record_losses`.
"""

import pytest
import torch

from enhance.config.adversaries import OBJECTIVE_CONFIGS
from enhance.data import PatchStore
from enhance.nets import FAMILIES
from enhance.rules import RULES
from tests.golden.record_losses import STEPS, cases, first_losses, machine_kind, make_store, read

CASES = cases()
RECORDED = read()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return make_store(tmp_path_factory.mktemp("golden") / "noise.patches")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_the_first_losses_are_those_that_were_recorded(case: str, store: PatchStore) -> None:
    """Bit by bit where the case was recorded on this kind of machine, elsewhere up to the order of sums."""
    losses, kind = first_losses(CASES[case], store), machine_kind()
    known = {kind: by_case[case] for kind, by_case in RECORDED.items() if case in by_case}
    if kind in known:
        assert losses == known[kind]
    else:
        recorded = next(iter(known.values()))
        assert losses == pytest.approx(recorded, rel=1e-5), f"the case is not recorded for {kind}"


def test_every_family_objective_and_rule_is_recorded() -> None:
    # Who adds a family records it on one machine, and has none of the other kinds.
    assert set().union(*RECORDED.values()) == CASES.keys()
    for by_case in RECORDED.values():
        assert {len(losses) for losses in by_case.values()} == {STEPS}
    assert {f"family {name}" for name in FAMILIES} <= CASES.keys()
    assert {f"objective {name}" for name in OBJECTIVE_CONFIGS} <= CASES.keys()
    assert {str(flat.get("train.rule", "paired")) for flat in CASES.values()} == RULES.keys()


def test_a_change_in_the_last_bit_is_noticed(store: PatchStore) -> None:
    losses = torch.tensor(first_losses(CASES["family resnet"], store), dtype=torch.float64)
    assert not torch.equal(losses, losses * (1 + 2**-52))
