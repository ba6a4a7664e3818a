"""When anomalies are planted, and the ones that can happen anywhere people walk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import bag_look, vehicle_look
from vad.video.synthetic.figures import cyclist_look, walker_look
from vad.video.synthetic.posing import Array, Look
from vad.video.synthetic.traffic import Track, dense, travel
from vad.video.worlds.acting import Acting, Point, agitated, beside
from vad.video.worlds.chance import generator
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.passers import ORDINARY_IDS
from vad.video.worlds.rhythm import is_between

QUIET_S = 3600.0
"""Nothing is planted in a world's first hour."""

APART_S = 1200.0
"""At least that long from the end of one to the start of the next."""

LONGEST_S = 60.0
PER_DAY = (10, 14)


@dataclass(frozen=True, slots=True)
class Stage:
    """One anomaly that is to happen: its label begins at about ``at_s`` of world time."""

    kind: PlantedKind
    at_s: float
    fps: float
    id: int  # the next three are free as well
    rng: np.random.Generator

    @property
    def frame(self) -> int:
        """The frame at ``at_s``."""
        return int(np.ceil(self.at_s * self.fps))


Recipe = Callable[[Stage], list[Track]]
"""Makes the tracks of an anomaly; those that are abnormal carry its kind and the frames in which they are."""


@dataclass(frozen=True, slots=True)
class Planting:
    """A kind of anomaly that a place knows, and the hours of the clock in which it happens."""

    kind: PlantedKind
    recipe: Recipe
    from_h: float = 0.0
    to_h: float = 24.0
    hours: tuple[tuple[float, float], ...] = ()  # several spans instead

    def fits(self, clock_s: float) -> bool:
        """Whether it may begin at that time of day."""
        return any(is_between(clock_s, *span) for span in self.hours or ((self.from_h, self.to_h),))


def plan(
    plantings: Sequence[Planting], *, seed: int, begins_s: float, days: float, fps: float
) -> list[tuple[Planting, Stage]]:
    """What is planted in a world, in order of time: 10 to 14 a day where its hours allow it, each kind as often."""
    rng = generator(seed, 51)
    placed: list[tuple[float, Planting]] = []
    for day in range(int(np.ceil(days))):
        wanted = int(rng.integers(PER_DAY[0], PER_DAY[1] + 1))
        kinds = [plantings[k % len(plantings)] for k in range(int(rng.integers(len(plantings))), 99)][:wanted]
        for planting in kinds:
            at_s = _free_time(rng, planting, placed, day=day, begins_s=begins_s, until_s=days * DAY_S)
            if at_s is not None:
                placed.append((at_s, planting))
    placed.sort(key=lambda pair: pair[0])
    return [
        (planting, Stage(planting.kind, at_s, fps, ORDINARY_IDS + 1 + 4 * number % 52, generator(seed, 52, number)))
        for number, (at_s, planting) in enumerate(placed)
    ]


def _free_time(
    rng: np.random.Generator,
    planting: Planting,
    placed: Sequence[tuple[float, Planting]],
    *,
    day: int,
    begins_s: float,
    until_s: float,
) -> float | None:
    """A time at which it may happen and that keeps clear of the others; None if none was found."""
    low, high = max(day * DAY_S, QUIET_S + 30), min((day + 1) * DAY_S, until_s) - LONGEST_S - 90
    for _ in range(300):
        at_s = float(rng.uniform(low, max(high, low)))
        clear = all(abs(at_s - other) > APART_S + LONGEST_S + 30 for other, _ in placed)
        if clear and high > low and planting.fits(begins_s + at_s):
            return at_s
    return None


# -- recipes ----------------------------------------------------------------------------------------------------------


def _length_m(points: Array) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def running(points: Array, spread_m: float) -> Recipe:
    """Somebody runs along a way."""

    def recipe(stage: Stage) -> list[Track]:
        rng = stage.rng
        way = points if rng.random() < 0.5 else points[::-1]
        speed = float(min(rng.uniform(3.0, 4.2), _length_m(points) / 4.4))
        line, look = dense(way, offset_m=rng.uniform(-spread_m, spread_m), pad_m=0.4), walker_look(rng, running=True)
        first, states = travel(line, speed=speed, start_s=stage.at_s - 0.4 / speed, fps=stage.fps, look=look)
        return [Track(Body.WALKER, stage.id, look, first, states, stage.kind, range(first, first + len(states)))]

    return recipe


def driving(points: Array, *, speeds: tuple[float, float], cycle_share: float = 0.0) -> Recipe:
    """A vehicle, or a cyclist, along points: on the walk, or on the road the wrong way."""

    def recipe(stage: Stage) -> list[Track]:
        rng = stage.rng
        cycle = rng.random() < cycle_share
        body, look = (Body.CYCLIST, cyclist_look(rng)) if cycle else (Body.VEHICLE, vehicle_look(rng))
        pad = 0.6 if cycle else 2.2
        speed = float(min(rng.uniform(*speeds), (_length_m(points) + 2 * pad) / 4.6))
        first, states = travel(
            dense(points, pad_m=pad), speed=speed, start_s=stage.at_s - pad / speed, fps=stage.fps, look=look, body=body
        )
        return [Track(body, stage.id, look, first, states, stage.kind, range(first, first + len(states)))]

    return recipe


