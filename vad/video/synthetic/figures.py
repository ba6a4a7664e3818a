"""People: articulated figures of tapered capsules, on foot and on bicycles. Sizes are in units of body height."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import CORNERS, HIDDEN, POSTURE, Array, Look, place

_CAP = np.linspace(-np.pi / 2, np.pi / 2, CORNERS // 2)


class Capsules:
    """Collects tapered capsules given in body coordinates (forward, left, up), in units of body height."""

    def __init__(self) -> None:
        self.ends: list[tuple[Array, Array]] = []
        self.radii: list[tuple[Array, Array]] = []
        self.bulges: list[float] = []
        self.bias: list[float] = []

    def add(self, a: Array, b: Array, ra: Any, rb: Any, *, bulge: float = 1.0, bias: float = 0.0) -> None:
        ones = np.ones(len(a))
        self.ends.append((a, b))
        self.radii.append((ra * ones, rb * ones))
        self.bulges.append(bulge)
        self.bias.append(bias)

    def shape(self, camera: Camera, height: Array, state: Array, fall: Array) -> tuple[Array, Array]:
        ends: Array = np.array(self.ends).transpose(2, 0, 1, 3)  # (n, parts, 2, 3)
        world = place(ends * height[:, None, None, None], state, fall)
        pixels, per_m = camera.project(world)  # (n, parts, 2, 2), (n, parts, 2)
        radii = np.array(self.radii).transpose(2, 0, 1) * height[:, None, None] * per_m
        corners = _outline(pixels, np.maximum(radii, 0.45), np.array(self.bulges))
        nearness = -world[:, :, :, 1].sum(axis=2) / 2 + np.array(self.bias)  # (n, parts)
        return corners, np.argsort(np.argsort(nearness, axis=1), axis=1)


def _outline(ends: Array, radii: Array, bulges: Array) -> Array:
    """Capsules (n, parts, 2, 2) with radii (n, parts, 2) -> outlines (n, parts, CORNERS, 2)."""
    axis = ends[:, :, 1] - ends[:, :, 0]
    length = np.hypot(axis[..., 0], axis[..., 1])[..., None]
    axis = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), np.array([0.0, -1.0]))
    normal = np.stack([-axis[..., 1], axis[..., 0]], -1)
    cap = np.cos(_CAP)[:, None] * bulges[:, None, None] * axis[:, :, None]  # (n, parts, CORNERS / 2, 2)
    cap = cap + np.sin(_CAP)[:, None] * normal[:, :, None]
    far = ends[:, :, 1, None] + cap * radii[:, :, 1, None, None]
    near = ends[:, :, 0, None] - cap * radii[:, :, 0, None, None]
    return np.concatenate([far, near], axis=2)


def _by(forward: float, left: float, up: float) -> Array:
    return np.array([forward, left, up])


def _at(forward: Any, left: Any, up: Any, n: int) -> Array:
    points = np.empty((n, 3))
    points[:, 0], points[:, 1], points[:, 2] = forward, left, up
    return points


# -- walkers ----------------------------------------------------------------------------------------------------------


def _limb(start: Array, angle: Array, bend: Array, upper: float, lower: float) -> tuple[Array, Array]:
    """Two-piece limb that hangs from ``start``: its middle joint and its end."""
    n, bent = len(angle), angle + bend
    middle = start + _at(upper * np.sin(angle), 0.0, -upper * np.cos(angle), n)
    end = middle + _at(lower * np.sin(bent), 0.0, -lower * np.cos(bent), n)
    return middle, end


def walkers(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: height in metres, build (1 = average), running (0 or 1), direction of a fall (radians from ahead)."""
    height, build, run, fall = size.T
    n, phase, swing = len(state), state[:, 3], state[:, 4]
    view = state[:, 2] - np.arctan2(state[:, 1], state[:, 0])
    breadth = np.hypot(np.cos(view), 0.62 * np.sin(view)) * build  # a body is broader from the front than from the side
    sit, left_arm, right_arm = state[:, 7:].T if state.shape[1] == POSTURE else np.zeros((3, n))
    body = Capsules()
    limbs, lift = _legs(phase, swing, run, sit, n)
    hip = 0.53 + lift
    for knee, ankle, start in limbs:
        body.add(start, knee, 0.055 * build, 0.040 * build)
        body.add(knee, ankle, 0.038 * build, 0.026)
        body.add(ankle + _by(0, 0, -0.012), ankle + _by(0.075, 0, -0.022), 0.020, 0.016)
    lean = 0.015 + 0.05 * run * np.minimum(swing * 2, 1)
    for side, raised in ((1, left_arm), (-1, right_arm)):
        shoulder = _at(lean, side * 0.108 * build, hip + 0.285, n)
        elbow, hand = _limb(shoulder, raised - side * 0.8 * swing * np.sin(phase), 0.22 + 1.3 * run, 0.17, 0.15)
        body.add(shoulder, elbow, 0.033 * build, 0.028 * build)
        body.add(elbow, hand, 0.027 * build, 0.020)
    _trunk(body, hip, lean, breadth, n)
    return body.shape(camera, height, state, fall)


