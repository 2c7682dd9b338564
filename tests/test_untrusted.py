"""Outside input is read, never executed: weight files, ledgers, stores, command lines."""

import ast
from collections.abc import Iterator

import pytest

from tests.places import ROOT

RUNS_WHAT_IT_READS = {
    *("eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads"),
    *("dill.load", "dill.loads", "joblib.load", "shelve.open", "marshal.loads", "pandas.read_pickle"),
    *("torch.jit.load", "torch.export.load"),
}

WITH = {"torch.load": ("weights_only", True), "torch.hub.load_state_dict_from_url": ("weights_only", True)}
"""What must be given so that a call reads and does not run."""

NEVER = {"shell": True, "allow_pickle": True, "weights_only": False}
"""What must not be given to any call."""


def dangers(source: str) -> Iterator[str]:
    """Calls in a module that would run what they read, as "line: what"."""
    tree = ast.parse(source)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            first, dot, rest = called.partition(".")
            called = f"{names.get(first) or first}{dot}{rest}"
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            needed, value = WITH.get(called, ("", None))
            if called in RUNS_WHAT_IT_READS or (needed and given.get(needed) != str(value)):
                yield f"{node.lineno}: {called}"
            yield from (f"{node.lineno}: {called}({name}=)" for name in NEVER if given.get(name) == str(NEVER[name]))


@pytest.mark.slow
def test_nothing_in_the_project_runs_what_it_reads() -> None:
    sources = [path for folder in ("enhance", "sweeps", "analysis") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(sources) > 100
    found = [f"{path.relative_to(ROOT)}:{danger}" for path in sources for danger in dangers(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "call",
    [
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "from torch import load\nload(path)",
        "import torch as t\nt.load(path)",
        "import pickle\npickle.load(file)",
        "from pickle import loads as read\nread(text)",
        "import numpy\nnumpy.load(path, allow_pickle=True)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "def f():\n    return eval(text)",
    ],
)
def test_such_a_call_would_be_found(call: str) -> None:
    assert len(list(dangers(call))) >= 1


def test_what_is_safe_is_not_found() -> None:
    assert not list(dangers("import pickle, torch\ntorch.load(path, 'cpu', weights_only=True)\npickle.UnpicklingError"))
