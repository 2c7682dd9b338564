"""Where a run is stored: a folder (`pathlib.Path`), or a prefix in an object store (`StorePath`: s3://..., gs://...).

Stores are accessed through pyarrow, whose clients handle credentials, region and retries. Settings come from the
environment and never from the address, since the ledger records the command line of a run:

    S3   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or ~/.aws, or the machine's role;
         AWS_DEFAULT_REGION; AWS_ENDPOINT_URL for other stores with an S3 API (MinIO, SeaweedFS, Ceph)
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

from analysis.ledger.durable import make_folder

SCHEMES = ("s3", "gs")
KINDS = "a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"

GCS_RETRY_S = 30
"""How long a request to GCS is retried; pyarrow's default is 15 minutes. Requests to S3 are tried three times."""

# pyarrow has no error codes for stores: what went wrong can only be told from the text of the AWS or Google client.
_MISSING = ("NO_SUCH_BUCKET", "NOT_FOUND", "Path does not exist")
_REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "PERMISSION_DENIED")
_ANONYMOUS = ("EXPIRED_TOKEN", "INVALID_CLIENT_TOKEN", "UNAUTHENTICATED", "OAuth2 access token")
_SILENT = ("NETWORK_CONNECTION", "UNAVAILABLE", "REQUEST_TIMEOUT", "DEADLINE_EXCEEDED")


class LocationError(ValueError):
    """An address at which no run can be stored."""


class StoreError(OSError):
    """An object store refuses or does not answer. The message names the address and what to do about it."""


class StorePath:
    """A name in an object store, with the methods of `pathlib.Path` that a ledger needs. Folders are prefixes."""

    def __init__(self, filesystem: fs.FileSystem, scheme: str, key: str) -> None:
        """`key` is the bucket and the name in it, without a trailing slash. `locate` parses addresses."""
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
        """The part after the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "StorePath":
        """The part before the last slash."""
        return StorePath(self.filesystem, self.scheme, self.key.rpartition("/")[0])

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self.key.partition("/")[0]

    def relative_to(self, folder: "StorePath") -> str:
        """The name within `folder`."""
        return self.key.removeprefix(f"{folder.key}/")

    def files(self) -> list["StorePath"]:
        """The objects directly in this folder, sorted by name; none if it does not exist. Raises StoreError."""
        return list(self.sizes())

    def sizes(self) -> dict["StorePath", int]:
        """Like `files`, with the size of each object in bytes."""
        with self._explained():
            # A store has no empty folders: a dataset without a file yet is not there at all.
            found = self.filesystem.get_file_info(fs.FileSelector(self.key, allow_not_found=True))
        objects = [info for info in found if info.type == fs.FileType.File]
        return {self / info.base_name: info.size for info in sorted(objects, key=lambda info: info.base_name)}

    def folders(self) -> list["StorePath"]:
        """The folders directly in this one, sorted by name: prefixes with objects under them. Raises StoreError."""
        with self._explained():
            # Recursive, because pyarrow shows no prefix of GCS as a folder.
            selector = fs.FileSelector(self.key, allow_not_found=True, recursive=True)
            found = [info.path for info in self.filesystem.get_file_info(selector) if info.type == fs.FileType.File]
        inside = [path.removeprefix(f"{self.key}/").split("/") for path in found]
        return [self / name for name in sorted({parts[0] for parts in inside if len(parts) > 1})]

    def read(self) -> pa.Buffer:
        """Read the whole object. Any error here is the store's, not damage. Raises StoreError."""
        with self._explained(), self.filesystem.open_input_file(self.key) as file:
            return file.read_buffer()

    def write(self, data: bytes | pa.Buffer) -> None:
        """Write the object in one request, so that nobody ever sees part of it. Raises StoreError."""
        # In its own thread, which ^C does not interrupt: closing a stream before the write would leave an empty object.
        with self._explained(), ThreadPoolExecutor(1) as thread:
            thread.submit(self._put, data).result()

    def _put(self, data: bytes | pa.Buffer) -> None:
        with self.filesystem.open_output_stream(self.key) as file:
            file.write(data)

    def remove(self) -> None:
        """Delete the object if it exists. Raises StoreError."""
        try:
            with self._explained():
                self.filesystem.delete_file(self.key)
        except FileNotFoundError:
            return

    def move(self, target: "StorePath") -> None:
        """Copy the object to `target`, then delete it. Raises StoreError."""
        with self._explained():
            self.filesystem.move(self.key, target.key)

    def check(self) -> None:
        """Raise StoreError if the bucket does not exist, does not answer, or may not be listed."""
        with self._explained():
            # An empty answer proves nothing: `allow_not_found` hides a missing bucket just as it hides a missing
            # prefix.
            selector = fs.FileSelector(self.key, allow_not_found=True)
            if self.filesystem.get_file_info(selector):
                return
        try:
            found = self.filesystem.get_file_info(self.bucket)
        except OSError:
            # We may list this prefix but not inspect the bucket: that is enough.
            return
        if found.type == fs.FileType.NotFound:
            raise StoreError(f"{self}: there is no bucket {self.bucket}; create it first")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise _Absent(f"{self}: {_cause(error)}") from error
        except OSError as error:
            raise StoreError(f"{self}: {_cause(error)}") from error


