"""Which parts of a trial depend on its seed: everything, only the initial weights, or only later draws."""

from typing import Any

import pytest
import torch

from enhance.config import VARIANTS, Config, digest, domains, from_flat
from enhance.data import PatchStore
from enhance.data.batches import Stream
from enhance.microrun import MicroRun
from enhance.report import Report
from enhance.training.seeds import Seeds

SMALL = {"net.channels": 4, "net.blocks": 1, "train.batch_size": 4, "train.val_images": 4, "critic.channels": 4}
PIX2PIX = {  # coins, dropout, augmentation, a moving average
    "net.family": "unet", "net.levels": 3, "loss.pixel": 1.0, "loss.adversarial": 1.0, "critic.family": "patch",
    "adversarial.shown": "coin", "augment.contrast": 0.2, "train.ema": 0.9,
}  # fmt: skip
PENALTY = {"loss.adversarial": 1.0, "critic.family": "patch", "adversarial.objective": "wasserstein_gp"}
PHASED = {
    **PENALTY, "train.rule": "phased", "net.family": "curve", "net.base": "resnet", "loss.pixel": 1.0,
    "phases.curve_at": 0.2, "phases.adversarial_at": 0.4, "train.steps": 5,
}  # fmt: skip
CYCLE = {  # two networks, two critics, two pools
    "train.rule": "cycle", "net.family": "cycle_resnet", "loss.cycle": 10.0, "loss.adversarial": 1.0,
    "critic.family": "patch", "adversarial.objective": "least_squares", "cycle.pool_images": 3,
}  # fmt: skip
KINDS = {"pixel": {"loss.pixel": 1.0}, "pix2pix": PIX2PIX, "penalty": PENALTY, "phased": PHASED, "cycle": CYCLE}
VARIES = ("everything", "initialisation", "data")
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def config(kind: str, vary: str) -> Config:
    """SMALL with changes; of SMALL only what the chosen parts have."""
    changes: dict[str, Any] = {**KINDS[kind], "train.vary": vary}
    known = domains({name: value for name, value in changes.items() if name in VARIANTS})
    return from_flat({name: value for name, value in {**SMALL, **changes}.items() if name in known})


def started(data: PatchStore, kind: str, vary: str, seed: int, like: MicroRun | None = None) -> MicroRun:
    """A run before its first step, with the weights of another one if there is one to be like."""
    micro = MicroRun(config(kind, vary), seed, data)
    if like is not None:
        micro.load_state_dict(like.state_dict())
    return micro


def numbers(report: Report) -> tuple[object, ...]:
    """Everything in a report but its times."""
    return report.metrics, report.losses, report.signals, report.loss_total, report.grad_norm


def weights(state: Any) -> list[torch.Tensor]:
    """Every tensor of a state, however deep."""
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for part in parts for tensor in weights(part)]


def same_weights(one: MicroRun, other: MicroRun) -> bool:
    pairs = zip(weights(one.state_dict()), weights(other.state_dict()), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.slow
@every_kind
def test_initialisation_changes_the_first_weights_and_nothing_that_is_drawn_later(demo: PatchStore, kind: str) -> None:
    one, other = (started(demo, kind, "initialisation", seed) for seed in (3, 5))
    assert not same_weights(one, other)
    assert same_weights(other, started(demo, kind, "everything", 5))
    assert numbers(started(demo, kind, "initialisation", 3, like=other).advance(5)) == numbers(other.advance(5))


@every_kind
@pytest.mark.slow
def test_data_changes_what_is_drawn_later_and_no_first_weight(demo: PatchStore, kind: str) -> None:
    one, other = (started(demo, kind, "data", seed) for seed in (3, 5))
    assert same_weights(one, other)
    assert same_weights(one, started(demo, kind, "everything", 0))
    wholly = started(demo, kind, "everything", 5)
    assert numbers(started(demo, kind, "data", 5, like=wholly).advance(5)) == numbers(wholly.advance(5))
    assert numbers(one.advance(5)) != numbers(other.advance(5))


@pytest.mark.slow
@every_kind
def test_a_trial_of_seed_0_is_the_same_whatever_varies(demo: PatchStore, kind: str) -> None:
    first, *others = (numbers(started(demo, kind, vary, 0).advance(3)) for vary in VARIES)
    assert others == [first, first]


@pytest.mark.parametrize(("vary", "equal"), [("everything", False), ("initialisation", True), ("data", False)])
def test_batches_are_bit_equal_only_where_the_initialisation_alone_varies(
    demo: PatchStore, vary: str, equal: bool
) -> None:
    one, other = (started(demo, "pixel", vary, seed).rule.feed for seed in (3, 5))  # type: ignore[attr-defined]
    for stream in (Stream.GENERATOR, Stream.CRITIC):
        for feed in (one, other):
            feed.stage_pairs("any", 7, stream)
        assert all(torch.equal(a, b) == equal for a, b in zip(one.pairs("any"), other.pairs("any"), strict=True))
    for step in range(9):
        for feed in (one, other):
            feed.stage_coins(f"step {step}", step)
    coins, others = (torch.cat([feed.coins(f"step {step}") for step in range(9)]) for feed in (one, other))
    assert torch.equal(coins, others) == equal


def test_what_varies_is_part_of_a_configurations_name() -> None:
    assert len({digest(config("pixel", vary)) for vary in VARIES}) == 3
    assert Config().train.vary == "everything"


def test_seeds_that_are_apart_keep_what_does_not_vary_apart_too() -> None:
    """Two critics must not begin alike where only the data vary."""
    assert Seeds.of(7, "data").apart(100) == Seeds(initialisation=100, data=107)
    assert Seeds.of(7, "initialisation").apart(100) == Seeds(initialisation=107, data=100)
