"""Several hosts on one Linux machine, made of namespaces: each has its own network, processes, name, /tmp, /dev/shm and
sshd. Ray's launcher can then be tested as it is, over SSH and rsync, and so can the loss of a host.

All processes descend from one, in a process namespace of its own: when it ends, they end. This needs root, and
openssh-server, rsync, iproute2 and util-linux.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

from tests.patience import PATIENCE_S, wait_until

NETWORK = "10.77.0"
NEEDED = ("/usr/sbin/sshd", "rsync", "ssh", "ssh-keygen", "ip", "unshare", "nsenter", "setpriv")

Found = TypeVar("Found")


def lacking() -> str:
    """Why this machine cannot have such hosts; empty if it can."""
    if sys.platform != "linux":
        return "hosts are made of Linux namespaces"
    if os.geteuid() != 0:
        return "namespaces with a network of their own need root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: openssh-server, rsync, iproute2, util-linux)"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


class Host:
    """One host: its address, and the first of its processes."""

    def __init__(self, name: str, address: str, processor: int, starter: subprocess.Popen[bytes]) -> None:
        self.name, self.address, self._processor, self.starter = name, address, processor, starter
        self.first = _until(lambda: _first_process(starter.pid, depth=2), f"{name} has no first process")

    def start(self, command: str, **options: object) -> subprocess.Popen[str]:
        """Start a shell command on this host, as if typed at its keyboard."""
        pinned = ["taskset", "--cpu-list", str(self._processor)]
        inside = [*pinned, "nsenter", "--all", "--target", str(self.first), "--", "bash", "-c", f"cd ~; {command}"]
        environment = {"HOME": "/run/home", "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
        return subprocess.Popen(inside, env=environment, text=True, **options)  # type: ignore[call-overload]

    def run(self, command: str) -> str:
        """Run a command and return what it prints. Raises AssertionError, with the output, if it fails or hangs."""
        with self.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                printed, _ = process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                printed, _ = process.communicate()
                raise AssertionError(f"{self.name}: {command}: not over after {PATIENCE_S:g} s\n{printed}") from None
        assert process.returncode == 0, f"{self.name}: {command}: status {process.returncode}\n{printed}"
        return printed

    def fail(self) -> None:
        """Simulate a power loss: all of the host's processes are gone at once, without a word to anybody."""
        psutil.Process(self.first).kill()
        self.starter.wait(timeout=PATIENCE_S)


class Hosts:
    """A network of hosts, by name. `kept` are folders that all of them see, as over NFS."""

    def __init__(self, names: Sequence[str], lab: Path, kept: Sequence[Path]) -> None:
        self._lab, self._kept = lab, kept
        self.hosts: dict[str, Host] = {}
        self._addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, start=1)}
        self._write_files()
        # All descends from this process, and this one ends with the thread that started it, however that ends.
        alone = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity"]
        self._log = (lab / "hosts.log").open("wb")
        self._root = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *alone], stderr=self._log)
        self._first = _until(lambda: _first_process(self._root.pid, depth=1), "no namespaces")
        try:
            self._outside("ip", "link", "set", "lo", "up")
            self._outside("ip", "link", "add", "bridge", "type", "bridge")
            self._outside("ip", "address", "add", f"{NETWORK}.254/24", "dev", "bridge")
            self._outside("ip", "link", "set", "bridge", "up")
            for name in names:
                self.hosts[name] = self._add(name)
            for host in self.hosts.values():
                _until(lambda host=host: self._answers(host), f"{host.name} has no sshd; see {self._log.name}")
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def cut(self, name: str) -> None:
        """Pull the network cable of a host."""
        self._outside("ip", "link", "set", f"to_{name}", "down")

    def mend(self, name: str) -> None:
        """Put the network cable in again."""
        self._outside("ip", "link", "set", f"to_{name}", "up")

    def restart(self, name: str) -> None:
        """Switch a host on again that has lost its power. What was on its disk is there, what was in memory is not."""
        subprocess.run([*self._inside(), "ip", "link", "delete", f"to_{name}"], capture_output=True, check=False)
        host = self.hosts[name] = self._add(name)
        _until(lambda: self._answers(host), f"{host.name} has no sshd; see {self._log.name}")

    def close(self) -> None:
        """End every process of every host."""
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(self._first).kill()
        for starter in (self._root, *(host.starter for host in self.hosts.values())):
            starter.wait(timeout=PATIENCE_S)
        self._log.close()

    def _write_files(self) -> None:
        """Write what all hosts share: SSH keys, users, names, and the list of processors that they see."""
        for key in ("host_key", "key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self._lab / key)]
            subprocess.run(make, check=True)
        users = "root:x:0:0:root:/run/home:/bin/bash\nsshd:x:102:65534::/run/sshd:/usr/sbin/nologin\n"
        (self._lab / "passwd").write_text(users)
        names = "".join(f"{address} {name}\n" for name, address in self._addresses.items())
        (self._lab / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        (self._lab / "one_processor").write_text("0\n")

    def _add(self, name: str) -> Host:
        """Start a host on a processor of its own, as far as they go, and plug it into the bridge."""
        spaces = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        script = ["bash", str(Path(__file__).with_name("host.sh")), name, str(self._lab), *map(str, self._kept)]
        processors = sorted(os.sched_getaffinity(0))
        own = processors[list(self._addresses).index(name) % len(processors)]
        command = [*self._inside(), "taskset", "--cpu-list", str(own), *spaces, *script]
        host = Host(name, self._addresses[name], own, subprocess.Popen(command, stdout=self._log, stderr=self._log))
        number = _numbers(host.first)[-2]  # as it is called outside the host
        cable = ["type", "veth", "peer", "name", "eth0", "netns", str(number)]
        self._outside("ip", "link", "add", f"to_{name}", *cable)
        self._outside("ip", "link", "set", f"to_{name}", "master", "bridge", "up")
        return host

    def _answers(self, host: Host) -> bool:
        """Whether the host's sshd accepts connections."""
        ask = ["bash", "-c", f"exec 3<>/dev/tcp/{host.address}/22"]
        return subprocess.run([*self._inside(), *ask], capture_output=True, check=False).returncode == 0

    def _inside(self) -> list[str]:
        """The words that run a command between the hosts, where the bridge is."""
        return ["nsenter", "--mount", "--pid", "--net", "--target", str(self._first), "--"]

    def _outside(self, *command: str) -> None:
        """Run a command where the bridge is; it must succeed."""
        done = subprocess.run([*self._inside(), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _first_process(starter: int, depth: int) -> int | None:
    """The process below `starter` that is number 1 of a process namespace `depth` levels below this one."""
    levels = len(_numbers(os.getpid())) + depth
    for process in psutil.Process(starter).children(recursive=True):
        numbers = _numbers(process.pid)
        if len(numbers) == levels and numbers[-1] == 1:
            return process.pid
    return None


def _numbers(pid: int) -> list[int]:
    """A process's number in each of its nested process namespaces, the outermost first; empty if it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return [int(word) for line in lines if line.startswith("NSpid:") for word in line.split()[1:]]
    return []


def _until(look: Callable[[], Found | None], otherwise: str) -> Found:
    """The first true value that `look` returns; fails with `otherwise` if there is none in time."""
    return wait_until(look, lambda: otherwise)
