"""Micro-runs: they learn, they are deterministic, and they say when they have diverged."""

import dataclasses
import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from enhance.config import Config, ConfigError
from enhance.data import PatchStore
from enhance.microrun import MicroRun, validation
from enhance.report import Report
from enhance.training.feed import to_images
from enhance.training.guard import Diverged
from tests.enhance.small_configs import config_of

SMALL = {"net.channels": 4, "net.blocks": 1, "train.batch_size": 4, "train.crop_px": 32, "train.val_images": 8}
config = partial(config_of, SMALL)


def numbers(report: Report) -> tuple[object, ...]:
    """Everything in a report but its times."""
    return (
        report.step, report.metrics, report.spread, report.losses, report.signals, report.loss_total,
        report.grad_norm, report.learning_rate,
    )  # fmt: skip


def run(config: Config, data: PatchStore, *stretches: int, seed: int = 0) -> list[tuple[object, ...]]:
    micro = MicroRun(config, seed, data)
    return [numbers(micro.advance(steps)) for steps in stretches]


DPED = {
    "loss__color": 10.0, "loss__adversarial": 0.1, "loss__tv": 1.0, "adversarial__form": "saturating",
    "adversarial__shown": "coin", "net__norm": "batch",
}  # fmt: skip
PIX2PIX = {
    "net__family": "unet", "net__levels": 3, "net__channels": 4, "loss__pixel": 100.0, "loss__adversarial": 1.0,
    "critic__family": "patch", "critic__conditional": True, "critic__channels": 4, "critic__norm": "batch",
    "train__ema": 0.9, "optimizer__schedule": "cosine", "optimizer__warmup_share": 0.2, "augment__contrast": 0.2,
}  # fmt: skip
PHASED = {
    "train__rule": "phased", "train__steps": 9, "net__family": "curve", "net__base": "resnet", "loss__pixel": 100.0,
    "loss__adversarial": 5.0, "phases__curve_at": 0.34, "phases__adversarial_at": 0.67, "phases__lr_factor": 0.5,
    "critic__family": "patch", "critic__channels": 4, "adversarial__objective": "wasserstein_gp",
    "adversarial__critic_steps": 2, "adversarial__pretrain_steps": 2, "critic_optimizer__name": "rmsprop",
}  # fmt: skip
CYCLE = {
    "train__rule": "cycle", "net__family": "cycle_resnet", "loss__cycle": 10.0, "loss__identity": 5.0,
    "loss__adversarial": 1.0, "critic__family": "patch", "critic__channels": 4, "cycle__pool_images": 3,
    "adversarial__objective": "least_squares", "train__batch_size": 2, "optimizer__name": "muon",
    "adversarial__critic_steps": 2,
}  # fmt: skip
CONTENT = {
    "loss__content": 1.0, "loss__content_layer": "relu1_2", "train__dtype": "bf16", "net__activation": "prelu",
    "optimizer__name": "adamw", "optimizer__clip_norm": 0.1, "loss__style": 1.0, "loss__style_layer": "relu1_2",
}  # fmt: skip
KINDS = [{"loss__pixel": 1.0}, DPED, CONTENT, PIX2PIX, PHASED, CYCLE]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=["pixel", "dped", "content", "pix2pix", "phased", "cycle"])


@every_kind
@pytest.mark.slow
def test_the_same_trial_gives_the_same_bits(demo: PatchStore, kind: dict[str, object]) -> None:
    assert run(config(**kind), demo, 3, 4) == run(config(**kind), demo, 3, 4)


@every_kind
@pytest.mark.slow
def test_a_trial_after_another_in_the_same_process_is_as_if_fresh(demo: PatchStore, kind: dict[str, object]) -> None:
    fresh = run(config(**kind), demo, 5)
    for other in KINDS:
        torch.manual_seed(99)  # and whatever else a trial may do to global generators
        np.random.seed(99)  # noqa: NPY002
        run(config(**other), demo, 2, seed=7)
    assert run(config(**kind), demo, 5) == fresh


@every_kind
@pytest.mark.slow
def test_a_resumed_trial_goes_on_bit_for_bit(demo: PatchStore, kind: dict[str, object], tmp_path: Path) -> None:
    micro = MicroRun(config(**kind, guard__window_steps=4), 0, demo)
    micro.advance(3)
    torch.save(micro.state_dict(), tmp_path / "state.pt")
    straight = numbers(micro.advance(6))
    resumed = MicroRun(config(**kind, guard__window_steps=4), 0, demo)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert numbers(resumed.advance(6)) == straight
    assert resumed.guard == micro.guard


