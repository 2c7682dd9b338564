"""Checks that a machine of a cluster runs on itself: what it has, and what keeps it from training for this run.

This code runs on the machine; the driver sends it there. All problems are reported at once, each in a sentence with its
remedy, before which the caller puts the machine's name.
"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from enhance.config.files import content_digest, path_and_digest
from enhance.data import DataError
from enhance.data.storage.delivery import StoreTransfer, open_delivered
from enhance.system.processor import cpu_field
from sweeps.engine.cluster.shared_folder import SharedFolderCheck, look
from sweeps.engine.environment import THREADS, code_hash, has_bf16

DECISIVE = ("torch", "torchvision", "numpy", "kornia")
"""Packages whose versions can change a trial's numbers."""


@dataclass(frozen=True)
class Facts:
    """A machine's usable cores, whether it has bfloat16 in hardware, and the names of its processor and GPUs."""

    cores: int
    bf16: bool
    processor: str
    gpus: tuple[str, ...]


@dataclass(frozen=True)
class Requirements:
    """What a machine must have to train for a run.

    `code` and `versions` are the driver's; `weights` are files of pretrained weights ("file:PATH#DIGEST");
    `folder_check` is None if the machine need not see the folder of the run; `sender` is the name of the actor that
    sends the data.
    """

    code: str
    versions: Mapping[str, str]
    device: str
    weights: tuple[str, ...]
    folder_check: SharedFolderCheck | None
    transfer: StoreTransfer
    sender: str


def facts() -> Facts:
    """What this machine has, read from the system without importing torch."""
    # NVIDIA's driver shows one folder per GPU; without the driver there are none.
    models = [path.read_text() for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
    gpus = tuple(_value(text, "Model") for text in models)
    processor = next(iter(cpu_field("model name")), platform.machine())
    return Facts(len(os.sched_getaffinity(0)), has_bf16(), processor, gpus)


def decisive_versions() -> dict[str, str]:
    """Versions of Python and of DECISIVE by name, without importing them; "none" for a package that is missing."""
    found = {"python": platform.python_version()}
    for name in DECISIVE:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def problems(required: Requirements, node: str, fetch: Callable[[int], bytes], *, thorough: bool) -> list[str]:
    """Everything that keeps this machine, Ray's `node`, from training; empty if nothing does.

    `fetch` returns a chunk of the packed data by index: data that are missing are written to this machine's cache.
    `thorough` reads and checks every pixel of data that are there.
    """
    found = _code_problems(required)
    if required.folder_check is not None and (unseen := look(required.folder_check, node)):
        found.append(
            f"{unseen}. Give an --out (or TESTSTRIP_RUNS) on storage that every node sees at the same path; or accept "
            "with --unshared that the ledger is lost with the driver's machine"
        )
    found += [problem for weights in required.weights if (problem := _weights_problem(weights))]
    # Even if a check above has failed: all problems are reported at once.
    try:
        open_delivered(required.transfer, fetch, verify=thorough)
    except DataError as error:
        found.append(f"it lacks the data, and fetching them failed: {error}")
    return found + _device_problems(required.device)


def _code_problems(required: Requirements) -> list[str]:
    found = []
    if (here := code_hash()) != required.code:
        found.append(
            f"it runs other code: enhance/ is {here} there and {required.code} in the driver, though the driver sends "
            "its own. Something else comes first on Python's path there; remove it (`python -c 'import enhance; "
            "print(enhance)'` on the node says what)"
        )
    installed = decisive_versions()
    differing = {name: version for name, version in required.versions.items() if installed[name] != version}
    wrong = [f"{name} {installed[name]} (driver: {version})" for name, version in differing.items()]
    if wrong:
        found.append(f"it has other versions: {', '.join(wrong)}. Run `pip install -c constraints.txt -e .` there")
    return found


def _weights_problem(weights: str) -> str:
    path, digest = path_and_digest(weights)
    remedy = "Copy it there, or name it under file_mounts in cluster.yaml"
    try:
        found = content_digest(path)
    except OSError as error:
        return f"it lacks the weights {path}: {error.strerror or error}. {remedy}"
    return f"its weights {path} differ ({found}, not {digest}). {remedy}" if found != digest else ""


def _device_problems(device: str) -> list[str]:
    """Problems with torch, set up as a worker sets it up, and with the GPU."""
    import torch

    # Read back, since the number decides the order of sums, and so the bits of a trial.
    torch.set_num_threads(THREADS)
    found = []
    if torch.get_num_threads() != THREADS:
        found.append(f"torch has {torch.get_num_threads()} threads there, not {THREADS}; unset OMP_NUM_THREADS there")
    if device == "cuda" and (problem := gpu_problem()):
        found.append(f"{problem}; or start its Ray with --num-gpus=0")
    return found


def gpu_problem() -> str:
    """Why torch cannot use this machine's GPU; "" if it can."""
    import torch

    if torch.cuda.is_available():
        return ""
    return (
        "torch cannot use the GPU: look at `nvidia-smi` there, and whether its driver is new enough for torch "
        f"{torch.__version__}"
    )


def _value(text: str, name: str) -> str:
    """The value of `name` in lines of "name : value"; "" if there is none."""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
