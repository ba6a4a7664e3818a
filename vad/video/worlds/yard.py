"""A yard with a gate, a loading dock and a fence: deliveries by day, infrared and nearly nobody at night."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import cart_look, crate_look, vehicle_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import HIDDEN, Array
from vad.video.synthetic.traffic import Track, dense, travel
from vad.video.worlds.acting import Acting
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator, uniform
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.light import Lighting, infrared_lamp
from vad.video.worlds.passers import Trip, Way, ordinary_id, set_out, traffic
from vad.video.worlds.place import Place, Setting, across, half_width_m, look_down
from vad.video.worlds.planting import LONGEST_S, Planting, Recipe, Stage, trespass
from vad.video.worlds.rhythm import YARD, is_between
from vad.video.worlds.surfaces import Painter, Plane

FENCE, FENCE_TALL = 21.0, 2.1
WALK, DRIVE, DOCK = 8.0, 12.5, (15.0, 18.5)  # metres from the camera
DARK_H = (21.25, 5.25)
ROUNDS_H = (22.0, 0.0, 2.0, 4.0)
"""When the guard walks round."""


def build(setting: Setting) -> Place:
    """A yard at random."""
    rng = generator(setting.seed, 121)
    camera = look_down(
        setting, height_m=rng.uniform(4.8, 5.6), pitch_deg=rng.uniform(21, 24), view_deg=rng.uniform(40, 44)
    )
    side = float(rng.choice([-1, 1]))
    painter = Painter(camera, rng, back_m=FENCE)
    _paint(painter, rng, side)
    surface = painter.finish()
    lighting = Lighting(
        sky=np.where(surface.plane == Plane.SKY, 1.2, 1.0).astype(np.float32),
        lamps=np.zeros(surface.plane.shape, np.float32),
        infrared=infrared_lamp(surface, reach_m=rng.uniform(14, 20)),
        lamps_on=lambda clock_s: False,
    )
    walk = across(camera, WALK)
    gate = np.array([[side * half_width_m(camera, DRIVE), DRIVE], [-side * half_width_m(camera, DRIVE), DRIVE + 0.6]])
    dock = np.array([walk[1 if side > 0 else 0], [side * 3.0, 10.0], [-side * 2.0, 14.6], [-side * 9.0, 15.5]])
    dock[-1, 0] = -side * (half_width_m(camera, 15.5) + 0.5)
    ways = [
        Way(walk, per_hour=45, hours=YARD, spread_m=0.8, mix=(("walk", 0.8), ("trolley", 0.15), ("slow", 0.05))),
        Way(dock, per_hour=40, hours=YARD, spread_m=0.4, mix=(("walk", 0.7), ("trolley", 0.3))),
        Way(gate, per_hour=14, hours=YARD, spread_m=0.5, mix=(("car", 0.6), ("van", 0.4))),
    ]
    sources = [
        traffic(ways, seed=setting.seed, begins_s=setting.begins_s, fps=setting.fps),
        _visits(setting, gate, side),
        _night(setting, walk, dock),
    ]
    plantings = [
        Planting(PlantedKind.INTRUDER, _intruder(side, half_width_m(camera, 14.0)), *DARK_H),
        Planting(PlantedKind.LOITERING, _loitering(walk), *DARK_H),
        Planting(PlantedKind.INTRUDER, trespass(_prowls(walk, side), speeds=(1.3, 2.0), pauses=(1, 5)), *DARK_H),
    ]
    return Place(camera, surface, lighting, sources, outdoors=True, plantings=plantings, sweeps_per_hour=10.0)


def _paint(p: Painter, rng: np.random.Generator, side: float) -> None:
    ground, back = p.on(Plane.GROUND), p.on(Plane.BACK)
    asphalt = rng.uniform(85, 130)
    p.paint(ground, asphalt, grain=8)
    p.plants(ground & (p.y > 19.0), 95)
    p.paint(p.ground(-99, 99, 18.9, 19.1), asphalt + 40)
    for k in range(5):  # marked places
        x = side * (2.0 + 2.6 * k)
        p.paint(p.ground(x - 0.06, x + 0.06, 14.6, 18.8), asphalt + 80)
    p.paint(back & (p.z >= FENCE_TALL), 215)
    houses = np.mod(np.sin(np.floor(p.x / 5.0) * 12.9898 + rng.uniform(0, 9)) * 43758.5453, 1.0)
    p.paint(back & (p.z >= FENCE_TALL) & (p.z < 2.5 + 5 * houses), 90 + 80 * houses)
    p.plants(back & (p.z >= FENCE_TALL) & (p.z < 2.6 + 0.8 * np.sin(p.x * 1.7) + 0.4 * np.sin(p.x * 5.1)), 75)
    fence = back & (p.z < FENCE_TALL)
    p.paint(fence, rng.uniform(95, 140) - 25 * (np.mod(p.x, 0.5) < 0.12), grain=4)
    p.paint(fence & (np.mod(p.x, 3.0) < 0.2), 70)
    p.paint(p.on(Plane.SKY), 225)
    p.hides(FENCE, fence)
    for number in range(int(rng.integers(1, 4))):
        x = side * (3.3 + 2.6 * number)
        p.body(Body.VEHICLE, vehicle_look(rng), x, 16.8, heading=np.pi / 2 * rng.choice([-1, 1]))
    for _ in range(int(rng.integers(2, 6))):
        size = rng.uniform(0.8, 1.3, 3)
        look = crate_look(int(rng.integers(60, 190)), HIDDEN, length_m=size[0], width_m=size[1], height_m=size[2])
        p.body(Body.CRATE, look, -side * rng.uniform(3, 9), rng.uniform(17, 19), heading=rng.uniform(0, 0.4))
    for _ in range(int(rng.integers(1, 4))):
        p.foliage(rng.uniform(0, 1), rng.uniform(0.04, 0.2), rng.uniform(0.15, 0.3), rng.uniform(0.16, 0.3))


def _visits(setting: Setting, gate: Array, side: float) -> Source:
    """Vans that stop for some minutes to unload, and a fork-lift truck that fetches what they bring."""

    def begin(window: int) -> Iterator[Appearance]:
        clock_s = setting.clock_s(window * WINDOW_S)
        rng = generator(setting.seed, 122, int(clock_s // DAY_S))
        for number, at_h in enumerate(rng.uniform(6.5, 16.5, 6)):
            late_s = at_h * 3600 - clock_s % DAY_S
            if 0 <= late_s < WINDOW_S:
                start_s, seed = window * WINDOW_S + late_s, (setting.seed, 123, window, number)
                way = Way(gate + np.array([0.0, 1.6]), per_hour=0, hours=YARD, spread_m=0.0)
                length_m = float(np.linalg.norm(way.points[1] - way.points[0]))
                minutes = float(generator(*seed).uniform(3, 7))
                stops = ((length_m * 0.55, minutes * 60),)
                trip = Trip(way, "van", start_s, 3.5, backwards=False, company=0, stops=stops, seed=seed)
                yield Appearance(start_s, trip.end_s, partial(set_out, trip, setting.fps))
                lift = partial(_fork_lift, gate, start_s + 45, setting.fps, seed)
                yield Appearance(start_s + 45, start_s + 45 + 100, lift)

    return begin


def _fork_lift(gate: Array, start_s: float, fps: float, seed: tuple[int, ...]) -> list[Track]:
    look = cart_look(190, length_m=2.2, width_m=1.1, height_m=2.0, clearance=0.15)
    (_, y), x = gate.mean(axis=0), float(gate[1, 0])
    points = np.array([gate[1], [x * 0.1, y - 1.2], [x * 0.9, y - 2.0], [x * 1.3, y - 2.0]])
    line = dense(points, corner_m=3.0, pad_m=1.5)
    first, states = travel(line, speed=1.6, start_s=start_s, fps=fps, look=look, body=Body.CART, stops=[(11.0, 12.0)])
    return [Track(Body.CART, ordinary_id(*seed, 9), look, first, states)]


def _night(setting: Setting, walk: Array, dock: Array) -> Source:
    """The guard's rounds at fixed times, and a cat now and then."""

    def begin(window: int) -> Iterator[Appearance]:
        at_s = window * WINDOW_S
        clock_s = setting.clock_s(at_s)
        for number, hour in enumerate(ROUNDS_H):
            late_s = hour * 3600 + 180 * uniform(setting.seed, 124, int(clock_s // DAY_S), number) - clock_s % DAY_S
            if 0 <= late_s < WINDOW_S:
                way = Way(dock if number % 2 else walk, per_hour=0, hours=YARD, spread_m=0.2)
                seed = (setting.seed, 125, window)
                stops = ((8.0, 6.0),)
                trip = Trip(way, "walk", at_s + late_s, 1.1, backwards=False, company=0, stops=stops, seed=seed)
                yield Appearance(trip.start_s, trip.end_s, partial(set_out, trip, setting.fps))
        if is_between(clock_s, 20.5, 6.0) and uniform(setting.seed, 126, window) < 0.012:
            yield Appearance(at_s, at_s + 80, partial(_cat, walk, at_s + 5, setting.fps, (setting.seed, 127, window)))

    return begin


def _cat(walk: Array, start_s: float, fps: float, seed: tuple[int, ...]) -> list[Track]:
    rng = generator(*seed)
    look = crate_look(int(rng.integers(30, 200)), HIDDEN, length_m=0.5, width_m=0.16, height_m=0.3)
    aside = np.array([0.0, rng.uniform(-1.0, 6.0)])
    line = dense(walk[:: int(rng.choice([-1, 1]))] * [1.6, 1.0] + aside, pad_m=0.5)
    stops = [(float(rng.uniform(0.3, 0.7)) * len(line) * 0.1, float(rng.uniform(2, 12)))]
    speed = float(rng.uniform(0.8, 2.2))
    first, states = travel(line, speed=speed, start_s=start_s, fps=fps, look=look, body=Body.CRATE, stops=stops)
    return [Track(Body.CRATE, ordinary_id(*seed), look, first, states)]


def _prowls(walk: Array, side: float) -> list[Array]:
    """Ways across the yard that nobody takes: to the parked cars and the crates, and away again."""
    near, far = walk[0], walk[1]
    return [
        np.array([near, [side * 3.0, 14.0], [side * 6.0, 14.2], far]),
        np.array([far, [-side * 4.0, 16.2], [0.0, 13.0], near]),
    ]


def _intruder(side: float, half_m: float) -> Recipe:
    """Somebody climbs over the fence, goes to the crates, crouches there and leaves."""

    def recipe(stage: Stage) -> list[Track]:
        rng = stage.rng
        x = float(rng.uniform(-6, 6))
        person = Acting(walker_look(rng), fps=stage.fps, at=(x, FENCE + 0.3), heading=-np.pi / 2)
        person.change(0.3, lift=FENCE_TALL - 1.4, left_arm=2.6, right_arm=2.6)
        person.change(1.5, lift=FENCE_TALL - 0.4).change(0.8, y=FENCE - 0.3, sit=0.6).change(0.8, lift=0.0, sit=0.7)
        person.change(0.6, sit=0.0, left_arm=0.2, right_arm=0.2)
        person.walk((-side * rng.uniform(2, 6), rng.uniform(14, 16.5)), speed=rng.uniform(1.4, 2.2))
        person.change(0.8, sit=0.8, left_arm=0.9, right_arm=0.9).wait(rng.uniform(4, 15), restless=0.8, rng=rng)
        person.change(0.8, sit=0.0, left_arm=0.0, right_arm=0.0)
        person.walk((rng.choice([-1, 1]) * (half_m + 1.0), 14.0), speed=rng.uniform(1.5, 2.4))
        return [person.track(stage.frame, stage.id, kind=stage.kind, labelled=range(person.frame))]

    return recipe


def _loitering(walk: Array) -> Recipe:
    """Somebody comes, walks up and down with pauses, and goes after about a minute."""

    def recipe(stage: Stage) -> list[Track]:
        rng, fps = stage.rng, stage.fps
        start = walk[int(rng.integers(2))]
        middle = float(rng.uniform(-2.5, 2.5))
        person = Acting(walker_look(rng), fps=fps, at=start)
        while person.frame < rng.uniform(36, 44) * fps:
            spot = (middle + rng.uniform(-2.0, 2.0), start[1] + rng.uniform(0.5, 3.0))
            person.walk(spot, speed=rng.uniform(0.7, 1.1)).wait(rng.uniform(2, 6), restless=1.0, rng=rng)
        person.walk(start, speed=1.3)
        labelled = range(min(person.frame, int(LONGEST_S * fps) - 8))
        return [person.track(stage.frame, stage.id, kind=stage.kind, labelled=labelled)]

    return recipe
