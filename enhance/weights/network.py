"""Pack a trained network, and rebuild it to the same bits.

The weights alone do not fix the bits of an output: a convolution sums in another order when its weights lie otherwise
in memory. So a network is rebuilt as a training rule builds it (`enhance.rules.rule`), channels-last, before the
weights are copied in.
"""

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from enhance.config import ConfigError, from_flat
from enhance.nets import Network, build_net
from enhance.weights.files import CONFIG, MODEL, Description, Weights, WeightsError, read_description, read_model

OWN_WEIGHTS = "net.weights"
"""The leaf that says where training began. That file may be gone, and its weights are overwritten anyway."""


def pack(net: Network) -> Weights:
    """The weights and buffers of `net`, on any device, in float32 (counters stay whole numbers)."""
    tensors = {
        # Contiguous, because the file format knows no memory layouts.
        name: tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in net.state_dict().items()
    }
    return Weights(safetensors.torch.save(tensors, metadata={"format": "pt"}), net.switches())


def load_network(path: str | Path, device: str = "cpu") -> Network:
    """As `enhance.load`."""
    folder = Path(path).expanduser()
    described = read_description(folder)
    model = read_model(folder, described.sha256)
    net = _blank(folder, described)
    known = set(net.switches()) == set(described.switches)
    if not known or any(type(on) is not bool for on in described.switches.values()):
        raise WeightsError(f"{folder / CONFIG} is damaged: it has no readable switches for this family")
    try:
        net.load_state_dict(safetensors.torch.load(model))
    except (SafetensorError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise WeightsError(f"{folder / MODEL} does not fit the network that {CONFIG} describes: {said}") from None
    net.set_switches(described.switches)
    return net.to(device).eval().requires_grad_(False)


def _blank(folder: Path, described: Description) -> Network:
    """The network with weights that are going to be replaced."""
    leaves = {**described.net, **({OWN_WEIGHTS: "random"} if OWN_WEIGHTS in described.net else {})}
    try:
        net = build_net(from_flat(leaves).net, seed=0)
    except ConfigError as error:
        raise WeightsError(f"{folder / CONFIG} describes no known network: {'; '.join(error.problems)}") from None
    return net.to(memory_format=torch.channels_last)
