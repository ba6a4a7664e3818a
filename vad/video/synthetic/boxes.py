"""Vehicles and bags: boxes of flat faces, of which only those that look at the camera are painted."""

from __future__ import annotations

import numpy as np

from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import CORNERS, HIDDEN, Array, Look, place

_FACES = ((0, 1), (0, -1), (1, 1), (1, -1), (2, 1))  # axis and side: front, back, left, right, top
_ROUND = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
_EDGE = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], np.float64)
_SQUARE = np.concatenate([_EDGE[i] + (_EDGE[i + 1] - _EDGE[i]) * np.arange(3)[:, None] / 3 for i in range(4)])


class _Faces:
    """Collects faces in body coordinates (metres), each with the outward direction that decides if it is seen."""

    def __init__(self) -> None:
        self.corners: list[Array] = []  # (n, CORNERS, 3) each
        self.outward: list[tuple[int, int]] = []

    def box(self, low: Array, high: Array) -> None:
        """The five faces of boxes ``low``..``high`` (n, 3) that are not the bottom."""
        for axis, side in _FACES:
            self.pane(low, high, axis, side)

    def pane(
        self, low: Array, high: Array, axis: int, side: int, inset: tuple[float, float, float, float] = (0, 0, 1, 1)
    ) -> None:
        """A part of one face: ``inset`` is its (from, from, to, to) along the two other axes, in fractions."""
        others = [i for i in range(3) if i != axis]
        span = np.array(inset[:2]) + (np.array(inset[2:]) - np.array(inset[:2])) * _SQUARE
        face = np.empty((len(low), CORNERS, 3))
        face[..., axis] = (high if side > 0 else low)[:, None, axis]
        for k, other in enumerate(others):
            face[..., other] = low[:, None, other] + (high - low)[:, None, other] * span[None, :, k]
        self.corners.append(face)
        self.outward.append((axis, side))

    def disc(self, centre: Array, radius: Array, side: int) -> None:
        """An upright disc along the body, seen from ``side`` of it."""
        ring = np.stack([np.cos(_ROUND), 0 * _ROUND, np.sin(_ROUND)], -1)
        self.corners.append(centre[:, None] + ring * radius[:, None, None])
        self.outward.append((1, side))

    def shape(self, camera: Camera, state: Array) -> tuple[Array, Array]:
        world = place(np.stack(self.corners, 1), state, np.zeros(len(state)))  # (n, parts, CORNERS, 3)
        pixels, _ = camera.project(world)
        normals = np.zeros((len(self.outward), 3))
        for row, (axis, side) in enumerate(self.outward):
            normals[row, axis] = side
        cos, sin = np.cos(state[:, 2])[:, None], np.sin(state[:, 2])[:, None]
        turned = np.stack([normals[:, 0] * cos - normals[:, 1] * sin, normals[:, 0] * sin + normals[:, 1] * cos], -1)
        to_camera = np.array([0.0, 0.0, camera.height_m]) - world.mean(axis=2)
        seen = (turned * to_camera[..., :2]).sum(-1) + normals[:, 2] * to_camera[..., 2] > 0
        return pixels, np.where(seen, np.arange(len(normals)), HIDDEN)


def _corner(forward: Array, left: Array, up: Array) -> Array:
    return np.stack([forward, left, up], -1)


