"""Augmentation: each effect does what it says, to some sequences, and follows from its generator alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vad.model import augment


@pytest.fixture(scope="module")
def luma() -> Tensor:
    """(32, 4, 48, 64): sequences of one still, smooth picture."""
    picture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (48, 64)).astype(np.float32), (0, 0), 2.0)
    picture = (picture - picture.mean()) * 5.0 + 128.0
    return torch.from_numpy(picture).clamp(20.0, 235.0).expand(32, 4, 48, 64).contiguous()


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "effect", [augment.light, augment.shake, augment.blur, augment.compression, augment.specks, augment.noise]
)
def test_an_effect_follows_from_its_generator_and_leaves_its_input_alone(effect: object, luma: Tensor) -> None:
    assert callable(effect)
    before = luma.clone()
    first, again, other = (effect(luma, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(luma, before)
    assert first.shape == luma.shape
    assert not torch.equal(first, luma)


def test_a_shake_moves_whole_pictures_of_some_sequences_by_less_than_a_pixel(luma: Tensor) -> None:
    shaken = augment.shake(luma, generator())
    touched = (shaken != luma).flatten(1).any(dim=1)
    assert 0.05 < float(touched.float().mean()) < 0.6
    shifts = []
    for sequence in shaken[touched]:
        for picture in sequence:
            shift, _ = cv2.phaseCorrelate(
                luma[0, 0].numpy(), picture.numpy(), cv2.createHanningWindow((64, 48), cv2.CV_32F)
            )
            shifts.append(shift)
    sizes = np.hypot(*np.array(shifts).T)
    assert 0.02 < np.median(sizes) < 0.6
    assert sizes.max() < 1.6


def test_compression_leaves_artefacts_where_it_is_coarse_and_most_of_the_picture_as_it_was(luma: Tensor) -> None:
    compressed = augment.compression(luma, generator())
    error = (compressed - luma).abs().flatten(1).mean(dim=1)
    touched = error > 0.0
    assert 0.15 < float(touched.float().mean()) < 0.7
    assert 0.2 < float(error[touched].median()) < 8.0


def test_specks_are_few_and_bright(luma: Tensor) -> None:
    change = augment.specks(luma, generator(3)) - luma
    assert float(change.min()) >= 0.0
    assert 0.0 < float((change > 0.0).float().mean()) < 0.01
    assert float(change[change > 0.0].min()) >= 39.0


def test_blur_never_raises_the_contrast(luma: Tensor) -> None:
    blurred = augment.blur(luma, generator())
    assert bool((blurred.flatten(1).std(dim=1) <= luma.flatten(1).std(dim=1) + 1e-3).all())
