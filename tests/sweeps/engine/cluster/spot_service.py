"""A fake metadata service on the loopback address, and a machine of the spot market that is taken away."""

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.sweeps.engine.cluster.cluster_host import Cluster


class Service(ThreadingHTTPServer):
    """Answers as IMDSv2 of AWS does, or as GCP's server; `taken`: the machine is about to go, at `until`."""

    def __init__(self, kind: str) -> None:
        self.kind, self.taken, self.asked = kind, False, 0
        self.until = datetime(2030, 1, 1, tzinfo=UTC)
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_PUT(self) -> None:
        aws = self.server.kind == "aws" and self.path == "/latest/api/token"
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        self._say(*((200, "session") if aws and ttl.isdecimal() else (404, "")))

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.kind == "aws" and self.path == "/latest/meta-data/spot/instance-action":
            if self.headers.get("X-aws-ec2-metadata-token") != "session":
                return self._say(401, "")
            notice = json.dumps({"action": "terminate", "time": f"{self.server.until:%Y-%m-%dT%H:%M:%SZ}"})
            return self._say(*((200, notice) if self.server.taken else (404, "")))
        if self.server.kind == "gcp" and self.path == "/computeMetadata/v1/instance/preempted":
            if self.headers.get("Metadata-Flavor") != "Google":
                return self._say(403, "")
            return self._say(200, "TRUE" if self.server.taken else "FALSE")
        return self._say(404, "")

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


def announce_and_take_away(cluster: Cluster, node: str) -> None:
    """As AWS does it with a machine of its spot market: a notice to the machine, then the end."""
    with Service("aws") as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        service.taken, service.until = True, datetime.now(UTC) + timedelta(seconds=12)
        watcher = [
            sys.executable,
            "-m",
            "sweeps.engine.cluster.spot_watcher",
            "--metadata",
            service.url,
            "--node-id",
            node,
        ]
        watcher += ["--address", cluster.address]
        drained = subprocess.run(
            watcher, env=cluster.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True, cwd=ROOT
        )
        service.shutdown()
        thread.join()
    assert f"node {node} drained" in drained.stdout
    time.sleep(3)  # its time is over
    cluster.kill(node)
