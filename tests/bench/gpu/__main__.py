"""Trials per hour of five arms on one GPU, and the time of a step beside what the device could do; without a network.

    make bench-gpu [ARGS="--rounds 5 --workloads 'supervised 16' DPED --scales paper"]

Writes build/gpu-DATE.json, of which `python -m tests.bench.gpu.table` makes the page docs/gpu.md. Each round runs every
arm once, so that a disturbance hits all alike. With --rehearse a few trials run on the CPU instead, to see that every
arm works: its times mean nothing.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tests.bench.gpu.arms import ARMS, FRACTIONS, command
from tests.bench.gpu.workloads import SCALES, WORKLOADS, Job
from tests.places import ROOT

NO_GPU = "make bench-gpu needs an NVIDIA GPU, and torch sees none on this machine"


def main() -> int:
    """Measure, write the JSON and name it; returns the exit status, 2 without a GPU."""
    options = _options()
    import torch

    device = "cpu" if options.rehearse else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    from enhance.data import open_data

    # Packed before any clock runs.
    open_data("demo")
    jobs = [
        Job(workload, scale, halving, options.trials, options.steps, device)
        for workload in options.workloads
        for scale in options.scales
        for halving in (False, True)
    ]
    arms = [row for job in jobs for row in _arms(job, options)]
    result = {**_facts(device, options), "arms": arms, **_measured_steps(jobs, device, options)}
    path = ROOT / "build" / f"gpu-{'rehearsal' if options.rehearse else result['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {path}\nthe page: python -m tests.bench.gpu.table {path.relative_to(ROOT)} > docs/gpu.md")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--scales", nargs="+", choices=SCALES, default=list(SCALES))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--rehearse", action="store_true", help="two trials of nine steps on the CPU, once")
    options = parser.parse_args()
    if options.rehearse:
        options.rounds, options.trials, options.steps = 1, 2, 9
    return options


def _arms(job: Job, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each arm of a job, with the seconds of every round."""
    together = _best_fraction(job) if "tuned Tune" in options.arms and not options.rehearse else 1
    seconds: dict[str, list[float]] = {arm: [] for arm in options.arms}
    for number in range(1, options.rounds + 1):
        for arm, took in seconds.items():
            took.append(_seconds(arm, job, together))
        said = ", ".join(f"{arm} {took[-1]:.1f} s" for arm, took in seconds.items())
        print(f"{job.name}, round {number}: {said}", flush=True)
    return [
        {"arm": arm, "job": job.name, "trials": job.trials, "seconds": took, "settings": asdict(job)}
        | ({"together": together} if arm == "tuned Tune" else {})
        for arm, took in seconds.items()
    ]


def _best_fraction(job: Job) -> int:
    """How many trials share the GPU where tuned Tune is fastest; one run each, which does not count."""
    times = {together: _seconds("tuned Tune", job, together) for together in FRACTIONS if together <= _cores()}
    return min(times, key=times.__getitem__)


def _seconds(arm: str, job: Job, together: int) -> float:
    """Wall time of the arm's whole command, whose output goes to a log that is named if it fails."""
    log = ROOT / "build" / f"gpu-{arm.replace(' ', '-').replace(',', '')}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as file:
        started = time.perf_counter()
        done = subprocess.run(command(arm, job, together), cwd=ROOT, stdout=file, stderr=file, check=False)
        took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{arm} of {job.name} ended with status {done.returncode}; see {log}")
    return took


def _measured_steps(jobs: list[Job], device: str, options: argparse.Namespace) -> dict[str, Any]:
    """The device's peaks, and a row for the step of each workload and scale."""
    from tests.bench.gpu.steps import measure, peaks_of

    peaks = peaks_of(device, 256, 1 << 20) if options.rehearse else peaks_of(device)
    rows = [measure(job, peaks, options.rounds, min(options.steps, 100)) for job in jobs if not job.halving]
    return {"peaks": asdict(peaks), "step": rows}


def _facts(device: str, options: argparse.Namespace) -> dict[str, Any]:
    import torch

    versions = {name: importlib.metadata.version(name) for name in ("teststrip", "torch", "ray")}
    versions |= {"Python": platform.python_version(), "CUDA": str(torch.version.cuda)}
    arguments = shlex.join(sys.argv[1:])
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": f"make bench-gpu ARGS={shlex.quote(arguments)}" if arguments else "make bench-gpu",
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "CPU",
        "cores": _cores(),
        "versions": versions,
        "rounds": options.rounds,
        "trials": options.trials,
        "steps": options.steps,
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
