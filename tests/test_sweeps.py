"""What every sweep inherits: it builds at every corner of its space, its keys are real, and its smoke budget runs."""

import importlib
import itertools
from pathlib import Path

import pytest

from analysis.load import load
from enhance.config import conflicts
from sweeps.engine.command import run
from sweeps.engine.space import When, inner
from sweeps.engine.sweep import Sweep

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.py") if path.stem != "__init__")
MOST_CORNERS = 512


def sweep_of(name: str) -> Sweep:
    sweep = importlib.import_module(f"sweeps.{name}").SWEEP
    assert isinstance(sweep, Sweep)
    return sweep


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_is_named_after_its_file_and_is_in_the_readme(name: str) -> None:
    sweep = sweep_of(name)
    assert sweep.name == name
    assert f"`sweeps/{name}.py`" in (ROOT / "README.md").read_text()
    assert sweep.question.endswith("?")
    assert sweep.found


@pytest.mark.parametrize("name", NAMES)
def test_every_corner_of_the_space_is_a_configuration(name: str) -> None:
    sweep = sweep_of(name)
    corners = [[inner(entry).corners()[0], inner(entry).corners()[-1]] for entry in sweep.space.values()]
    for point in itertools.islice(itertools.product(*corners), MOST_CORNERS):
        values = dict(zip(sweep.space, point, strict=True))
        active = {
            leaf: value
            for leaf, value in values.items()
            if not isinstance(entry := sweep.space[leaf], When) or values[entry.name] == entry.value
        }
        assert conflicts(sweep.config(active)) == []


@pytest.mark.engine
@pytest.mark.parametrize("name", NAMES)
def test_the_smoke_budget_goes_through_everything(name: str, tmp_path: Path) -> None:
    sweep = sweep_of(name)
    assert run(sweep, ["--smoke", "--workers", "0", "--out", str(tmp_path / "run")]) == 0
    trials = load(tmp_path / "run").trials
    budget = sweep.smoke
    assert len(trials) == budget.trials * budget.seeds + budget.confirm * budget.confirm_seeds
    assert set(trials["ending"]) <= {"completed", "stopped"}
