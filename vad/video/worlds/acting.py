"""A body's doings one after the other: walks, waits, turns, sits down, falls; as states at a steady frame rate."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.posing import POSTURE, Array, Look
from vad.video.synthetic.traffic import Track, dense

Point: TypeAlias = Sequence[float] | Array
"""(x, y) on the ground, metres."""

X, Y, HEADING, PHASE, SWING, TILT, LIFT, SIT, LEFT_ARM, RIGHT_ARM = range(POSTURE)
"""Columns of a state row."""

_STEP_M = 0.1  # of ``dense``
_EASE_S = 0.45  # to reach a walking speed, and to come to rest
_TURN_S = 0.5


class Acting:
    """Collects what one body does. Each call goes on where the one before has ended; ``frame`` is how far it is."""

    def __init__(
        self, look: Look, *, fps: float, at: Point = (0.0, 0.0), heading: float = 0.0, pose: Array | None = None
    ) -> None:
        """It begins upright at ``at``, or in ``pose`` (POSTURE,) when that is given."""
        self.look, self.fps = look, fps
        self._last = np.zeros(POSTURE) if pose is None else pose.copy()
        if pose is None:
            self._last[[X, Y, HEADING]] = at[0], at[1], heading
        self._states: list[Array] = []
        self.frame = 0

    @property
    def xy(self) -> Array:
        """Where it is now, (2,)."""
        return self._last[:2].copy()

    def walk(self, *points: Point, speed: float = 1.2, arms: float = 0.0) -> Acting:
        """Walk through the points, easing in and out; ``arms`` are held forward by that many radians."""
        way = [self.xy]
        for point in points:
            if np.hypot(point[0] - way[-1][0], point[1] - way[-1][1]) > _STEP_M:
                way.append(np.asarray(point, np.float64))
        if len(way) < 2:
            return self
        line = dense(np.array(way), corner_m=0.8)
        line = np.concatenate([line[1:], way[-1][None]])
        length = (len(line) - 1) * _STEP_M
        ease_m = min(speed * _EASE_S, length / 2)
        frames = max(2, int((length / speed + _EASE_S) * self.fps))
        share = np.arange(1, frames + 1) / frames
        knots = [0.0, ease_m * 0.5, length - ease_m * 0.5, length]
        times = [0.0, _EASE_S * 0.75, frames / self.fps - _EASE_S * 0.75, frames / self.fps]
        times[2] = max(times[2], times[1])
        gone = np.interp(share * frames / self.fps, times, knots)
        states = np.tile(self._last, (frames, 1))
        grid = np.arange(len(line)) * _STEP_M
        ahead = np.gradient(line, axis=0)
        turn = np.unwrap(np.concatenate([[self._last[HEADING]], np.arctan2(ahead[:, 1], ahead[:, 0])]))[1:]
        for column, values in ((X, line[:, 0]), (Y, line[:, 1]), (HEADING, turn)):
            states[:, column] = np.interp(gone, grid, values)
        turning = np.clip(np.arange(1, frames + 1) / (_TURN_S * self.fps), 0, 1)
        states[:, HEADING] = self._last[HEADING] + (states[:, HEADING] - self._last[HEADING]) * turning
        pace = np.diff(gone, prepend=0.0) * self.fps
        height, running = float(self.look.size[0]), float(self.look.size[2])
        stride = 0.8 * height * (speed / 1.3) ** 0.45 * (1 + 0.25 * running)
        states[:, PHASE] = self._last[PHASE] + gone * 2 * np.pi / stride
        swing = np.clip(0.40 + 0.10 * (speed - 1.3) + 0.05 * running, 0.0, 0.75)
        states[:, SWING] = swing * np.minimum(pace / speed, 1.0)
        states[:, LEFT_ARM:] = arms
        return self.add(states)

    def wait(self, seconds: float, *, restless: float = 0.0, rng: np.random.Generator | None = None) -> Acting:
        """Stay as it is. ``restless`` is how far the arms move now and then, radians."""
        frames = max(1, round(seconds * self.fps))
        states = np.tile(self._last, (frames, 1))
        states[:, SWING] = 0.0
        if restless and rng is not None:
            for column in (LEFT_ARM, RIGHT_ARM):
                states[:, column] += restless * _bursts(rng, frames, self.fps)
            states[:, HEADING] += 0.3 * restless * _bursts(rng, frames, self.fps)
        return self.add(states)

    def change(self, seconds: float, **columns: float) -> Acting:
        """Go over to other values of columns (``tilt=1.5``, ``heading=0.0``), smoothly."""
        frames = max(1, round(seconds * self.fps))
        share = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, frames + 1) / frames)
        states = np.tile(self._last, (frames, 1))
        states[:, SWING] = 0.0
        for name, target in columns.items():
            column = COLUMNS[name]
            start = self._last[column]
            if column == HEADING:
                target = start + float(np.mod(target - start + np.pi, 2 * np.pi) - np.pi)
            states[:, column] = start + (target - start) * share
        return self.add(states)

    def add(self, states: Array) -> Acting:
        """States (frames, POSTURE) as they are."""
        self._states.append(states)
        self._last = states[-1].copy()
        self.frame += len(states)
        return self

    def states(self) -> Array:
        """Everything so far, (frames, POSTURE)."""
        return np.concatenate(self._states)

    def track(
        self, first: int, id: int, *, kind: StrEnum | None = None, labelled: range = range(0), body: Body = Body.WALKER
    ) -> Track:
        """As a track that begins at frame ``first``; ``labelled`` counts from the acting's own first frame."""
        frames = range(first + labelled.start, first + labelled.stop)
        return Track(body, id, self.look, first, self.states(), kind, frames)


