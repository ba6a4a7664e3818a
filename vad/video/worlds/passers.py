"""Ordinary people and vehicles on their ways: who they are, and the bodies that they consist of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import cart_look, vehicle_look
from vad.video.synthetic.figures import cyclist_look, walker_look
from vad.video.synthetic.posing import POSTURE, STATE, Array, Look
from vad.video.synthetic.traffic import Track, dense, travel
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import bits, generator, uniform
from vad.video.worlds.rhythm import Hours, share

ORDINARY_IDS = 200
"""Ordinary bodies have the ids 1 to that; planted ones those above, to 255."""

SPEEDS_MPS = {
    "walk": (1.0, 1.6),
    "slow": (0.5, 0.8),
    "pram": (0.9, 1.3),
    "wheelchair": (0.8, 1.2),
    "trolley": (0.8, 1.2),
    "cycle": (3.0, 5.5),
    "car": (5.0, 9.0),
    "van": (4.0, 7.0),
    "cleaner": (0.7, 0.9),
}


PEDESTRIANS = (("walk", 0.86), ("slow", 0.08), ("pram", 0.03), ("wheelchair", 0.01), ("trolley", 0.02))


@dataclass(frozen=True, slots=True)
class Way:
    """A way across a place. ``per_hour`` set out in its busiest hour."""

    points: Array  # (m, 2) metres, both ends out of sight
    per_hour: float
    hours: Hours
    mix: tuple[tuple[str, float], ...] = PEDESTRIANS
    two_way: bool = True
    spread_m: float = 0.5
    group_chance: float = 0.15
    stop_chance: float = 0.06
    stops_m: tuple[tuple[float, float, float], ...] = field(default=())  # where, and from..to how many seconds


@dataclass(frozen=True, slots=True)
class Trip:
    """One who sets out, with ``company`` others."""

    way: Way
    who: str
    start_s: float
    speed: float
    backwards: bool
    company: int
    stops: tuple[tuple[float, float], ...]  # metres from the start, seconds
    seed: tuple[int, ...]

    @property
    def end_s(self) -> float:
        """When all of them have certainly gone."""
        length_m = float(np.linalg.norm(np.diff(self.way.points, axis=0), axis=1).sum()) + 14.0
        return self.start_s + length_m / self.speed * 1.1 + sum(s for _, s in self.stops) + 6.0


def traffic(ways: Sequence[Way], *, seed: int, begins_s: float, fps: float) -> Source:
    """The appearances of those who use the ways, by the rhythm of each."""

    def begin(window: int) -> Iterator[Appearance]:
        for number, way in enumerate(ways):
            clock_s = begins_s + (window + 0.5) * WINDOW_S
            rate = way.per_hour * share(way.hours, clock_s) * WINDOW_S / 3600
            for k in range(int(rate + uniform(seed, 41, number, window))):
                trip = _trip(way, window, (seed, 42, number, window, k))
                yield Appearance(trip.start_s, trip.end_s, partial(set_out, trip, fps))

    return begin


def _trip(way: Way, window: int, seed: tuple[int, ...]) -> Trip:
    rng = generator(*seed)
    names, shares = zip(*way.mix, strict=True)
    who = str(rng.choice(names, p=shares))
    stops = [(at, float(rng.uniform(low, high))) for at, low, high in way.stops_m]
    on_foot = who in ("walk", "slow")
    if on_foot and rng.random() < way.stop_chance:
        length_m = float(np.linalg.norm(np.diff(way.points, axis=0), axis=1).sum())
        stops.append((float(rng.uniform(0.2, 0.8)) * length_m, float(rng.uniform(2, 12))))
    return Trip(
        way=way,
        who=who,
        start_s=(window + float(rng.random())) * WINDOW_S,
        speed=float(rng.uniform(*SPEEDS_MPS[who])),
        backwards=way.two_way and bool(rng.random() < 0.5),
        company=int(rng.integers(1, 4)) if on_foot and rng.random() < way.group_chance else 0,
        stops=tuple(stops),
        seed=seed,
    )


def ordinary_id(*seed: int) -> int:
    """An id for an ordinary body, 1..ORDINARY_IDS."""
    return bits(*seed, 43) % ORDINARY_IDS + 1


def set_out(trip: Trip, fps: float) -> list[Track]:
    """The tracks of a trip."""
    rng, way = generator(*trip.seed, 44), trip.way
    points = way.points[::-1] if trip.backwards else way.points
    offset = float(rng.uniform(-way.spread_m, way.spread_m)) * (0.3 if trip.who in ("car", "van") else 1.0)
    tracks = []
    for k in range(1 + trip.company):
        aside = offset + 0.65 * (k % 2) * (1 if offset < 0 else -1)
        line = dense(points, offset_m=aside, pad_m=5.0 if trip.who in ("car", "van") else 1.0)
        start_s = trip.start_s + (k // 2) * 1.1 + 0.2 * k
        tracks += FOLK[trip.who](line, start_s, trip, rng, fps, ordinary_id(*trip.seed, k))
    return tracks


# -- what each kind consists of ---------------------------------------------------------------------------------------


def postured(states: Array) -> Array:
    """States (frames, STATE) -> (frames, POSTURE), upright."""
    return np.concatenate([states, np.zeros((len(states), POSTURE - STATE))], 1)


def ahead_of(states: Array, ahead_m: float, left_m: float = 0.0) -> Array:
    """States of something that keeps its place before a body, (frames, STATE)."""
    moved = states[:, :STATE].copy()
    cos, sin = np.cos(states[:, 2]), np.sin(states[:, 2])
    moved[:, 0] += ahead_m * cos - left_m * sin
    moved[:, 1] += ahead_m * sin + left_m * cos
    moved[:, 3:] = 0.0
    return moved


def _walk(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    look = walker_look(rng)
    first, states = travel(line, speed=trip.speed, start_s=start_s, fps=fps, look=look, stops=trip.stops)
    return [Track(Body.WALKER, id, look, first, states)]


def _pushing(
    cart: Look, ahead_m: float, line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int
) -> list[Track]:
    look = walker_look(rng)
    first, states = travel(line, speed=trip.speed, start_s=start_s, fps=fps, look=look, stops=trip.stops)
    person = postured(states)
    person[:, 8:] = 0.8
    return [Track(Body.WALKER, id, look, first, person), Track(Body.CART, id, cart, first, ahead_of(states, ahead_m))]


def _pram(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    cart = cart_look(int(rng.integers(20, 120)), length_m=0.75, width_m=0.5, height_m=1.05, clearance=0.35)
    return _pushing(cart, 0.75, line, start_s, trip, rng, fps, id)


def _trolley(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    cart = cart_look(int(rng.integers(90, 200)), length_m=0.9, width_m=0.55, height_m=1.1, clearance=0.25)
    return _pushing(cart, 0.85, line, start_s, trip, rng, fps, id)


def _seated(
    cart: Look, lift_m: float, line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int
) -> list[Track]:
    look = walker_look(rng)
    first, states = travel(line, speed=trip.speed, start_s=start_s, fps=fps, look=look, stops=trip.stops, gait=False)
    person = postured(states)
    person[:, 6], person[:, 7], person[:, 8:] = lift_m, 0.95, 0.5
    return [Track(Body.CART, id, cart, first, ahead_of(states, 0.05)), Track(Body.WALKER, id, look, first, person)]


def _wheelchair(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    cart = cart_look(int(rng.integers(25, 80)), length_m=0.65, width_m=0.6, height_m=0.92, clearance=0.35)
    return _seated(cart, 0.08, line, start_s, trip, rng, fps, id)


def _cleaner(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    cart = cart_look(205, length_m=1.5, width_m=0.85, height_m=1.25, clearance=0.12)
    return _seated(cart, 0.40, line, start_s, trip, rng, fps, id)


def _cycle(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    look = cyclist_look(rng)
    first, states = travel(line, speed=trip.speed, start_s=start_s, fps=fps, look=look, body=Body.CYCLIST)
    return [Track(Body.CYCLIST, id, look, first, states)]


def van_look(rng: np.random.Generator) -> Look:
    """A delivery van: tall and long, often white."""
    look = vehicle_look(rng)
    size = np.array([rng.uniform(5.0, 5.9), rng.uniform(1.9, 2.05), rng.uniform(2.2, 2.5), 0.86], np.float32)
    paint = int(rng.choice([225, 235, 90, 45], p=[0.4, 0.3, 0.15, 0.15]))
    lumas = look.lumas.copy()
    lumas[:5] = lumas[13:18] = paint, paint, min(paint + 12, 250), paint - 12, min(paint + 20, 255)
    return Look(size, lumas)


def _drive(line: Array, start_s: float, trip: Trip, rng: np.random.Generator, fps: float, id: int) -> list[Track]:
    look = van_look(rng) if trip.who == "van" else vehicle_look(rng)
    first, states = travel(
        line, speed=trip.speed, start_s=start_s, fps=fps, look=look, body=Body.VEHICLE, stops=trip.stops
    )
    return [Track(Body.VEHICLE, id, look, first, states)]


Folk = Callable[[Array, float, Trip, np.random.Generator, float, int], list[Track]]

FOLK: dict[str, Folk] = {
    "walk": _walk,
    "slow": _walk,
    "pram": _pram,
    "wheelchair": _wheelchair,
    "trolley": _trolley,
    "cycle": _cycle,
    "car": _drive,
    "van": _drive,
    "cleaner": _cleaner,
}
"""Who can be on a way."""
