"""What light, lenses, compression and the parts that are looked at do to the examples of the segmentation network."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vad.errors import TrainingError
from vad.scoring.objects.segmentation_kernels import MULTIPLE
from vad.training import segmentation_vary
from vad.training.segmentation_material import HEIGHT, WIDTH, Examples
from vad.training.segmentation_vary import Degradation, part_of_batch, vary


def examples(count: int = 12) -> Examples:
    """A wall of two halves, and a box before it."""
    level = np.full((count, HEIGHT, WIDTH), 90.0)
    level[:, :, WIDTH // 2 :] = 150.0
    luma, mask = level.copy(), np.zeros(level.shape, np.bool_)
    mask[:, 30:60, 70:90] = True
    luma[mask] = 220.0
    ones = np.ones(level.shape, np.float16)
    cells = np.zeros((count, HEIGHT // 8, WIDTH // 8), np.float16)
    shown = [level.astype(np.float16), 2 * ones, 60 * ones, ones]
    return Examples(luma.astype(np.uint8), *shown, cells, mask, np.ones(mask.shape, np.bool_))


@pytest.fixture
def degradation() -> Degradation:
    try:
        return Degradation()
    except TrainingError as error:
        pytest.skip(str(error))


def test_variation_follows_from_the_draw_and_moves_no_mask() -> None:
    given = examples()
    first, again = (vary(given, np.random.default_rng(5), None) for _ in range(2))
    np.testing.assert_array_equal(first.luma, again.luma)
    assert (first.luma != given.luma).any()
    for name in ("mask", "trust", "spread", "seen_s", "quiet_s", "activity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(given, name))


def test_a_missing_torchvision_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    with pytest.raises(TrainingError, match=r"torchvision cannot be imported.*--without-degradation.*\[train\]"):
        Degradation()


def test_degradation_blurs_picture_and_background_and_compresses_the_picture(
    degradation: Degradation, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = examples()
    monkeypatch.setattr(segmentation_vary, "COMPRESSED_SHARE", 0.0)
    monkeypatch.setattr(segmentation_vary, "BLURRED_SHARE", 1.0)
    blurred = degradation(given, np.random.default_rng(1))
    border = slice(WIDTH // 2 - 1, WIDTH // 2 + 1)
    assert np.ptp(blurred.level[:, 5, border].astype(float), axis=1).max() < 60.0
    assert np.ptp(blurred.luma[:, 5, border].astype(float), axis=1).max() < 60.0
    np.testing.assert_allclose(blurred.level[:, 5, 5].astype(float), 90.0, atol=0.5)
    monkeypatch.setattr(segmentation_vary, "COMPRESSED_SHARE", 1.0)
    monkeypatch.setattr(segmentation_vary, "BLURRED_SHARE", 0.0)
    compressed = degradation(given, np.random.default_rng(1))
    np.testing.assert_array_equal(compressed.level, given.level)
    off = np.abs(compressed.luma.astype(float) - given.luma.astype(float))
    assert off.max() > 3.0
    assert off.mean() < 8.0


def test_degradation_follows_from_the_draw(degradation: Degradation) -> None:
    given = examples()
    first, again = (degradation(given, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.luma, again.luma)
    np.testing.assert_array_equal(first.level, again.level)


def test_parts_are_of_the_sides_that_the_network_sees() -> None:
    random = np.random.default_rng(0)
    sides = set()
    for _ in range(500):
        y, x = part_of_batch(random)
        assert 0 <= y.start < y.stop <= HEIGHT
        assert 0 <= x.start < x.stop <= WIDTH
        assert y.start % 8 == x.start % 8 == 0
        sides.add((y.stop - y.start, x.stop - x.start))
    assert all(tall % MULTIPLE == wide % MULTIPLE == 0 for tall, wide in sides)
    assert {(48, 48), (HEIGHT, WIDTH)} <= sides
