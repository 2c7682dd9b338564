"""Authentication: how a cluster lets this machine in, and whether it lets everybody in.

Whoever reaches the ports of an unauthenticated Ray cluster can run anything on its machines. So the cluster is probed
before it is joined: one that answers without a token, and whose machines can be reached from elsewhere, is not joined
unless the user asks for it. Ray encrypts nothing, so the network must be private even with a token.
"""

import ipaddress
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECT_S, ANSWERS_WITHIN_S = 10.0, 20.0
"""How long a port may take to open, and a Ray to answer: that includes the start of a process that imports Ray."""

TURN_ON = (
    "turn token authentication on: `ray get-auth-token --generate` on the machine from which you start the cluster, "
    "RAY_AUTH_MODE=token and ~/.ray/auth_token on every machine (the files in cluster/ do both), then `ray up` again"
)


class AccessError(ConnectionError):
    """The cluster refuses this machine, or is unauthenticated."""


@dataclass(frozen=True)
class Access:
    """A cluster that accepts this machine: `address` is HOST:PORT, `warnings` are sentences for the user."""

    address: str
    warnings: list[str]


def settle_access(address: str, *, insecure: bool) -> Access:
    """Find out whether the cluster at `address` needs a token, and set RAY_AUTH_MODE before Ray is imported.

    Raises AccessError if it is unauthenticated (unless `insecure`) or refuses this machine's token, ConnectionError
    if no Ray answers.
    """
    _check_port_is_open(address)
    # First without a token. An unauthenticated cluster ignores tokens, so asking with one would not tell it apart.
    open_answer = _ask(address, {**os.environ, "RAY_AUTH_MODE": "disabled"})
    if open_answer["answer"] == "yes":
        return Access(open_answer["address"], _accept_without_token(address, open_answer["machines"], insecure))
    if open_answer["answer"] == "no":
        raise ConnectionError(f"--address {address}: no Ray answers there ({_first_line(open_answer['said'])})")
    token, source = token_source(os.environ)
    if not token:
        raise AccessError(
            f"the cluster at {address} wants a token and this machine has none: copy ~/.ray/auth_token from the "
            "machine on which the cluster was started, and `chmod 600` it"
        )
    answer = _ask(address, {**os.environ, "RAY_AUTH_MODE": "token"})
    if answer["answer"] != "yes":
        raise AccessError(
            f"the cluster at {address} refuses the token of this machine ({source}): it is not the cluster's. Copy "
            "~/.ray/auth_token from the machine on which the cluster was started"
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    return Access(answer["address"], readable_by_others(source))


def token_source(environment: Mapping[str, str]) -> tuple[str, str]:
    """The token that Ray would use ("" for none) and its source: the variable, or the path of the file."""
    if environment.get("RAY_AUTH_TOKEN"):
        return environment["RAY_AUTH_TOKEN"], "RAY_AUTH_TOKEN"
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    return (path.read_text().strip() if path.is_file() else ""), str(path)


def readable_by_others(source: str) -> list[str]:
    """A warning if other users of this machine can read the token's file: Ray creates it that way."""
    path = Path(source)
    if path.is_file() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return [f"the token in {path} can be read by other users of this machine: chmod 600 {path}"]
    return []


def _check_port_is_open(address: str) -> None:
    """Fail within seconds if nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal():
        raise ConnectionError(f"--address {address}: write HOST:PORT, auto for the cluster of this machine, or local")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise ConnectionError(f"--address {address}: no Ray answers there ({error.strerror or error})") from None


def _accept_without_token(address: str, machines: list[str], insecure: bool) -> list[str]:
    """Warnings about an unauthenticated cluster: none if only this machine can reach it. Raises AccessError."""
    # This machine may have a token all the same, for another cluster.
    os.environ["RAY_AUTH_MODE"] = "disabled"
    reachable = [machine for machine in machines if not _only_from_here(machine)]
    if not reachable:
        return []
    where = ", ".join(sorted(set(reachable)))
    harm = f"the cluster at {address} is unauthenticated: anyone who reaches {where} can run anything there"
    if insecure:
        return [f"INSECURE: {harm}"]
    raise AccessError(f"{harm}; {TURN_ON}. --insecure joins it as it is")


def _only_from_here(machine: str) -> bool:
    try:
        return ipaddress.ip_address(machine).is_loopback
    except ValueError:
        # It is a name.
        return machine == "localhost"


def _ask(address: str, environment: Mapping[str, str]) -> dict[str, Any]:
    # RAY_ADDRESS would override the address that is asked.
    environment = {name: value for name, value in environment.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "sweeps.engine.cluster.auth_probe", address]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"answer": "no", "said": f"no answer within {ANSWERS_WITHIN_S:g} s"}
    if done.returncode:
        return {"answer": "no", "said": done.stderr.strip().splitlines()[-1] if done.stderr else ""}
    # Ray may print before it.
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
