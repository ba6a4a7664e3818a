"""Bodies on the picture of a world: their shadows, and their parts before and behind what hides them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vad.video.synthetic.backdrop import Occluder
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.painting import BOXY, SHADE_SCALE
from vad.video.synthetic.posing import STATE, Array
from vad.video.synthetic.shaping import Drawn
from vad.video.worlds.kernels import darken, paint_parts

_TURN = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_COS, _SIN = np.cos(_TURN)[:, None], np.sin(_TURN)[:, None]
_NONE = np.zeros((0, 0), np.uint16)


def cast_shadows(
    factor: Array, coverage: Array, camera: Camera, drawn: Sequence[Drawn], sun: Array, strength: float
) -> None:
    """Darken ``factor`` (coarse, float32) under everybody and along ``sun`` (metres per metre of height)."""
    states = np.array([d.state[:STATE] for d in drawn])
    sizes = np.array([float(d.track.look.size[0]) for d in drawn])
    boxy = np.array([d.track.body in BOXY for d in drawn])
    ahead = np.stack([np.cos(states[:, 2]), np.sin(states[:, 2])], -1)
    long = np.where(boxy, sizes * 0.52, 0.22)[:, None] * ahead
    wide = np.where(boxy, sizes * 0.24, 0.16)[:, None] * np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    ring = long[:, None] * _COS + wide[:, None] * _SIN  # (n, corners, 2)
    if sun.any():
        cast = np.where(boxy, 0.6, 1.5)[:, None] * sun * np.cos(states[:, 5:6])
        ring = ring + cast[:, None] * ((ring @ sun)[..., None] > 0)  # the half away from the sun: still convex
    ground = np.zeros((*ring.shape[:2], 3))
    ground[..., :2] = states[:, None, :2] + ring
    outlines, _ = camera.project(ground)
    darken(factor, coverage, np.clip((outlines + 0.5) / SHADE_SCALE - 0.5, -4000, 8000), strength)


def paint_bodies(
    light: Array,
    numbers: Array | None,
    coverage: Array,
    drawn: Sequence[Drawn],
    lumas: Sequence[Array],
    occluders: Sequence[Occluder],
) -> None:
    """Paint bodies (given far first) into ``light``, and their parts' numbers (from 1, in order) into ``numbers``.

    ``lumas`` are those of each body's parts under the light there; ``occluders`` come far first as well.
    """
    backdrop = light.copy() if occluders else light
    number, waiting, batch = 1, list(occluders), [0, 0]
    numbers = _NONE if numbers is None else numbers

    def flush(end: int) -> None:
        nonlocal number
        bodies = drawn[batch[0] : end]
        if bodies:
            corners = np.concatenate([body.corners for body in bodies])
            paint_parts(light, numbers, coverage, corners, np.concatenate(lumas[batch[0] : end]), number)
            number += len(corners)
        batch[0] = end

    for place, body in enumerate(drawn):
        while waiting and body.y_m <= waiting[0].y_m:
            flush(place)
            _hide(light, numbers, waiting.pop(0), backdrop, needed=place > 0)
    flush(len(drawn))
    for occluder in waiting:
        _hide(light, numbers, occluder, backdrop, needed=True)


def _hide(light: Array, numbers: Array, occluder: Occluder, backdrop: Array, *, needed: bool) -> None:
    if needed:
        height, width = occluder.mask.shape
        area = (slice(occluder.top, occluder.top + height), slice(occluder.left, occluder.left + width))
        mask = occluder.mask > 0
        light[area][mask] = backdrop[area][mask]
        if numbers.size:
            numbers[area][mask] = 0
