"""Where the weights of a pretrained network come from: "imagenet", "file:PATH", or "file:PATH#DIGEST".

A path says nothing of what lies there, so a file's trial is named by its content: `pinned` appends the first 16
hexadecimal digits of the file's sha256, and a file whose digest has changed since is refused. "random" is not loaded
from anywhere: who offers it draws the weights from a seed of its own. Nothing is substituted for what cannot be had.
"""

import hashlib
import pickle
import re
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

State = Mapping[str, Tensor]

FILE = "file:"
_FAILED = (OSError, HTTPException, ImportError, RuntimeError)
_UNREADABLE = (EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


class WeightsUnavailable(ValueError):
    """The weights that were asked for cannot be had; the message says why and what else there is."""

    def __init__(self, network: str, weights: str, reason: object) -> None:
        super().__init__(
            f"{network} weights {weights!r} cannot be had: {reason}; choose from imagenet (downloaded by torchvision, "
            f"once), random (seeded, nothing to download), or {FILE}PATH, a file that holds torchvision's state dict"
        )


def load_state(network: str, weights: str, imagenet: Callable[[], State]) -> State:
    """The state dict that `weights` names, on the CPU; `imagenet` is called for "imagenet".

    `network` is for messages. Files are read without executing anything in them. Raises WeightsUnavailable.
    """
    try:
        state = imagenet() if weights == "imagenet" else _read(network, weights)
    except _FAILED as error:
        raise WeightsUnavailable(network, weights, f"{type(error).__name__}: {error}") from error
    except _UNREADABLE as error:  # torch's own text advises to load the file unsafely
        if isinstance(error, WeightsUnavailable):
            raise
        reason = f"it is no state dict that can be read safely ({type(error).__name__})"
        raise WeightsUnavailable(network, weights, reason) from error
    if not isinstance(state, Mapping):
        raise WeightsUnavailable(network, weights, f"it holds a {type(state).__name__}, not a state dict")
    return state


def fill(module: torch.nn.Module, network: str, weights: str, state: State, prefix: str = "") -> None:
    """Put the entries of `state` under `prefix` into `module`. Raises WeightsUnavailable where one lacks or misfits.

    Only the step counters of batch norms may lack, as they do in files older than torch 0.4.1: `module` keeps its own.
    """
    found = {name: state[prefix + name] for name in module.state_dict() if prefix + name in state}
    try:
        module.load_state_dict(found)  # which says what lacks, and lets the counters pass
    except (RuntimeError, TypeError) as error:
        reason = f"it is no state dict of {network}: {' '.join(str(error).split())[:200]}"
        raise WeightsUnavailable(network, weights, reason) from error


def pinned(weights: str) -> str:
    """`weights`, with the digest of its file appended if it names one. Raises WeightsUnavailable without the file."""
    if not weights.startswith(FILE):
        return weights
    name, digest = _split(weights)
    if digest:
        return weights
    try:
        return f"{weights}#{_digest(Path(name))}"
    except OSError as error:
        raise WeightsUnavailable("pretrained", weights, f"{type(error).__name__}: {error}") from error


def _read(network: str, weights: str) -> State:
    if not weights.startswith(FILE):
        raise WeightsUnavailable(network, weights, "there is no source of this name")
    name, wanted = _split(weights)
    if wanted and (found := _digest(Path(name))) != wanted:
        raise WeightsUnavailable(network, weights, f"the file has changed: its digest is {found} now")
    state: State = torch.load(name, "cpu", weights_only=True)
    return state


def _split(weights: str) -> tuple[str, str]:
    """Path and digest ("" without one); only 16 hexadecimal digits at the end are one, for a path may hold a "#"."""
    name = weights.removeprefix(FILE)
    digest = re.search(r"#([0-9a-f]{16})$", name)
    return (name[: digest.start()], digest[1]) if digest else (name, "")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
