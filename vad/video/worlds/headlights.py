"""Headlights at night: before vehicles in the picture, and swept over the ground by vehicles outside it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.painting import SHADE_SCALE
from vad.video.synthetic.posing import Array
from vad.video.synthetic.shaping import Drawn
from vad.video.worlds.chance import generator, uniform

_AHEAD_M, _LONG_M, _WIDE_M = 4.5, 3.5, 1.5
_STRENGTH = 0.5
_SLOT_S = 60.0
_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)


def beams(camera: Camera, drawn: Sequence[Drawn], shape: tuple[int, int]) -> Array | None:
    """Light (h, w) float32 that the vehicles' headlights add on the coarse grid; None without vehicles."""
    vehicles = [body for body in drawn if body.track.body is Body.VEHICLE]
    if not vehicles:
        return None
    mask = np.zeros(shape, np.uint8)
    for body in vehicles:
        x, y, heading = body.state[:3]
        ahead, left = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
        middle = np.array([x, y]) + ahead * (_AHEAD_M + float(body.track.look.size[0]) / 2 - 1.0)
        ring = middle + np.cos(_TURN)[:, None] * _LONG_M * ahead + np.sin(_TURN)[:, None] * _WIDE_M * left
        corners, _ = camera.project(np.concatenate([ring, np.zeros((len(ring), 1))], 1))
        corners = np.clip(corners / SHADE_SCALE, -500, 1000)
        cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask, (0, 0), 1.2).astype(np.float32) * np.float32(_STRENGTH / 255)


def sweep(seed: int, at_s: float, per_hour: float, shape: tuple[int, int]) -> Array | None:
    """Light (h, w) float32 of a vehicle that turns outside the picture; None when none does."""
    slot = int(at_s // _SLOT_S)
    for number in (slot - 1, slot):
        if uniform(seed, 81, number) < per_hour * _SLOT_S / 3600:
            rng = generator(seed, 82, number)
            begin, lasts = (number + float(rng.random())) * _SLOT_S, float(rng.uniform(1.5, 5.0))
            along = (at_s - begin) / lasts
            if 0 <= along < 1:
                from_left, width, strength = rng.random() < 0.5, rng.uniform(0.08, 0.25), rng.uniform(0.2, 0.7)
                middle = -0.3 + 1.6 * (along if from_left else 1 - along)
                height, columns = shape
                u = np.linspace(0, 1, columns, dtype=np.float32) - np.float32(middle)
                band = strength * np.exp(-((u / np.float32(width)) ** 2)) * min(1.0, 6 * along, 6 * (1 - along))
                down = np.linspace(0.25, 1.0, height, dtype=np.float32)[:, None]
                light: Array = (down * band[None]).astype(np.float32)
                return light
    return None
