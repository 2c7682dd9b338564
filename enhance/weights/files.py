"""The files of a trained network: `model.safetensors` and `config.json`, which rebuild it, and a card. Free of torch.

`config.json` holds the digest of the weights, so that two files that do not belong together are never combined, and a
truncated one is not taken for a whole one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhance.config import Scalar

MODEL, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
"""The names of the files: those that Hugging Face expects."""

KIND = "teststrip network"
VERSION = 1
"""The version of `config.json`; a newer one is refused, not misread."""


class WeightsError(ValueError):
    """A folder that holds no complete network of this project; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A packed network: `model`, the bytes of its safetensors file, and `switches`, which parts of it are enabled."""

    model: bytes
    switches: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Description:
    """What `config.json` says: the leaves net.* by their flat names, `switches`, and the digest of the weights."""

    net: Mapping[str, Scalar]
    switches: Mapping[str, bool]
    sha256: str


def config_json(weights: Weights, net: Mapping[str, Scalar], trained: Mapping[str, Any]) -> bytes:
    """The content of `config.json`. `net` are the leaves net.*, and `trained` says how the network was trained."""
    parameters = {name.removeprefix("net."): value for name, value in net.items()}
    content = {
        "kind": KIND,
        "version": VERSION,
        "family": parameters.pop("family"),
        "parameters": parameters,
        "switches": dict(weights.switches),
        "sha256": hashlib.sha256(weights.model).hexdigest(),
        "trained": dict(trained),
    }
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def read_description(folder: Path) -> Description:
    """Read `config.json` in `folder`. Raises WeightsError."""
    content = _content(folder)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise WeightsError(f"{folder / CONFIG} does not describe a network of Teststrip: its kind is not {KIND!r}")
    if content.get("version") != VERSION:
        raise WeightsError(
            f"{folder / CONFIG} has version {content.get('version')}, and this Teststrip reads version {VERSION}"
        )
    parts = {"family": str, "parameters": dict, "switches": dict, "sha256": str}
    if wrong := [name for name, kind in parts.items() if not isinstance(content.get(name), kind)]:
        raise WeightsError(f"{folder / CONFIG} is damaged: it has no readable {', '.join(wrong)}")
    net = {"family": content["family"], **content["parameters"]}
    return Description({f"net.{name}": value for name, value in net.items()}, content["switches"], content["sha256"])


def read_model(folder: Path, sha256: str) -> bytes:
    """The bytes of the weights in `folder`, whose digest must be `sha256`. Raises WeightsError."""
    try:
        model = (folder / MODEL).read_bytes()
    except OSError as error:
        raise WeightsError(f"{folder} holds no readable {MODEL}: {error.strerror}") from None
    if hashlib.sha256(model).hexdigest() != sha256:
        raise WeightsError(
            f"{folder / MODEL} ({len(model):,} bytes) is not the file that {CONFIG} describes: it was cut off, changed "
            "or replaced"
        )
    return model


def _content(folder: Path) -> Any:
    try:
        return json.loads((folder / CONFIG).read_bytes())
    except OSError as error:
        raise WeightsError(
            f"{folder} holds no trained network, since {CONFIG} cannot be read ({error.strerror}); "
            "give a folder such as RUN/weights/TRIAL"
        ) from None
    except ValueError:
        raise WeightsError(f"{folder / CONFIG} is not JSON") from None
