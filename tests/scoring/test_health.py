from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.walkers import World
from vad.scoring.health import HEALTH, Health
from vad.types import CellMap, HealthIssue


def watched(world: World, seconds: float, *, health: Health, change=None) -> list[HealthIssue | None]:
    """The issue after each frame; ``change(cells, since_s)`` may alter what the camera shows."""
    begin_s = world.now_s
    found = []
    for cells in world.frames(seconds):
        shown = cells if change is None else replace(cells, luma=change(cells, cells.frame.pts_s - begin_s))
        found.append(health.step(shown))
    return found


@pytest.fixture
def world() -> World:
    return World(seed=3)


@pytest.fixture
def health(world: World) -> Health:
    health = Health(*world.geometry.cells)
    assert set(watched(world, 20.0, health=health)) == {None}
    return health


def still(cells: CellMap, _: float) -> np.ndarray:
    return still.picture


def covered(cells: CellMap, _: float) -> np.ndarray:
    return np.full_like(cells.luma, 7.0) + 0.1 * cells.luma / 255.0


def blurred(cells: CellMap, _: float) -> np.ndarray:
    luma = cells.luma
    for axis in (0, 1):
        luma = sum(np.roll(luma, k, axis) for k in range(-2, 3)) / 5.0
    return (0.4 * luma + 0.6 * np.linspace(60, 190, luma.shape[1])[None, :]).astype(np.float32)


def panned(cells: CellMap, _: float) -> np.ndarray:
    return np.roll(cells.luma, (3, 9), (0, 1))


def switched(cells: CellMap, _: float) -> np.ndarray:
    return np.clip(0.5 * cells.luma, 0.0, 255.0)


@pytest.mark.parametrize(
    ("change", "issue", "within_s"),
    [
        (covered, HealthIssue.COVERED, 4.0),
        (blurred, HealthIssue.DEFOCUSED, 6.0),
        (panned, HealthIssue.MOVED, 1.0),
        (switched, HealthIssue.LIGHT_JUMP, 0.2),
    ],
)
def test_each_issue_is_named_for_what_it_is(world, health, change, issue, within_s):
    found = watched(world, within_s, health=health, change=change)
    assert found[-1] is issue


def test_a_frozen_picture_is_told_from_a_quiet_one(world, health):
    still.picture = next(iter(world.frames(0.1))).luma
    found = watched(world, HEALTH.frozen_after_s + 1.0, health=health, change=still)
    assert found[0] is None
    assert found[-1] is HealthIssue.FROZEN
    assert watched(world, 3.0, health=health)[-1] is None


@pytest.mark.parametrize("change", [covered, panned])
def test_an_issue_ends_when_the_picture_is_well_again(world, health, change):
    assert watched(world, 4.0, health=health, change=change)[-1] is not None
    assert watched(world, 6.0, health=health)[-1] is None


def test_a_light_jump_ends_when_the_network_is_used_to_it(world, health):
    found = watched(world, 6.0, health=health, change=switched)
    assert found[-1] is None
    assert HealthIssue.LIGHT_JUMP in found
    assert set(watched(world, 20.0, health=health, change=switched)) == {None}


def test_slow_light_and_people_are_no_issue(world, health):
    def dusk(cells: CellMap, since_s: float) -> np.ndarray:
        return cells.luma * np.float32(1.0 - 0.5 * since_s / 120.0)

    assert set(watched(world, 120.0, health=health, change=dusk)) == {None}


def test_a_camera_that_stays_moved_is_to_be_learnt_anew(world, health):
    watched(world, 5.0, health=health, change=panned)
    assert not health.camera_moved_for_good
    watched(world, HEALTH.relearn_after_s, health=health, change=panned)
    assert health.camera_moved_for_good


def test_a_restored_health_finds_what_the_saved_one_would(world, health):
    other = Health(*world.geometry.cells)
    other.restore(health.state())
    world.new_run()
    health.begin_run()
    frames = list(world.frames(3.0))
    assert [health.step(cells) for cells in frames] == [other.step(cells) for cells in frames]
    shown = [replace(cells, luma=panned(cells, 0.0)) for cells in world.frames(3.0)]
    assert [health.step(cells) for cells in shown] == [other.step(cells) for cells in shown]
