"""`python -m sweeps.engine.cluster.spot_watcher`: tells Ray that this spot machine is about to be reclaimed.

    nohup python -m sweeps.engine.cluster.spot_watcher > /tmp/draining.log 2>&1 &    # beside the worker's raylet

A spot machine gets notice shortly before it is reclaimed: from the metadata service (on AWS two minutes before, on GCP
half a minute), or by SIGTERM. This watcher polls the service and, on notice, has Ray drain the node as preempted: no
new trial starts there, and trials that are lost with it start again elsewhere without counting as failures.

One watcher runs per machine; a second one exits at once. It outlives the raylet, and drains every node of the cluster
that has this machine's address when the notice comes.
"""

import argparse
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
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
"""Seconds between two questions, and for an answer: the service is on this machine's own link, or not at all."""

AWS_NOTICE_S, GCP_NOTICE_S, SIGTERM_NOTICE_S = 100, 15, 15
"""Seconds that a machine certainly lives after a notice. They are fewer than the promised 120 and 30, since Ray counts
a node as preempted only if it dies after the deadline that Ray was given."""

MARGIN_S = 10.0
"""By so much Ray's deadline comes before the end that AWS announces, for the same reason."""

TOKEN_TTL_S = 300
"""How long a session token of AWS is valid. It is renewed after half of that."""

Notice = tuple[str, int]
"""The text of a notice, and the seconds left."""


class Metadata:
    """The metadata service of AWS or GCP, whichever answers."""

    def __init__(self, url: str = METADATA) -> None:
        self.url = url.rstrip("/")
        self._token, self._token_until = "", 0.0

    def notice(self) -> Notice | None:
        """The notice that this machine will be reclaimed; None if there is none, or no service answers."""
        return self._aws() or self._gcp()

    def _aws(self) -> Notice | None:
        """IMDSv2: first a session token, then the spot notice, whose URL answers 404 while there is none."""
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
        # Never through a proxy: it cannot reach this machine's link, and must not see the token.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return str(answer.read().decode(errors="replace"))
        except (urllib.error.URLError, OSError):
            # Includes HTTPError: 404 means no notice yet.
            return None


def _seconds_until(notice: str) -> int:
    """Seconds that the machine certainly lives, from {"action": ..., "time": "2030-01-01T00:00:00Z"}."""
    try:
        end = datetime.fromisoformat(json.loads(notice)["time"])
        left = (end - datetime.now(UTC)).total_seconds() - MARGIN_S
    except (ValueError, KeyError, TypeError):
        # It does not have the documented form: rely on the promised time.
        return AWS_NOTICE_S
    return max(1, min(AWS_NOTICE_S, int(left)))


def watch(metadata: Metadata, drain: Callable[[Notice], bool], poll_s: float = POLL_S) -> None:
    """Poll until a notice or SIGTERM comes; then call `drain` until it succeeds or the time is over."""
    terminated = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True

    before = signal.getsignal(signal.SIGTERM)
    # A watcher that was started to ignore SIGTERM learns from the metadata alone.
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGTERM, hear)
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
    """Call `drain` until it succeeds or the time is over, but at least once."""
    reason, left_s = notice
    deadline = time.monotonic() + left_s
    while not drain((reason, max(1, int(deadline - time.monotonic())))) and time.monotonic() < deadline:
        time.sleep(1.0)


def _sleep(seconds: float, ended: Callable[[], bool]) -> None:
    """Sleep until `ended()`: one long `time.sleep` would go on after a signal handler has run."""
    until = time.monotonic() + seconds
    while not ended() and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


def drain_nodes(address: str, node_ids: Sequence[str] | None, notice: Notice) -> bool:
    """Have Ray drain the nodes, by default those of this machine; True if all were drained, or none is left."""
    reason, left_s = notice
    try:
        # An open cluster must be drained too. Whether to join one is for the driver to decide.
        address = settle_access(address, insecure=True).address
    except ConnectionError as error:
        print(f"{reason}, {left_s} s left, but {error}", flush=True)
        return False
    # Imported here, because it imports Ray, which reads RAY_AUTH_MODE when it is imported.
    from sweeps.engine.cluster.auth_probe import nodes_of_this_machine

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
def _only_one(name: str) -> Iterator[bool]:
    """Whether this is the only watcher of the machine that holds `name`.

    The lock is a name in Linux's abstract socket namespace: it goes with the process however that ends, and no file
    stays behind. Spot machines run Linux.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0{name}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            yield False
            return
        yield True


def main(argv: Sequence[str] | None = None) -> int:
    """The command: watch for a notice and drain the node. See the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.engine.cluster.spot_watcher", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--address", help=f"the cluster, HOST:PORT (default: ${ADDRESS}, else the one of this machine)")
    parser.add_argument("--metadata", default=METADATA, metavar="URL", help="of the metadata service")
    parser.add_argument("--node-id", action="append", help="drain this node, not those with this machine's address")
    parser.add_argument("--poll-s", type=float, default=POLL_S, help=f"seconds between questions (default: {POLL_S:g})")
    arguments = parser.parse_args(argv)
    address = arguments.address or os.environ.get(ADDRESS) or "auto"
    # It would override --address.
    os.environ.pop("RAY_ADDRESS", None)
    # One watcher per user and node.
    with _only_one("-".join(["teststrip-draining", str(os.getuid()), *(arguments.node_id or [])])) as alone:
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
