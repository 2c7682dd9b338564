"""Optimizers with learning-rate schedules and gradient clipping, and the moving average of weights.

The update rules are torch.optim's, with torch's defaults for whatever a configuration does not set (eps 1e-8, for
example). Adam and AdamW are fused: one call per step. SGD is not, because torch's fused version fails if a parameter
gets its first gradient later than others.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") replaces the momentum of a matrix
by a nearby matrix whose singular values are all about 1, using five Newton-Schulz steps in bfloat16. torch.optim.Muon
accepts matrices only; as in the authors' code, a kernel (out, in, height, width) is treated as a matrix with `out`
rows. The kernel of a transposed convolution is stored as (in, out, height, width) and gets `in` rows, those of the
convolution whose transpose it is. If a matrix has more rows than columns, torch multiplies the learning rate by
sqrt(rows / columns). The authors' code does so for matrices, but for kernels it uses height / width, which is 1 for
square ones. All other parameters use AdamW with torch's betas: biases, norms, slopes, and the kernels of each module's
first and last layer in registration order (in a curve network, the base's last layer is followed by others and so
counts as hidden). Muon and AdamW share `weight_decay`, each multiplying it by its own learning rate.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from enhance.config.optimizers import AdamConfig, AdamWConfig, MuonConfig, OptimizerConfig, RMSpropConfig, SGDConfig
from enhance.nets.layers import Weighted
from enhance.training.staging import Staged, module_tensors, prefixed, recordable, under

Net = TypeVar("Net", bound=nn.Module)

_NUMBER_ONLY = ("sgd", "muon")
"""Optimizers of which torch multiplies by the learning rate as a number: one in a tensor would be read by the host."""


def learning_rate_at(config: OptimizerConfig, steps: int, step: int) -> float:
    """The learning rate at step 0, 1, ... of `steps`; beyond the last step, that of the last.

    With w = warmup_share * steps, step t of the warm-up has (t + 1) / w of `lr`, so no step has 0. `lr` itself holds
    until h = hold_share * steps (at least w). After that, with x = (t - h) / (steps - h), "linear" is lr * (1 - x) and
    "cosine" lr * (1 + cos(pi x)) / 2. Both would reach 0 at step `steps`, the first one not taken, as in torch's
    LinearLR and CosineAnnealingLR, so no step is wasted. CycleGAN: "linear" with hold_share 0.5.

    Raises ValueError if `steps` < 1 or `step` < 0.
    """
    if steps < 1 or step < 0:
        raise ValueError(f"steps={steps} must be at least 1 and step={step} at least 0")
    return config.lr * _share_at(config, steps, step)


def _share_at(config: OptimizerConfig, steps: int, step: int) -> float:
    """The fraction of the full learning rate, in (0, 1]."""
    step = min(step, steps - 1)
    warm = config.warmup_share * steps
    if step + 1 < warm:
        return (step + 1) / warm
    held = max(config.hold_share * steps, warm)
    if config.schedule == "constant" or step <= held:
        return 1.0
    passed = (step - held) / (steps - held)
    return 1 - passed if config.schedule == "linear" else (1 + math.cos(math.pi * passed)) / 2


class Optimizer:
    """A torch optimizer with schedule and clipping, for the parameters of one or more modules.

    The modules must already be on their device and in their memory format. `steps` is the full budget, which the
    schedule spans. Parameters without a gradient are left alone.

    Raises ValueError if `steps` < 1, if `nesterov` is set without momentum, and if a module has no hidden layer for
    Muon.
    """

    def __init__(self, modules: nn.Module | Sequence[nn.Module], config: OptimizerConfig, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"steps={steps} must be at least 1")
        self.config, self.steps = config, steps
        modules = [modules] if isinstance(modules, nn.Module) else list(modules)
        self._parameters = list(nn.ModuleList(modules).parameters())  # without duplicates, if modules share some
        self._kernels = _hidden_kernels(modules) if isinstance(config, MuonConfig) else []
        self._recordable = recordable(self._parameters[0].device)
        self._parts = _parts(self._parameters, self._kernels, config, self._recordable)
        self._step = 0
        self._lr_factor = 1.0
        self._rates: dict[str, list[float | Tensor]] = {}
        self._staged = Staged(self._parameters[0].device) if self._recordable and not self.why_eager else None

    @property
    def why_eager(self) -> str:
        """Why an update cannot be recorded and replayed with another learning rate; "" if it can."""
        return f"{self.config.name} takes its learning rate as a number" if self.config.name in _NUMBER_ONLY else ""

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update to be staged; with Muon, Muon's and not AdamW's."""
        return self.config.lr * self._share()

    def stage(self, slot: str = "") -> None:
        """Decide the learning rate of the next update, which `step` takes in this slot; on the host.

        Several updates may be staged before the first of them is taken, each in a slot of its own.
        """
        share = self._share()
        self._rates[slot] = [self._rate(f"{slot} {place}", peak * share) for place, (_, peak) in enumerate(self._parts)]
        self._step += 1

    def step(self, slot: str = "") -> Tensor:
        """Clip the gradients and take the update that was staged. Returns the total gradient norm before clipping, ().

        The norm stays on the device, and nothing waits for it. Raises RuntimeError if there is no gradient.
        """
        grads = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if not grads:
            raise RuntimeError("no parameter has a gradient: backward must come before step")
        norm = nn.utils.get_total_norm(grads)
        if self.config.clip_norm:
            nn.utils.clip_grads_with_norm_(self._parameters, self.config.clip_norm, norm)
        for kernel in self._kernels:
            kernel.point()
        for (optimizer, _), rate in zip(self._parts, self._rates[slot], strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        return norm

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for parameter in self._parameters:
            parameter.grad = None
        for kernel in self._kernels:
            kernel.matrix.grad = None

    def restart(self, lr_factor: float = 1.0) -> None:
        """Reset the moments, keep the position in the schedule, and multiply the learning rate by `lr_factor`.

        Raises ValueError if `lr_factor` is not positive.
        """
        if not lr_factor > 0:
            raise ValueError(f"lr_factor={lr_factor!r} must be above 0")
        for optimizer, _ in self._parts:
            if self._recordable:
                # A recorded update knows where its moments lie: they stay there and begin again.
                for moment in _moments(optimizer).values():
                    moment.zero_()
            else:
                optimizer.state.clear()
        self._lr_factor *= lr_factor

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The moments and the staged learning rates. Moments that only `like` has so far are made, as zeros."""
        found = {} if self._staged is None else prefixed("rate", self._staged.tensors())
        for place, (optimizer, _) in enumerate(self._parts):
            for name, tensor in under(f"{place}", like).items():
                index, _, key = name.partition(" ")
                state = optimizer.state[optimizer.param_groups[0]["params"][int(index)]]
                state.setdefault(key, torch.zeros_like(tensor))
            found |= prefixed(f"{place}", _moments(optimizer))
        return found

    def state_dict(self) -> dict[str, Any]:
        """What a new Optimizer of the same modules, configuration and steps needs in order to continue.

        Plain types and tensors; the tensors are the live ones, as in torch's optimizers.
        """
        return {
            "step": self._step,
            "lr_factor": self._lr_factor,
            "parts": [optimizer.state_dict() for optimizer, _ in self._parts],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore (a copy of) a state from `state_dict`. Raises KeyError or ValueError if it does not fit."""
        for (optimizer, _), part in zip(self._parts, state["parts"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(part))
        self._step, self._lr_factor = state["step"], state["lr_factor"]

    def _rate(self, name: str, value: float) -> float | Tensor:
        """A learning rate as the optimizer takes it: on a GPU in a tensor, which a recorded update reads anew."""
        if self._staged is None:
            return value
        self._staged.put(name, np.array(value, np.float32))
        return self._staged[name]

    def _share(self) -> float:
        return _share_at(self.config, self.steps, self._step) * self._lr_factor


def _parts(
    parameters: list[nn.Parameter], kernels: list["_Kernel"], config: OptimizerConfig, recordable: bool
) -> list[tuple[torch.optim.Optimizer, float]]:
    """torch's optimizers, each with its full learning rate. `recordable` ones keep their step counts on the device."""
    lr = config.lr
    fused: dict[str, Any] = {"fused": True, "capturable": recordable}
    match config:
        case AdamConfig():
            return [(torch.optim.Adam(parameters, lr, (config.beta1, config.beta2), **fused), lr)]
        case AdamWConfig():
            betas, decay = (config.beta1, config.beta2), config.weight_decay
            return [(torch.optim.AdamW(parameters, lr, betas, weight_decay=decay, **fused), lr)]
        case RMSpropConfig():
            # torch's loop over single tensors would read the learning rate on the host; its loop over lists does not.
            lists: dict[str, Any] = {"foreach": True, "capturable": True} if recordable else {}
            return [(torch.optim.RMSprop(parameters, lr, config.alpha, momentum=config.momentum, **lists), lr)]
        case SGDConfig():
            momentum, decay = config.momentum, config.weight_decay
            sgd = torch.optim.SGD(parameters, lr, momentum, weight_decay=decay, nesterov=config.nesterov)
            return [(sgd, lr)]
        case MuonConfig():
            ours = {id(kernel.parameter) for kernel in kernels}
            # By id: `in` would compare tensors element by element.
            rest = [parameter for parameter in parameters if id(parameter) not in ours]
            matrices, decay = [kernel.matrix for kernel in kernels], config.weight_decay
            muon = torch.optim.Muon(matrices, lr, weight_decay=decay, momentum=config.momentum)
            adamw = torch.optim.AdamW(rest, config.adamw_lr, weight_decay=decay, **fused)
            return [(muon, lr), (adamw, config.adamw_lr)]
    raise ValueError(f"optimizer {config.name!r} is not a choice; choose from adam, adamw, rmsprop, sgd, muon")


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimizer's state, by the index of the parameter and their key."""
    parameters = enumerate(optimizer.param_groups[0]["params"])
    states = ((index, optimizer.state.get(parameter, {})) for index, parameter in parameters)
    every = ((f"{index} {key}", value) for index, state in states for key, value in state.items())
    return {name: value for name, value in every if isinstance(value, Tensor)}


# --- kernels as matrices, for Muon ---------------------------------------------------------------------------------


class _Kernel:
    """A kernel (out, ...) and a matrix (out, the rest) that shares its memory, which Muon updates.

    A view must order its columns as they lie in memory, which for channels-last kernels is a different order. That does
    not matter to Muon: permuting the columns permutes its update in the same way.
    """

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        last = parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
        self._order = (0, 2, 3, 1) if last else tuple(range(parameter.ndim))
        self.matrix = self._view()

    def point(self) -> None:
        """Point the matrix and its gradient at the kernel's current memory, which may have moved."""
        self.matrix.data = self._view()
        grad = self.parameter.grad
        self.matrix.grad = None if grad is None else grad.permute(self._order).flatten(1)

    def _view(self) -> Tensor:
        return self.parameter.detach().permute(self._order).view(len(self.parameter), -1)


def _hidden_kernels(modules: list[nn.Module]) -> list[_Kernel]:
    """The kernels of all layers but each module's first and last. Raises ValueError if there are none."""
    hidden: dict[int, Tensor] = {}
    for module in modules:
        kernels = [layer.weight for layer in module.modules() if isinstance(layer, Weighted)]
        if len(kernels) < 3:
            raise ValueError(
                f"name=muon needs layers between the first and the last, but {type(module).__name__} has "
                f"{len(kernels)} in all; choose from adam, adamw, rmsprop, sgd"
            )
        hidden |= {id(kernel): kernel for kernel in kernels[1:-1]}
    return [_Kernel(kernel) for kernel in hidden.values()]


# --- averages --------------------------------------------------------------------------------------------------------


class Average(Generic[Net]):
    """An exponential moving average of a network's weights and buffers, held in `net`, a copy in evaluation mode.

    The first update copies; each later one sets average = d * average + (1 - d) * current. After n updates, d is
    min(decay, (1 + n) / (10 + n)), the warm-up of TensorFlow's ExponentialMovingAverage. Without it, the weights of the
    first step would still make up half of the average after 600 steps at a decay of 0.999. Otherwise it matches
    torch.optim.swa_utils.AveragedModel, which waits for the device at every step because it keeps its count there.
    Integers, such as batch norm's counters, are copied instead. `decay` is in [0, 1).
    """

    def __init__(self, net: Net, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay!r} must be at least 0 and below 1")
        self.net: Net = copy.deepcopy(net).requires_grad_(False).eval()
        self._decay = decay
        self._updates = 0
        self._share = 1.0
        device = next(net.parameters()).device
        self._staged = Staged(device) if recordable(device) else None

    def stage(self) -> None:
        """Decide how much of the present the next update blends in, on the host: all of it in the first."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates)) if self._updates else 0.0
        self._share = 1 - decay
        if self._staged is not None:
            self._staged.put("share", np.array(self._share, np.float32))
        self._updates += 1

    @torch.no_grad()
    def update(self, net: Net) -> None:
        """Take the update that was staged with `net`, which must have the architecture of the original."""
        pairs = list(zip(_tensors(self.net), _tensors(net), strict=True))
        blended = [pair for pair in pairs if pair[0].is_floating_point()]
        if self._staged is not None:
            for average, present in blended:
                average.lerp_(present, self._staged["share"])
        elif self._share < 1:
            averages, presents = zip(*blended, strict=True)
            torch._foreach_lerp_(averages, presents, self._share)
        for average, present in pairs:
            if (self._share == 1 and self._staged is None) or not average.is_floating_point():
                average.copy_(present)

    def tensors(self) -> dict[str, Tensor]:
        """The averages and the staged share."""
        staged = {} if self._staged is None else self._staged.tensors()
        return {**module_tensors(self.net), **staged}

    def state_dict(self) -> dict[str, Any]:
        """What a new Average of the same network and decay needs in order to continue; tensors are the live ones."""
        return {"updates": self._updates, "net": self.net.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore (a copy of) a state from `state_dict`. Raises KeyError or RuntimeError if it does not fit."""
        self.net.load_state_dict(state["net"])
        self._updates = state["updates"]


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]
