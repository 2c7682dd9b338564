"""`python -m sweeps.engine.doctor [--address A] [--data SPEC] [--out RUN]`: what this machine and a cluster can run.

Each line names a check and its result; if something is wrong, the next line says how to fix it. Exits with status 1 if
something needed is missing. It changes nothing, except that it writes a file to --out's folder and removes it again,
and packs --data if they are not packed yet.
"""

import argparse
import contextlib
import importlib.metadata
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from analysis.ledger.location import KINDS, LocationError, StoreError, locate
from analysis.screen import shell_words, terminal
from enhance.data import DataError, open_data
from enhance.data.storage.cache import cache_folder
from enhance.json_output import Parser, answer_text
from sweeps.engine.cluster import shared_folder
from sweeps.engine.cluster.auth import AccessError, readable_by_others, settle_access, token_source
from sweeps.engine.cluster.node_check import decisive_versions, facts
from sweeps.engine.cluster.resources import cluster_address, runs_folder, socket_problem
from sweeps.engine.environment import ENHANCE, code_hash, default_device, has_bf16
from sweeps.engine.ledger.writer import check_writable

GOOD, POOR, MISSING = "ok", "weak", "missing"
STYLES = {GOOD: "green", POOR: "yellow", MISSING: "red"}

PYTHON = (3, 11)

MEMORY_PER_WORKER_GIB = 1.5
DISK_GIB, SHARED_GIB = 5.0, 0.2
OPEN_FILES = 4096
"""Rough needs. With less a run may still work, so these checks say "weak", not "missing"."""

GIB = 1 << 30

PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Finding:
    """The result of a check: its subject, state (one of STYLES), what was found, and how to fix it ("": no need)."""

    about: str
    state: str
    found: str
    mend: str = ""


def machine() -> Iterator[Finding]:
    """Check this machine: programs, processor, memory, disks, limits."""
    version = ".".join(map(str, sys.version_info[:3]))
    state = GOOD if sys.version_info >= PYTHON else MISSING
    yield Finding("Python", state, version, "" if state == GOOD else "make PYTHON=/path/to/python3.11")
    yield from _packages()
    yield Finding("code", GOOD, f"{code_hash()} ({ENHANCE})")
    yield from _processor()
    yield from _cuda()
    yield from _memory()
    yield _space("disk for data", cache_folder(None), DISK_GIB, "name a folder on a larger disk in TESTSTRIP_CACHE")
    yield _space("shared memory", Path("/dev/shm"), SHARED_GIB, "mount -o remount,size=1G /dev/shm")
    yield _open_files()
    yield _sockets()


def _packages() -> Iterator[Finding]:
    found = {**decisive_versions(), **{name: _version(name) for name in ("ray", "optuna", "pyarrow")}}
    del found["python"]
    lacking = [name for name, version in found.items() if version == "none"]
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    mend = "pip install -c constraints.txt -e .   (or: make test, which sets everything up)" if lacking else ""
    yield Finding("packages", MISSING if lacking else GOOD, listed, mend)


def _processor() -> Iterator[Finding]:
    known = facts()
    cores = f"{known.cores} cores of {known.processor}" if known.processor else f"{known.cores} cores"
    yield Finding("processor", GOOD, f"{cores}; bfloat16 {'in hardware' if has_bf16() else 'not in hardware: fp32'}")


def _cuda() -> Iterator[Finding]:
    # torch, whose import takes seconds, is only asked if the system shows a GPU.
    if default_device() != "cuda":
        yield Finding("GPU", GOOD, "none; trials are trained on the processor")
        return
    from sweeps.engine.cluster.node_check import gpu_problem

    problem = gpu_problem()
    names = ", ".join(facts().gpus) or "an NVIDIA device"
    yield Finding("GPU", MISSING if problem else GOOD, names, problem)
    yield _mps()


def _mps() -> Finding:
    """Say whether NVIDIA's MPS runs, which is no need: trials share a GPU without it too."""
    # The system cuts the names of processes after 15 characters.
    names = (path.read_text().strip() for path in PROCESSES.glob("[0-9]*/comm"))
    with contextlib.suppress(OSError):
        if any(name.startswith("nvidia-cuda-mps") for name in names):
            return Finding(
                "MPS",
                GOOD,
                "runs: trials that share a GPU (--per-device) compute at the same time; a fault of one on the GPU ends "
                "the processes of all, and their trials start again",
            )
    return Finding(
        "MPS",
        GOOD,
        "does not run: trials that share a GPU (--per-device) take turns; with it (`nvidia-cuda-mps-control -d`) they "
        "would compute at the same time",
    )


def _memory() -> Iterator[Finding]:
    pages = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_AVPHYS_PAGES")
    total, free = (count * os.sysconf("SC_PAGE_SIZE") / GIB for count in pages)
    cores = len(os.sched_getaffinity(0))
    enough = total >= MEMORY_PER_WORKER_GIB * cores
    fewer = max(1, int(total / MEMORY_PER_WORKER_GIB))
    mend = "" if enough else f"train fewer trials at a time: --workers {fewer}"
    yield Finding("memory", GOOD if enough else POOR, f"{total:.1f} GiB, {free:.1f} free; {cores} workers", mend)


def _space(about: str, folder: Path, needed_gib: float, mend: str) -> Finding:
    # The folder itself may not exist yet; it will be on the disk of the nearest one that does.
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(there).free / GIB
    said = f"{free:.1f} GiB free in {folder}"
    if not os.access(there, os.W_OK):
        return Finding(about, MISSING, f"{folder} cannot be written", mend)
    return Finding(about, GOOD, said) if free >= needed_gib else Finding(about, POOR, said, mend)


