"""The micro-run: one configuration and one seed, trained in short stretches, with a report after each.

It knows nothing of Ray, trials or files. The batch at step t is a pure function of (seed, t), and weights are drawn
from generators of their own. So on a CPU with a fixed number of threads, a micro-run is bit-identical whether it runs
alone, after others in the same process, or resumed from its state. `train.vary` can hold the initial weights or the
batches fixed while the seed changes.
"""

import functools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from enhance.config import Config, ConfigError, conflicts, device_conflicts
from enhance.data import PatchStore
from enhance.data.batches import Pictures
from enhance.nets import Network, apply, parameter_count
from enhance.report import Report
from enhance.rules import StepStats, build_rule
from enhance.rules.step import Stepper, TrainingStep
from enhance.samples import Photo, Sample, extreme_places, fixed_places, jpeg, png, validation_image
from enhance.training import metrics
from enhance.training.feed import to_images, to_pixels
from enhance.training.guard import Diverged, Guard, contrast
from enhance.training.kernels import exact_kernels, gpu_problems, training_kernels
from enhance.training.means import Means
from enhance.training.optimizers import Average
from enhance.weights.files import Weights
from enhance.weights.network import pack

EVAL_BATCH = 20
START_PICTURES = 8
"""The number of validation pictures used to tell whether a network starts flat; a report uses all of them."""


