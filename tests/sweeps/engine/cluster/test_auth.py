"""A cluster without authentication is not joined, and a wrong token gives a clear error."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeps.engine.cluster import auth
from sweeps.engine.cluster.auth import AccessError, readable_by_others, settle_access, token_source

TOKEN = "0123456789abcdef"


class Answers:
    """A pretended cluster: which token it wants ("" for none), and the addresses of its machines."""

    def __init__(self, token: str, *machines: str) -> None:
        self.token, self.machines = token, list(machines)

    def ask(self, address: str, environment: Mapping[str, str]) -> dict[str, Any]:
        given = token_source(environment)[0] if environment["RAY_AUTH_MODE"] == "token" else ""
        lets_in = not self.token or given == self.token
        machines = self.machines if lets_in else []
        return {"answer": "yes" if lets_in else "token", "machines": machines, "said": "", "address": address}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that what is set on the way is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(auth, "_check_port_is_open", lambda address: None)
    return tmp_path


def cluster(monkeypatch: pytest.MonkeyPatch, token: str, *machines: str) -> None:
    monkeypatch.setattr(auth, "_ask", Answers(token, *machines).ask)


def test_an_open_cluster_is_refused_with_the_commands_that_close_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(monkeypatch, "", "127.0.0.1", "10.0.0.2")
    with pytest.raises(AccessError) as refused:
        settle_access("10.0.0.1:6379", insecure=False)
    for part in ("10.0.0.2", "ray get-auth-token --generate", "RAY_AUTH_MODE=token", "--insecure"):
        assert part in str(refused.value)
    warnings = settle_access("10.0.0.1:6379", insecure=True).warnings
    assert [warning.startswith("INSECURE:") for warning in warnings] == [True]


def test_an_open_cluster_of_this_machine_alone_is_no_harm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster(monkeypatch, "", "127.0.0.1")
    assert settle_access("auto", insecure=False).warnings == []


def test_a_token_lets_in_and_is_settled_for_ray(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would not look for the file where an address is given."""
    cluster(monkeypatch, TOKEN, "10.0.0.2")
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    assert settle_access("10.0.0.1:6379", insecure=False).warnings == []
    assert auth.os.environ["RAY_AUTH_MODE"] == "token"
    path.chmod(0o644)
    assert settle_access("10.0.0.1:6379", insecure=False).warnings == readable_by_others(str(path)) != []


@pytest.mark.parametrize(("token", "said"), [("", "this machine has none"), ("wrong", "it is not the cluster's")])
def test_no_token_and_a_wrong_one_are_sentences(
    home: Path, monkeypatch: pytest.MonkeyPatch, token: str, said: str
) -> None:
    cluster(monkeypatch, TOKEN, "10.0.0.2")
    if token:
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with pytest.raises(AccessError, match=said) as refused:
        settle_access("10.0.0.1:6379", insecure=True)
    assert "auth_token" in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_nobody_there_and_no_address_are_sentences() -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionError, match="no Ray answers there"):
            settle_access(f"127.0.0.1:{taken.getsockname()[1]}", insecure=False)
    with pytest.raises(ConnectionError, match="write HOST:PORT"):
        settle_access("somewhere", insecure=False)
