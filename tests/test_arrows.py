"""The arrows of the house: who may import whom, imports inside functions included; and no script shadows a module."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "enhance": {"ray", "optuna", "argparse", "rich", "pandas", "pyarrow", "matplotlib", "sweeps", "analysis"},
    "analysis": {"torch", "torchvision", "ray", "optuna", "enhance", "sweeps"},
    "sweeps/engine": {"torchvision"},
}

ALLOWED = {
    "analysis/statistics/importance.py": {"optuna"},
    "enhance/json_output.py": {"argparse"},
}
"""One file of `analysis` uses Optuna's importance evaluators, on a study that it builds from the ledger in memory; one
of `enhance` holds the parser that its commands and the engine's share."""

COMMANDS = {"argparse", "rich"}  # what a command line needs, and nothing beside it may have


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import statement, wherever in the file it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_package_imports_what_it_must_not_know(folder: str) -> None:
    assert sources(folder)
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN[folder] - _excused(path)
    ]
    assert wrong == []


def _excused(path: Path) -> set[str]:
    return ALLOWED.get(path.relative_to(ROOT).as_posix(), set()) | (COMMANDS if path.name == "__main__.py" else set())


def test_only_what_trains_knows_torch_in_the_engine() -> None:
    users = {path.name for path in sources("sweeps/engine") if {"torch", "enhance.microrun"} & imported(path)}
    assert users == {
        "worker.py",
        "estimate.py",
        "node_check.py",
    }  # node_check.py: whether a node's torch can use its GPU


def test_few_files_know_ray() -> None:
    users = {path.name for path in sources("sweeps") if any(name.split(".")[0] == "ray" for name in imported(path))}
    # Starting and joining; carrying trials; the nodes of a cluster; asking it who it is, before it is joined.
    assert users == {"ray_session.py", "ray_actor.py", "ray_tune.py", "nodes.py", "auth_probe.py", "ray_internals.py"}


def test_the_engine_knows_no_sweep_and_no_script_knows_another() -> None:
    scripts = {f"sweeps.{path.stem}" for path in (ROOT / "sweeps").glob("*.py")} - {"sweeps.__init__"}
    for path in sources("sweeps"):
        assert not imported(path) & scripts, path


def test_no_script_in_sweeps_shadows_a_module() -> None:
    """`python sweeps/x.py` puts sweeps/ first on the path: sweeps/optuna.py would replace Optuna."""
    names = {path.stem for path in (ROOT / "sweeps").iterdir() if path.suffix == ".py" or path.is_dir()}
    names -= {"__init__", "__pycache__"}
    code = (
        "import importlib.util, sys; sys.path = [p for p in sys.path if p not in ('', sys.argv[1])];"
        "print([n for n in sys.argv[2:] if n in sys.stdlib_module_names or importlib.util.find_spec(n)])"
    )
    arguments = [sys.executable, "-c", code, str(ROOT / "sweeps"), *names]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd="/").stdout
    assert found.strip() == "[]"


def test_a_driver_starts_without_torch() -> None:
    """The driver's start is on every user's clock; torch takes longer to load than everything else together."""
    code = (
        "import sys, sweeps.loss_weights; print([m for m in ('torch', 'pandas', 'ray', 'kornia') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