COLUMNS = {
    "x": X,
    "y": Y,
    "heading": HEADING,
    "tilt": TILT,
    "lift": LIFT,
    "sit": SIT,
    "left_arm": LEFT_ARM,
    "right_arm": RIGHT_ARM,
}
"""The columns that ``Acting.change`` knows by name."""


def _bursts(rng: np.random.Generator, frames: int, fps: float) -> Array:
    """(frames,) 0 but for short movements of up to 1, about one in eight seconds; 0 at both ends."""
    value = np.zeros(frames)
    for _ in range(int(frames / fps / 8 + rng.random())):
        length = int(rng.uniform(1.0, 3.0) * fps)
        if frames > length + 2:
            at = int(rng.integers(0, frames - length))
            value[at : at + length] += np.sin(np.linspace(0, np.pi, length)) ** 2 * rng.uniform(0.4, 1.0)
    return np.minimum(value, 1.0)


def beside(states: Array, left_m: float) -> Array:
    """States of something carried along at that distance to the left (negative: to the right)."""
    moved = states.copy()
    moved[:, X] -= left_m * np.sin(states[:, HEADING])
    moved[:, Y] += left_m * np.cos(states[:, HEADING])
    moved[:, PHASE:] = 0.0
    return moved


def agitated(rng: np.random.Generator, start: Array, other: Array, frames: int, fps: float) -> Array:
    """(frames, POSTURE): somebody at ``start`` (POSTURE,) who fights with somebody at ``other`` (2,)."""
    clock = np.arange(1, frames + 1) / fps
    rise = np.minimum(clock / 0.8, 1.0) * np.minimum((clock[-1] - clock) / 0.8, 1.0)
    states = np.tile(start, (frames, 1))

    def shaking(low_hz: float, high_hz: float) -> Array:
        waves = [np.sin(2 * np.pi * (rng.uniform(low_hz, high_hz) * clock + rng.random())) for _ in range(3)]
        wave: Array = np.sum(waves, axis=0) / 2
        return wave

    towards = np.arctan2(other[1] - start[Y], other[0] - start[X])
    turn = float(np.mod(towards - start[HEADING] + np.pi, 2 * np.pi) - np.pi)
    states[:, HEADING] = start[HEADING] + turn * np.minimum(clock / 0.5, 1) + 0.5 * rise * shaking(0.5, 1.2)
    states[:, X] += 0.16 * rise * shaking(0.5, 1.4)
    states[:, Y] += 0.16 * rise * shaking(0.5, 1.4)
    states[:, PHASE] += 2 * rise * shaking(0.8, 1.6)
    states[:, SWING] = 0.45 * rise
    states[:, TILT] = 0.18 * rise * shaking(0.6, 1.2)
    for column in (LEFT_ARM, RIGHT_ARM):
        states[:, column] = rise * np.clip(1.2 + 1.1 * shaking(1.2, 2.6), 0, 2.8)
    return states