def _legs(phase: Array, swing: Array, run: Array, sit: Array, n: int) -> tuple[list[tuple[Array, Array, Array]], Array]:
    """Knees, ankles and hips of both legs, and how far the hips must be lifted for the lower foot to touch ground."""
    limbs = []
    for side in (1, -1):
        start = _at(0.0, side * 0.05, 0.53, n)
        angle = side * swing * np.sin(phase) + 0.15 * run * swing + 1.5 * sit
        bend = -swing * (1.0 + 0.9 * run) * np.maximum(0.0, side * np.cos(phase)) - 0.04 - 1.5 * sit
        limbs.append((*_limb(start, angle, bend, 0.255, 0.245), start))
    lift = 0.035 - np.minimum(limbs[0][1][:, 2], limbs[1][1][:, 2])
    up = _at(0.0, 0.0, lift, n)
    return [(knee + up, ankle + up, start + up) for knee, ankle, start in limbs], lift


def _trunk(body: Capsules, hip: Array, lean: Array, breadth: Array, n: int) -> None:
    low, high = _at(0.0, 0.0, hip - 0.01, n), _at(lean, 0.0, hip + 0.275, n)
    body.add(low, _at(0.0, 0.0, hip - 0.20, n), 0.085 * breadth, 0.105 * breadth, bulge=0.3, bias=0.02)  # skirt
    body.add(low, high, 0.088 * breadth, 0.118 * breadth, bulge=0.55, bias=0.03)  # torso
    side = np.array([0.0, 0.0, 0.0])
    body.add(low + side, high + side, 0.05 * breadth, 0.06 * breadth, bulge=0.5, bias=0.04)  # shading
    for at in (0.25, 0.55, 0.85):  # stripes, or a print
        a, b = low + (high - low) * at, low + (high - low) * (at + 0.16)
        body.add(a, b, (0.088 + 0.03 * at) * breadth, (0.091 + 0.03 * at) * breadth, bulge=0.15, bias=0.05)
    body.add(_at(-0.095, 0, hip + 0.06, n), _at(-0.085 + lean, 0, hip + 0.23, n), 0.068, 0.075, bulge=0.6)  # backpack
    neck = _at(lean, 0.0, hip + 0.29, n)
    body.add(neck, neck + _by(0.012, 0, 0.05), 0.033, 0.033, bias=0.04)
    body.add(neck + _by(0.012, 0, 0.07), neck + _by(0.012, 0, 0.105), 0.050, 0.056, bias=0.08)  # hair
    body.add(neck + _by(0.030, 0, 0.062), neck + _by(0.030, 0, 0.092), 0.043, 0.045, bias=0.08)  # face


