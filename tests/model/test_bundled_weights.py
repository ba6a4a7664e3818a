"""The bundled weights see motion: where it is, which way it goes and about how fast."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model.factory import FPS, clip_of
from vad.model import Runner, load_weights
from vad.types import CellMap

WIDTH, HEIGHT, SIDE, FRAMES = 160, 96, 24, 8


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(load_weights("base"))


def texture(height: int, width: int, seed: int, *, contrast: float = 25.0, mean: float = 128.0) -> NDArray[np.float32]:
    grains = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    soft = cv2.GaussianBlur(grains, (0, 0), 1.5)
    return mean + contrast * soft / soft.std()


def moving_square(velocity: tuple[float, float]) -> NDArray[np.uint8]:
    """A textured square that crosses a calmer ground, its middle in the middle of the picture half-way."""
    ground, square = texture(HEIGHT, WIDTH, 1, contrast=6.0, mean=150.0), texture(SIDE, SIDE, 2, mean=80.0)
    pictures = []
    for t in range(FRAMES):
        x = (WIDTH - SIDE) / 2 + velocity[0] * (t - FRAMES / 2)
        y = (HEIGHT - SIDE) / 2 + velocity[1] * (t - FRAMES / 2)
        place = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
        picture = cv2.warpAffine(square, place, (WIDTH, HEIGHT), dst=ground.copy(), borderMode=cv2.BORDER_TRANSPARENT)
        pictures.append(np.clip(np.round(picture), 0, 255).astype(np.uint8))
    return np.stack(pictures)


def velocity_seen(maps: list[CellMap]) -> NDArray[np.float64]:
    """Mean (x, y) px a frame over the moving cells of the last frames."""
    flows = [one.flow[:, one.activity > 0.6] for one in maps[3:]]
    return np.concatenate(flows, axis=1).mean(axis=1) / FPS


@pytest.mark.parametrize("velocity", [(1.0, 0.0), (-1.0, 0.0), (0.0, 0.7), (2.0, -1.0), (-0.5, 0.3), (0.0, -2.0)])
def test_a_moving_square_goes_the_right_way_at_about_the_right_speed(
    runner: Runner, velocity: tuple[float, float]
) -> None:
    runner.forget("a")
    seen = velocity_seen(runner([clip_of(moving_square(velocity))])[0])
    assert np.linalg.norm(seen - velocity) < 0.15 + 0.2 * np.linalg.norm(velocity)


def test_faster_is_seen_as_faster(runner: Runner) -> None:
    speeds = []
    for speed in (0.3, 0.6, 1.0, 1.5, 2.2, 3.0, 4.0):
        runner.forget("a")
        speeds.append(float(np.linalg.norm(velocity_seen(runner([clip_of(moving_square((speed, 0.0)))])[0]))))
    assert speeds == sorted(speeds)


def test_activity_is_where_the_square_is_and_nowhere_else(runner: Runner) -> None:
    runner.forget("a")
    last = runner([clip_of(moving_square((1.0, 0.0)))])[0][-1]
    rows, columns = np.nonzero(last.activity > 0.5)
    assert len(rows) >= 6  # of the nine cells that the square covers
    assert 3 <= rows.min() <= rows.max() <= 8
    assert 7 <= columns.min() <= columns.max() <= 13
    assert last.activity[:, :5].max() < 0.3


def test_a_still_picture_is_calm_and_as_expected(runner: Runner) -> None:
    runner.forget("a")
    still = np.repeat(moving_square((0.0, 0.0))[:1], FRAMES, axis=0).astype(np.float32)
    noisy = still + np.random.default_rng(3).normal(0.0, 2.0, still.shape)
    last = runner([clip_of(np.clip(np.round(noisy), 0, 255).astype(np.uint8))])[0][-1]
    assert last.activity.max() < 0.3
    assert last.surprise.mean() < 2.0


def test_a_change_of_exposure_is_no_motion(runner: Runner) -> None:
    runner.forget("a")
    pictures = np.repeat(moving_square((0.0, 0.0))[:1], FRAMES, axis=0).astype(np.float32)
    pictures[FRAMES // 2 :] += 12.0
    maps = runner([clip_of(np.clip(pictures, 0, 255).astype(np.uint8))])[0]
    assert max(float(one.activity.max()) for one in maps) < 0.5
