"""Every file in sweeps/ is short, starts nothing when imported, builds everywhere, and runs."""

import importlib
import runpy
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from analysis.ledger.load import load
from analysis.ledger.schema import DATASETS, ENDINGS
from enhance.config import Config, Scalar, conflicts, domains
from enhance.nets import build_net, parameter_count
from sweeps import fast_arch
from sweeps.engine import command
from sweeps.engine.command import run
from sweeps.engine.environment import analysis_command
from sweeps.engine.space import corner_points
from sweeps.engine.sweep import Sweep
from tests.places import ROOT

FILES = sorted(path for path in (ROOT / "sweeps").glob("*.py") if path.stem != "__init__")
MOST_LINES = 120  # of which FPIE's 24 networks are 30
LARGE = 30_000_000
"""Parameters above which a network is not built here: it would take seconds and the memory of a machine."""


def questions(path: Path) -> dict[str, Sweep]:
    """The sweeps of a file, by name: its SWEEP, or its SWEEPS."""
    module = importlib.import_module(f"sweeps.{path.stem}")
    return dict(module.SWEEPS) if hasattr(module, "SWEEPS") else {path.stem: module.SWEEP}


QUESTIONS = {
    path.stem if len(own) == 1 else f"{path.stem}-{name}": sweep
    for path in FILES
    for own in [questions(path)]
    for name, sweep in own.items()
}
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
every_question = pytest.mark.parametrize("name", QUESTIONS)
every_scale = pytest.mark.parametrize("scale", ["demo", "full"])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the packed data of this module lie: all its runs share them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTSTRIP_CACHE", str(folder))
        yield folder


@every_file
def test_a_file_is_short_in_the_readme_and_starts_its_sweep_only_as_a_script(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
    assert f"`sweeps/{path.name}`" in (ROOT / "README.md").read_text()
    started: list[object] = []
    monkeypatch.setattr(command, "main", lambda sweeps, **_: started.append(sweeps))
    names = runpy.run_path(str(path), run_name="imported")
    assert started == []
    asked = names.get("SWEEP", names.get("SWEEPS"))
    sweeps = [asked] if isinstance(asked, Sweep) else list(asked.values())
    assert all(isinstance(sweep, Sweep) and sweep.name.startswith(path.stem) for sweep in sweeps)
    assert all(sweep.question.endswith("?") and sweep.found for sweep in sweeps)
    runpy.run_path(str(path), run_name="__main__")
    assert [type(sweeps) for sweeps in started] == [type(asked)]


@every_scale
@every_question
@pytest.mark.slow
def test_every_corner_is_a_configuration_with_a_network(name: str, scale: str) -> None:
    sweep = QUESTIONS[name].at(scale)
    points = [*corner_points(sweep.space), *sweep.enqueue.values()]
    lawful = [config for point in points if not conflicts(config := sweep.config(point))]
    assert lawful
    nets = {config.net: config for config in lawful}
    for config in nets.values():
        if size(config) <= LARGE:
            assert parameter_count(build_net(config.net, seed=0)) > 0


def size(config: Config) -> int:
    """How many parameters the network has, without a byte of memory for them."""
    with torch.device("meta"):
        return parameter_count(build_net(config.net, seed=0))


@every_scale
@every_question
def test_first_settings_go_together_and_every_key_is_a_leaf(name: str, scale: str) -> None:
    sweep = QUESTIONS[name].at(scale)
    known = set().union(*(domains({**sweep.fixed, **point}) for point in corner_points(sweep.space)))
    keys = {*sweep.space, *sweep.fixed, *(key for values in sweep.enqueue.values() for key in values)}
    assert keys - known == set()
    assert {label: wrong for label, values in sweep.enqueue.items() if (wrong := conflicts(sweep.config(values)))} == {}
    if sweep.design is not None:
        points = [point for _, point in sweep.design.points(sweep.space)]
        listed = {tuple(sorted(point.items())) for point in (*points, *sweep.enqueue.values())}
        assert sweep.budget.trials <= len(listed)  # the budget promises no point that the design does not have


@pytest.mark.engine
@every_question
def test_the_smoke_budget_leaves_a_ledger_of_ended_trials(
    name: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = QUESTIONS[name]
    assert run(sweep, ["--smoke", "--workers", "0", "--out", str(tmp_path / "run"), *small(sweep)]) == 0
    assert f"{analysis_command()} {sweep.answered_by} {tmp_path}" in capsys.readouterr().out
    ledger = load(tmp_path / "run")
    assert set(ledger.trials["trial"]) == set(ledger.starts["trial"])
    assert set(ledger.trials["ending"]) <= set(ENDINGS) - {"failed"}
    assert set(ledger.trials["ending"]) != {"refused"}
    for dataset in DATASETS:  # what training reports is among the columns that were known before it began
        schemas = {pq.read_schema(file) for file in (tmp_path / "run" / dataset).glob("*.parquet")}
        assert len(schemas) <= 1, dataset
    budget = sweep.smoke
    assert (ledger.trials["stage"] == "search").sum() == budget.trials * budget.seeds


def small(sweep: Sweep) -> list[str]:
    """Arguments that keep a smoke run short, of leaves that the sweep does not search."""
    wanted: dict[str, Scalar] = {
        "net.channels": 4, "critic.channels": 4, "loss.content_layer": "relu1_2", "train.val_images": 4,
    }  # fmt: skip
    fixed = {name: value for name, value in wanted.items() if name in {**sweep.fixed, "train.val_images": 0}}
    return [argument for name, value in fixed.items() for argument in ("--set", f"{name}={value}")]


def test_the_open_space_trains_on_what_it_maximizes_and_the_papers_settings_stay_theirs() -> None:
    fixed = fast_arch.OPEN.fixed
    assert (fixed["loss.pixel"], fixed["loss.ms_ssim"]) == (0.16, 0.84)
    full = fast_arch.OPEN.at("full").fixed
    assert (full["loss.pixel"], full["loss.ms_ssim"], full["loss.content"]) == (0.0, 0.0, 0.1)
    assert all(fast_arch.GRID.at(scale).fixed.get("loss.ms_ssim", 0) == 0 for scale in ("demo", "full"))
