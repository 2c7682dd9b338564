"""The recorded space and design of a run decode to what was encoded, and analysis reads the same."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.ledger.load import load
from analysis.ledger.schema import DESIGNS_AROUND, DESIGNS_COMBINED, RANGES
from analysis.ledger.space import space
from enhance.config import Scalar
from sweeps.engine.designs import Ablation, Design, Factorial, Fraction, Grid, OneAtATime
from sweeps.engine.ledger import encoding
from sweeps.engine.ledger.encoding import Recorded, encode_design, encode_entry
from sweeps.engine.space import Choice, Integer, Log, Range, Uniform, When
from tests.analysis.written_ledgers import run_row, trial_row, write_run

NAMES = st.text(min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
SCALARS: st.SearchStrategy[Scalar] = NUMBERS | st.booleans() | NAMES
POINTS = st.dictionaries(NAMES, SCALARS, max_size=3)
PLAIN: st.SearchStrategy[Range] = st.one_of(
    st.builds(Uniform, NUMBERS, NUMBERS),
    st.builds(Log, NUMBERS, NUMBERS),
    st.builds(Integer, st.integers(), st.integers(), st.integers()),
    st.lists(SCALARS, max_size=4).map(lambda values: Choice(*values)),
)
ENTRIES = PLAIN | st.builds(When, NAMES, SCALARS | st.lists(SCALARS, min_size=1).map(tuple), PLAIN)
LEVELS = st.integers(0, 9)
DESIGNS: st.SearchStrategy[Design] = st.one_of(
    st.builds(Grid, levels=LEVELS),
    st.builds(Fraction, share=NUMBERS, seed=LEVELS, levels=LEVELS),
    st.just(Factorial()),
    st.builds(OneAtATime, base=POINTS, levels=LEVELS),
    st.builds(Ablation, base=POINTS, off=POINTS),
)


def decode_entry(recorded: Recorded) -> Range | When:
    """The inverse of `encode_entry`."""
    values = dict(recorded)
    kind = values.pop("kind")
    if kind == "when":
        value = values["value"]
        value = tuple(value) if isinstance(value, list) else value
        return When(values["name"], value, cast(Range, decode_entry(values["range"])))
    return Choice(*values["values"]) if kind == "choice" else encoding.RANGES[kind](**values)


def decode_design(recorded: Recorded | None) -> Design | None:
    """The inverse of `encode_design`."""
    if recorded is None:
        return None
    values = dict(recorded)
    return encoding.DESIGNS[values.pop("kind")](**values)


def through_json(recorded: object) -> Any:
    found = json.loads(json.dumps(recorded, allow_nan=False))
    assert found == recorded  # else a resumed run would find its own contract changed
    return found


@pytest.mark.slow
@given(ENTRIES)
def test_every_entry_of_a_space_comes_back(entry: Range | When) -> None:
    assert repr(decode_entry(through_json(encode_entry(entry)))) == repr(entry)


@given(st.none() | DESIGNS)
def test_every_design_comes_back(design: Design | None) -> None:
    assert repr(decode_design(through_json(encode_design(design)))) == repr(design)


def test_the_kinds_are_those_of_the_schema() -> None:
    assert set(encoding.RANGES) == set(RANGES)
    assert set(encoding.DESIGNS) == {*DESIGNS_AROUND, *DESIGNS_COMBINED}


@pytest.mark.parametrize("own", [Uniform(0, 1), Log(0.1, 10), Integer(1, 5, 2), Choice("a", "b"), Choice(1, 2, 3)])
def test_analysis_reads_what_the_engine_records(own: Range, tmp_path: Path) -> None:
    first = own.corners()[0]
    contract = json.dumps({"space": {"a": encode_entry(own), "b": encode_entry(When("a", first, own))}})
    plain, conditional = space(load(write_run(tmp_path, [trial_row(0)], runs=[run_row(contract=contract)])))
    for parameter in (plain, conditional):
        if isinstance(own, Choice):
            assert parameter.choices == own.values
        else:
            assert (parameter.low, parameter.high) == (own.low, own.high)
        assert parameter.log is isinstance(own, Log)
        assert parameter.step == (own.step if isinstance(own, Integer) else None)
    assert plain.condition is None
    assert conditional.condition == ("a", (first,))
