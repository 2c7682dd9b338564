"""The doctor names what is missing and the fix, and its exit status says whether it is required."""

from pathlib import Path

import pytest

from sweeps.engine import doctor
from sweeps.engine.cluster.ray_session import start_ray
from sweeps.engine.doctor import GOOD, MISSING, POOR, main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TESTSTRIP_ADDRESS", "TESTSTRIP_RUNS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state_and_advice(said: str, about: str) -> tuple[str, str]:
    """The state of what was looked at, and the advice on the line after it, if there is one."""
    lines = said.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith(about))
    after = lines[place + 1].strip() if place + 1 < len(lines) else ""
    return lines[place][16:].split()[0], after if after.startswith("->") else ""


def test_a_machine_on_which_the_tests_run_lacks_nothing_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", "run"]) == 0
    said = capsys.readouterr().out
    for about in ("Python", "packages", "processor", "runs"):
        assert state_and_advice(said, about) == (GOOD, "")
    assert not Path("run").exists()


def test_what_is_missing_is_told_with_what_mends_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = ["--out", "file/run", "--data", f"dped:{tmp_path}/none", "--address", "127.0.0.1:1"]
    assert main(asked) == 1
    said = capsys.readouterr().out
    for about, advice in {"runs": "TESTSTRIP_RUNS", "data": "teststrip data", "cluster": "ray up cluster.yaml"}.items():
        state, told = state_and_advice(said, about)
        assert state == MISSING
        assert advice in told
    assert "3 needed things are missing" in said


def test_what_is_weak_is_told_and_does_not_fail(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("secret")
    token.chmod(0o644)
    assert main([]) == 0
    said = capsys.readouterr().out
    state, told = state_and_advice(said, "token")
    assert state == POOR
    assert told.endswith(f"chmod 600 {token}")
    assert "secret" not in said


def test_a_package_that_lacks_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "decisive_versions", lambda: {"python": "3", "torch": "none"})
    assert main([]) == 1
    state, told = state_and_advice(capsys.readouterr().out, "packages")
    assert state == MISSING
    assert "pip install -c constraints.txt" in told


def test_few_open_files_are_weak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda which: (256, 1024))
    finding = doctor._open_files()
    assert (finding.state, finding.mend) == (POOR, "ulimit -n 1024 before `ray start`")


def test_a_temporary_folder_too_long_for_sockets_is_found_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", f"/tmp/{'x' * 90}")
    found = {finding.about: finding for finding in doctor.machine()}["Ray's sockets"]
    assert found.state == MISSING
    assert "RAY_TMPDIR" in found.mend
    with pytest.raises(ConnectionError, match=r"too long for Ray's sockets.*RAY_TMPDIR"):
        start_ray(1)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    assert doctor.socket_problem() == ""


@pytest.mark.parametrize(("name", "begin"), [("nvidia-cuda-mps", "runs:"), ("nvidia-persiste", "does not run:")])
def test_mps_is_found_by_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, begin: str) -> None:
    (tmp_path / "17").mkdir()
    (tmp_path / "17" / "comm").write_text(f"{name}\n")
    monkeypatch.setattr(doctor, "PROCESSES", tmp_path)
    finding = doctor._mps()
    assert (finding.state, finding.mend) == (GOOD, "")
    assert finding.found.startswith(begin)
    assert "--per-device" in finding.found
