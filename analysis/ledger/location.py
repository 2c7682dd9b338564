"""Where a run lies: a folder (`pathlib.Path`), or a prefix of an object store (`StorePath`: s3://..., gs://...).

The stores are pyarrow's; credentials, region and retries are those of its clients. Settings come from the environment,
never from the address, since the command of a run stands in its ledger:

    S3   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or ~/.aws, or the machine's role;
         AWS_DEFAULT_REGION; AWS_ENDPOINT_URL for other stores that speak S3 (MinIO, SeaweedFS, Ceph)
    GCS  GOOGLE_APPLICATION_CREDENTIALS, or gcloud's, or the machine's account; STORAGE_EMULATOR_HOST for an emulator
"""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

SCHEMES = ("s3", "gs")
KINDS = "a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"

GCS_RETRY_S = 30
"""For so long a request to GCS is tried again; pyarrow's own limit is 15 minutes. Those to S3 are tried three times."""

_MISSING = ("NO_SUCH_BUCKET", "NOT_FOUND", "Path does not exist")
_REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "PERMISSION_DENIED")
_ANONYMOUS = ("EXPIRED_TOKEN", "INVALID_CLIENT_TOKEN", "UNAUTHENTICATED", "OAuth2 access token")
_SILENT = ("NETWORK_CONNECTION", "UNAVAILABLE", "REQUEST_TIMEOUT", "DEADLINE_EXCEEDED")


class LocationError(ValueError):
    """An address at which no run can lie."""


class StoreError(OSError):
    """An object store that refuses or does not answer; a sentence that names the address and what can be done."""


class StorePath:
    """A name in an object store, with what a ledger needs of `pathlib.Path`. A folder is what names begin with."""

    def __init__(self, filesystem: fs.FileSystem, scheme: str, key: str) -> None:
        """`key` is the bucket and the name in it, without a slash at the end; `locate` makes one of an address."""
        self.filesystem, self.scheme, self.key = filesystem, scheme, key

    def __str__(self) -> str:
        return f"{self.scheme}://{self.key}"

    def __repr__(self) -> str:
        return f"StorePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __lt__(self, other: "StorePath") -> bool:
        return str(self) < str(other)

    def __truediv__(self, name: str) -> "StorePath":
        return StorePath(self.filesystem, self.scheme, f"{self.key}/{name}")

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "StorePath":
        """What stands before the last slash."""
        return StorePath(self.filesystem, self.scheme, self.key.rpartition("/")[0])

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self.key.partition("/")[0]

    def relative_to(self, folder: "StorePath") -> str:
        """The name within `folder`."""
        return self.key.removeprefix(f"{folder.key}/")

    def files(self) -> list["StorePath"]:
        """The objects directly in this folder, by name; none where it does not exist. Raises StoreError."""
        return list(self.sizes())

    def sizes(self) -> dict["StorePath", int]:
        """As `files`, with the bytes of each object."""
        with self._explained():
            found = self.filesystem.get_file_info(fs.FileSelector(self.key, allow_not_found=True))
        objects = [info for info in found if info.type == fs.FileType.File]
        return {self / info.base_name: info.size for info in sorted(objects, key=lambda info: info.base_name)}

    def read(self) -> pa.Buffer:
        """The whole object: whatever goes wrong here is the store's, and no damage. Raises StoreError."""
        with self._explained(), self.filesystem.open_input_file(self.key) as file:
            return file.read_buffer()

    def write(self, data: bytes | pa.Buffer) -> None:
        """Make the object, in one request: nobody ever sees a part of it. Raises StoreError."""
        # In a thread of its own: ^C between opening and writing would leave an empty object, as closing makes one.
        with self._explained(), ThreadPoolExecutor(1) as thread:
            thread.submit(self._put, data).result()

    def _put(self, data: bytes | pa.Buffer) -> None:
        with self.filesystem.open_output_stream(self.key) as file:
            file.write(data)

    def remove(self) -> None:
        """Remove the object, if it is there. Raises StoreError."""
        try:
            with self._explained():
                self.filesystem.delete_file(self.key)
        except FileNotFoundError:
            return

    def move(self, target: "StorePath") -> None:
        """Copy the object to `target`, then remove it. Raises StoreError."""
        with self._explained():
            self.filesystem.move(self.key, target.key)

    def check(self) -> None:
        """Raise StoreError where the bucket does not exist, does not answer, or is not ours to list."""
        with self._explained():
            selector = fs.FileSelector(self.key, allow_not_found=True)
            if self.filesystem.get_file_info(selector):
                return
        try:
            found = self.filesystem.get_file_info(self.bucket)
        except OSError:  # a list of this prefix is allowed, and to look at the bucket is not: no reason to refuse
            return
        if found.type == fs.FileType.NotFound:
            raise StoreError(f"{self}: there is no bucket {self.bucket}; make it first")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise _Absent(f"{self}: {_cause(error)}") from error
        except OSError as error:
            raise StoreError(f"{self}: {_cause(error)}") from error