def walker_look(rng: np.random.Generator, *, running: bool = False) -> Look:
    ranges = ((15, 235), (15, 90), (60, 220), (90, 205), (15, 130), (10, 220), (4, 22), (15, 160), (15, 240))
    top, dark, bright, skin, hair, shoes, lit, pack, stripe = (int(rng.integers(low, high)) for low, high in ranges)
    legs = dark if rng.random() < 0.65 else bright
    sleeve = top if rng.random() < 0.7 else skin
    bare = skin if rng.random() < 0.15 else legs
    lumas = [legs, bare, shoes] * 2 + [top - 8, sleeve - 8] * 2
    lumas += [legs if rng.random() < 0.2 else HIDDEN, top, min(top + lit, 255)]
    pattern = rng.random()
    lumas += [stripe] * 3 if pattern < 0.2 else [HIDDEN, stripe, HIDDEN] if pattern < 0.4 else [HIDDEN] * 3
    lumas += [pack if rng.random() < 0.25 else HIDDEN, skin, hair, skin]
    child = rng.random() < 0.06
    height = rng.uniform(1.15, 1.4) if child else min(max(rng.normal(1.72, 0.08), 1.5), 1.95)
    size = [height, rng.uniform(0.85, 1.25), float(running), rng.uniform(-2.6, 2.6)]
    return Look(np.array(size, np.float32), np.array(lumas, np.int32))


# -- cyclists ---------------------------------------------------------------------------------------------------------

_SPOKES = np.linspace(0, 2 * np.pi, 9)


def cyclists(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: rider's height in metres, build, unused, direction of a fall. ``phase`` turns the pedals."""
    height, build, _, fall = size.T
    n, phase = len(state), state[:, 3]
    breadth = np.hypot(np.cos(view := state[:, 2] - np.arctan2(state[:, 1], state[:, 0])), 0.7 * np.sin(view)) * build
    body = Capsules()
    for hub in (-0.30, 0.30):
        rim = [_at(hub + 0.19 * np.cos(s), 0, 0.195 + 0.19 * np.sin(s), n) for s in _SPOKES]
        for a, b in pairwise(rim):
            body.add(a, b, 0.013, 0.013)
    crank, seat, bars = _at(-0.03, 0, 0.17, n), _at(-0.14, 0, 0.52, n), _at(0.22, 0, 0.56, n)
    for a, b in (
        (crank, seat),
        (crank, bars),
        (seat, bars),
        (bars, _at(0.30, 0, 0.19, n)),
        (crank, _at(-0.30, 0, 0.195, n)),
    ):
        body.add(a, b, 0.014, 0.014)
    hip, shoulder = _at(-0.14, 0, 0.57, n), _at(0.04, 0, 0.83, n)
    for side in (1, -1):
        pedal = crank + _at(0.095 * np.cos(phase) * side, side * 0.06, 0.095 * np.sin(phase) * side, n)
        start = hip + _at(0, side * 0.05, 0, n)
        knee = (start + pedal) / 2 + _at(0.12, 0, 0.04, n)
        body.add(start, knee, 0.052 * build, 0.04 * build)
        body.add(knee, pedal, 0.037 * build, 0.025)
        body.add(shoulder + _at(0, side * 0.1, 0, n), bars + _at(0, side * 0.1, 0.01, n), 0.032, 0.022)
    body.add(hip, shoulder, 0.088 * breadth, 0.11 * breadth, bulge=0.6, bias=0.03)
    body.add(shoulder + _by(0.03, 0, 0.08), shoulder + _by(0.035, 0, 0.115), 0.048, 0.054, bias=0.06)
    body.add(shoulder + _by(0.055, 0, 0.072), shoulder + _by(0.055, 0, 0.10), 0.042, 0.043, bias=0.06)
    return body.shape(camera, height, state, fall)


def cyclist_look(rng: np.random.Generator) -> Look:
    tyre, frame, top, legs, skin = (
        int(rng.integers(*r)) for r in ((15, 60), (20, 230), (20, 235), (15, 200), (90, 205))
    )
    lumas = [tyre] * 16 + [frame] * 5 + [legs, legs, top] * 2 + [top, int(rng.integers(15, 220)), skin]
    size = [rng.uniform(1.6, 1.88), rng.uniform(0.85, 1.15), 0.0, 0.0]
    return Look(np.array(size, np.float32), np.array(lumas, np.int32))
