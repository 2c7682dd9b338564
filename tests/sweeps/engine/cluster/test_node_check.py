"""What keeps a machine from training: all problems at once, each with its fix."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from enhance.data import open_data
from enhance.data.storage.delivery import StoreTransfer
from sweeps.engine.cluster import node_check
from sweeps.engine.cluster.node_check import Requirements, decisive_versions, facts, problems
from sweeps.engine.cluster.shared_folder import show
from sweeps.engine.environment import code_hash


def nothing_is_sent(index: int) -> bytes:
    raise AssertionError("the machine has the data")


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> Requirements:
    """What this machine has."""
    transfer = StoreTransfer.of(open_data("demo", cache=tmp_path_factory.mktemp("cache")))
    return Requirements(code_hash(), decisive_versions(), "cpu", (), None, transfer, "sender")


@pytest.mark.slow
def test_a_machine_that_has_everything_has_no_problem(required: Requirements, tmp_path: Path) -> None:
    weights = tmp_path / "vgg.pt"
    weights.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:16]
    all_of_it = replace(required, folder_check=show(tmp_path), weights=(f"file:{weights}#{digest}",))
    assert problems(all_of_it, "node", nothing_is_sent, thorough=True) == []


def test_everything_that_is_wrong_is_said_at_once_with_its_remedy(
    required: Requirements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.engine.cluster.shared_folder.PATIENCE_S", 0.0)
    monkeypatch.setattr(node_check, "look", lambda sight, node: f"{sight.folder} is not the same folder there")
    monkeypatch.setenv("TESTSTRIP_CACHE", "/dev/null")
    shown = show(tmp_path)
    wrong = replace(
        required,
        code="0" * 16,
        versions={**required.versions, "torch": "1.0"},
        device="cuda",
        folder_check=shown,
        weights=("file:/nowhere.pt#" + "0" * 16,),
        transfer=replace(required.transfer, path=tmp_path / "none.patches"),
    )
    found = problems(wrong, "node", nothing_is_sent, thorough=True)
    parts = [
        f"it runs other code: enhance/ is {code_hash()} there and {'0' * 16}",
        f"other versions: torch {required.versions['torch']} (driver: 1.0)",
        "--unshared",
        "/nowhere.pt: No such file or directory. Copy it there",
        "set TESTSTRIP_CACHE",
        "torch cannot use the GPU",
    ]
    assert len(found) == len(parts)
    for said, part in zip(found, parts, strict=True):
        assert part in said


def test_a_machine_knows_its_processor() -> None:
    assert facts().cores >= 1
    assert facts().processor
