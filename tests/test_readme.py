"""The README is true: its code runs, its links lead somewhere, its commands name files that exist."""

import re
import shutil
from pathlib import Path

import pytest

from sweeps.engine.command import run
from sweeps.loss_weights import SWEEP
from tests.places import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "DECISIONS.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_and_named_files_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")]
    named = re.findall(r"`((?:enhance|sweeps|analysis|tests)/[\w/.]+\.(?:py|json))`", text)
    missing = [name for name in [*targets, *named] if not (ROOT / name).exists()]
    assert [name for name in missing if name not in ("sweeps/learning_rate.py", "enhance/nets/NAME.py")] == []


@pytest.mark.engine
def test_the_ways_to_read_a_ledger_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(SWEEP, ["--smoke", "--workers", "0", "--out", "runs/NAME"]) == 0
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.engine
def test_the_sweep_that_contributing_writes_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    monkeypatch.chdir(tmp_path)
    assert run(names["SWEEP"], ["--smoke", "--workers", "0", "--out", "run"]) == 0  # type: ignore[arg-type]
    shutil.rmtree("run")
