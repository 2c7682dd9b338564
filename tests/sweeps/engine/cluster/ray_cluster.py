"""A one-machine Ray cluster, started as a user would start it, for tests that join it by address."""

import contextlib
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_ports


@contextlib.contextmanager
def running_cluster(environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A head with two CPUs: its address, and the environment, with its token, for those who join it."""
    (port,) = free_ports(1)
    ray = Path(sys.executable).with_name("ray")
    folder = tempfile.mkdtemp(prefix="ts-")  # short: Ray puts sockets there, whose paths have 107 bytes
    own = {**environment, "RAY_TMPDIR": folder, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    head = ["start", "--head", f"--port={port}", "--num-cpus=2"]
    head += ["--include-dashboard=false", "--block", "--disable-usage-stats"]
    cluster = subprocess.Popen([ray, *head], env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    try:
        asked = [ray, "status", "--address", address]
        wait_until(
            lambda: not subprocess.run(asked, env=own, capture_output=True, check=False).returncode,
            lambda: f"no cluster answers at {address}",
        )
        yield address, own
    finally:
        cluster.terminate()
        cluster.wait(timeout=PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)
