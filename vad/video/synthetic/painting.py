"""Bodies on the canvas: their shadows, their parts, and the truth about each pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from vad.video.synthetic.backdrop import Occluder
from vad.video.synthetic.bodies import Body
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import STATE, SUBPIXEL, Array
from vad.video.synthetic.shaping import Drawn

SHADE_SCALE = 4
"""Light and shadow are computed on a grid that much coarser than the picture."""

BOXY = (Body.VEHICLE, Body.BAG, Body.CRATE, Body.CART)
_TURN = np.linspace(0, 2 * np.pi, 16, endpoint=False)


def cast_shadows(shade: Array, camera: Camera, drawn: Sequence[Drawn], sun: Array, strength: float) -> Array:
    """Darken the coarse ``shade`` under everybody and along ``sun`` (metres per metre of height): a new array."""
    if not drawn or strength <= 0:
        return shade
    states = np.stack([d.state[:STATE] for d in drawn])
    sizes = np.array([d.track.look.size[0] for d in drawn])
    boxy = np.array([d.track.body in BOXY for d in drawn])
    ahead = np.stack([np.cos(states[:, 2]), np.sin(states[:, 2])], -1)
    long = np.where(boxy, sizes * 0.52, 0.22)[:, None] * ahead
    wide = np.where(boxy, sizes * 0.24, 0.16)[:, None] * np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    cast = np.where(boxy, 0.6, 1.5)[:, None] * sun * np.cos(states[:, 5:6])
    ring = long[:, None] * np.cos(_TURN)[:, None] + wide[:, None] * np.sin(_TURN)[:, None]
    ring = ring + cast[:, None] * ((ring * sun).sum(-1, keepdims=True) > 0)  # the half away from the sun: still convex
    ground = np.zeros((*ring.shape[:2], 3))
    ground[..., :2] = states[:, None, :2] + ring
    outlines, _ = camera.project(ground)
    outlines = np.clip((outlines + 0.5) / SHADE_SCALE - 0.5, -4000, 8000)
    mask = np.zeros(shade.shape, np.uint8)
    for corners in np.round(outlines * (1 << SUBPIXEL)).astype(np.int32):
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA, SUBPIXEL)
    dark: Array = cv2.GaussianBlur(mask, (3, 3), 0.7) * np.float32(strength / 255)
    darkened: Array = shade * (1 - dark)
    return darkened


def paint_bodies(
    light: Array, parts: Array | None, drawn: Sequence[Drawn], *, shade: Array, occluders: Iterable[Occluder]
) -> None:
    """Paint bodies (given far first) into ``light``, and their parts' numbers (from 1, in order) into ``parts``.

    ``shade`` is the coarse light without shadows, read at each body's feet.
    """
    waiting = sorted(occluders, key=lambda o: -o.y_m)
    backdrop = light.copy() if waiting else light
    number, behind = 1, False
    for body in drawn:
        while waiting and body.y_m <= waiting[0].y_m:
            _hide(light, parts, waiting.pop(0), backdrop, behind)
        behind = True
        lumas = np.minimum(body.lumas * _at(shade, (body.low + body.high) / 2), 255)
        for outline, luma in zip(body.corners, lumas.tolist(), strict=True):
            cv2.fillConvexPoly(light, outline, luma, cv2.LINE_AA, SUBPIXEL)
            if parts is not None:
                cv2.fillConvexPoly(parts, outline, number, cv2.LINE_8, SUBPIXEL)
            number += 1
    for occluder in waiting:
        _hide(light, parts, occluder, backdrop, behind)


def _at(shade: Array, pixel: Array) -> float:
    x, y = (pixel / SHADE_SCALE).astype(int)
    return float(shade[min(max(y, 0), shade.shape[0] - 1), min(max(x, 0), shade.shape[1] - 1)])


def _hide(light: Array, parts: Array | None, occluder: Occluder, backdrop: Array, needed: bool) -> None:
    if not needed:
        return
    height, width = occluder.mask.shape
    area = (slice(occluder.top, occluder.top + height), slice(occluder.left, occluder.left + width))
    cv2.copyTo(backdrop[area], occluder.mask, light[area])
    if parts is not None:
        parts[area][occluder.mask > 0] = 0


def truth_of(parts: Array, drawn: Sequence[Drawn], shift: tuple[float, float]) -> tuple[Array, Array]:
    """Part numbers (H, W) -> flow (H, W, 2) float32 and foreground (H, W) uint8.

    A part moves by the affine map that takes its corners in the previous frame to those in this one.
    """
    flow, foreground = np.zeros((parts.size, 2), np.float32), np.zeros(parts.size, np.uint8)
    motions = [d.motion for d in drawn if d.motion is not None]
    if motions:
        pixels = np.flatnonzero(parts > 0)
        which = parts.reshape(-1)[pixels] - 1
        rows, columns = np.divmod(pixels.astype(np.int32), np.int32(parts.shape[1]))
        x, y = columns.astype(np.float32) - np.float32(shift[0]), rows.astype(np.float32) - np.float32(shift[1])
        table = [column[which] for column in np.concatenate(motions).T.copy()]
        flow[pixels, 0] = x * table[0] + y * table[2] + table[4]
        flow[pixels, 1] = x * table[1] + y * table[3] + table[5]
        ids = np.repeat([d.track.id for d in drawn], [len(d.corners) for d in drawn]).astype(np.uint8)
        foreground[pixels] = ids[which]
    return flow.reshape(*parts.shape, 2), foreground.reshape(parts.shape)
