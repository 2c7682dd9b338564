"""The domain: networks, losses, metrics, data and the micro-run that trains a network."""

from typing import TYPE_CHECKING

# torch takes seconds to import, and a driver does without it.
if TYPE_CHECKING:
    from pathlib import Path

    from enhance.nets import Network


def load(path: "str | Path", device: str = "cpu") -> "Network":
    """The trained network that a run left in the folder `path` (RUN/weights/TRIAL), in evaluation mode on `device`.

    For the same input it gives the bits that it gave when it was evaluated, with equal threads and the same PyTorch.
    Pictures of any size go through `enhance.nets.apply`. Raises `enhance.weights.files.WeightsError` (a ValueError).
    """
    from enhance.weights.network import load_network

    return load_network(path, device)
