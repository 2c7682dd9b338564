"""`python -m sweeps.engine.cluster.spot_watcher`: tells Ray that this machine is about to be taken away.

    nohup python -m sweeps.engine.cluster.spot_watcher > /tmp/draining.log 2>&1 &    # beside the worker's raylet

A machine of the spot market is announced to itself a short time before it is gone: by the metadata service (AWS two
minutes before, GCP half a minute), or, whoever ends it, by SIGTERM. This watcher asks the service every few seconds and
has Ray drain the node as preempted: no new trial starts there, and those that are lost with it start again elsewhere,
without being counted as failures. One watcher runs on a machine; a second one ends at once. It outlives the raylet,
and drains whatever nodes of the cluster have this machine's address when the notice comes.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from sweeps.engine.cluster.auth import settle_access
from sweeps.engine.cluster.resources import ADDRESS

METADATA = "http://169.254.169.254"
"""The link-local address of the metadata service, of AWS and of GCP alike."""

POLL_S, ANSWER_S = 5.0, 2.0
AWS_NOTICE_S, GCP_NOTICE_S, SIGTERM_NOTICE_S = 100, 15, 15
"""How long the machine surely lives after a notice: less than the 120 and 30 s that are promised, for Ray counts a node
as preempted only if it dies after the time that it was given."""

MARGIN_S = 10.0

TOKEN_TTL_S = 300

Notice = tuple[str, int]
"""What was announced, and how many seconds are left."""


class Metadata:
    """The metadata service of the machine. Asks only what the kind of service that answers is known to know."""

    def __init__(self, url: str = METADATA) -> None:
        self.url = url.rstrip("/")
        self._token, self._token_until = "", 0.0

    def notice(self) -> Notice | None:
        """The announcement that this machine will be taken away; None while there is none, or nobody answers."""
        return self._aws() or self._gcp()

    def _aws(self) -> Notice | None:
        """IMDSv2: a session token first, then the spot notice, which is 404 as long as there is none."""
        if time.monotonic() > self._token_until:
            wish = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_S)}
            self._token = self._ask("/latest/api/token", wish, method="PUT") or ""
            self._token_until = time.monotonic() + TOKEN_TTL_S / 2 if self._token else 0.0
        if not self._token:
            return None
        said = self._ask("/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": self._token})
        return (f"spot notice of AWS: {said}", _seconds_until(said)) if said else None

    def _gcp(self) -> Notice | None:
        said = self._ask("/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
        return ("preempted by GCP", GCP_NOTICE_S) if said and said.strip().upper() == "TRUE" else None

    def _ask(self, path: str, headers: dict[str, str], method: str = "GET") -> str | None:
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return str(answer.read().decode(errors="replace"))
        except (urllib.error.URLError, OSError):  # HTTPError is one: 404 is how "nothing yet" is said
            return None


def _seconds_until(notice: str) -> int:
    """How long the machine surely lives by {"action": ..., "time": "2030-01-01T00:00:00Z"}."""
    try:
        end = datetime.fromisoformat(json.loads(notice)["time"])
        left = (end - datetime.now(UTC)).total_seconds() - MARGIN_S
    except (ValueError, KeyError, TypeError):  # not as AWS documents it: then what AWS promises
        return AWS_NOTICE_S
    return max(1, min(AWS_NOTICE_S, int(left)))


def watch(metadata: Metadata, drain: Callable[[Notice], bool], poll_s: float = POLL_S) -> None:
    """Ask until a notice comes or SIGTERM does, then `drain`, and again until it has succeeded or the time is over."""
    terminated = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True

    before = signal.signal(signal.SIGTERM, hear)
    try:
        notice = None
        while notice is None:
            notice = ("SIGTERM", SIGTERM_NOTICE_S) if terminated else metadata.notice()
            if notice is None and not terminated:
                _sleep(poll_s, lambda: terminated)
        _insist(notice, drain)
    finally:
        signal.signal(signal.SIGTERM, before)


def _insist(notice: Notice, drain: Callable[[Notice], bool]) -> None:
    """Once at least, however little time is left."""
    reason, left_s = notice
    deadline = time.monotonic() + left_s
    while not drain((reason, max(1, int(deadline - time.monotonic())))) and time.monotonic() < deadline:
        time.sleep(1.0)


def _sleep(seconds: float, ended: Callable[[], bool]) -> None:
    """Sleep, but no longer than until a signal has come: Python goes on sleeping after its handler."""
    until = time.monotonic() + seconds
    while not ended() and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


def drain_nodes(address: str, node_ids: Sequence[str] | None, notice: Notice) -> bool:
    """Have Ray drain the nodes, by default those of this machine; True if all were, or there is none left."""
    reason, left_s = notice
    try:
        address = settle_access(address, insecure=True).address  # whether it is secure was asked by who joined it
    except ConnectionError as error:
        print(f"{reason}, {left_s} s left, but {error}", flush=True)
        return False
    from sweeps.engine.cluster.auth_probe import (
        nodes_of_this_machine,  # here: it brings Ray, which must know how it gets in
    )

    ray = str(Path(sys.executable).with_name("ray"))
    done = True
    for node_id in node_ids if node_ids is not None else nodes_of_this_machine(address):
        command = [ray, "drain-node", "--address", address, "--node-id", node_id]
        command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", reason]
        drained = subprocess.run(
            [*command, "--deadline-remaining-seconds", str(left_s)], capture_output=True, text=True, check=False
        )
        said = "drained" if drained.returncode == 0 else f"not drained: {(drained.stderr or drained.stdout).strip()}"
        print(f"{reason}, {left_s} s left: node {node_id} {said}", flush=True)
        done = done and drained.returncode == 0
    return done


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Whether this is the only watcher of the machine; the lock ends with the process."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def main(argv: Sequence[str] | None = None) -> int:
    """The command: watches until it has drained; see the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.engine.cluster.spot_watcher", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--address", help=f"the cluster, HOST:PORT (default: ${ADDRESS}, else the one of this machine)")
    parser.add_argument("--metadata", default=METADATA, metavar="URL", help="of the metadata service")
    parser.add_argument("--node-id", action="append", help="drain this node, not those with this machine's address")
    parser.add_argument("--poll-s", type=float, default=POLL_S, help=f"seconds between questions (default: {POLL_S:g})")
    arguments = parser.parse_args(argv)
    address = arguments.address or os.environ.get(ADDRESS) or "auto"
    os.environ.pop("RAY_ADDRESS", None)  # Ray would put it before what it is told
    lock = Path(tempfile.gettempdir()) / f"teststrip-draining-{os.getuid()}{'-'.join(['', *(arguments.node_id or [])])}"
    with _only_one(lock) as alone:
        if not alone:
            print("another watcher runs on this machine; this one has nothing to do", flush=True)
            return 0
        print(f"watching {arguments.metadata} for the end of this machine", flush=True)
        watch(
            Metadata(arguments.metadata),
            lambda notice: drain_nodes(address, arguments.node_id, notice),
            arguments.poll_s,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
