"""Where the weights of a pretrained network come from: "imagenet", "file:PATH", or "file:PATH#DIGEST".

A file whose digest is another one now is refused (see `enhance.config.files`). "random" is not loaded from anywhere:
who offers it draws the weights from a seed of its own. Nothing is substituted for what cannot be had.
"""

import pickle
from collections.abc import Callable, Mapping
from http.client import HTTPException

import torch
from torch import Tensor

from enhance.config.files import FILE, content_digest, path_and_digest

State = Mapping[str, Tensor]

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


def _read(network: str, weights: str) -> State:
    if not weights.startswith(FILE):
        raise WeightsUnavailable(network, weights, "there is no source of this name")
    path, wanted = path_and_digest(weights)
    if wanted and (found := content_digest(path)) != wanted:
        raise WeightsUnavailable(network, weights, f"the file has changed: its digest is {found} now")
    state: State = torch.load(path, "cpu", weights_only=True)
    return state
