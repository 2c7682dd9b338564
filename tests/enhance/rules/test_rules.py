"""Training rules: which network is trained when, on what, and with which weights."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from enhance.config import ConfigError
from enhance.data import PatchStore
from enhance.data.batches import Stream, generator_at
from enhance.microrun import MicroRun
from enhance.nets.curve import Curve
from enhance.rules import build_rule
from enhance.rules.cycle import Cycle
from enhance.rules.paired import Adversarial, Supervised
from enhance.rules.phased import Phased
from enhance.rules.pool import Pool
from enhance.training.staging import Staged
from tests.enhance.small_configs import config_of
from tests.enhance.steps import train_step

SMALL = {
    "net.channels": 4, "net.blocks": 1, "train.batch_size": 2, "train.crop_px": 32, "train.steps": 12,
    "critic.family": "patch", "critic.channels": 4, "critic.layers": 2,
}  # fmt: skip
config = partial(config_of, SMALL)


def rule(data: PatchStore, **flat: object) -> object:
    return build_rule(config(**flat), 0, data, torch.device("cpu"))


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(before: list[Tensor], module: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


# --- pairs -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_an_adversarial_weight_there_is_no_critic(demo: PatchStore) -> None:
    assert type(rule(demo, loss__pixel=1.0)) is Supervised


@pytest.mark.parametrize("objective", ["bce", "least_squares", "wasserstein", "wasserstein_gp", "hinge"])
def test_generator_and_critic_learn_in_turns_and_leave_each_other_alone(demo: PatchStore, objective: str) -> None:
    game = rule(demo, loss__pixel=1.0, loss__adversarial=1.0, adversarial__objective=objective)
    assert isinstance(game, Adversarial)
    critic = game.adversary.critic
    seen: list[bool] = []
    original = game.descend

    def watched(*args: object) -> object:
        before = weights(critic)
        stats = original(*args)  # type: ignore[arg-type]
        seen.append(same(before, critic) and all(p.grad is None or not p.requires_grad for p in critic.parameters()))
        return stats

    game.descend = watched  # type: ignore[method-assign,assignment]
    generator, before = weights(game.net), weights(critic)
    stats = train_step(game, 0)
    assert seen == [True]  # the generator's step moved no weight of the critic
    assert not same(generator, game.net)
    assert not same(before, critic)
    generator = weights(game.net)
    game._stage_critic("critic 0")
    game._critic_step("critic 0")
    assert same(generator, game.net)  # and the critic's none of the generator
    assert {"pixel", "adversarial"} == set(stats.terms)
    assert {"critic_loss", "critic_accuracy", "critic_grad_norm"} <= set(stats.signals)
    assert ("critic_penalty" in stats.signals) == (objective == "wasserstein_gp")


@pytest.mark.parametrize("weight", [0.5, 1.0, 5.0])
def test_the_adversarial_weight_is_the_configured_one(demo: PatchStore, weight: float) -> None:
    """The EnhanceGAN re-implementation weighed the term with 1.0, whatever its configuration said."""
    stats = train_step(rule(demo, loss__pixel=3.0, loss__adversarial=weight), 0)  # type: ignore[attr-defined]
    expected = 3.0 * stats.terms["pixel"] + weight * stats.terms["adversarial"]
    torch.testing.assert_close(stats.total, expected)
    assert stats.size >= stats.total.abs() - 1e-6


def test_critic_steps_and_pretraining_are_counted(demo: PatchStore) -> None:
    game = rule(demo, loss__adversarial=1.0, adversarial__critic_steps=3, adversarial__pretrain_steps=4)
    assert isinstance(game, Adversarial)
    for step in range(2):
        train_step(game, step)
    assert game.adversary.updates == 4 + 2 * 3


def test_each_critic_update_sees_a_batch_of_its_own(demo: PatchStore) -> None:
    game = rule(demo, loss__adversarial=1.0, adversarial__critic_steps=2, adversarial__pretrain_steps=1)
    assert isinstance(game, Adversarial)
    seen: list[Tensor] = []
    original = game.adversary.learn
    game.adversary.learn = lambda slot, real, *rest: seen.append(real.clone()) or original(slot, real, *rest)  # type: ignore[method-assign,func-returns-value]
    for step in range(2):
        train_step(game, step)
    assert len(seen) == 5
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_a_conditional_critic_is_shown_the_input(demo: PatchStore) -> None:
    game = rule(demo, loss__adversarial=1.0, critic__conditional=True)
    assert isinstance(game, Adversarial)
    first = next(m for m in game.adversary.critic.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == 6
    train_step(game, 0)
    assert first.weight.grad is not None
    assert first.weight.grad[:, :3].abs().sum() > 0
    assert first.weight.grad[:, 3:].abs().sum() > 0


def test_clipped_weights_stay_clipped(demo: PatchStore) -> None:
    game = rule(demo, loss__adversarial=1.0, adversarial__objective="wasserstein", adversarial__clip=0.005)
    assert isinstance(game, Adversarial)
    train_step(game, 0)
    assert all(p.abs().max() <= 0.005 for p in game.adversary.critic.parameters())


# --- phases ------------------------------------------------------------------------------------------------------

PHASES = {
    "train__rule": "phased", "net__family": "curve", "net__base": "resnet", "loss__pixel": 100.0, "loss__content": 10.0,
    "loss__content_layer": "relu1_2", "loss__adversarial": 5.0, "phases__curve_at": 1 / 3,
    "phases__adversarial_at": 2 / 3, "phases__content_factor": 10.0, "phases__lr_factor": 0.5,
}  # fmt: skip


def test_each_phase_goes_on_from_the_weights_of_the_one_before(demo: PatchStore) -> None:
    phased = rule(demo, **PHASES)
    assert isinstance(phased, Phased)
    assert isinstance(phased.net, Curve)
    assert isinstance(phased.rule, Adversarial)
    head, critic = weights(phased.net.block), weights(phased.rule.adversary.critic)
    stats = [train_step(phased, step) for step in range(4)]
    assert same(head, phased.net.block)  # phase 1: the base alone
    assert same(critic, phased.rule.adversary.critic)
    base = weights(phased.net.base)
    assert not phased.net.enabled
    stats += [train_step(phased, 4)]
    assert phased.net.enabled
    moved = max(float((a - b).abs().max()) for a, b in zip(base, weights(phased.net.base), strict=True))
    assert 0 < moved < 0.01  # phase 2 begins where phase 1 ended, one step further
    assert not same(head, phased.net.block)
    stats += [train_step(phased, step) for step in range(5, 12)]
    assert not same(critic, phased.rule.adversary.critic)  # phase 3
    assert ["adversarial" in step.terms for step in stats] == [False] * 8 + [True] * 4
    assert ["critic_loss" in step.signals for step in stats] == [False] * 8 + [True] * 4
    assert ["control_point" in step.signals for step in stats] == [False] * 4 + [True] * 8


def test_phases_weigh_as_configured(demo: PatchStore) -> None:
    phased = rule(demo, **PHASES)
    assert isinstance(phased, Phased)
    for step in range(12):
        stats = train_step(phased, step)
        content = 100.0 if step < 8 else 10.0
        expected = 100.0 * stats.terms["pixel"] + content * stats.terms["content"]
        if step >= 8:
            expected = expected + 5.0 * stats.terms["adversarial"]
        torch.testing.assert_close(stats.total, expected, rtol=1e-4, atol=1e-4)


def test_the_optimizer_starts_afresh_with_each_phase_and_lower(demo: PatchStore) -> None:
    phased = rule(demo, **PHASES, optimizer__lr=1e-3)
    assert isinstance(phased, Phased)
    rates = []
    for step in range(12):
        train_step(phased, step)
        rates.append(phased.optimizer.learning_rate)
    assert rates == pytest.approx([1e-3] * 4 + [5e-4] * 4 + [2.5e-4] * 4)


def test_a_phase_at_1_never_comes(demo: PatchStore) -> None:
    phased = rule(demo, **{**PHASES, "phases__curve_at": 1.0, "phases__adversarial_at": 1.0})
    assert isinstance(phased, Phased)
    assert type(phased.rule) is Supervised
    head = weights(phased.net.block)
    stats = [train_step(phased, step) for step in range(12)]
    assert same(head, phased.net.block)
    assert {name for step in stats for name in (*step.terms, *step.signals)} == {"pixel", "content"}


def test_with_both_at_0_everything_is_trained_at_once(demo: PatchStore) -> None:
    at_once = {name: value for name, value in PHASES.items() if not name.startswith("phases")}
    phased, paired = rule(demo, **at_once), rule(demo, **{**at_once, "train__rule": "paired"})
    assert isinstance(phased, Phased)
    for step in range(3):
        assert train_step(phased, step).total == train_step(paired, step).total
    assert same(weights(paired.net), phased.net)  # type: ignore[attr-defined]


# --- evaluations in between --------------------------------------------------------------------------------------

GAME = {"loss__pixel": 100.0, "loss__adversarial": 5.0, "adversarial__pretrain_steps": 3, "train__val_images": 2}
NOT_THE_SAME_IN_EVALUATION = {
    "batch norm": {"net__norm": "batch"},
    "dropout": {"net__family": "unet", "net__levels": 3, "net__norm": "none"},
    "a curve's base": {"net__family": "curve", "net__base": "resnet", "net__norm": "batch"},
}
every_such_net = pytest.mark.parametrize("net", NOT_THE_SAME_IN_EVALUATION.values(), ids=NOT_THE_SAME_IN_EVALUATION)


def assert_they_go_on_alike(one: MicroRun, other: MicroRun, steps: int) -> None:
    """What they report of the next steps, and all weights and moments after these, are the same bits."""
    reports = [micro.advance(steps) for micro in (one, other)]
    assert all("critic_loss" in report.signals for report in reports)
    for name in ("losses", "signals", "loss_total", "grad_norm", "metrics"):
        assert getattr(reports[0], name) == getattr(reports[1], name), name
    torch.testing.assert_close(one.rule.state_dict(), other.rule.state_dict(), rtol=0, atol=0)


@pytest.mark.slow
@every_such_net
def test_a_report_before_the_critics_first_step_leaves_its_pretraining_alone(
    demo: PatchStore, net: dict[str, object]
) -> None:
    phased = config(**GAME, **net, train__rule="phased", phases__adversarial_at=2 / 3)
    straight, reporting = MicroRun(phased, 0, demo), MicroRun(phased, 0, demo)
    straight.advance(9)
    for steps in (8, 1):  # the critic's first step is number 8
        reporting.advance(steps)
    assert_they_go_on_alike(straight, reporting, 2)


@every_such_net
def test_an_evaluation_before_the_first_step_leaves_the_critics_pretraining_alone(
    demo: PatchStore, net: dict[str, object]
) -> None:
    paired = config(**GAME, **net, guard__collapse=0)  # which would look at the start of both
    straight, evaluated = MicroRun(paired, 0, demo), MicroRun(paired, 0, demo)
    evaluated.enhance(demo.val_input[[0]])
    assert_they_go_on_alike(straight, evaluated, 2)


# --- cycles ------------------------------------------------------------------------------------------------------

CYCLE = {
    "train__rule": "cycle", "net__family": "cycle_resnet", "loss__cycle": 10.0, "loss__identity": 5.0,
    "loss__adversarial": 1.0, "adversarial__objective": "least_squares", "loss__tv": 1.0,
}  # fmt: skip


def test_both_generators_and_both_critics_learn(demo: PatchStore) -> None:
    cycle = rule(demo, **CYCLE)
    assert isinstance(cycle, Cycle)
    parts = [*cycle.nets.values(), *(judge.critic for judge in cycle.judges.values())]
    before = [weights(part) for part in parts]
    stats = train_step(cycle, 0)
    assert not any(same(was, part) for was, part in zip(before, parts, strict=True))
    assert set(stats.terms) == {"tv", "adversarial", "cycle", "identity"}
    assert {"critic_loss", "critic_back_loss"} <= set(stats.signals)
    weighed = {"tv": 1.0, "adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
    torch.testing.assert_close(stats.total, sum(w * stats.terms[n] for n, w in weighed.items()))


def test_the_two_generators_and_critics_begin_differently(demo: PatchStore) -> None:
    cycle = rule(demo, **CYCLE)
    assert isinstance(cycle, Cycle)
    assert not same(weights(cycle.net), cycle.back)
    assert not same(weights(cycle.judges["critic"].critic), cycle.judges["critic_back"].critic)


def sides_of(cycle: Cycle, step: int) -> tuple[Tensor, Tensor]:
    cycle.feed.stage_sides("turn 0", step)
    return cycle.feed.sides("turn 0")


def test_no_input_ever_meets_its_own_target(demo: PatchStore) -> None:
    """What makes PSNR against the truth a fair judgement of an unpaired network."""
    cycle = rule(demo, **CYCLE, train__crop_px=100, augment__flips=False)
    assert isinstance(cycle, Cycle)
    inputs, targets = set(), set()
    index = {bytes(p.tobytes()): i for i, p in enumerate(demo.train_input)}
    other = {bytes(p.tobytes()): i for i, p in enumerate(demo.train_target)}
    for step in range(60):
        phone, good = (
            (side.permute(0, 2, 3, 1) * 255).round().byte().contiguous().numpy() for side in sides_of(cycle, step)
        )
        inputs |= {index[p.tobytes()] for p in phone}
        targets |= {other[p.tobytes()] for p in good}
    assert len(inputs) > 20
    assert inputs.isdisjoint(targets)


def test_a_perfect_way_back_scores_the_ceiling(demo: PatchStore) -> None:
    cycle = rule(demo, **CYCLE)
    assert isinstance(cycle, Cycle)
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    cycle.back.forward = lambda x: x  # type: ignore[method-assign,assignment]
    assert cycle.scores(picture, picture)["cycle_psnr_db"].tolist() == pytest.approx([58.92] * 2, abs=0.01)
    assert cycle.scores(picture, picture * 0.9)["cycle_psnr_db"].max() < 30


def test_data_without_pairs_are_refused_by_rules_on_pairs(demo: PatchStore) -> None:
    class Unpaired:
        paired, spec, train_input = False, "unpaired:somewhere", demo.train_input

    with pytest.raises(ConfigError, match=r"train.rule=paired needs pairs, but unpaired:somewhere has none"):
        build_rule(config(loss__pixel=1.0), 0, Unpaired(), torch.device("cpu"))  # type: ignore[arg-type]


# --- the pool ----------------------------------------------------------------------------------------------------


def pictures(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def new_pool(size: int, seed: int = 0) -> Pool:
    return Pool(size, seed, Staged(torch.device("cpu")))


def exchanged(pool: Pool, made: Tensor, batch: int) -> Tensor:
    # A slot for each size of batch: a step's batches keep their shape.
    slot = f"of {len(made)}"
    pool.stage(slot, batch, len(made))
    return pool.exchange(slot, made)


def test_a_pool_shows_the_present_until_it_is_full_and_then_the_past_half_of_the_time() -> None:
    pool = new_pool(4)
    assert torch.equal(exchanged(pool, pictures(0, 1, 2, 3), 0), pictures(0, 1, 2, 3))
    shown = torch.cat([exchanged(pool, pictures(10 + batch), batch) for batch in range(1, 400)])[:, 0, 0, 0].tolist()
    past = [value != 10 + batch for batch, value in enumerate(shown, 1)]
    assert 0.4 < sum(past) / len(past) < 0.6
    assert pool.held == 4
    swapped = [value for value, was in zip(shown, past, strict=True) if was]
    assert len(set(swapped)) == len(swapped)  # what has been shown from the pool has left it


def test_a_pool_does_what_a_list_of_pictures_would() -> None:
    """Also where a batch is larger than the pool, so that its own pictures push each other out."""
    pool, held = new_pool(3, seed=2), []
    for batch in range(200):
        made = [5 * batch + place for place in range(5)]
        random = generator_at(2, batch, stream=Stream.POOL)
        swapped, places = random.random(5) < 0.5, random.integers(3, size=5)
        expected = []
        for value, swap, place in zip(made, swapped, places, strict=True):
            if len(held) < 3:
                held.append(value)
                expected.append(value)
            elif swap:
                expected.append(held[place])
                held[place] = value
            else:
                expected.append(value)
        assert exchanged(pool, pictures(*made), batch)[:, 0, 0, 0].tolist() == expected


def test_an_empty_pool_shows_the_present() -> None:
    assert torch.equal(exchanged(new_pool(0), pictures(7, 8), 0), pictures(7, 8))


def test_a_pool_goes_on_where_it_was(tmp_path: Path) -> None:
    pool = new_pool(3, seed=1)
    for batch in range(5):
        exchanged(pool, pictures(batch, batch + 100), batch)
    torch.save(pool.state_dict(), tmp_path / "pool.pt")
    again = new_pool(3, seed=1)
    again.load_state_dict(torch.load(tmp_path / "pool.pt", weights_only=True))
    assert all(
        torch.equal(exchanged(pool, pictures(batch), batch), exchanged(again, pictures(batch), batch))
        for batch in range(5, 30)
    )
