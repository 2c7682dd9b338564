"""Loading pretrained weights: "imagenet", "file:PATH", or "file:PATH#DIGEST".

A file that no longer matches its digest is rejected (see `enhance.config.files`). "random" loads nothing: the network
draws those weights from a seed of its own. Weights that are not available are never replaced by others.
"""

import pickle
from collections.abc import Callable, Mapping
from http.client import HTTPException

import torch
from torch import Tensor

from enhance.config.files import FILE, content_digest, path_and_digest

State = Mapping[str, Tensor]

# Raised if the file, the network or torchvision is missing, or a checksum is wrong.
_FAILED = (OSError, HTTPException, ImportError, RuntimeError)
# Raised by `torch.load` for files of another kind.
_UNREADABLE = (EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


class WeightsUnavailable(ValueError):
    """The requested weights are not available; the message says why, and which others there are."""

    def __init__(self, network: str, weights: str, reason: object) -> None:
        super().__init__(
            f"{network} weights {weights!r} are not available: {reason}; choose from imagenet (torchvision downloads "
            f"them once), random (seeded, no download), or {FILE}PATH, a file with torchvision's state dict"
        )


def load_state(network: str, weights: str, imagenet: Callable[[], State]) -> State:
    """The state dict that `weights` names, on the CPU. `imagenet` is called for "imagenet"; `network` is for messages.

    Files are loaded without executing code from them. Raises WeightsUnavailable.
    """
    try:
        state = imagenet() if weights == "imagenet" else _read(network, weights)
    except _FAILED as error:
        raise WeightsUnavailable(network, weights, f"{type(error).__name__}: {error}") from error
    except _UNREADABLE as error:  # not torch's own text, which recommends loading the file unsafely
        # A ValueError itself, raised by `_read`.
        if isinstance(error, WeightsUnavailable):
            raise
        reason = f"the file cannot be read safely as a state dict ({type(error).__name__})"
        raise WeightsUnavailable(network, weights, reason) from error
    if not isinstance(state, Mapping):
        raise WeightsUnavailable(network, weights, f"the file holds a {type(state).__name__}, not a state dict")
    return state


def fill(module: torch.nn.Module, network: str, weights: str, state: State, prefix: str = "") -> None:
    """Load the entries of `state` under `prefix` into `module`. Raises WeightsUnavailable if any is missing or unfit.

    Only the step counters of batch norms may be missing, as in files older than torch 0.4.1; `module` keeps its own.
    """
    found = {name: state[prefix + name] for name in module.state_dict() if prefix + name in state}
    try:
        module.load_state_dict(found)  # strict about missing entries, except for those counters
    except (RuntimeError, TypeError) as error:
        # torch names every missing entry: 4,700 characters for a ResNet-34.
        reason = f"not a state dict of {network}: {' '.join(str(error).split())[:200]}"
        raise WeightsUnavailable(network, weights, reason) from error


def _read(network: str, weights: str) -> State:
    if not weights.startswith(FILE):
        raise WeightsUnavailable(network, weights, "no such source of weights")
    path, wanted = path_and_digest(weights)
    if wanted and (found := content_digest(path)) != wanted:
        raise WeightsUnavailable(network, weights, f"the file has changed: its digest is now {found}")
    state: State = torch.load(path, "cpu", weights_only=True)
    return state