class _Absent(StoreError, FileNotFoundError):
    """An object that is not there, or no more."""


Location = Path | StorePath


def locate(address: str | Location) -> Location:
    """The location that an address names. Nothing is looked at yet but, for S3, the region of the bucket.

    Raises LocationError for another kind of address and for settings inside it, StoreError where S3 does not say the
    region.
    """
    if isinstance(address, StorePath):
        return address
    scheme, found, key = str(address).partition("://")
    if not found or isinstance(address, Path):
        return Path(address)
    if scheme not in SCHEMES:
        raise LocationError(f"{address}: {scheme}:// is not known; a run lies in {KINDS}")
    key = key.rstrip("/")
    if not key or key.startswith("/"):
        raise LocationError(f"{address}: it names no bucket; write {scheme}://BUCKET/PREFIX")
    if any(sign in key for sign in "?#@% \\") or "//" in key:
        raise LocationError(
            f"{address}: an address has no settings, keys or escapes in it; they come from the environment"
            " (AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS)"
        )
    return StorePath(_filesystem(scheme, key), scheme, key)


def files(folder: Location) -> list[Any]:
    """The files directly in `folder` by name, Paths or StorePaths as it is; none where it does not exist."""
    if isinstance(folder, StorePath):
        return folder.files()
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def sizes(folder: Location) -> dict[Any, int]:
    """As `files`, with the bytes of each."""
    if isinstance(folder, StorePath):
        return folder.sizes()
    return {path: path.stat().st_size for path in files(folder)}


def move(path: Location, target: Location) -> None:
    """Give a file another name in the same run; the folder of that name is made. Raises OSError."""
    if isinstance(path, StorePath):
        assert isinstance(target, StorePath), "a file stays where it is, in a folder or in a store"
        path.move(target)
    else:
        assert isinstance(target, Path), "a file stays where it is, in a folder or in a store"
        target.parent.mkdir(exist_ok=True)
        path.rename(target)


@contextmanager
def local_folder_for(folder: Location) -> Iterator[Path]:
    """A local folder to write into; what was written there lies in `folder` afterwards.

    Raises OSError where that cannot be written to.
    """
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="teststrip-") as scratch:
        yield Path(scratch)
        for path in files(Path(scratch)):
            (folder / path.name).write(path.read_bytes())


def _filesystem(scheme: str, key: str) -> fs.FileSystem:
    bucket = key.partition("/")[0]
    if scheme == "s3":
        # Opened when it is written: one request per small object, where a multipart upload takes three and leaves parts
        # behind when it is killed. Read by this constructor only: AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3.
        address = f"s3://{bucket}?allow_delayed_open=true"
    else:
        address = f"gs://{_emulated(bucket)}retry_limit_seconds={GCS_RETRY_S}"
    try:
        filesystem, _ = fs.FileSystem.from_uri(address)
    except OSError as error:
        raise StoreError(f"{scheme}://{key}: {_cause(error)}") from error
    except pa.ArrowInvalid as error:
        raise LocationError(f"{scheme}://{key}: {error}") from error
    return filesystem


def _emulated(bucket: str) -> str:
    """The part of a gs:// address that leads to an emulator, where STORAGE_EMULATOR_HOST names one."""
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        return f"{bucket}?"
    scheme, _, address = host.rpartition("://")
    return f"anonymous@{bucket}?scheme={scheme or 'http'}&endpoint_override={address}&"


def _cause(error: OSError) -> str:
    """What went wrong, as a sentence for somebody who never reads C++; what the store itself said stands behind it."""
    said = str(error)
    for signs, words in (
        (_REFUSED, "access is refused; are the credentials in the environment those of somebody who may do this?"),
        (_ANONYMOUS, "there are no valid credentials; set them in the environment, or give the machine a role"),
        (_MISSING, "it is not there"),
        (_SILENT, "the store does not answer; is its address right, and the network up?"),
    ):
        if any(sign in said for sign in signs):
            return f"{words} ({_shortened(said)})"
    return _shortened(said)


def _shortened(said: str, most: int = 200) -> str:
    line = " ".join(said.split())
    return line if len(line) <= most else f"{line[:most]}..."