def fight(spots: Array, left: Array, right: Array) -> Recipe:
    """Two who come from both sides, meet, fight and part.

    ``spots`` (k, 2) are places where that can be, ``left`` and ``right`` (m, 2) ways there that begin out of sight.
    """

    def recipe(stage: Stage) -> list[Track]:
        rng, fps = stage.rng, stage.fps
        spot = spots[int(rng.integers(len(spots)))]
        lasts = int(rng.uniform(8, 25) * fps)
        half = np.array([rng.uniform(0.26, 0.36), 0.0])
        meets = [spot - half, spot + half]
        tracks = []
        for k, (route, end) in enumerate(((left, right), (right, left))):
            person = come(walker_look(rng), route, meets[k], 1.25, fps)
            begin = person.frame
            person.add(agitated(rng, person.states()[-1], meets[1 - k], lasts, fps))
            go(person, end if rng.random() < 0.5 else route, 1.4)
            labelled = range(begin, begin + lasts)
            tracks.append(person.track(stage.frame - begin, stage.id + k, kind=stage.kind, labelled=labelled))
        return tracks

    return recipe


def come(look: Look, route: Array, spot: Point, speed: float, fps: float) -> Acting:
    """Somebody who has come along a route to a spot."""
    ahead = route[1] - route[0] if len(route) > 1 else np.asarray(spot) - route[0]
    person = Acting(look, fps=fps, at=route[0], heading=float(np.arctan2(ahead[1], ahead[0])))
    return person.walk(*route[1:], spot, speed=speed)


def go(person: Acting, route: Array, speed: float) -> Acting:
    """Leave along a route, backwards."""
    return person.walk(*route[::-1], speed=speed)


def bag_left(spots: Array, left: Array, right: Array) -> Recipe:
    """Somebody puts down a bag and goes; comes back for it after a good half minute."""

    def recipe(stage: Stage) -> list[Track]:
        rng, fps = stage.rng, stage.fps
        spot = spots[int(rng.integers(len(spots)))]
        owner = come(walker_look(rng), left, spot, 1.15, fps).wait(1.0)
        put = owner.frame
        go(owner.wait(0.6), right, 1.25)
        away = rng.uniform(30, 55) * fps
        owner.wait(max(away - 2 * (owner.frame - put), 8) / fps).walk(*right[1:], spot, speed=1.3).wait(1.0)
        fetched = min(owner.frame, put + int(58 * fps))
        go(owner, left, 1.2)
        carried = beside(owner.states(), -0.42)
        carried[put:fetched] = carried[put]
        first = stage.frame - put
        bag = Track(Body.BAG, stage.id, bag_look(rng), first, carried, stage.kind, range(stage.frame, first + fetched))
        return [owner.track(first, stage.id + 1), bag]

    return recipe


def fall(spots: Array, left: Array, right: Array) -> Recipe:
    """A walker falls, lies, gets up and goes on slowly."""

    def recipe(stage: Stage) -> list[Track]:
        rng = stage.rng
        look = walker_look(rng)
        look.size[3] = rng.uniform(-0.7, 0.7)
        person = come(look, left, spots[int(rng.integers(len(spots)))], 1.2, stage.fps)
        begin = person.frame
        person.change(0.7, tilt=1.5).wait(rng.uniform(5, 30), restless=0.5, rng=rng).change(1.8, tilt=0.0)
        labelled = range(begin, person.frame)
        go(person.wait(1.5), right, 0.7)
        return [person.track(stage.frame - begin, stage.id, kind=stage.kind, labelled=labelled)]

    return recipe


def crowd(spots: Array, left: Array, right: Array) -> Recipe:
    """A dozen and more come from both sides within seconds, stand around and go."""

    def recipe(stage: Stage) -> list[Track]:
        rng, fps = stage.rng, stage.fps
        spot = spots[int(rng.integers(len(spots)))]
        until = int(rng.uniform(25, 50) * fps)
        tracks = []
        for k in range(int(rng.integers(12, 19))):
            route = (left if k % 2 else right) + np.array([0.0, rng.uniform(-0.8, 0.8)])
            turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2.2)
            place = spot + far * np.array([1.3 * np.cos(turn), 0.55 * np.sin(turn)])
            person = Acting(walker_look(rng), fps=fps, at=route[0], heading=0.0 if k % 2 else np.pi)
            person.wait(rng.uniform(0, 5)).walk(*route[1:], place, speed=rng.uniform(1.4, 2.0))
            person.change(0.5, heading=turn + np.pi)
            person.wait(max(until - person.frame, fps) / fps + rng.uniform(0, 3), restless=1.6, rng=rng)
            go(person, route, rng.uniform(1.2, 1.8))
            labelled = range(int(4 * fps), until)
            first = stage.frame - labelled.start
            tracks.append(person.track(first, stage.id + k % 4, kind=stage.kind, labelled=labelled))
        return tracks

    return recipe


def trespass(routes: Sequence[Array], *, speeds: tuple[float, float], pauses: tuple[float, float]) -> Recipe:
    """Somebody on a route where nobody should be, with a pause at each of its inner points; labelled all the way."""

    def recipe(stage: Stage) -> list[Track]:
        rng, fps = stage.rng, stage.fps
        route = routes[int(rng.integers(len(routes)))]
        speed = float(rng.uniform(*speeds))
        person = Acting(walker_look(rng), fps=fps, at=route[0])
        for left, point in enumerate(route[1:], start=2 - len(route)):
            person.walk(point, speed=speed)
            if left < 0:
                person.wait(rng.uniform(*pauses), restless=0.8, rng=rng)
        labelled = range(min(person.frame, int(LONGEST_S * fps) - 8))
        return [person.track(stage.frame, stage.id, kind=stage.kind, labelled=labelled)]

    return recipe
