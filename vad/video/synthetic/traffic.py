"""Who is where, when: tracks through the scene at a steady frame rate, and the stream of ordinary passers-by.

Tracks are made for windows of SPAWN_WINDOW_S from (seed, window) alone, so a scene has no end and any frame can be
asked for without the ones before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import vehicle_look
from vad.video.synthetic.figures import cyclist_look, walker_look
from vad.video.synthetic.posing import Array, Look

SPAWN_WINDOW_S = 20.0
_STEP_M = 0.1


class AnomalyKind(StrEnum):
    """What can happen that is not normal here."""

    RUNNING = "running"
    VEHICLE = "vehicle"
    FALL = "fall"
    WRONG_DIRECTION = "wrong_direction"
    ABANDONED_OBJECT = "abandoned_object"


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One body's way through the scene. Row i of ``states`` (see ``posing``) is frame ``first + i``."""

    body: Body
    id: int  # 1..255, its value in the foreground mask
    look: Look
    first: int
    states: Array  # (frames, STATE or POSTURE)
    kind: StrEnum | None = None
    labelled: range = range(0)  # frames in which it is an anomaly
    lead: int = 0  # of its first frames, so many are not shown: they say how the next one has moved
    serial: int = field(default_factory=count().__next__)  # tells tracks of this process apart

    @property
    def end(self) -> int:
        """First frame after its last."""
        return self.first + len(self.states)


@dataclass(frozen=True, slots=True)
class Lane:
    """A way across the ground that people take: ``points`` (m, 2) metres, both ends out of sight."""

    points: Array
    every_s: float  # mean time between two who set out
    two_way: bool = False
    spread_m: float = 0.5  # how far to either side of the middle they walk
    mix: tuple[tuple[str, float], ...] = (("walk", 1.0),)  # who uses it: walk, run, glide, cycle, drive
    stop_chance: float = 0.0
    longest_stop_s: float = 2.0
    group_chance: float = 0.12

    def longest_s(self, speed: float) -> float:
        """Nobody takes longer for it at that speed, with the way in and out and a stop."""
        length_m = float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())
        return (length_m + 12.0) / speed + self.longest_stop_s + 2.0


