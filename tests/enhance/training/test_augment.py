"""Brightness, contrast and saturation against torchvision, and what they must not do to a pair."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as TF

from enhance.config.training import AugmentConfig
from enhance.data.batches import Stream, generator_at
from enhance.training import augment as module
from enhance.training.augment import augment as augmented
from enhance.training.augment import color_factors, gray_shares

torch.set_num_threads(1)
ALL = AugmentConfig(brightness=0.4, contrast=0.5, saturation=0.9)
STRENGTHS = ("brightness", "contrast", "saturation")


def pictures(seed: int, count: int = 6) -> Tensor:
    return torch.rand(count, 3, 5, 7, generator=torch.Generator().manual_seed(seed))


def augment(source: Tensor, target: Tensor, config: AugmentConfig, seed: int, step: int) -> tuple[Tensor, Tensor]:
    drawn = color_factors(config, seed, step, len(source))
    if drawn is None:
        return source, target
    return augmented(source, target, config, torch.from_numpy(drawn), gray_shares(source.device))


def factors(config: AugmentConfig, seed: int, step: int, count: int = 6) -> np.ndarray:
    """(3, count): what is drawn for brightness, contrast and saturation."""
    uniform = generator_at(seed, step, stream=Stream.COLOR).uniform(-1, 1, (3, count))
    return 1 + np.array([[getattr(config, name)] for name in STRENGTHS]) * uniform


@pytest.mark.parametrize(
    "config", [ALL, *(AugmentConfig(**{name: 0.8}) for name in STRENGTHS)], ids=["all", *STRENGTHS]
)
def test_every_sample_is_what_torchvision_makes_of_it(config: AugmentConfig) -> None:
    source = pictures(0)
    ours, _ = augment(source, pictures(1), config, 3, 11)
    drawn = factors(config, 3, 11)
    for index, picture in enumerate(source):
        expected = TF.adjust_brightness(picture, drawn[0, index])
        expected = TF.adjust_contrast(expected, drawn[1, index])
        expected = TF.adjust_saturation(expected, drawn[2, index])
        torch.testing.assert_close(ours[index], expected, rtol=0, atol=2e-6)
    assert not torch.allclose(ours, source, atol=1e-2)


@pytest.mark.parametrize("name", ["brightness", "saturation"])
def test_the_target_is_treated_as_the_input(name: str) -> None:
    config = AugmentConfig(**{name: 0.7})
    target = pictures(1)
    _, augmented = augment(pictures(0), target, config, 0, 0)
    alone, _ = augment(target, target, config, 0, 0)
    assert torch.equal(augmented, alone)


def test_where_input_and_target_agree_they_agree_afterwards() -> None:
    source = pictures(0)
    agree = torch.rand(6, 1, 5, 7, generator=torch.Generator().manual_seed(9)) < 0.5
    target = torch.where(agree, source, pictures(1))
    ours, theirs = augment(source, target, ALL, 0, 4)
    assert torch.equal(torch.where(agree, ours, 0), torch.where(agree, theirs, 0))


def test_contrast_stretches_the_difference_of_a_pair_as_everything_else() -> None:
    source = 0.4 + 0.1 * pictures(0)
    config = AugmentConfig(contrast=0.5)
    ours, theirs = augment(source, source + 0.1, config, 0, 0)
    gaps = (theirs - ours).mean((1, 2, 3))
    torch.testing.assert_close(gaps, torch.from_numpy(0.1 * factors(config, 0, 0)[1]).float())


def test_values_stay_in_range_and_in_their_memory_format_and_type() -> None:
    images = pictures(0).contiguous(memory_format=torch.channels_last)
    kept = images.clone()
    for result in augment(images, 1 - images, AugmentConfig(brightness=0.9, contrast=0.9, saturation=0.9), 1, 1):
        assert result.dtype == images.dtype
        assert result.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= float(result.min()) <= float(result.max()) <= 1
    assert torch.equal(images, kept)


def test_without_strengths_nothing_is_drawn_and_the_tensors_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "generator_at")
    source, target = pictures(0), pictures(1)
    ours, theirs = augment(source, target, AugmentConfig(), 0, 0)
    assert ours is source
    assert theirs is target


def test_draws_are_a_function_of_seed_and_step_and_leave_the_global_generator() -> None:
    source, target = pictures(0), pictures(1)
    kept = torch.get_rng_state()
    results = {key: augment(source, target, ALL, *key)[0] for key in ((0, 0), (0, 1), (1, 0))}
    assert torch.equal(augment(source, target, ALL, 0, 1)[0], results[0, 1])
    assert not torch.equal(results[0, 0], results[0, 1])
    assert not torch.equal(results[0, 0], results[1, 0])
    assert torch.equal(kept, torch.get_rng_state())


@pytest.mark.parametrize("name", STRENGTHS)
def test_no_strength_is_ignored(name: str) -> None:
    images = pictures(0)
    changed = dataclasses.replace(ALL, **{name: 0.2})
    assert not torch.allclose(augment(images, images, ALL, 0, 0)[0], augment(images, images, changed, 0, 0)[0])


def test_samples_of_one_batch_differ() -> None:
    images = pictures(0, count=1).expand(6, -1, -1, -1)
    ours, _ = augment(images, images, AugmentConfig(brightness=0.5), 0, 0)
    assert len({float(picture.sum()) for picture in ours}) == 6
