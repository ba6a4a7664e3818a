"""How a body stands in the world, shared by everything that moves.

A body's state row is (x, y, heading, phase, swing, tilt): where it stands on the ground in metres, which way it looks
(radians, 0 along x), where it is in its gait (radians), how wide the gait is (0 = standing), and how far it has fallen
(radians, pi/2 = lying). Body coordinates are (forward, left, up).

A row may go on with a posture, (lift, sit, left arm, right arm): how far above the ground the body is (metres), how far
a person sits (0 = standing, 1 = thighs level), and how far each arm is raised forward (radians from hanging down).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CORNERS = 12
"""Corners of every polygon. They keep their meaning from frame to frame: a part's motion is the affine map of them."""

SUBPIXEL = 4
"""Fractional bits of the coordinates given to OpenCV."""

HIDDEN = -1
"""As a luma: this part is not drawn."""


STATE, POSTURE = 6, 10
"""Columns of a state row without and with a posture."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a body looks like: ``size`` (4,) float32 (see the function that shapes the body), ``lumas`` (parts,)."""

    size: Array
    lumas: Array


def place(points: Array, state: Array, fall: Array) -> Array:
    """Body coordinates (n, ..., 3) in metres -> world: fallen towards ``fall`` (radians from ahead), turned, moved."""
    rows = (slice(None),) + (None,) * (points.ndim - 2)
    x, y, heading, tilt = state[:, 0][rows], state[:, 1][rows], state[:, 2][rows], state[:, 5][rows]
    cos_f, sin_f = np.cos(fall)[rows], np.sin(fall)[rows]
    ahead = points[..., 0] * cos_f + points[..., 1] * sin_f
    aside = -points[..., 0] * sin_f + points[..., 1] * cos_f
    up = points[..., 2]
    ahead, up = ahead * np.cos(tilt) + up * np.sin(tilt), up * np.cos(tilt) - ahead * np.sin(tilt)
    up = up + 0.13 * np.sin(tilt)
    if state.shape[1] == POSTURE:
        up = up + state[:, 6][rows]
    forward, left = ahead * cos_f - aside * sin_f, ahead * sin_f + aside * cos_f
    cos_h, sin_h = np.cos(heading), np.sin(heading)
    return np.stack([x + forward * cos_h - left * sin_h, y + forward * sin_h + left * cos_h, up], -1)
