"""The arrows of the house: who may import whom, imports inside functions included; and no script shadows a module.

The sizes of files and folders are in test_sizes.py.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT

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

LAYERS = {
    "sweeps/engine": (
        ("environment", "protocol", "screen", "space", "rungs"),
        ("designs",),
        ("encoding",),
        ("samplers",),
        ("sweep",),
        ("ledger",),
        ("run", "cluster"),
        ("workers", "replay"),
        ("cli",),
        ("command", "doctor"),
        ("prints",),
    ),
    "analysis": (
        ("ledger", "screen"),
        ("statistics",),
        ("drawing",),
        ("output", "json_output"),  # how a command prints and writes its answer
        ("frontier", "stability", "stopping", "importance", "ablation"),
        ("images", "compare", "paper"),  # they start from a front
        ("report",),
        ("commands",),
        ("__main__",),
    ),
}
"""Folders and single files of a package, from the bottom up. A layer imports those below it; side by side, nothing."""

SHARED = {"analysis.ledger", "analysis.screen"}
"""What the engine takes of `analysis` everywhere: the one reader of ledgers, and the one way to print others' texts."""

ANSWERS = {
    "sweeps/engine/cli/display/summary.py": {"analysis.frontier", "analysis.stopping"},
    "sweeps/engine/cli/display/answers.py": {"analysis.stability", "analysis.ablation"},
    "sweeps/engine/prints/choose.py": {"analysis.frontier", "analysis.statistics"},
    "sweeps/engine/prints/finish.py": {"analysis.statistics"},
    "sweeps/engine/cli/console.py": {"analysis.commands", "analysis.__main__"},
}
"""What the engine prints of `analysis` at the end of a run, and the console command, which puts one name before the
commands of every package."""


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


def imported_files(path: Path) -> set[Path]:
    """The files of the project that a file imports, `from folder import module` included."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {file for alias in node.names if (file := file_of(alias.name))}
        elif isinstance(node, ast.ImportFrom):
            named = [file_of(f"{node.module}.{alias.name}") or file_of(node.module or "") for alias in node.names]
            found |= {file for file in named if file}
    return found - {path}


def file_of(module: str) -> Path | None:
    """Where a module of the project is; None for others, and for what is no module."""
    stem = ROOT.joinpath(*module.split("."))
    return next((file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()), None)


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


def part_of(path: Path, package: str) -> str:
    """The folder of a package that a file is in, or the name of a file at the package's root."""
    first = path.relative_to(ROOT / package).parts[0]
    return first.removesuffix(".py")


def arrows(package: str) -> Iterator[tuple[Path, Path]]:
    """Every import from one part of a package to another: file, imported file."""
    for path in (path for path in sources(package) if path != ROOT / package / "__init__.py"):
        for target in imported_files(path):
            inside = target.is_relative_to(ROOT / package) and target != ROOT / package / "__init__.py"
            if inside and part_of(path, package) != part_of(target, package):
                yield path, target


@pytest.mark.parametrize("package", LAYERS)
def test_every_part_of_a_package_has_its_layer(package: str) -> None:
    parts = {part_of(path, package) for path in sources(package)} - {"__init__"}
    assert parts - {part for layer in LAYERS[package] for part in layer} == set()


@pytest.mark.parametrize("package", LAYERS)
def test_no_arrow_points_backwards(package: str) -> None:
    height = {part: number for number, layer in enumerate(LAYERS[package]) for part in layer}
    wrong = [
        f"{source.relative_to(ROOT)} -> {target.relative_to(ROOT)}"
        for source, target in arrows(package)
        if height[part_of(source, package)] <= height[part_of(target, package)]
    ]
    assert wrong == []


def test_the_engine_takes_from_the_analysis_its_ledger_and_the_answers_that_it_prints() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("sweeps")
        for name in imported(path)
        if name.split(".")[0] == "analysis"
        and ".".join(name.split(".")[:2]) not in SHARED | ANSWERS.get(str(path.relative_to(ROOT)), set())
    ]
    assert wrong == []


def test_only_what_trains_knows_torch_in_the_engine() -> None:
    users = {path.name for path in sources("sweeps/engine") if {"torch", "enhance.microrun"} & imported(path)}
    assert users == {"worker.py", "estimate.py", "node_check.py"}  # the last: whether torch can use a node's GPU


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


@pytest.mark.slow
def test_a_driver_starts_without_torch() -> None:
    """The driver's start is on every user's clock; torch takes longer to load than everything else together."""
    code = (
        "import sys, sweeps.loss_weights; print([m for m in ('torch', 'pandas', 'ray', 'kornia') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_consoles_are_made_in_one_place() -> None:
    """There they are told that no text is markup; a path may hold `[bold]`."""
    makers = {path.relative_to(ROOT).as_posix() for top in LAYERS for path in sources(top) if _calls(path, "Console")}
    assert makers == {"analysis/screen.py"}


def _calls(path: Path, name: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == name for called in calls)
