"""Where people may go in a scene: its lanes, and the wall behind them if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import Array
from vad.video.synthetic.traffic import Lane

DOOR_HALF_M = 1.0
SMALLEST_PERSON = 0.055
"""Nobody walks where a person would be lower than that share of the picture."""


class Layout(StrEnum):
    """Which lanes a scene has."""

    FREE = "free"  # any way, anybody: walkers, runners, cyclists, vehicles. What flow is learnt from.
    LANES = "lanes"  # walkers on one-way lanes, near and far, and a crossing path to a door and back


@dataclass(frozen=True, slots=True)
class Plan:
    """Lanes, and the building's front: a wall across the picture ``wall_y_m`` away with ``doors_m`` (x of each)."""

    lanes: tuple[Lane, ...]
    wall_y_m: float | None = None
    doors_m: tuple[float, ...] = ()
    strips: tuple[tuple[Array, float], ...] = ()  # paved strips: middle line (m, 2), half width in metres


def draw_plan(layout: Layout, camera: Camera, rng: np.random.Generator) -> Plan:
    """Lanes that fit the camera's view, at random."""
    return _lanes_plan(camera, rng) if layout is Layout.LANES else _free_plan(camera, rng)


def _lanes_plan(camera: Camera, rng: np.random.Generator) -> Plan:
    """Near lane left to right, far lane right to left, a two-way path from the lower edge to a door; or mirrored."""
    mirror = rng.random() < 0.5
    wall_y = float(camera.ground_at(0.5, 0.36)[1])

    def spot(u: float, v: float) -> Array:
        return camera.ground_at(1.0 - u if mirror else u, v)

    near = np.array([spot(-0.03, 0.80), spot(1.03, 0.80)])
    far = np.array([spot(1.02, 0.53), spot(-0.02, 0.53)])
    door = float(spot(0.46, 0.36)[0])
    behind = 2.6 if door < 0 else -2.6
    crossing = np.array(
        [spot(0.27, 1.40), spot(0.34, 0.80), [door, wall_y - 0.8], [door, wall_y + 1.0], [door + behind, wall_y + 1.1]]
    )
    lanes = (
        Lane(near, every_s=3.4, spread_m=0.55, stop_chance=0.08),
        Lane(far, every_s=3.6, spread_m=0.9, stop_chance=0.08),
        Lane(crossing, every_s=3.3, spread_m=0.35, two_way=True, stop_chance=0.05, group_chance=0.06),
    )
    strips = ((near, 1.1), (far, 1.5), (crossing[:3], 0.8))
    return Plan(lanes, wall_y, (door,), strips)


_PEOPLE = (("walk", 0.86), ("run", 0.05), ("glide", 0.04), ("cycle", 0.05))


def _free_plan(camera: Camera, rng: np.random.Generator) -> Plan:
    """Two to five lanes between points at the borders of the picture, one of them a road in a third of the scenes."""
    top = camera.row_of_person(SMALLEST_PERSON * camera.height)
    wall_y = None
    if rng.random() < 0.4:
        row = min(top + rng.uniform(0.0, 0.3), 0.6)
        wall_y = float(camera.ground_at(0.5, row)[1])
        top = row + 0.04
    ways = int(rng.integers(2, 6))
    each = float(np.exp(rng.uniform(np.log(1.5), np.log(24.0)))) / ways  # how many are on a lane, on average
    lanes = []
    for k in range(ways):
        road = k == 0 and rng.random() < 0.35
        points = _across(camera, rng, top) if road or rng.random() < 0.6 else _up(camera, rng, top)
        length_m = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
        lanes.append(
            Lane(
                points,
                every_s=float(rng.uniform(3.0, 12.0)) if road else length_m / 1.2 / (each * rng.uniform(0.7, 1.4)),
                two_way=rng.random() < 0.75,
                spread_m=float(rng.uniform(0.5, 2.5)),
                mix=(("drive", 0.8), ("cycle", 0.2)) if road else _PEOPLE,
                stop_chance=0.2,
                longest_stop_s=9.0,
            )
        )
    strips = tuple((lane.points, float(rng.uniform(0.8, 2.8))) for lane in lanes if rng.random() < 0.6)
    return Plan(tuple(lanes), wall_y, (), strips)


def _across(camera: Camera, rng: np.random.Generator, top: float) -> Array:
    """From the left border to the right one, at rows that need not be the same."""
    left, right = rng.uniform(top, 1.1, 2)
    right = left + (right - left) * rng.choice([0.15, 1.0])
    points = [camera.ground_at(-0.03, float(left)), camera.ground_at(1.03, float(right))]
    if rng.random() < 0.3:
        points.insert(1, camera.ground_at(float(rng.uniform(0.3, 0.7)), float(rng.uniform(top, 1.0))))
    return np.array(points if rng.random() < 0.5 else points[::-1])


def _up(camera: Camera, rng: np.random.Generator, top: float) -> Array:
    """From the lower border through the picture to a side."""
    below = 1.05 + camera.person_px(camera.ground_at(0.5, 1.0)) / camera.height
    side = float(rng.choice([-0.03, 1.03]))
    middle = camera.ground_at(float(rng.uniform(0.15, 0.85)), float(rng.uniform(top, 0.9)))
    start = camera.ground_at(float(rng.uniform(0.0, 1.0)), below)
    return np.array([start, middle, camera.ground_at(side, float(rng.uniform(top, 0.9)))])
