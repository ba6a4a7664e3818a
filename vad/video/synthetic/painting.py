"""Bodies on the canvas: who is in the picture, their shadows, their parts, and the truth about each pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vad.video.synthetic.backdrop import SUBPIXEL, Occluder
from vad.video.synthetic.bodies import Body, polygons
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import HIDDEN, Array
from vad.video.synthetic.traffic import Track

_STIFFNESS = 0.05  # px^2 by which a part's spread is raised, so that a hair-thin part does not spin


@dataclass(frozen=True, slots=True)
class Drawn:
    """One body in one frame: its visible parts in painting order."""

    track: Track
    state: Array  # (6,)
    corners: Array  # (parts, CORNERS, 2) pixels
    before: Array | None  # the same parts in the previous frame
    lumas: Array  # (parts,)

    @property
    def y_m(self) -> float:
        return float(self.state[1])


def draw(camera: Camera, tracks: Sequence[Track], index: int, *, truth: bool) -> list[Drawn]:
    """Shape everybody whose polygons touch the picture, the far ones first."""
    drawn: list[Drawn] = []
    for body in Body:
        group = [track for track in tracks if track.body is body]
        if group:
            drawn += _draw_group(camera, body, group, index, truth)
    return sorted(drawn, key=lambda d: -d.y_m)


def _draw_group(camera: Camera, body: Body, group: Sequence[Track], index: int, truth: bool) -> list[Drawn]:
    now = np.stack([track.states[index - track.first] for track in group])
    size = np.stack([track.look.size for track in group]).astype(np.float64)
    before = None
    if truth:  # one call shapes both moments
        past = np.stack([track.states[max(index - 1 - track.first, 0)] for track in group])
        corners, order = polygons(body, camera, np.concatenate([size, size]), np.concatenate([now, past]))
        corners, before = corners[: len(group)], corners[len(group) :]
    else:
        corners, order = polygons(body, camera, size, now)
    low, high = corners.min(axis=(1, 2)), corners.max(axis=(1, 2))
    inside = (high > -2).all(1) & (low[:, 0] < camera.width + 2) & (low[:, 1] < camera.height + 2)
    drawn = []
    for k in np.flatnonzero(inside):
        lumas = group[k].look.lumas
        rank = np.where(lumas == HIDDEN, HIDDEN, order[k])
        parts = np.argsort(rank, kind="stable")[int((rank == HIDDEN).sum()) :]
        past_corners = None if before is None else before[k][parts]
        drawn.append(Drawn(group[k], now[k], corners[k][parts], past_corners, lumas[parts]))
    return drawn


def cast_shadows(light: Array, camera: Camera, drawn: Sequence[Drawn], sun: Array, strength: float) -> None:
    """Darken the ground under everybody and along ``sun`` (metres per metre of height), softly, at a quarter size."""
    if not drawn or strength <= 0:
        return
    centre = np.stack([d.state[:2] for d in drawn])
    lengths = np.array([d.track.look.size[0] for d in drawn])
    boxy = np.array([d.track.body in (Body.VEHICLE, Body.BAG) for d in drawn])
    heading = np.stack([np.cos([d.state[2] for d in drawn]), np.sin([d.state[2] for d in drawn])], -1)
    lying = np.array([np.sin(d.state[5]) for d in drawn])[:, None]
    long = np.where(boxy, lengths * 0.52, 0.22)[:, None] * heading
    wide = np.where(boxy, lengths * 0.24, 0.16)[:, None] * np.stack([-heading[:, 1], heading[:, 0]], -1)
    cast = np.where(boxy, 0.6, 1.5)[:, None] * sun * (1 - lying)
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = long[:, None] * np.cos(turn)[:, None] + wide[:, None] * np.sin(turn)[:, None]
    ring = ring + cast[:, None] * ((ring * sun).sum(-1, keepdims=True) > 0)  # stretched away from the sun: still convex
    ground = np.concatenate([centre[:, None] + ring, np.zeros((*ring.shape[:2], 1))], -1)
    outlines, _ = camera.project(ground)
    mask = np.zeros((max(light.shape[0] // 4, 1), max(light.shape[1] // 4, 1)), np.uint8)
    for corners in np.round((outlines / 4 - 0.375) * (1 << SUBPIXEL)).astype(np.int32):
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA, SUBPIXEL)
    gain = (1 - strength / 255 * cv2.GaussianBlur(mask, (3, 3), 0.7)).astype(np.float32)
    cv2.multiply(light, cv2.resize(gain, light.shape[::-1]), light, dtype=cv2.CV_8U)


def paint_bodies(
    light: Array, parts: Array | None, drawn: Sequence[Drawn], occluders: Iterable[Occluder], backdrop: Array
) -> None:
    """Paint bodies (given far first) into ``light``, and their parts' numbers (from 1, in order) into ``parts``."""
    waiting = sorted(occluders, key=lambda o: -o.y_m)
    number, behind = 1, False
    for body in drawn:
        while waiting and body.y_m <= waiting[0].y_m:
            _hide(light, parts, waiting.pop(0), backdrop, behind)
        behind = True
        corners = np.round(body.corners * (1 << SUBPIXEL)).astype(np.int32)
        for outline, luma in zip(corners, body.lumas.tolist(), strict=True):
            cv2.fillConvexPoly(light, outline, luma, cv2.LINE_AA, SUBPIXEL)
            if parts is not None:
                cv2.fillConvexPoly(parts, outline, number, cv2.LINE_8, SUBPIXEL)
            number += 1
    for occluder in waiting:
        _hide(light, parts, occluder, backdrop, behind)


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
    flow, foreground = np.zeros((*parts.shape, 2), np.float32), np.zeros(parts.shape, np.uint8)
    if not drawn:
        return flow, foreground
    rows, columns = np.nonzero(parts)
    which = parts[rows, columns] - 1
    now = np.concatenate([d.corners for d in drawn])  # (P, CORNERS, 2)
    past = np.concatenate([d.before for d in drawn if d.before is not None])
    ids = np.repeat([d.track.id for d in drawn], [len(d.corners) for d in drawn]).astype(np.uint8)
    centre, moved = now.mean(axis=1), (now - past).mean(axis=1)
    around, change = now - centre[:, None], now - past - moved[:, None]
    spread = around.transpose(0, 2, 1) @ around + _STIFFNESS * np.eye(2)
    gradient = np.linalg.solve(spread, around.transpose(0, 2, 1) @ change)  # (P, 2, 2)
    constant = moved - (centre[:, None] @ gradient)[:, 0]
    table = np.concatenate([gradient.reshape(-1, 4), constant], 1).astype(np.float32)[which]  # (pixels, 6)
    x, y = (columns - shift[0]).astype(np.float32), (rows - shift[1]).astype(np.float32)
    flow[rows, columns, 0] = x * table[:, 0] + y * table[:, 2] + table[:, 4]
    flow[rows, columns, 1] = x * table[:, 1] + y * table[:, 3] + table[:, 5]
    foreground[rows, columns] = ids[which]
    return flow, foreground
