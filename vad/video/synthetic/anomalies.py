"""The anomalies, staged: each becomes one or more tracks of its own on the plan's lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import bag_look, vehicle_look
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.plan import Plan
from vad.video.synthetic.posing import Array, Look
from vad.video.synthetic.traffic import AnomalyKind, Track, dense, travel

WALK_MPS = 1.25
FAST_MPS = 4.0
_FALL_S = 0.6
_RISE_S = 1.2
_FIRST_ID = 241  # ordinary tracks use 1..239


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that will happen. ``start_s``: when its label begins.

    ``duration_s`` None: running, vehicle and wrong direction last as long as the way through the picture, a fall lasts
    4.5 s (with getting up), an abandoned object is never fetched. With a duration, the walker in the wrong direction
    leaves the lane towards the camera after it, the fallen one is up again, the object is carried off.
    """

    kind: AnomalyKind
    start_s: float
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Stage:
    anomaly: Anomaly
    plan: Plan
    camera: Camera
    rng: np.random.Generator
    fps: float
    id: int

    def frames(self, start_s: float, end_s: float) -> range:
        return range(int(np.ceil(start_s * self.fps)), int(np.ceil(end_s * self.fps)))


def stage(anomalies: Sequence[Anomaly], plan: Plan, camera: Camera, *, seed: int, fps: float) -> list[list[Track]]:
    """The tracks of each anomaly: one of them is labelled."""
    tracks: list[list[Track]] = []
    for number, anomaly in enumerate(anomalies):
        rng = np.random.default_rng([seed, 6, number])
        place = _Stage(anomaly, plan, camera, rng, fps, _FIRST_ID + number * 2 % 14)
        tracks.append(_STAGED[anomaly.kind](place))
    return tracks


def _lane(place: _Stage, number: int) -> Array:
    return place.plan.lanes[number % len(place.plan.lanes)].points


def _through(place: _Stage, body: Body, look: Look, speed: float, pad_m: float) -> list[Track]:
    """Along the near lane at ``speed``; enters the picture at the anomaly's start."""
    line = dense(_lane(place, 0), pad_m=pad_m)
    start_s = place.anomaly.start_s - pad_m / speed
    first, states = travel(line, speed=speed, start_s=start_s, fps=place.fps, look=look, body=body)
    return [Track(body, place.id, look, first, states, place.anomaly.kind, range(first, first + len(states)))]


def _towards_camera(lane: Array) -> float:
    """Sign of an offset that brings a walker on ``lane`` nearer to the camera."""
    return -1.0 if lane[-1, 0] > lane[0, 0] else 1.0