def vehicles(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: length, width, height in metres, and the share of the length that the cabin covers."""
    length, width, height, cabin = size.T
    nose, side, waist, sill = length / 2, width / 2, height * 0.56, height * 0.17
    shape = _Faces()
    shape.box(_corner(-nose, -side, sill), _corner(nose, side, waist))
    radius = height * 0.21
    for along in (-0.62, 0.64):
        for left in (1, -1):
            shape.disc(_corner(nose * along, left * side, radius), radius, left)
            shape.disc(_corner(nose * along, left * side * 1.005, radius), radius * 0.5, left)
    back, front = -nose * 0.97, -nose * 0.97 + length * cabin
    low, high = _corner(back, -side * 0.9, waist), _corner(front, side * 0.9, height)
    shape.box(low, high)
    shape.pane(low, high, 0, 1, (0.06, 0.12, 0.94, 0.9))
    shape.pane(low, high, 0, -1, (0.08, 0.15, 0.92, 0.85))
    for left in (1, -1):
        shape.pane(low, high, 1, left, (0.06, 0.12, 0.46, 0.88))
        shape.pane(low, high, 1, left, (0.52, 0.12, 0.96, 0.88))
    body_low, body_high = _corner(-nose, -side, sill), _corner(nose, side, waist)
    for end in (1, -1):
        shape.pane(body_low, body_high, 0, end, (0.04, 0.5, 0.24, 0.8))
        shape.pane(body_low, body_high, 0, end, (0.76, 0.5, 0.96, 0.8))
    return shape.shape(camera, state)


def vehicle_look(rng: np.random.Generator, *, large: bool = False) -> Look:
    """A car, or at random a van; ``large`` for a lorry or bus as well."""
    paint, glass, tyre = int(rng.integers(25, 235)), int(rng.integers(15, 110)), int(rng.integers(10, 45))
    shades = [paint, paint, min(paint + 12, 250), max(paint - 12, 5), min(paint + 25, 255)]
    lumas = shades + [tyre, 150] * 4 + shades + [glass] * 6 + [235, 235, 90, 90]
    kind = rng.random()
    if large and kind < 0.3:
        size = [rng.uniform(6.0, 9.0), rng.uniform(2.2, 2.5), rng.uniform(2.6, 3.2), 0.95]
    elif kind < 0.5:
        size = [rng.uniform(4.4, 5.2), rng.uniform(1.8, 2.0), rng.uniform(1.8, 2.1), rng.uniform(0.78, 0.88)]
    else:
        size = [rng.uniform(3.8, 4.7), rng.uniform(1.7, 1.85), rng.uniform(1.4, 1.55), rng.uniform(0.5, 0.62)]
    return Look(np.array(size, np.float32), np.array(lumas, np.int32))


def bags(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: length, width, height in metres; unused. A suitcase with a handle bar on top."""
    length, width, height, _ = size.T
    shape = _Faces()
    low, high = _corner(-length / 2, -width / 2, 0 * height + 0.04), _corner(length / 2, width / 2, height)
    shape.box(low, high)
    for left in (1, -1):
        shape.pane(low, high, 1, left, (0.15, 0.12, 0.85, 0.88))
    grip_low = _corner(-length * 0.18, -width * 0.1, height)
    shape.box(grip_low, _corner(length * 0.18, width * 0.1, height * 1.12))
    return shape.shape(camera, state)


def bag_look(rng: np.random.Generator, *, dark: bool = False) -> Look:
    """A suitcase; ``dark`` for one that stands out from bright ground."""
    shell = int(rng.integers(18, 60)) if dark or rng.random() < 0.6 else int(rng.integers(150, 215))
    shades = [shell, shell, min(shell + 10, 255), max(shell - 10, 5), min(shell + 22, 255)]
    lumas = [*shades, min(shell + 30, 255), min(shell + 30, 255)] + [max(shell - 12, 5)] * 5
    size = [rng.uniform(0.55, 0.7), rng.uniform(0.3, 0.38), rng.uniform(0.7, 0.85), 0.0]
    return Look(np.array(size, np.float32), np.array(lumas, np.int32))


def crates(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: length, width, height in metres; unused. A box with a label on its top and its sides."""
    length, width, height, _ = size.T
    shape = _Faces()
    low, high = _corner(-length / 2, -width / 2, 0 * height), _corner(length / 2, width / 2, height)
    shape.box(low, high)
    shape.pane(low, high, 2, 1, (0.25, 0.25, 0.75, 0.75))
    for left in (1, -1):
        shape.pane(low, high, 1, left, (0.3, 0.3, 0.7, 0.7))
    return shape.shape(camera, state)


def crate_look(luma: int, label: int, *, length_m: float, width_m: float, height_m: float) -> Look:
    """A box of that luma, with a label of its own; HIDDEN as ``label`` for none."""
    shades = [luma, luma, min(luma + 10, 255), max(luma - 10, 5), min(luma + 22, 255)]
    return Look(np.array([length_m, width_m, height_m, 0.0], np.float32), np.array([*shades, *[label] * 3], np.int32))


def carts(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: length, width, height in metres, and the share of the height that is under the body. With a handle."""
    length, width, height, clearance = size.T
    nose, side, sill = length / 2, width / 2, height * clearance
    shape = _Faces()
    radius = np.maximum(sill, 0.12) * 0.6
    for along in (-0.7, 0.7):
        for left in (1, -1):
            shape.disc(_corner(nose * along, left * side, radius), radius, left)
    shape.box(_corner(-nose, -side, sill), _corner(nose, side, height * 0.72))
    shape.box(_corner(-nose * 1.15, -side * 0.9, height * 0.86), _corner(-nose * 0.95, side * 0.9, height))
    for left in (1, -1):
        low = _corner(-nose * 1.1, left * side * 0.85, height * 0.6)
        shape.box(low, _corner(-nose * 0.98, left * side * 0.92, height))
    return shape.shape(camera, state)


def cart_look(luma: int, *, length_m: float, width_m: float, height_m: float, clearance: float) -> Look:
    """A pram, a wheelchair, a trolley, a cleaning machine: by its size."""
    shades = [luma, luma, min(luma + 12, 250), max(luma - 12, 5), min(luma + 25, 255)]
    lumas = [25] * 4 + shades + [40] * 15
    return Look(np.array([length_m, width_m, height_m, clearance], np.float32), np.array(lumas, np.int32))
