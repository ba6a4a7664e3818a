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


def half_dimmed(cells: CellMap, _: float) -> np.ndarray:
    luma = cells.luma.copy()
    luma[:, : luma.shape[1] // 2] *= 0.5
    return luma


def half_lit_softly(cells: CellMap, _: float) -> np.ndarray:
    rows = cells.luma.shape[0]
    share = np.clip((0.5 * rows - np.arange(rows)) / 6.0 + 0.5, 0.0, 1.0)[:, None]
    return np.clip(cells.luma * (1.0 + 0.7 * share), 0.0, 255.0).astype(np.float32)


@pytest.mark.parametrize("fps", [2.0, 8.0, 12.5, 25.0])
@pytest.mark.parametrize("change", [switched, half_dimmed, half_lit_softly])
def test_light_that_jumps_is_found_and_blinds_for_a_second(change, fps):
    world = World(seed=3, fps=fps)
    health = Health(*world.geometry.cells)
    watched(world, 10.0, health=health)
    found = watched(world, 10.0, health=health, change=change)
    assert found[0] is HealthIssue.LIGHT_JUMP
    assert set(found) == {HealthIssue.LIGHT_JUMP, None}
    assert sum(issue is not None for issue in found) <= HEALTH.jump_hold_s * fps + 1.0
    assert set(watched(world, 20.0, health=health, change=change)) == {None}


def exposed(cells: CellMap, since_s: float) -> np.ndarray:
    return np.clip(cells.luma - np.float32(30.0 * min(1.0, since_s / 0.75)), 0.0, 255.0)


def dimmed(cells: CellMap, since_s: float) -> np.ndarray:
    return cells.luma * np.float32(0.3 ** min(1.0, since_s / 5.0))


def passed_by_something_white(cells: CellMap, since_s: float) -> np.ndarray:
    """It covers two thirds within 0.6 s, stops for 4 s; the exposure answers within 0.75 s."""
    there = min(1.0, since_s / 0.6) - min(1.0, max(0.0, since_s - 4.0) / 0.6)
    exposure = min(1.0, since_s / 0.75) - min(1.0, max(0.0, since_s - 4.0) / 0.75)
    luma = np.clip(cells.luma - np.float32(30.0 * exposure), 0.0, 255.0)
    luma[:, : round(0.66 * there * luma.shape[1])] = 225.0
    return luma


def shown_in_a_corner_alone(cells: CellMap, _: float) -> np.ndarray:
    """The view is behind a thing with a pattern, but for a third of its width and of its height."""
    rows, columns = cells.luma.shape
    pattern = np.random.default_rng(9).uniform(60.0, 190.0, cells.luma.shape).astype(np.float32)
    pattern[: rows // 3, : columns // 3] = cells.luma[: rows // 3, : columns // 3]
    return pattern


@pytest.mark.parametrize("fps", [8.0, 25.0])
@pytest.mark.parametrize("change", [exposed, dimmed, passed_by_something_white, shown_in_a_corner_alone])
def test_what_is_slow_or_merely_near_does_not_blind(change, fps):
    world = World(seed=3, fps=fps)
    health = Health(*world.geometry.cells)
    watched(world, 10.0, health=health)
    assert set(watched(world, 12.0, health=health, change=change)) == {None}


def test_a_dark_room_is_not_a_covered_camera(world, health):
    def lamp_out(cells: CellMap, _: float) -> np.ndarray:
        return cells.luma * np.float32(0.1)  # mean luma 12

    found = watched(world, 20.0, health=health, change=lamp_out)
    assert set(found) == {HealthIssue.LIGHT_JUMP, None}
    assert found[-1] is None


@pytest.mark.parametrize(("change", "issue"), [(panned, HealthIssue.MOVED), (covered, HealthIssue.COVERED)])
def test_a_few_seconds_after_a_light_jump_all_else_is_found_again(world, health, change, issue):
    def in_the_new_light(cells: CellMap, since_s: float) -> np.ndarray:
        return change(replace(cells, luma=switched(cells, since_s)), since_s)

    watched(world, HEALTH.jump_hold_s + HEALTH.learn_first_s + 1.0, health=health, change=switched)
    assert issue in watched(world, 3.0, health=health, change=in_the_new_light)


def test_what_stood_before_the_lens_as_the_light_jumped_may_leave(world, health):
    pattern = np.random.default_rng(9).uniform(30.0, 90.0, tuple(2 * n for n in world.geometry.cells))

    def left_after_five_seconds(cells: CellMap, since_s: float) -> np.ndarray:
        dim = 0.5 * cells.luma
        return dim if since_s > 5.0 else np.where(pattern > 33.0, pattern, dim).astype(np.float32)

    watched(world, 0.2, health=health, change=switched)
    found = watched(world, 25.0, health=health, change=left_after_five_seconds)
    assert HealthIssue.MOVED in found
    assert set(found[150:]) == {None}
    assert not health.camera_moved_for_good


def test_masked_parts_are_no_reason_to_miss_a_jump():
    world = World(seed=3)

    def mask(cells: CellMap, _: float) -> np.ndarray:
        luma = cells.luma.copy()
        luma[:, luma.shape[1] // 4 :] = 0.0
        return luma

    health = Health(*world.geometry.cells)
    watched(world, 10.0, health=health, change=mask)
    found = watched(world, 1.0, health=health, change=lambda cells, s: mask(replace(cells, luma=switched(cells, s)), s))
    assert found[0] is HealthIssue.LIGHT_JUMP


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
