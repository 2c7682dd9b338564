"""Micro-runs: they learn, they are deterministic, and they say when they have diverged."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from enhance.config import Config, from_flat
from enhance.data import PairStore, open_data
from enhance.guard import Diverged
from enhance.microrun import MicroRun, images_from_uint8, validation
from enhance.report import Report

SMALL = {"net.channels": 4, "net.blocks": 1, "train.batch_size": 4, "train.crop_px": 32, "train.val_images": 8}
ADVERSARIAL = {"loss.color": 10.0, "loss.texture": 0.1, "loss.tv": 1.0}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PairStore:
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))


def config(**flat: object) -> Config:
    return from_flat({**SMALL, **{name.replace("__", "."): value for name, value in flat.items()}})  # type: ignore[dict-item]


def numbers(report: Report) -> tuple[object, ...]:
    """Everything in a report but its times."""
    return (report.step, report.metrics, report.spread, report.losses, report.loss_total, report.grad_norm)


def run(config: Config, data: PairStore, *stretches: int, seed: int = 0) -> list[tuple[object, ...]]:
    micro = MicroRun(config, seed, data)
    return [numbers(micro.advance(steps)) for steps in stretches]


KINDS = [
    {"loss__pixel": 1.0},
    {**{k.replace(".", "__"): v for k, v in ADVERSARIAL.items()}, "net__norm": "batch"},
    {"loss__content": 1.0, "loss__content_layer": "relu1_2", "train__dtype": "bf16", "net__activation": "prelu"},
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_trial_gives_the_same_bits(demo: PairStore, kind: dict[str, object]) -> None:
    assert run(config(**kind), demo, 3, 4) == run(config(**kind), demo, 3, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_after_another_in_the_same_process_is_as_if_fresh(demo: PairStore, kind: dict[str, object]) -> None:
    fresh = run(config(**kind), demo, 5)
    for other in KINDS:
        torch.manual_seed(99)  # and whatever else a trial may do to global generators
        np.random.seed(99)  # noqa: NPY002
        run(config(**other), demo, 2, seed=7)
    assert run(config(**kind), demo, 5) == fresh


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_trial_goes_on_bit_for_bit(demo: PairStore, kind: dict[str, object], tmp_path: Path) -> None:
    micro = MicroRun(config(**kind, guard__window_steps=4), 0, demo)
    micro.advance(3)
    torch.save(micro.state_dict(), tmp_path / "state.pt")
    straight = numbers(micro.advance(6))
    resumed = MicroRun(config(**kind, guard__window_steps=4), 0, demo)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert numbers(resumed.advance(6)) == straight
    assert resumed.guard.first_size == micro.guard.first_size


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_trial_reports_does_not_change_its_training(demo: PairStore, kind: dict[str, object]) -> None:
    whole, parts = MicroRun(config(**kind), 0, demo), MicroRun(config(**kind), 0, demo)
    whole.advance(6)
    for steps in (1, 2, 3):
        parts.advance(steps)
    pairs = itertools.zip_longest(whole.net.state_dict().values(), parts.net.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_seeds_differ_in_weights_and_in_batches(demo: PairStore) -> None:
    assert run(config(loss__pixel=1.0), demo, 2, seed=0) != run(config(loss__pixel=1.0), demo, 2, seed=1)


def test_a_pixel_loss_brings_the_output_closer_to_the_target(demo: PairStore) -> None:
    learner = config(loss__pixel=1.0, net__channels=8, net__init="he", net__norm="none", optimizer__lr=2e-3)
    micro = MicroRun(learner, 0, demo)
    early = micro.advance(20)
    micro.advance(160)
    late = micro.advance(20)
    assert late.metrics["psnr_db"] > early.metrics["psnr_db"] + 2
    assert late.losses["pixel"] < 0.8 * early.losses["pixel"]


def test_reports_hold_means_over_the_stretch_and_over_the_images(demo: PairStore) -> None:
    """Two stretches' means add up to the whole's; the metrics are those of the enhanced pictures."""
    parts = MicroRun(config(loss__pixel=1.0, loss__tv=2.0), 0, demo)
    first, second = parts.advance(2), parts.advance(4)
    whole = MicroRun(config(loss__pixel=1.0, loss__tv=2.0), 0, demo).advance(6)
    for name in ("pixel", "tv"):
        assert whole.losses[name] == pytest.approx((2 * first.losses[name] + 4 * second.losses[name]) / 6)
    assert whole.loss_total == pytest.approx(whole.losses["pixel"] + 2 * whole.losses["tv"])
    pairs = validation(demo, 8)
    with torch.no_grad():
        output = parts.net(images_from_uint8(pairs.source))
    target = images_from_uint8(pairs.target)
    by_hand = -10 * torch.log10((output.clamp(0, 1) - target).square().mean(dim=(1, 2, 3)))
    assert whole.metrics["psnr_db"] == pytest.approx(float(by_hand.mean()), abs=1e-4)
    assert whole.spread["psnr_db"] == pytest.approx(float(by_hand.std()), abs=1e-4)
    gain = whole.metrics["psnr_db"] - whole.untouched["psnr_db"]
    assert whole.metrics["psnr_gain_db"] == pytest.approx(gain, abs=1e-9)
    assert whole.images == len(pairs.source) == 8


def test_the_critic_learns_and_is_not_moved_by_the_generator_step(demo: PairStore) -> None:
    micro = MicroRun(config(loss__color=10.0, loss__texture=0.1), 0, demo)
    assert micro.critic is not None
    before = [p.clone() for p in micro.critic.parameters()]
    micro.advance(1)
    assert all(p.grad is not None for p in micro.critic.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, micro.critic.parameters(), strict=True))


def test_without_texture_there_is_no_critic(demo: PairStore) -> None:
    assert MicroRun(config(loss__pixel=1.0), 0, demo).critic is None


def test_a_learning_rate_out_of_all_reason_diverges_and_says_so(demo: PairStore) -> None:
    wild = config(loss__pixel=1.0, loss__pixel_norm="mse", loss__tv=1.0, optimizer__lr=1e30, guard__window_steps=2)
    with pytest.raises(Diverged, match="nan by step"):
        MicroRun(wild, 0, demo).advance(40)


def test_not_a_number_in_the_weights_is_found_at_the_next_window(demo: PairStore) -> None:
    micro = MicroRun(config(loss__pixel=1.0, guard__window_steps=5), 0, demo)
    micro.advance(5)
    with torch.no_grad():
        next(micro.net.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged) as said:
        micro.advance(50)
    assert (said.value.kind, said.value.step) == ("nan", 10)


def test_a_crop_larger_than_the_patches_is_refused(demo: PairStore) -> None:
    with pytest.raises(ValueError, match="128"):
        MicroRun(config(loss__pixel=1.0, train__crop_px=128), 0, demo).advance(1)


def test_a_smaller_validation_set_is_used_whole(demo: PairStore) -> None:
    assert len(validation(demo, 10_000).source) == len(demo.val_input)
    assert len(validation(demo, 7).source) == 7
