"""A real S3 server (SeaweedFS, which checks signatures) and a GCS emulator, on loopback, for the tests."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyarrow import fs

from analysis.ledger.location import StorePath, locate
from tests.patience import wait_until
from tests.ports import free_ports

BUCKET = "darkroom"
WRITER, READER = ("writer", "writers-secret"), ("reader", "readers-secret")
SETTINGS = ("AWS_", "STORAGE_EMULATOR_HOST", "GOOGLE_")


@dataclass(frozen=True)
class Server:
    """A running store: the scheme of its addresses, and the environment variables that its clients need."""

    scheme: str
    environment: dict[str, str]

    def fresh(self) -> StorePath:
        """The address of a run that does not exist yet; the environment must be set."""
        found = locate(f"{self.scheme}://{BUCKET}/tests/{uuid.uuid4().hex}")
        assert isinstance(found, StorePath)
        return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """SeaweedFS with one bucket and two users, of whom one may only read."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ts-")))
        identities = [
            _identity(WRITER, ["Admin"]),
            _identity(READER, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        master, master_rpc, volume, volume_rpc, filer, filer_rpc, port, port_rpc = free_ports(8)
        arguments = [
            *("server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-volume.max=8"),
            *(f"-master.port={master}", f"-master.port.grpc={master_rpc}", "-master.telemetry=false"),
            *(f"-volume.port={volume}", f"-volume.port.grpc={volume_rpc}", "-master.volumeSizeLimitMB=64"),
            *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_rpc}", f"-filer.localSocket={folder}/filer"),
            *("-s3", f"-s3.port={port}", f"-s3.port.grpc={port_rpc}", f"-s3.localSocket={folder}/s3", "-iam=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}"),
        ]
        stack.callback(_remove_sockets, (master_rpc, volume_rpc, filer_rpc, port_rpc))
        stack.enter_context(running([_program("weed"), *arguments], folder / "log", port))
        address = f"http://127.0.0.1:{port}"
        keys = {"access_key": WRITER[0], "secret_key": WRITER[1]}
        fs.S3FileSystem(**keys, endpoint_override=address, allow_bucket_creation=True).create_dir(BUCKET)
        environment = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": WRITER[0],
            "AWS_SECRET_ACCESS_KEY": WRITER[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield Server("s3", environment)


@pytest.fixture(scope="session")
def gs_server() -> Iterator[Server]:
    """The emulator of Google Cloud Storage, with one bucket."""
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        (port,) = free_ports(1)
        arguments = ["start", "--host=127.0.0.1", f"--port={port}", "--in-memory", f"--default-bucket={BUCKET}"]
        with running([_program("gcp-storage-emulator"), *arguments], Path(folder) / "log", port):
            yield Server("gs", {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"})


@pytest.fixture(params=["s3", "gs"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Each of the stores in turn, with its environment set."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    _set(found, monkeypatch)
    return found


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The S3 server, with its environment set."""
    _set(s3_server, monkeypatch)
    return s3_server


@pytest.fixture
def run(server: Server) -> StorePath:
    """The address of a run that does not exist yet, in each of the stores in turn."""
    return server.fresh()


def _set(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the server's environment, and nothing else that a store's client would read."""
    for name in [name for name in os.environ if name.startswith(SETTINGS)]:
        monkeypatch.delenv(name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def _identity(who: tuple[str, str], actions: Sequence[str]) -> dict[str, object]:
    """A user (name, secret) and what it may do, in the form of SeaweedFS's settings."""
    name, secret = who
    return {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": list(actions)}


def _remove_sockets(ports: Sequence[int]) -> None:
    """SeaweedFS puts these into /tmp, whatever TMPDIR is, and a killed server leaves them there."""
    for port in ports:
        for socket_file in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            socket_file.unlink()


def _program(name: str) -> str:
    """A program that came with a package of the extra `test`."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found is not None, f"{name} is missing; install the extra: pip install -e '.[test]'"
    return found


@contextlib.contextmanager
def running(arguments: Sequence[str], log: Path, port: int) -> Iterator[None]:
    """Run a server, from when its port answers until the end of the block. Its temporary files lie beside its log."""
    own = {**os.environ, "TMPDIR": str(log.parent)}
    with (
        log.open("w") as out,
        subprocess.Popen(arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=own) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or _answers(port), log.read_text)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.kill()


def _answers(port: int) -> bool:
    """Whether something on this machine accepts connections on `port`."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