def _open_files() -> Finding:
    """Check the limit of open files: Ray opens sockets to every worker of every node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= OPEN_FILES
    # An unlimited hard limit is -1.
    mend = "" if enough else f"ulimit -n {OPEN_FILES if hard < 0 else min(hard, 65536)} before `ray start`"
    return Finding("open files", GOOD if enough else POOR, f"at most {soft}", mend)


def _sockets() -> Finding:
    """Check that the temporary folder's path leaves room for the names of Ray's sockets."""
    problem, _, mend = socket_problem().partition("; ")
    return Finding("Ray's sockets", MISSING if problem else GOOD, problem or "their paths are short enough", mend)


def data(spec: str) -> Finding:
    """Check that the data can be opened."""
    try:
        store = open_data(spec)
    except DataError as error:
        return Finding("data", MISSING, str(error), f"teststrip data {shell_words(spec)}")
    size = store.path.stat().st_size / GIB
    return Finding("data", GOOD, f"{store.spec}: {store.fingerprint}, {size:.2f} GiB in {store.path}")


def folder(address: str) -> Finding:
    """Check that a run can be written to `address`, a folder or an object store."""
    mend = "name another place with --out or TESTSTRIP_RUNS"
    try:
        out = locate(address)
        if isinstance(out, Path):
            # It writes a file, and removes it with every folder that it had to make.
            shared_folder.hide(shared_folder.show(out))
        else:
            check_writable(out)
    except (LocationError, StoreError) as error:
        return Finding("runs", MISSING, str(error), mend)
    except OSError as error:
        return Finding("runs", MISSING, f"{address}: {error.strerror or error}", mend)
    return Finding("runs", GOOD, f"{out} can be written")


def token() -> Finding:
    """Check for a token of this machine, and whether other users can read it."""
    found, source = token_source(os.environ)
    if not found:
        return Finding("token", GOOD, "none: needed to join a cluster of several machines", "")
    open_to_others = readable_by_others(source)
    return Finding("token", POOR if open_to_others else GOOD, f"from {source}", "".join(open_to_others))


def cluster(address: str) -> Iterator[Finding]:
    """Check the authentication of a cluster, and list its machines."""
    try:
        access = settle_access(address, insecure=False)
    except AccessError as error:
        yield Finding("cluster", MISSING, f"{address}", str(error))
        return
    except ConnectionError as error:
        yield Finding("cluster", MISSING, str(error), "ray up cluster.yaml; `ray status` on its head says what runs")
        return
    for warning in access.warnings:
        yield Finding("cluster", POOR, warning)
    # Imported here: they import Ray, which reads RAY_AUTH_MODE at that moment, and `settle_access` has set it.
    from sweeps.engine.cluster.nodes import NodeAgents, living_nodes
    from sweeps.engine.cluster.ray_session import join_cluster, stop_ray

    join_cluster(access.address)
    try:
        nodes = living_nodes()
        agents = NodeAgents(nodes)
        known, silent = agents.facts()
        agents.dismiss()
    finally:
        stop_ray()
    for node in nodes:
        if node.id in known:
            fact = known[node.id]
            gpus = f"; {node.gpus:g} GPUs ({', '.join(fact.gpus)})" if node.gpus else ""
            bf16 = "bfloat16" if fact.bf16 else "fp32"
            slots = f"{node.cpus:g} slots on {fact.cores} cores"
            yield Finding(f"node {node.name}", GOOD, f"{slots} of {fact.processor}, {bf16}{gpus}")
    for sentence in silent:
        yield Finding("node", MISSING, sentence)


def findings(arguments: argparse.Namespace) -> Iterator[Finding]:
    """All checks in turn."""
    yield from machine()
    if arguments.data:
        yield data(arguments.data)
    yield folder(arguments.out or runs_folder())
    yield token()
    address = cluster_address(arguments.address, None)
    if address is not None:
        yield from cluster(address)


def main(argv: Sequence[str] | None = None, program: str = "python -m sweeps.engine.doctor") -> int:
    """The command, which the help calls `program`; returns its exit status."""
    parser = Parser(prog=program, description="Check what this machine, and a cluster, can run.")
    parser.add_argument("--address", metavar="A", help="a cluster to check as well: HOST:PORT or auto")
    parser.add_argument("--data", metavar="SPEC", help="data to open (and to pack, the first time)")
    parser.add_argument("--out", metavar="RUN", help=f"where to keep a run: {KINDS}")
    arguments = parser.parse(argv)
    if arguments.json:
        found = list(findings(arguments))
        missing = sum(finding.state == MISSING for finding in found)
        sys.stdout.write(answer_text("doctor", {"findings": found, "missing": missing}) + "\n")
    else:
        missing = _say(findings(arguments))
    return 1 if missing else 0


def _say(found: Iterator[Finding]) -> int:
    """Print each finding as soon as it is made; returns the number of needed things that are missing."""
    console, missing = terminal(), 0
    for finding in found:
        line = Text(f"{finding.about:<16}{finding.state:<9}", style=STYLES[finding.state]).append(finding.found, "none")
        console.print(line, soft_wrap=True)
        if finding.mend:
            console.print(f"{'':<16}{'->':<9}{finding.mend}", soft_wrap=True)
        missing += finding.state == MISSING
    if missing:
        console.print(f"\n{missing} needed {'thing is' if missing == 1 else 'things are'} missing", style="red")
    return missing


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    sys.exit(main())
