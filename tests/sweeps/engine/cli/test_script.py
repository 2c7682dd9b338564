"""A script copied out of its project must match the project's version."""

from pathlib import Path

import pytest

from sweeps.engine.cli.script import StaleCode, check_code, check_script, command_of
from sweeps.engine.command import run
from sweeps.engine.environment import code_hash
from tests.places import ROOT
from tests.sweeps.engine.pretended import small_sweep

INSTALLED = ROOT / "sweeps"


def test_a_copy_of_the_installed_script_may_run(tmp_path: Path) -> None:
    copy = tmp_path / "fast_arch.py"
    copy.write_bytes((INSTALLED / "fast_arch.py").read_bytes())
    check_script(str(copy))
    check_script(str(INSTALLED / "fast_arch.py"))


def test_a_copy_of_another_state_is_refused_with_the_command_that_refreshes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `ray submit` leaves it: the script is new, the project is old."""
    copy = tmp_path / "fast_arch.py"
    copy.write_bytes((INSTALLED / "fast_arch.py").read_bytes() + b"\n")
    with pytest.raises(StaleCode, match="ray rsync-up"):
        check_script(str(copy))
    monkeypatch.setattr("sys.argv", [str(copy)])
    out = tmp_path / "run"
    assert run(small_sweep(), ["--workers", "0", "--smoke", "--out", str(out)]) == 2
    assert "ray rsync-up cluster.yaml" in capsys.readouterr().err
    assert not out.exists()


def test_a_script_of_the_users_own_needs_no_counterpart(tmp_path: Path) -> None:
    own = tmp_path / "my_question.py"
    own.write_text("")
    check_script(str(own))
    check_script("-c")


def test_a_submitted_script_is_given_again_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    copy = tmp_path / "fast_arch.py"
    copy.write_text("")
    assert command_of(str(copy)).endswith(f"python {copy}")
    monkeypatch.setenv("TESTSTRIP_ADDRESS", "auto")
    assert command_of(str(copy)) == "ray submit cluster.yaml sweeps/fast_arch.py --"
    assert command_of(str(tmp_path / "print.py")) == "ray submit cluster.yaml cluster/print.py --"


def test_code_that_was_not_expected_is_refused() -> None:
    check_code(code_hash()[:8])
    for wrong in ("0" * 8, code_hash()[:5], code_hash() + "0"):
        with pytest.raises(StaleCode, match="--expect-code"):
            check_code(wrong)