def _clear_of_crossing(place: _Stage, line: Array, low: float, high: float) -> float:
    """Metres along ``line``, between shares ``low`` and ``high`` of it, as far as can be from the other lanes."""
    steps = np.arange(int(low * len(line)), int(high * len(line)))
    others = [dense(lane.points) for k, lane in enumerate(place.plan.lanes) if k != 1 % len(place.plan.lanes)]
    if not others:
        return float(steps[len(steps) // 2]) * 0.1
    ways = np.concatenate(others)
    nearest = np.linalg.norm(line[steps, None] - ways[None], axis=-1).min(axis=1)
    return float(steps[int(np.argmax(np.minimum(nearest, 3.0) + place.rng.uniform(0, 0.5, len(steps))))]) * 0.1


def _dark_clothes(rng: np.random.Generator, *, running: bool = False) -> Look:
    """Somebody who can be told from the ground: a demonstration is no test of camouflage."""
    look = walker_look(rng, running=running)
    lumas = np.where(look.lumas > 60, look.lumas // 4 + 12, look.lumas)
    lumas[-3:] = look.lumas[-3:]  # not the skin
    return Look(look.size, lumas)


def _running(place: _Stage) -> list[Track]:
    return _through(place, Body.WALKER, _dark_clothes(place.rng, running=True), FAST_MPS, 0.4)


def _vehicle(place: _Stage) -> list[Track]:
    return _through(place, Body.VEHICLE, vehicle_look(place.rng), FAST_MPS, 2.0)


def _wrong_direction(place: _Stage) -> list[Track]:
    """Against the near lane; after ``duration_s`` off the lane and out at the lower edge."""
    lane, look = _lane(place, 0)[::-1], _dark_clothes(place.rng)
    begin, duration_s = place.anomaly.start_s, place.anomaly.duration_s
    if duration_s is not None:
        ahead = (lane[-1] - lane[0]) / np.linalg.norm(lane[-1] - lane[0])
        turn = lane[0] + ahead * WALK_MPS * duration_s
        lane = np.array([lane[0], turn, [turn[0] + ahead[0] * 0.3, place.camera.ground_at(0.5, 1.45)[1]]])
    line = dense(lane, pad_m=0.3)
    first, states = travel(line, speed=WALK_MPS, start_s=begin - 0.3 / WALK_MPS, fps=place.fps, look=look)
    end = first + len(states) if duration_s is None else place.frames(begin, begin + duration_s).stop
    return [Track(Body.WALKER, place.id, look, first, states, place.anomaly.kind, range(first, end))]


def _fall(place: _Stage) -> list[Track]:
    """A walker on the far lane who falls near the middle of the picture, lies, gets up and walks on slowly."""
    begin, look = place.anomaly.start_s, _dark_clothes(place.rng)
    look.size[3] = place.rng.uniform(-0.6, 0.6)  # along the lane, so that it looks like lying from the camera
    lasts_s = 4.5 if place.anomaly.duration_s is None else max(place.anomaly.duration_s, _FALL_S + _RISE_S + 0.5)
    line = dense(_lane(place, 1), offset_m=_towards_camera(_lane(place, 1)) * 0.5, pad_m=0.8)
    at_m = _clear_of_crossing(place, line, 0.2, 0.8)
    start_s = begin - at_m / WALK_MPS
    stops = [(at_m, lasts_s)]
    first, states = travel(line, speed=WALK_MPS, start_s=start_s, fps=place.fps, look=look, stops=stops)
    at_s = (first + np.arange(len(states))) / place.fps - begin
    down = np.clip(at_s / _FALL_S, 0, 1) ** 2
    up = 0.5 - 0.5 * np.cos(np.pi * np.clip((at_s - lasts_s + _RISE_S) / _RISE_S, 0, 1))
    states[:, 5] = np.pi / 2 * 0.97 * down * (1 - up)
    lying = place.frames(begin, begin + lasts_s)
    return [Track(Body.WALKER, place.id, look, first, states, place.anomaly.kind, lying)]


def _abandoned_object(place: _Stage) -> list[Track]:
    """Somebody on the far lane puts down a suitcase and walks on; with a duration, somebody fetches it afterwards."""
    begin, duration_s, fps = place.anomaly.start_s, place.anomaly.duration_s, place.fps
    line = dense(_lane(place, 1), offset_m=_towards_camera(_lane(place, 1)) * 0.7, pad_m=0.8)
    at_m = _clear_of_crossing(place, line, 0.15, 0.6)
    owner, bag = walker_look(place.rng), bag_look(place.rng, dark=True)
    first, owner_states = _pauses_at(place, line, at_m, begin, owner)
    carried = _beside(owner_states)
    put = place.frames(begin, begin).start
    there = carried[put - first]
    tracks = [Track(Body.WALKER, place.id + 1, owner, first, owner_states)]
    if duration_s is None:
        end, after = put + int(600 * fps), np.zeros((0, 6))
    else:
        fetcher = walker_look(place.rng)
        end = place.frames(begin, begin + duration_s).stop
        his_first, his_states = _pauses_at(place, line, at_m, begin + duration_s, fetcher)
        after = _beside(his_states)[end - his_first :]
        tracks.append(Track(Body.WALKER, place.id + 1, fetcher, his_first, his_states))
    states = np.concatenate([carried[: put - first], np.tile(there, (end - put, 1)), after])
    tracks.append(Track(Body.BAG, place.id, bag, first, states, place.anomaly.kind, range(put, end)))
    return tracks


def _pauses_at(place: _Stage, line: Array, at_m: float, at_s: float, look: Look) -> tuple[int, Array]:
    """Walk the line so as to stand for a second around ``at_s`` at ``at_m``."""
    start_s = at_s - 0.5 - at_m / WALK_MPS
    return travel(line, speed=WALK_MPS, start_s=start_s, fps=place.fps, look=look, stops=[(at_m, 1.0)])


def _beside(states: Array) -> Array:
    """Where the bag is that somebody carries: at the right hand, rolling on the ground."""
    carried = states.copy()
    carried[:, 0] += 0.42 * np.sin(states[:, 2])
    carried[:, 1] -= 0.42 * np.cos(states[:, 2])
    return carried


_STAGED: dict[AnomalyKind, Callable[[_Stage], list[Track]]] = {
    AnomalyKind.RUNNING: _running,
    AnomalyKind.VEHICLE: _vehicle,
    AnomalyKind.FALL: _fall,
    AnomalyKind.WRONG_DIRECTION: _wrong_direction,
    AnomalyKind.ABANDONED_OBJECT: _abandoned_object,
}
