"""The interface of a training rule. A rule owns the networks, their optimizers and all other training state.

The micro-run around it counts steps, watches for divergence, evaluates and reports.

A training step has two halves. `stage` runs on the host: it decides all that depends on (seed, step) and writes it to
tensors of fixed addresses (`enhance.training.staging`). `compute` runs on the device: it reads those tensors, makes no
decision in Python that depends on a value, and never waits for the device. `topology` names the sequence of operations
that `compute` runs; while it stays the same, `compute` may be recorded once and replayed.
"""

import contextlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from enhance.config import Config
from enhance.data import PatchStore
from enhance.data.batches import Stream
from enhance.losses import Losses
from enhance.nets import Network, build_net
from enhance.nets.network import Dropout, reseed
from enhance.training.feed import Feed, noise_seed
from enhance.training.kernels import FORMATS
from enhance.training.optimizers import Optimizer
from enhance.training.seeds import Seeds
from enhance.training.staging import Staged, module_tensors, prefixed, under


@dataclass(frozen=True, slots=True)
class StepStats:
    """Statistics of one training step: detached tensors of shape () on the device.

    terms: the unweighted loss terms. total: their weighted sum. size: the sum of the absolute weighted terms, in which
    terms of opposite sign do not cancel. grad_norm: the generator's, before clipping. signals: other diagnostics for
    the report.
    """

    terms: dict[str, Tensor]
    total: Tensor
    size: Tensor
    grad_norm: Tensor
    signals: dict[str, Tensor]


class Stateful(Protocol):
    """Something whose state can be saved and restored, and moved to other addresses."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Any) -> Any: ...

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


class Rule(Protocol):
    """What the micro-run needs from a training rule. `net` is the network to evaluate."""

    net: Network
    optimizer: Optimizer

    @property
    def topology(self) -> Hashable:
        """Equal as long as `compute` runs the same operations; it changes in `stage` only."""
        ...

    def stage(self, step: int) -> None:
        """Prepare step number `step`, counted from 0, on the host."""
        ...

    def compute(self) -> StepStats:
        """Take the step that was staged, on the device."""
        ...

    def scores(self, source: Tensor, output: Tensor) -> dict[str, Tensor]:
        """The rule's own metrics, (N,) each, for inputs and the evaluated network's outputs."""
        ...

    @property
    def why_eager(self) -> str:
        """Why steps cannot be recorded and replayed; "" if they can."""
        ...

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All tensors that outlive a step, by name; those that only `like` has so far are made, as zeros."""
        ...

    def dropouts(self) -> list[Dropout]:
        """The layers that draw noise on the device."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a new rule of the same configuration, seed and data needs in order to continue."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state from `state_dict`. Raises KeyError or RuntimeError if it does not fit."""
        ...


class TrainedNetworks:
    """What the rules share: one or more generators, and a single optimizer for all of them."""

    @property
    def topology(self) -> Hashable:
        """Always the same, unless a subclass says otherwise."""
        return ()

    def __init__(self, config: Config, seeds: Seeds, data: PatchStore, device: torch.device) -> None:
        self.config, self.seeds, self.device = config, seeds, device
        self.staged = Staged(device)
        self.feed = Feed(data, config, seeds.data, self.staged)
        last = config.train.memory_format == "channels_last"
        self.losses = Losses(config.loss, device, channels_last=last)
        self.nets = self.build_nets()
        self.net = self.nets["net"]
        self.optimizer = Optimizer(list(self.nets.values()), config.optimizer, config.train.steps)

    def scores(self, source: Tensor, output: Tensor) -> dict[str, Tensor]:
        """The rule's own metrics, (N,) each, for inputs and the evaluated network's outputs."""
        return {}

    def build_nets(self) -> dict[str, Network]:
        """The networks that `optimizer` trains, by name; "net" is the one to evaluate."""
        return {"net": self.new_net(self.seeds.initialisation)}

    def parts(self) -> dict[str, Network | Stateful]:
        """Everything that has a state, by name."""
        return {**self.nets, "optimizer": self.optimizer}

    def state_dict(self) -> dict[str, Any]:
        """What a new rule of the same configuration, seed and data needs in order to continue."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state from `state_dict`. Raises KeyError or RuntimeError if it does not fit."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All tensors that outlive a step, by name; those that only `like` has so far are made, as zeros."""
        found = prefixed("staged", self.staged.tensors()) | prefixed("weight", self.losses.weights)
        for name, part in self.parts().items():
            own = module_tensors(part) if isinstance(part, nn.Module) else part.tensors(under(name, like))
            found |= prefixed(name, own)
        return found

    def dropouts(self) -> list[Dropout]:
        """The layers that draw noise on the device."""
        return [layer for net in self.nets.values() for layer in net.modules() if isinstance(layer, Dropout)]

    @property
    def why_eager(self) -> str:
        """Why steps cannot be recorded; "" if they can."""
        parts: list[Network | Optimizer] = [*self.nets.values(), *self.optimizers()]
        return next((part.why_eager for part in parts if part.why_eager), "")

    def optimizers(self) -> list[Optimizer]:
        """That of the networks and, in subclasses, those of the critics."""
        return [self.optimizer]

    # --- for subclasses ------------------------------------------------------------------------------------------

    def new_net(self, seed: int) -> Network:
        """A generator of the configured family on the device, in training mode."""
        net = build_net(self.config.net, seed).to(self.device)
        return net.to(memory_format=FORMATS[self.config.train.memory_format]).train()

    def begin(self, step: int) -> None:
        """Put the networks back into training mode, and restart their noise from (seed, step)."""
        for index, net in enumerate(self.nets.values()):
            net.train()
            reseed(net, noise_seed(self.seeds.data, step, Stream.DROPOUT) + index)

    def descend(self, terms: dict[str, Tensor], signals: dict[str, Tensor]) -> StepStats:
        """Take one optimizer step down the weighted sum of `terms` and of what the networks add to it."""
        penalties = self._penalties()
        weighted = self.losses.weighted(terms)
        if penalties:
            weighted = torch.cat((weighted, torch.stack([weight * value for weight, value in penalties.values()])))
        total = weighted.sum()
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        grad_norm = self.optimizer.step()
        size = weighted.detach().abs().sum()
        terms = terms | {name: value for name, (_, value) in penalties.items()}
        return StepStats({n: t.detach() for n, t in terms.items()}, total.detach(), size, grad_norm, signals)

    def _penalties(self) -> dict[str, tuple[float, Tensor]]:
        """The terms of the networks' families, by name: the weight, and the sum over the networks."""
        found: dict[str, tuple[float, Tensor]] = {}
        for net in self.nets.values():
            for name, (weight, value) in net.penalties().items():
                found[name] = weight, value + found[name][1] if name in found else value
        return found

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context that sets the precision of the training step."""
        enabled = self.config.train.dtype == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)
