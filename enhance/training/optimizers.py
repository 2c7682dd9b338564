"""Optimizers with their learning-rate schedules and gradient clipping, and the moving average of weights.

The update rules are torch.optim's, with torch's defaults where a configuration has no leaf (eps 1e-8, and so on). Adam
and AdamW are fused: one call per step. SGD is not, because torch's fused form fails where a parameter gets its first
gradient later than others.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") replaces the momentum of a matrix
by a nearby one whose singular values are all about 1, by five Newton-Schulz steps in bfloat16. torch.optim.Muon takes
matrices only; as in the authors' code a kernel (out, in, height, width) is one of out rows. A transposed convolution's
kernel is stored as (in, out, height, width) and has in rows: it is that of the convolution whose transpose it is. Where
a matrix has more rows than columns, torch multiplies the learning rate by sqrt(rows / columns). So does the authors'
code for matrices; for kernels it divides height by width there, which is 1 for square ones. Everything else is AdamW's
with torch's betas: biases, norms, slopes, and the kernels of each module's first and last layer, in the order of
registration (in a curve network the base's last layer is followed by others, and so hidden). Muon and AdamW have the
same `weight_decay`, each times its own learning rate.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from enhance.config.optimizers import AdamConfig, AdamWConfig, MuonConfig, OptimizerConfig, RMSpropConfig, SGDConfig
from enhance.nets.layers import Weighted

Net = TypeVar("Net", bound=nn.Module)


def learning_rate_at(config: OptimizerConfig, steps: int, step: int) -> float:
    """The learning rate of step 0, 1, ... of `steps`; after the last step that of the last.

    Warm-up takes w = warmup_share * steps: step t has (t + 1) / w of `lr`, so that none is 0. `lr` itself holds until
    h = hold_share * steps (at least w). Of the rest, step t has passed x = (t - h) / (steps - h): "linear" is
    lr * (1 - x), "cosine" lr * (1 + cos(pi x)) / 2. Both would be 0 at step `steps`, the first that is no longer taken:
    as torch's LinearLR and CosineAnnealingLR, no step is wasted. CycleGAN: "linear", hold_share 0.5.

    Raises ValueError where `steps` < 1 or `step` < 0.
    """
    if steps < 1 or step < 0:
        raise ValueError(f"steps={steps} must be at least 1 and step={step} at least 0")
    return config.lr * _share_at(config, steps, step)


def _share_at(config: OptimizerConfig, steps: int, step: int) -> float:
    """The share of the full learning rate, in (0, 1]."""
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
    """A torch optimizer with its schedule and clipping, for the parameters of one or several modules.

    The modules must already be on their device and in their memory format. `steps` is the full budget, over which the
    schedule is laid. Parameters without a gradient are left as they are.

    Raises ValueError where `steps` < 1, where `nesterov` goes without momentum, and where a module has no hidden layer
    for Muon.
    """

    def __init__(self, modules: nn.Module | Sequence[nn.Module], config: OptimizerConfig, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"steps={steps} must be at least 1")
        self.config, self.steps = config, steps
        modules = [modules] if isinstance(modules, nn.Module) else list(modules)
        self._parameters = list(nn.ModuleList(modules).parameters())  # each once, if modules share some
        self._kernels = _hidden_kernels(modules) if isinstance(config, MuonConfig) else []
        self._parts = _parts(self._parameters, self._kernels, config)
        self._step = 0
        self._lr_factor = 1.0

    @property
    def learning_rate(self) -> float:
        """That of the next step; Muon's, where AdamW has its own."""
        return self.config.lr * self._share()

    def step(self) -> Tensor:
        """Clip the gradients, set the learning rate and update; gives the total gradient norm before clipping, ().

        The norm stays on the device: nothing here waits for it. Raises RuntimeError where there is no gradient.
        """
        grads = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if not grads:
            raise RuntimeError("no parameter has a gradient: backward must come before step")
        norm = nn.utils.get_total_norm(grads)
        if self.config.clip_norm:
            nn.utils.clip_grads_with_norm_(self._parameters, self.config.clip_norm, norm)
        for kernel in self._kernels:
            kernel.point()
        share = self._share()
        for optimizer, peak_lr in self._parts:
            for group in optimizer.param_groups:
                group["lr"] = peak_lr * share
            optimizer.step()
        self._step += 1
        return norm

    def zero_grad(self) -> None:
        """Drop all gradients (they become None)."""
        for parameter in self._parameters:
            parameter.grad = None
        for kernel in self._kernels:
            kernel.matrix.grad = None

    def restart(self, lr_factor: float = 1.0) -> None:
        """Forget the moments, keep the place in the schedule, and multiply the learning rate from now on.

        Raises ValueError where `lr_factor` is not positive.
        """
        if not lr_factor > 0:
            raise ValueError(f"lr_factor={lr_factor!r} must be > 0")
        for optimizer, _ in self._parts:
            optimizer.state.clear()
        self._lr_factor *= lr_factor

    def state_dict(self) -> dict[str, Any]:
        """What a fresh Optimizer of the same modules, configuration and steps needs to go on; plain types and tensors.

        The tensors are the live ones, as with torch's optimizers.
        """
        return {
            "step": self._step,
            "lr_factor": self._lr_factor,
            "parts": [optimizer.state_dict() for optimizer, _ in self._parts],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over (a copy of) what `state_dict` gave; raises KeyError or ValueError where it does not fit."""
        for (optimizer, _), part in zip(self._parts, state["parts"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(part))
        self._step, self._lr_factor = state["step"], state["lr_factor"]

    def _share(self) -> float:
        return _share_at(self.config, self.steps, self._step) * self._lr_factor


def _parts(
    parameters: list[nn.Parameter], kernels: list["_Kernel"], config: OptimizerConfig
) -> list[tuple[torch.optim.Optimizer, float]]:
    """torch's optimizers, each with its full learning rate."""
    lr = config.lr
    match config:
        case AdamConfig():
            return [(torch.optim.Adam(parameters, lr, (config.beta1, config.beta2), fused=True), lr)]
        case AdamWConfig():
            betas, decay = (config.beta1, config.beta2), config.weight_decay
            return [(torch.optim.AdamW(parameters, lr, betas, weight_decay=decay, fused=True), lr)]
        case RMSpropConfig():
            return [(torch.optim.RMSprop(parameters, lr, config.alpha, momentum=config.momentum), lr)]
        case SGDConfig():
            momentum, decay = config.momentum, config.weight_decay
            sgd = torch.optim.SGD(parameters, lr, momentum, weight_decay=decay, nesterov=config.nesterov)
            return [(sgd, lr)]
        case MuonConfig():
            ours = {id(kernel.parameter) for kernel in kernels}
            rest = [parameter for parameter in parameters if id(parameter) not in ours]
            matrices, decay = [kernel.matrix for kernel in kernels], config.weight_decay
            muon = torch.optim.Muon(matrices, lr, weight_decay=decay, momentum=config.momentum)
            adamw = torch.optim.AdamW(rest, config.adamw_lr, weight_decay=decay, fused=True)
            return [(muon, lr), (adamw, config.adamw_lr)]
    raise ValueError(f"optimizer {config.name!r} is not a choice; choose from adam, adamw, rmsprop, sgd, muon")


# --- kernels as matrices, for Muon ---------------------------------------------------------------------------------


class _Kernel:
    """A kernel (out, ...) and the matrix (out, the rest) that shares its memory, which Muon updates.

    A view needs the columns in the order of memory, another for channels-last kernels. Muon does not mind: permuted
    columns give the same update, permuted.
    """

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        last = parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
        self._order = (0, 2, 3, 1) if last else tuple(range(parameter.ndim))
        self.matrix = self._view()

    def point(self) -> None:
        """Have the matrix and its gradient look at the kernel's memory, wherever it is by now."""
        self.matrix.data = self._view()
        grad = self.parameter.grad
        self.matrix.grad = None if grad is None else grad.permute(self._order).flatten(1)

    def _view(self) -> Tensor:
        return self.parameter.detach().permute(self._order).view(len(self.parameter), -1)


def _hidden_kernels(modules: list[nn.Module]) -> list[_Kernel]:
    """The kernels of all layers but the first and the last of each module; raises ValueError where there are none."""
    hidden: dict[int, Tensor] = {}
    for module in modules:
        kernels = [layer.weight for layer in module.modules() if isinstance(layer, Weighted)]
        if len(kernels) < 3:
            raise ValueError(
                f"name=muon needs layers between the first and the last, but {type(module).__name__} has only "
                f"{len(kernels)}; choose from adam, adamw, rmsprop, sgd"
            )
        hidden |= {id(kernel): kernel for kernel in kernels[1:-1]}
    return [_Kernel(kernel) for kernel in hidden.values()]


# --- averages --------------------------------------------------------------------------------------------------------


class Average(Generic[Net]):
    """An exponential moving average of a network's weights and buffers, held in `net`, a copy in evaluation mode.

    The first update copies; from then on average = d * average + (1 - d) * present, with a d that grows to `decay`:
    min(decay, (1 + n) / (10 + n)) after n updates, TensorFlow's warm-up (ExponentialMovingAverage). Without it the
    weights of the first step would still be half of the average after 600 steps at a decay of 0.999. The rest as
    torch.optim.swa_utils.AveragedModel has it, which waits for the device at each step, since it keeps its count there.
    Whole numbers, such as batch norm's count of batches, are not averaged but copied. `decay` is in [0, 1).
    """

    def __init__(self, net: Net, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay!r} must be >= 0 and < 1")
        self.net: Net = copy.deepcopy(net).requires_grad_(False).eval()
        self._decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self, net: Net) -> None:
        """Let the weights and buffers that `net` has now come in; it must be built as the one that was copied."""
        blended: list[tuple[Tensor, Tensor]] = []
        copied: list[tuple[Tensor, Tensor]] = []
        for pair in zip(_tensors(self.net), _tensors(net), strict=True):
            (blended if self._updates and pair[0].is_floating_point() else copied).append(pair)
        if blended:
            decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
            averages, presents = zip(*blended, strict=True)
            torch._foreach_lerp_(averages, presents, 1 - decay)
        for average, present in copied:
            average.copy_(present)
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """What a fresh Average of the same network and decay needs to go on; the tensors are the live ones."""
        return {"updates": self._updates, "net": self.net.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over (a copy of) what `state_dict` gave; raises KeyError or RuntimeError where it does not fit."""
        self.net.load_state_dict(state["net"])
        self._updates = state["updates"]


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]
