"""Bodies on the picture of a world: their shadows, and their parts before and behind what hides them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vad.video.synthetic.backdrop import Occluder
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.painting import BOXY, SHADE_SCALE
from vad.video.synthetic.posing import Array
from vad.video.synthetic.shaping import Drawn
from vad.video.worlds.kernels import darken, paint_parts, shadow_outlines

_HIDDEN = 0.85
_NONE = np.zeros((0, 0), np.uint16)


def cast_shadows(
    factor: Array, coverage: Array, camera: Camera, drawn: Sequence[Drawn], sun: Array, strength: float
) -> None:
    """Darken ``factor`` (coarse, float32) under everybody and along ``sun`` (metres per metre of height)."""
    rows = [(*d.state[:3].tolist(), float(d.state[5]), *_footprint(d)) for d in drawn]
    view = np.array(
        [camera.focal_px, camera.pitch_rad, camera.height_m, (camera.width - 1) / 2, (camera.height - 1) / 2]
    )
    outlines = shadow_outlines(np.array(rows), np.asarray(sun, np.float64), view)
    darken(factor, coverage, (outlines + 0.5) / SHADE_SCALE - 0.5, strength)


def _footprint(body: Drawn) -> tuple[float, float, float]:
    """Half the length and width of what a body covers of the ground, and half its height, metres."""
    if body.track.body in BOXY:
        size = float(body.track.look.size[0])
        return size * 0.52, size * 0.24, 0.6
    return 0.22, 0.16, 1.5


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

    reach = [light.shape[1], light.shape[0], 0, 0]  # the box of all bodies so far
    for place, body in enumerate(drawn):
        while waiting and body.y_m <= waiting[0].y_m:
            occluder = waiting.pop(0)
            if _meets(occluder, reach):
                flush(place)
                _hide(light, numbers, occluder, backdrop)
        x0, y0, x1, y1 = body.box
        reach = [min(reach[0], x0), min(reach[1], y0), max(reach[2], x1), max(reach[3], y1)]
    flush(len(drawn))
    for occluder in waiting:
        if _meets(occluder, reach):
            _hide(light, numbers, occluder, backdrop)


def is_hidden(body: Drawn, occluders: Sequence[Occluder], width: int, height: int) -> bool:
    """Whether what stands before a body covers nearly all of it."""
    x0, x1 = (min(max(round(x), 0), width) for x in body.box[::2])
    y0, y1 = (min(max(round(y), 0), height) for y in body.box[1::2])
    covered = np.zeros((height, width), np.bool_)
    for occluder in occluders:
        if occluder.y_m < body.y_m:
            rows, columns = occluder.mask.shape
            area = (slice(occluder.top, occluder.top + rows), slice(occluder.left, occluder.left + columns))
            covered[area] |= occluder.mask > 0
    box = covered[y0:y1, x0:x1]
    return box.size > 0 and float(box.mean()) > _HIDDEN


def _meets(occluder: Occluder, reach: Sequence[float]) -> bool:
    height, width = occluder.mask.shape
    beside = occluder.left > reach[2] + 1 or occluder.left + width < reach[0]
    return not beside and occluder.top <= reach[3] + 1 and occluder.top + height >= reach[1]


def _hide(light: Array, numbers: Array, occluder: Occluder, backdrop: Array) -> None:
    height, width = occluder.mask.shape
    area = (slice(occluder.top, occluder.top + height), slice(occluder.left, occluder.left + width))
    cv2.copyTo(backdrop[area], occluder.mask, light[area])
    if numbers.size:
        numbers[area][occluder.mask > 0] = 0
