"""Industrial robots: a pedestal and two links, of tapered capsules as people are."""

from __future__ import annotations

import numpy as np

from vad.video.synthetic.camera import Camera
from vad.video.synthetic.figures import Capsules
from vad.video.synthetic.posing import Array, Look


def robot_arms(camera: Camera, size: Array, state: Array) -> tuple[Array, Array]:
    """``size``: height of the shoulder in metres, then the lengths of both links in shares of it; unused.

    In ``state``, phase is the upper link's angle and swing the lower one's, radians forward from straight up.
    """
    height, upper, lower, _ = size.T
    n, phase, swing = len(state), state[:, 3], state[:, 4]
    body = Capsules()

    def at(forward: Array, up: Array) -> Array:
        return np.stack([forward, np.zeros(n), up], -1)

    zero, one = np.zeros(n), np.ones(n)
    base, shoulder = at(zero, zero), at(zero, one)
    elbow = shoulder + at(upper * np.sin(phase), upper * np.cos(phase))
    wrist = elbow + at(lower * np.sin(swing), lower * np.cos(swing))
    tool = wrist + at(zero, -0.25 * one)
    body.add(base, at(zero, 0.2 * one), 0.34, 0.30, bulge=0.4)
    body.add(base, shoulder, 0.20, 0.17)
    body.add(shoulder, elbow, 0.15, 0.12, bias=0.05)
    body.add(elbow, wrist, 0.12, 0.09, bias=0.06)
    body.add(wrist, tool, 0.06, 0.09, bulge=0.3, bias=0.07)
    return body.shape(camera, height, state, zero)


def robot_look(luma: int, *, shoulder_m: float, upper: float, lower: float) -> Look:
    """An arm of one colour with a dark tool."""
    lumas = [max(luma - 40, 10), luma - 12, luma, min(luma + 15, 255), 45]
    return Look(np.array([shoulder_m, upper, lower, 0.0], np.float32), np.array(lumas, np.int32))