@every_kind
@pytest.mark.slow
def test_where_a_trial_reports_does_not_change_its_training(demo: PatchStore, kind: dict[str, object]) -> None:
    whole, parts = MicroRun(config(**kind), 0, demo), MicroRun(config(**kind), 0, demo)
    whole.advance(6)
    for steps in (1, 2, 3):
        parts.advance(steps)
    pairs = itertools.zip_longest(whole.rule.net.state_dict().values(), parts.rule.net.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.slow
def test_seeds_differ_in_weights_and_in_batches(demo: PatchStore) -> None:
    assert run(config(loss__pixel=1.0), demo, 2, seed=0) != run(config(loss__pixel=1.0), demo, 2, seed=1)


@pytest.mark.slow
def test_a_pixel_loss_brings_the_output_closer_to_the_target(demo: PatchStore) -> None:
    learner = config(loss__pixel=1.0, net__channels=8, net__init="he", net__norm="none", optimizer__lr=2e-3)
    micro = MicroRun(learner, 0, demo)
    early = micro.advance(20)
    micro.advance(160)
    late = micro.advance(20)
    assert late.metrics["psnr_db"] > early.metrics["psnr_db"] + 2
    assert late.losses["pixel"] < 0.8 * early.losses["pixel"]


@pytest.mark.slow
def test_reports_hold_means_over_the_stretch_and_over_the_images(demo: PatchStore) -> None:
    """Two stretches' means add up to the whole's; the metrics are those of the enhanced pictures."""
    parts = MicroRun(config(loss__pixel=1.0, loss__tv=2.0), 0, demo)
    first, second = parts.advance(2), parts.advance(4)
    whole = MicroRun(config(loss__pixel=1.0, loss__tv=2.0), 0, demo).advance(6)
    for name in ("pixel", "tv"):
        assert whole.losses[name] == pytest.approx((2 * first.losses[name] + 4 * second.losses[name]) / 6)
    assert whole.loss_total == pytest.approx(whole.losses["pixel"] + 2 * whole.losses["tv"])
    pairs = validation(demo, 8)
    with torch.no_grad():
        output = parts.rule.net(to_images(pairs.source))
    target = to_images(pairs.target)
    by_hand = -10 * torch.log10((output.clamp(0, 1) - target).square().mean(dim=(1, 2, 3)))
    assert whole.metrics["psnr_db"] == pytest.approx(float(by_hand.mean()), abs=1e-4)
    assert whole.spread["psnr_db"] == pytest.approx(float(by_hand.std()), abs=1e-4)
    gain = whole.metrics["psnr_db"] - whole.untouched["psnr_db"]
    assert whole.metrics["psnr_gain_db"] == pytest.approx(gain, abs=1e-9)
    assert whole.images == len(pairs.source) == 8


def test_parts_that_do_not_go_together_are_refused_before_anything_is_built(demo: PatchStore) -> None:
    with pytest.raises(ConfigError, match="at least one must be above 0"):
        MicroRun(config(), 0, demo)


@pytest.mark.slow
def test_what_is_evaluated_is_the_moving_average_where_one_is_kept(demo: PatchStore) -> None:
    plain, averaged = (MicroRun(config(loss__pixel=1.0, train__ema=ema), 0, demo) for ema in (0.0, 0.99))
    one, other = plain.advance(10), averaged.advance(10)
    assert one.losses == other.losses  # training is the same
    assert one.metrics != other.metrics
    trained = dict(averaged.rule.net.named_parameters())
    moved = [not torch.equal(p, trained[name]) for name, p in averaged.evaluated.named_parameters()]
    assert all(moved)


def test_a_learning_rate_out_of_all_reason_diverges_and_says_so(demo: PatchStore) -> None:
    wild = config(loss__pixel=1.0, loss__pixel_norm="mse", loss__tv=1.0, optimizer__lr=1e30, guard__window_steps=2)
    with pytest.raises(Diverged, match="nan by step"):
        MicroRun(wild, 0, demo).advance(40)


def test_not_a_number_in_the_weights_is_found_at_the_next_window(demo: PatchStore) -> None:
    micro = MicroRun(config(loss__pixel=1.0, guard__window_steps=5), 0, demo)
    micro.advance(5)
    with torch.no_grad():
        next(micro.rule.net.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged) as said:
        micro.advance(50)
    assert (said.value.kind, said.value.step) == ("nan", 10)


HE = {"loss__pixel": 1.0, "net__init": "he", "net__norm": "none", "net__channels": 8}


def flatten_output(micro: MicroRun) -> None:
    """Zero the last layer, and keep it so: the output is one color."""
    last = micro.rule.net.tail[-1]  # type: ignore[attr-defined,index]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.zero_()
    last.requires_grad_(False)


def test_an_output_that_goes_flat_is_found_at_the_next_report(demo: PatchStore) -> None:
    micro = MicroRun(config(**HE), 0, demo)
    micro.advance(3)
    flatten_output(micro)
    with pytest.raises(Diverged, match=r"collapse by step 5: .* below 0.05; it has had 0\.") as said:
        micro.advance(2)
    assert said.value.kind == "collapse"


def test_a_collapse_before_the_first_report_is_one_too(demo: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    micro = MicroRun(config(**HE), 0, demo)
    compute = micro.rule.compute
    monkeypatch.setattr(micro.rule, "compute", lambda: (compute(), flatten_output(micro))[0])
    with pytest.raises(Diverged, match="collapse by step 2"):
        micro.advance(2)


def test_a_resumed_trial_remembers_that_its_output_was_not_flat(demo: PatchStore) -> None:
    micro, resumed = MicroRun(config(**HE), 0, demo), MicroRun(config(**HE), 0, demo)
    micro.advance(3)
    resumed.load_state_dict(micro.state_dict())
    flatten_output(resumed)
    with pytest.raises(Diverged, match="collapse by step 5"):
        resumed.advance(2)


def test_a_network_that_starts_flat_and_stays_so_has_not_collapsed(demo: PatchStore) -> None:
    """DPED's initialisation gives nearly a constant."""
    micro = MicroRun(config(loss__pixel=1.0, net__init="dped", optimizer__lr=1e-6), 0, demo)
    for _ in range(2):
        micro.advance(2)
    assert 0 < micro.guard.top_contrast < 0.05


@pytest.mark.slow
def test_the_start_is_not_looked_at_where_collapse_is_off(demo: PatchStore) -> None:
    kept, off = (MicroRun(config(**HE, guard__collapse=collapse), 0, demo) for collapse in (0.05, 0))
    assert numbers(kept.advance(4)) == numbers(off.advance(4))  # looking changes nothing
    flatten_output(off)
    off.advance(1)


def test_stagnation_is_judged_after_the_full_budget_and_no_earlier(demo: PatchStore) -> None:
    """After so few steps any network from noise is worse than no network."""
    micro = MicroRun(config(**HE, guard__stagnation=0.1, train__steps=3), 0, demo)
    assert micro.advance(2).metrics["psnr_gain_db"] < -0.1
    with pytest.raises(Diverged, match=r"stagnation by step 3: .* dB below the untouched input's, more than 0.1"):
        micro.advance(1)


def test_a_network_that_gains_has_not_stagnated(demo: PatchStore) -> None:
    """This family starts as the identity."""
    values = {"net__family": "shuffle", "net__channels": 4, "loss__pixel": 1.0, "optimizer__lr": 1e-6}
    micro = MicroRun(config(**values, guard__stagnation=0.1, train__steps=2), 0, demo)
    assert abs(micro.advance(2).metrics["psnr_gain_db"]) < 0.1


def test_stagnation_needs_pairs(demo: PatchStore) -> None:
    alone = dataclasses.replace(demo, paired=False)
    with pytest.raises(ConfigError, match=r"guard.stagnation=3 needs pairs, and demo holds none"):
        MicroRun(config(**CYCLE, guard__stagnation=3.0), 0, alone)


def test_every_step_and_every_batch_of_an_evaluation_is_a_sign_of_life(demo: PatchStore) -> None:
    micro = MicroRun(config(**HE, guard__collapse=0), 0, demo)
    micro.advance(1)
    stretch = micro.beats
    micro.advance(3)
    assert micro.beats == 2 * stretch + 2


def test_a_crop_larger_than_the_patches_is_refused(demo: PatchStore) -> None:
    with pytest.raises(ValueError, match=r"train.crop_px=128 is larger than the pictures of demo \(100 px"):
        MicroRun(config(loss__pixel=1.0, train__crop_px=128), 0, demo)


@pytest.mark.slow
def test_a_smaller_validation_set_is_used_whole(demo: PatchStore) -> None:
    assert len(validation(demo, 10_000).source) == len(demo.val_input)
    assert len(validation(demo, 7).source) == 7