def dense(points: Array, *, offset_m: float = 0.0, corner_m: float = 1.0, pad_m: float = 0.0) -> Array:
    """A polyline (m, 2) in steps of _STEP_M, corners rounded, moved ``offset_m`` to its left, longer by ``pad_m``."""
    points = np.asarray(points, np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    first, last = (points[1] - points[0]) / steps[0], (points[-1] - points[-2]) / steps[-1]
    points = np.concatenate([[points[0] - first * (pad_m + _STEP_M)], points[1:-1], [points[-1] + last * pad_m]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.arange(0, along[-1], _STEP_M)
    line = np.stack([np.interp(at, along, points[:, k]) for k in range(2)], -1)
    if len(points) > 2:
        width = max(1, int(corner_m / _STEP_M)) | 1
        padded = np.pad(line, ((width // 2, width // 2), (0, 0)), mode="edge")
        line = np.stack([np.convolve(padded[:, k], np.ones(width) / width, "valid") for k in range(2)], -1)
    ahead = np.gradient(line, axis=0)
    left: Array = np.stack([-ahead[:, 1], ahead[:, 0]], -1) / np.maximum(np.linalg.norm(ahead, axis=1), 1e-9)[:, None]
    return line + left * offset_m


def travel(
    line: Array,
    *,
    speed: float,
    start_s: float,
    fps: float,
    look: Look,
    body: Body = Body.WALKER,
    stops: Sequence[tuple[float, float]] = (),
    gait: bool = True,
) -> tuple[int, Array]:
    """Move along a dense line from ``start_s`` on; ``stops`` are (metres from its start, seconds).

    Returns the first frame's index and the states, one a frame. Speed changes take about half a second.
    """
    length = (len(line) - 1) * _STEP_M
    first = int(np.ceil(start_s * fps))
    frames = max(2, int((length / speed + sum(s for _, s in stops) + 0.5) * fps))
    clock = (first + np.arange(frames)) / fps - start_s
    pace = np.full(frames, speed)
    waited = 0.0
    for at_m, pause_s in sorted(stops):
        begin = at_m / speed + waited
        pace[(clock >= begin) & (clock < begin + pause_s)] = 0.0
        waited += pause_s
    width = max(1, round(0.5 * fps)) | 1
    pace = np.convolve(np.pad(pace, width // 2, mode="edge"), np.ones(width) / width, "valid")
    gone = clock[0] * speed + np.concatenate([[0], np.cumsum(pace[1:]) / fps])
    keep = gone < length
    gone, pace = gone[keep], pace[keep]
    at = gone / _STEP_M
    grid = np.arange(len(line))
    ahead = np.gradient(line, axis=0)
    heading = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    states = np.zeros((len(gone), 6))
    states[:, 0], states[:, 1] = np.interp(at, grid, line[:, 0]), np.interp(at, grid, line[:, 1])
    states[:, 2] = np.interp(at, grid, heading)
    if body is Body.CYCLIST:
        states[:, 3] = gone * 2 * np.pi / 4.5
    elif body is Body.WALKER and gait:
        height, running = float(look.size[0]), float(look.size[2])
        stride = 0.8 * height * (speed / 1.3) ** 0.45 * (1 + 0.25 * running)
        states[:, 3] = gone * 2 * np.pi / stride + height * 7
        states[:, 4] = (0.40 + 0.10 * (speed - 1.3) + 0.05 * running) * np.minimum(pace / speed, 1.0)
    states[:, 4] = np.clip(states[:, 4], 0.0, 0.75)
    return first, states


SPEEDS_MPS = {"walk": (0.8, 1.6), "run": (2.4, 5.0), "glide": (1.2, 4.0), "cycle": (2.5, 7.0), "drive": (2.5, 11.0)}
_BODIES = {"cycle": Body.CYCLIST, "drive": Body.VEHICLE}


@dataclass(slots=True, eq=False)
class _Departure:
    """Somebody who will set out, alone or in a group. ``tracks`` is None until somebody looks while they are there."""

    lane: Lane
    who: str
    start_s: float
    speed: float
    stop: tuple[float, float] | None  # share of the way, seconds
    group: int
    backwards: bool
    seed: tuple[int, ...]
    id: int
    gone_s: float = field(init=False)  # when all of them have certainly left
    tracks: list[Track] | None = None

    def __post_init__(self) -> None:
        self.gone_s = self.start_s + self.lane.longest_s(self.speed)


@dataclass(slots=True)
class Traffic:
    """The ordinary passers-by of a scene, and beside them ``special`` tracks made once (the anomalies)."""

    seed: int
    fps: float
    lanes: Sequence[Lane]
    special: Sequence[Track] = ()
    _windows: dict[int, list[_Departure]] = field(default_factory=dict)
    _reach: int = field(init=False)  # windows back from which somebody may still be here

    def __post_init__(self) -> None:
        slowest_s = [lane.longest_s(min(SPEEDS_MPS[who][0] for who, _ in lane.mix)) for lane in self.lanes]
        self._reach = int(np.ceil(max(slowest_s, default=0.0) / SPAWN_WINDOW_S))

    def at(self, index: int) -> list[Track]:
        """Everybody present at frame ``index``."""
        at_s = index / self.fps
        now = int(np.floor(at_s / SPAWN_WINDOW_S))
        oldest = now - self._reach
        self._windows = {window: self._windows.get(window) or self._spawn(window) for window in range(oldest, now + 1)}
        tracks = list(self.special)
        for departures in self._windows.values():
            for departure in departures:
                if departure.start_s <= at_s < departure.gone_s:
                    if departure.tracks is None:
                        departure.tracks = _set_out(departure, self.fps)
                    tracks += departure.tracks
        return [track for track in tracks if track.first <= index < track.end]

    def _spawn(self, window: int) -> list[_Departure]:
        """Those who set out in a window: one in each equal share of it, so never crowded, never empty for long."""
        rng = np.random.default_rng([self.seed, 3, window + 1_000_000])
        departures: list[_Departure] = []
        for lane in self.lanes:
            names, shares = zip(*lane.mix, strict=True)
            number = int(SPAWN_WINDOW_S / lane.every_s + rng.uniform(0, 1))
            for k in range(number):
                who = str(rng.choice(names, p=shares))
                on_foot, pause_s = who == "walk", float(rng.uniform(1.0, lane.longest_stop_s))
                departures.append(
                    _Departure(
                        lane=lane,
                        who=who,
                        start_s=(window + (k + float(rng.uniform(0.1, 0.9))) / number) * SPAWN_WINDOW_S,
                        speed=float(rng.uniform(*SPEEDS_MPS[who])),
                        stop=(float(rng.uniform(0.2, 0.8)), pause_s)
                        if rng.random() < lane.stop_chance and on_foot
                        else None,
                        group=1 + int(rng.integers(1, 3)) if rng.random() < lane.group_chance and on_foot else 1,
                        backwards=lane.two_way and (k + window) % 2 == 1,
                        seed=(self.seed, 7, window + 1_000_000, len(departures)),
                        id=(window * 40 + len(departures) * 3) % 235 + 1,
                    )
                )
        return departures


def _set_out(departure: _Departure, fps: float) -> list[Track]:
    rng, lane = np.random.default_rng(departure.seed), departure.lane
    body = _BODIES.get(departure.who, Body.WALKER)
    points = lane.points[::-1] if departure.backwards else lane.points
    offset = float(rng.uniform(-lane.spread_m, lane.spread_m)) * (0.4 if body is Body.VEHICLE else 1.0)
    tracks = []
    for k in range(departure.group):
        look = _look(body, rng, departure.who)
        line = dense(points, offset_m=offset + 0.6 * k, pad_m=4.5 if body is Body.VEHICLE else 0.8)
        stops = [(departure.stop[0] * len(line) * _STEP_M, departure.stop[1])] if departure.stop else []
        first, states = travel(
            line,
            speed=departure.speed,
            start_s=departure.start_s + 0.15 * k,
            fps=fps,
            look=look,
            body=body,
            stops=stops,
            gait=departure.who != "glide",
        )
        tracks.append(Track(body, departure.id + k, look, first, states))
    return tracks


def _look(body: Body, rng: np.random.Generator, who: str) -> Look:
    if body is Body.CYCLIST:
        return cyclist_look(rng)
    if body is Body.VEHICLE:
        return vehicle_look(rng, large=True)
    return walker_look(rng, running=who == "run")