class MicroRun:
    """Trains one network by the configured rule; each `advance(steps)` continues where the last one stopped.

    `beats` grows with every step and every batch of an evaluation, a heartbeat that another thread can watch. `data`
    holds pictures of one size; `device` is a torch device name. Raises ConfigError if parts of the configuration are
    incompatible with each other or with the data.
    """

    def __init__(self, config: Config, seed: int, data: PatchStore, device: str = "cpu") -> None:
        self.device = torch.device(device)
        problems = conflicts(config) + device_conflicts(config, self.device.type)
        problems += gpu_problems(config.train, self.device)
        if problems:
            raise ConfigError(problems)
        if config.guard.stagnation and not data.paired:
            raise ConfigError([f"guard.stagnation={config.guard.stagnation:g} needs pairs, and {data.spec} holds none"])
        self.config, self.seed, self.data = config, seed, data
        self.step = self.beats = 0
        self.rule = build_rule(config, seed, data, self.device)
        self.average = Average(self.rule.net, config.train.ema) if config.train.ema else None
        self._training = TrainingStep(self.rule, self.average)
        self._stepper = Stepper(self._training, config, data, self.device)
        self.guard = Guard(config.guard)
        self._since_report, self._in_window = Means(self.device), Means(self.device)
        self._validation = validation(data, config.train.val_images)
        self._evaluation: Evaluation | None = None

    @property
    def parameters(self) -> int:
        """The number of trainable parameters of the evaluated network, critics not included."""
        return parameter_count(self.rule.net)

    @property
    def captured(self) -> str:
        """Whether the steps so far came from recordings: "recorded", or "eager: " and the reason."""
        return self._stepper.captured

    @property
    def evaluated(self) -> Network:
        """The network to evaluate: the rule's, or the moving average of its weights."""
        return self.rule.net if self.average is None else self.average.net

    def advance(self, steps: int) -> Report:
        """Train for `steps` more steps, then evaluate. Raises Diverged, after which the run cannot be continued."""
        called = time.perf_counter()
        self._evaluation = None  # frees the outputs of the last evaluation during training
        if self.step == 0 and self.config.guard.collapse:
            self._look_at_start()
        started = time.perf_counter()
        self.take_steps(steps)
        # Reading the means waits for the device, whose work the steps have only ordered.
        means = self._since_report.take()
        trained = time.perf_counter()
        scores, spread, images = self._evaluate()
        return Report(
            step=self.step,
            metrics=scores | {"parameters": float(self.parameters)},
            spread=spread | {"parameters": 0.0},
            untouched=self._validation.untouched,
            images=images,
            losses=_under("term.", means),
            signals=_under("signal.", means),
            loss_total=means["total"],
            grad_norm=means["grad_norm"],
            learning_rate=self.rule.optimizer.learning_rate,
            train_s=trained - started,
            # What precedes training is the look at the start: an evaluation too.
            eval_s=time.perf_counter() - trained + started - called,
        )

    def take_steps(self, steps: int) -> None:
        """Train for `steps` more steps without evaluating. The next report counts them. Raises Diverged."""
        with training_kernels(self.config.train):
            for _ in range(steps):
                self._training.stage(self.step)
                self._count(self._stepper.take())
                self.step += 1
                self.beats += 1
                if self.step % self.config.guard.window_steps == 0:
                    self._check_window()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a new MicroRun of the same configuration, seed and data needs in order to continue."""
        state: dict[str, Any] = {
            "step": self.step,
            "rule": self.rule.state_dict(),
            "guard": self.guard.state_dict(),
            "since_report": self._since_report.state_dict(),
            "in_window": self._in_window.state_dict(),
        }
        return state if self.average is None else state | {"average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`. Raises KeyError or RuntimeError if it does not fit."""
        self.rule.load_state_dict(state["rule"])
        self.guard.load_state_dict(state["guard"])
        self._since_report.load_state_dict(state["since_report"])
        self._in_window.load_state_dict(state["in_window"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.step, self._evaluation = state["step"], None

    def _count(self, stats: StepStats) -> None:
        guarded = {"size": stats.size, "grad_norm": stats.grad_norm}
        self._in_window.add(guarded)
        terms = {f"term.{name}": value for name, value in stats.terms.items()}
        signals = {f"signal.{name}": value for name, value in stats.signals.items()}
        self._since_report.add({**guarded, "total": stats.total, **terms, **signals})

    def _check_window(self) -> None:
        means = self._in_window.take()
        self.guard.check(self.step, means["size"], means["grad_norm"])

    # --- evaluation ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    @exact_kernels()
    def enhance(self, pictures: Pictures) -> Tensor:
        """The network's output for pictures (N, H, W, 3) of any size: (N, 3, H, W) float32, not clipped."""
        return torch.cat([output for _, output in self._run_network(pictures)])

    def samples(self, fixed: int) -> list[Sample]:
        """The results of the last `advance` for each validation picture, in the order of the set.

        Outputs are kept for `fixed` pictures, the same ones in every trial, and for the best and the worst. Raises
        ValueError if nothing has been evaluated since this micro-run was built or its state restored.
        """
        if self._evaluation is None:
            raise ValueError("samples() needs an evaluation; call advance() first")
        outputs = [output for part in self._evaluation.outputs for output in part]
        scores = {name: values.tolist() for name, values in self._evaluation.scores.items()}
        places = fixed_places(len(outputs), fixed)
        kept = places | (extreme_places(scores["psnr_db"]) if "psnr_db" in scores else set())
        return [
            Sample(
                image=validation_image(int(index)),
                scores={name: values[place] for name, values in scores.items()},
                output=png(to_pixels(outputs[place][None])[0]) if place in kept else None,
                fixed=place in places,
            )
            for place, index in enumerate(self._validation.indices)
        ]

    def weights(self) -> Weights:
        """The evaluated network as it is now, packed."""
        return pack(self.evaluated)

    def photo_sample(self, photo: Photo) -> Sample:
        """The network's current output for a whole photograph. Raises ValueError if the output contains NaN."""
        output = self.enhance(photo.pixels[None])
        if output.isnan().any():
            raise ValueError("the output contains NaN")
        return Sample(image=photo.image, scores={}, output=jpeg(to_pixels(output)[0]))

    def _run_network(self, pictures: Pictures) -> list[tuple[Tensor, Tensor]]:
        """Inputs and outputs in batches of EVAL_BATCH, both (B, 3, H, W) float32."""
        net = self.evaluated.eval()
        enhanced: list[tuple[Tensor, Tensor]] = []
        for first in range(0, len(pictures), EVAL_BATCH):
            self.beats += 1
            part = to_images(pictures[first : first + EVAL_BATCH], self.device)
            enhanced.append((part, apply(net, part)))
        self.beats += 1
        return enhanced

    @torch.no_grad()
    @exact_kernels()
    def _look_at_start(self) -> None:
        source = self._validation.source
        few = source[:: math.ceil(len(source) / START_PICTURES)]
        self.guard.check_contrast(0, contrast(self._run_network(few)))

    @torch.no_grad()
    @exact_kernels()
    def _evaluate(self) -> tuple[dict[str, float], dict[str, float], int]:
        """Mean and standard deviation of every metric over the validation pictures, and their number.

        Raises Diverged if a mean is not finite, the output has gone flat, or the full budget led nowhere.
        """
        pairs = self._validation
        enhanced = self._run_network(pairs.source)
        own = [self.rule.scores(source, output) for source, output in enhanced]
        scores = {name: torch.cat([part[name] for part in own]) for name in own[0]}
        if pairs.target is not None:
            output = torch.cat([output for _, output in enhanced])
            scores |= metrics.evaluate(output, to_images(pairs.target, self.device))
            scores["psnr_gain_db"] = scores["psnr_db"] - pairs.untouched_db.to(self.device)
        means = {name: float(values.mean()) for name, values in scores.items()}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:  # checked before the contrast, which would be NaN too and breaks no rule then
            raise Diverged("nan", self.step, f"not finite on validation: {', '.join(bad)}")
        self.guard.check_contrast(self.step, contrast(enhanced))
        if self.step >= self.config.train.steps and pairs.target is not None:
            self.guard.check_gain(self.step, means["psnr_gain_db"])
        self._evaluation = Evaluation(scores, [output for _, output in enhanced])
        spread = {name: float(values.std()) if len(values) > 1 else 0.0 for name, values in scores.items()}
        return means, spread, len(pairs.source)


def _under(prefix: str, stats: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in stats.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Evaluation:
    """The result of one evaluation, by picture: `scores` (N,) by name, and the outputs (B, 3, H, W) in batches."""

    scores: dict[str, Tensor]
    outputs: list[Tensor]


@dataclass(frozen=True)
class Validation:
    """The validation pictures of a trial, (N, H, W, 3), and the scores of the untouched inputs.

    indices: (N,), their places in the store's validation set. untouched: the mean metrics of the inputs as they are,
    which any network has to beat. untouched_db: the PSNR of each input. Without pairs there is no target and no score.
    """

    indices: npt.NDArray[np.int64]
    source: Pictures
    target: Pictures | None
    untouched: dict[str, float]
    untouched_db: Tensor


def validation(data: PatchStore, limit: int) -> Validation:
    """At most `limit` validation pictures, spread evenly over the set; all of them if there are fewer."""
    return _validation(data.path, data.fingerprint, limit)


@functools.lru_cache(maxsize=4)  # a worker's trials all ask for the same pictures of the same immutable file
def _validation(path: Path, fingerprint: str, limit: int) -> Validation:
    data = PatchStore.open(path)
    count = len(data.val_input)
    chosen = np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int))
    source = data.val_input[chosen]
    if not data.paired:
        return Validation(chosen, source, None, {}, torch.empty(0))
    target = data.val_target[chosen]
    scores = metrics.evaluate(to_images(source), to_images(target))
    means = {name: float(values.mean()) for name, values in scores.items()}
    return Validation(chosen, source, target, means, scores["psnr_db"])