# Also a FileNotFoundError, so that callers treat a missing object and a missing file alike.
class _Absent(StoreError, FileNotFoundError):
    """An object that does not exist, or no longer does."""


Location = Path | StorePath


def locate(address: str | Location) -> Location:
    """The location that an address names. Nothing is accessed yet, except that S3 is asked for the bucket's region.

    Expands a leading ~, which the shell leaves alone in `--out=~/x`. Raises LocationError for an empty text, any other
    kind of address and settings inside it, StoreError if S3 does not tell the region.
    """
    if isinstance(address, StorePath):
        return address
    scheme, found, key = str(address).partition("://")
    if not found or isinstance(address, Path):
        return _folder(address)
    if scheme not in SCHEMES:
        raise LocationError(f"{address}: the scheme {scheme}:// is not known; a run is stored in {KINDS}")
    key = key.rstrip("/")
    if not key or key.startswith("/"):
        raise LocationError(f"{address} names no bucket; write {scheme}://BUCKET/PREFIX")
    # pyarrow reads the address as a URI: options follow a `?`, credentials precede an `@`, `%` begins an escape. The
    # ledger records the command line, so a key in the address would be published with the run.
    if any(sign in key for sign in "?#@% \\") or "//" in key:
        raise LocationError(
            f"{address}: an address holds no settings, keys or escapes; set them in the environment"
            " (AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS)"
        )
    return StorePath(_filesystem(scheme, key), scheme, key)


def _folder(address: str | Path) -> Path:
    # Path("") would be the current folder, as from an empty variable in `--out=$RUN`.
    if not str(address):
        raise LocationError(f"'' names no place; a run is stored in {KINDS}")
    try:
        return Path(address).expanduser()
    except RuntimeError:
        raise LocationError(f"{address}: cannot find the home folder; write the whole path") from None


def files(folder: Location) -> list[Any]:
    """The files directly in `folder`, sorted by name and of its type; none if it does not exist."""
    if isinstance(folder, StorePath):
        return folder.files()
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def folders(folder: Location) -> list[Any]:
    """The folders directly in `folder`, sorted by name and of its type; none if it does not exist."""
    if isinstance(folder, StorePath):
        return folder.folders()
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def sizes(folder: Location) -> dict[Any, int]:
    """Like `files`, with the size of each in bytes."""
    if isinstance(folder, StorePath):
        return folder.sizes()
    return {path: path.stat().st_size for path in files(folder)}


def move(path: Location, target: Location) -> None:
    """Rename a file within its run, creating the target's folder. Raises OSError."""
    if isinstance(path, StorePath):
        assert isinstance(target, StorePath), "a file stays where it is, in a folder or in a store"
        path.move(target)
    else:
        assert isinstance(target, Path), "a file stays where it is, in a folder or in a store"
        make_folder(target.parent)
        path.rename(target)


@contextmanager
def local_folder_for(folder: Location) -> Iterator[Path]:
    """Yield a local folder to write into: `folder` itself, or for a store a temporary one that is uploaded at the end.

    Raises OSError if `folder` cannot be written.
    """
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="teststrip-") as scratch:
        yield Path(scratch)
        # Only after the block: if it raises, the store gets no file at all.
        for path in files(Path(scratch)):
            (folder / path.name).write(path.read_bytes())


def _filesystem(scheme: str, key: str) -> fs.FileSystem:
    bucket = key.partition("/")[0]
    if scheme == "s3":
        # Delayed open: a small object takes one request, where a multipart upload takes three and leaves parts behind
        # if it is killed. And only `from_uri` reads AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3.
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
    """The rest of a gs:// address, which leads to an emulator if STORAGE_EMULATOR_HOST names one."""
    # Google's other clients read this variable; pyarrow does not.
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        return f"{bucket}?"
    scheme, _, address = host.rpartition("://")
    return f"anonymous@{bucket}?scheme={scheme or 'http'}&endpoint_override={address}&"


def _cause(error: OSError) -> str:
    """What went wrong in plain words, with the message of the store's C++ client in parentheses."""
    said = str(error)
    for signs, words in (
        (_REFUSED, "access is refused; do the credentials in the environment have permission to do this?"),
        (_ANONYMOUS, "there are no valid credentials; set them in the environment, or give the machine a role"),
        (_MISSING, "it does not exist"),
        (_SILENT, "the store does not answer; is the address right, and the network up?"),
    ):
        if any(sign in said for sign in signs):
            return f"{words} ({_shortened(said)})"
    return _shortened(said)


def _shortened(said: str, most: int = 200) -> str:
    line = " ".join(said.split())
    return line if len(line) <= most else f"{line[:most]}..."
