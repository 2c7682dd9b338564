"""A Ray cluster of this machine alone, started as a user would start one, for tests that join it by its address."""

import contextlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def running_cluster(environment: Mapping[str, str], port: int) -> Iterator[tuple[str, dict[str, str]]]:
    """A head with two CPUs: its address, and the environment, with its token, for those who join it."""
    ray = Path(sys.executable).with_name("ray")
    folder = tempfile.mkdtemp(prefix="ts-")  # short: Ray puts sockets there, whose paths have 107 bytes
    own = {**environment, "RAY_TMPDIR": folder, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    head = ["start", "--head", f"--port={port}", "--num-cpus=2"]
    head += ["--include-dashboard=false", "--block", "--disable-usage-stats"]
    cluster = subprocess.Popen([ray, *head], env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        asked = [ray, "status", "--address", address]
        while subprocess.run(asked, env=own, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield address, own
    finally:
        cluster.terminate()
        cluster.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
