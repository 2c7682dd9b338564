"""A small untrained network, saved as a confirmed trial leaves it."""

from pathlib import Path

from enhance.nets import build
from enhance.weights.files import CONFIG, MODEL, config_json
from enhance.weights.network import pack

LEAVES = {"channels": 4, "blocks": 1}


def save_network(folder: Path) -> Path:
    """Save one in the new `folder`, and return it."""
    folder.mkdir(parents=True)
    weights = pack(build("shuffle", seed=0, **LEAVES))
    (folder / MODEL).write_bytes(weights.model)
    net = {"net.family": "shuffle", **{f"net.{name}": value for name, value in LEAVES.items()}}
    (folder / CONFIG).write_bytes(config_json(weights, net, {}))
    return folder
