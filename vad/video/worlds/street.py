"""A street: a near walk, a one-way road with a cycle lane, a far walk before houses with a door."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import vehicle_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import Array
from vad.video.synthetic.traffic import Track, dense, travel
from vad.video.worlds import planting
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.light import Lighting, pools
from vad.video.worlds.passers import Trip, Way, ordinary_id, set_out, traffic
from vad.video.worlds.place import Place, Setting, across, half_width_m, look_down
from vad.video.worlds.rhythm import ROAD, STREET
from vad.video.worlds.sky import Sky
from vad.video.worlds.surfaces import Painter, Plane

# Metres from the camera, for one that hangs 4.5 m high; higher cameras see everything further away.
NEAR_WALK, KERB = 6.9, 8.3
ROAD_MIDDLE, CYCLE_FROM, CYCLE_LANE = 9.9, 12.9, 13.7
FAR_FROM, FAR_WALK, WALL = 14.6, 16.6, 18.6

CARS = (("car", 0.9), ("van", 0.1))


def build(setting: Setting) -> Place:
    """A street at random."""
    rng = generator(setting.seed, 101)
    scale = float(rng.uniform(0.92, 1.12))
    camera = look_down(setting, height_m=4.5 * scale, pitch_deg=rng.uniform(19, 22), view_deg=rng.uniform(39, 43))
    mirrored = bool(rng.random() < 0.5)
    door = float(rng.uniform(-5, 5)) * scale
    painter = Painter(camera, rng, back_m=WALL * scale)
    _paint(painter, rng, scale, door)
    surface = painter.finish()
    sky = Sky(setting.seed)
    posts = [(x * scale, CYCLE_FROM * scale, 6.0, 0.5) for x in (-9.0, 0.0, 9.0)]
    lighting = Lighting(
        sky=np.ones(surface.plane.shape, np.float32),
        lamps=pools(surface, posts, least=0.04),
        infrared=None,
        lamps_on=lambda clock_s: sky.daylight(clock_s) < 0.25,
    )
    near, far = across(camera, NEAR_WALK * scale), across(camera, FAR_WALK * scale)
    road = across(camera, ROAD_MIDDLE * scale, mirrored=mirrored)
    cycles = across(camera, CYCLE_LANE * scale, mirrored=mirrored)
    side = float(np.sign(door) or 1) * -half_width_m(camera, FAR_WALK * scale)
    inside = door - np.sign(door) * 2.5
    home = np.array([[side, FAR_WALK], [door, FAR_WALK + 0.6], [door, WALL + 1.0], [inside, WALL + 1.1]])
    home[:, 1] *= scale
    ways = [
        Way(near, per_hour=110, hours=STREET, spread_m=0.6),
        Way(far, per_hour=240, hours=STREET, spread_m=1.2),
        Way(home, per_hour=40, hours=STREET, spread_m=0.1, mix=(("walk", 1.0),), group_chance=0.0),
        Way(road, per_hour=130, hours=ROAD, mix=CARS, two_way=False, spread_m=0.8),
        Way(cycles, per_hour=60, hours=STREET, mix=(("cycle", 1.0),), two_way=False, spread_m=0.25),
    ]
    sources = [
        traffic(ways, seed=setting.seed, begins_s=setting.begins_s, fps=setting.fps),
        _rare(setting, near, far, road, door),
    ]
    return Place(
        camera, surface, lighting, sources, outdoors=True, plantings=_plantings(near, far, road, cycles, scale)
    )


def _paint(painter: Painter, rng: np.random.Generator, scale: float, door: float) -> None:
    p, s = painter, scale
    paving, asphalt = rng.uniform(120, 175), rng.uniform(70, 105)
    ground = p.on(Plane.GROUND)
    p.paint(ground, paving, grain=6)
    p.joints(ground, float(rng.uniform(0.5, 1.2)), float(rng.uniform(8, 20)))
    p.paint(p.ground(-99, 99, KERB * s, FAR_FROM * s), asphalt, grain=5)
    p.paint(p.ground(-99, 99, CYCLE_FROM * s, FAR_FROM * s), asphalt + rng.uniform(18, 40), grain=5)
    p.paint(p.ground(-99, 99, (CYCLE_FROM - 0.12) * s, CYCLE_FROM * s), 200)
    for kerb in (KERB, FAR_FROM):
        p.paint(p.ground(-99, 99, (kerb - 0.15) * s, kerb * s), paving + 35)
    p.paint(
        p.ground(-99, 99, (ROAD_MIDDLE - 0.08) * s, (ROAD_MIDDLE + 0.08) * s) & (np.mod(p.x, 4) < 1.5), asphalt + 70
    )
    wall, storey = rng.uniform(80, 190), rng.uniform(3.0, 3.8)
    back = p.on(Plane.BACK)
    p.paint(back, wall, grain=7)
    width, gap = rng.uniform(1.1, 2.4), rng.uniform(0.9, 2.2)
    across_m = np.mod(p.x, width + gap)
    up = np.mod(p.z, storey)
    p.paint(back & (across_m < width) & (up > 0.9) & (up < storey - 0.6), rng.uniform(35, 85) + 15 * across_m / width)
    p.paint(p.back(-99, 99, 0, 0.4), wall * 0.6)
    p.paint(p.back(door - 1.1, door + 1.1, 0, 2.6), 200)
    opening = p.back(door - 0.95, door + 0.95, 0, 2.4)
    p.paint(opening, 28)
    p.hides(WALL * s, p.back(door - 6, door + 6, 0, 3.2) & ~opening)
    p.paint(p.on(Plane.SKY), 225)
    if rng.random() < 0.6:
        p.body(Body.VEHICLE, vehicle_look(rng), door + rng.choice([-7, 7]) * s, (CYCLE_FROM - 0.95) * s, heading=0.0)
    for _ in range(int(rng.integers(1, 4))):
        p.foliage(rng.uniform(0, 1), rng.uniform(0.02, 0.16), rng.uniform(0.14, 0.3), rng.uniform(0.2, 0.36))


def _rare(setting: Setting, near: Array, far: Array, road: Array, door: float) -> Source:
    """What comes once or twice a day: deliveries, a school class, a cleaning machine in the evening."""
    lane = Way(near, per_hour=0, hours=STREET, spread_m=0.3)

    def begin(window: int) -> Iterator[Appearance]:
        clock_s = setting.clock_s(window * WINDOW_S)
        rng = generator(setting.seed, 102, int(clock_s // DAY_S))
        out_h, back_h, cleans_h = rng.uniform([8.3, 12.0, 21.63], [9.5, 13.4, 21.70])
        for number, at_s in enumerate(3600 * np.array([out_h, back_h, cleans_h, *rng.uniform(7, 18, 3)])):
            starts_s = at_s - clock_s % DAY_S
            if 0 <= starts_s < WINDOW_S:
                at_s = window * WINDOW_S + starts_s
                seed = (setting.seed, 103, window, number)
                if number < 2:
                    ends_s = at_s + 90
                    yield Appearance(
                        at_s, ends_s, partial(school_class, far[:: 1 - 2 * number], at_s, setting.fps, seed)
                    )
                else:
                    trip = _errand(lane, road, door, "cleaner" if number == 2 else "van", at_s, seed)
                    yield Appearance(at_s, trip.end_s, partial(set_out, trip, setting.fps))

    return begin


def _errand(lane: Way, road: Array, door: float, who: str, at_s: float, seed: tuple[int, ...]) -> Trip:
    """The cleaning machine along the walk, or a van that stops before the door for some minutes."""
    if who == "cleaner":
        return Trip(lane, who, at_s, 0.8, backwards=False, company=0, stops=(), seed=seed)
    way = Way(road + np.array([0.0, 0.9]), per_hour=0, hours=ROAD, mix=CARS, spread_m=0.0)
    minutes = float(generator(*seed).uniform(2, 6))
    stop_m = abs(door - float(road[0, 0])) + 5.0
    return Trip(way, who, at_s, 4.0, backwards=False, company=0, stops=((stop_m, minutes * 60),), seed=seed)


def school_class(way: Array, start_s: float, fps: float, seed: tuple[int, ...]) -> list[Track]:
    """A class in two files between two grown-ups."""
    rng = generator(*seed)
    tracks = []
    speed = float(rng.uniform(0.9, 1.15))
    for k in range(int(rng.integers(12, 19))):
        look = walker_look(rng)
        if k >= 2:
            look.size[0] = rng.uniform(1.15, 1.4)
        line = dense(way, offset_m=(k % 2 - 0.5) * 0.7 + rng.uniform(-0.1, 0.1), pad_m=1.0)
        late_s = {0: 0.0, 1: 9.0}.get(k, 0.8 + (k // 2) * 0.85) + rng.uniform(0, 0.2)
        first, states = travel(line, speed=speed, start_s=start_s + late_s, fps=fps, look=look)
        tracks.append(Track(Body.WALKER, ordinary_id(*seed, k), look, first, states))
    return tracks


def _plantings(near: Array, far: Array, road: Array, cycles: Array, scale: float) -> list[planting.Planting]:
    spots = np.array([[x * scale, y * scale] for x in (-2.5, 0.0, 2.5) for y in (NEAR_WALK, FAR_WALK - 0.5)])
    left, right = far[:1], far[1:]
    kinds = PlantedKind
    return [
        planting.Planting(kinds.RUNNING, planting.running(far, 0.8), 7, 23),
        planting.Planting(kinds.VEHICLE_ON_WALK, planting.driving(near, speeds=(2.0, 3.0)), 7, 23),
        planting.Planting(kinds.WRONG_WAY, planting.driving(road[::-1], speeds=(4.0, 6.0)), 7, 23),
        planting.Planting(kinds.WRONG_WAY, planting.driving(cycles[::-1], speeds=(3.0, 4.5), cycle_share=1.0), 7, 22),
        planting.Planting(kinds.FIGHT, planting.fight(spots[1::2], left, right), 7, 23.5),
        planting.Planting(kinds.BAG_LEFT, planting.bag_left(spots[1::2], left, right), 7, 22),
        planting.Planting(kinds.FALL, planting.fall(spots, left, right), 7, 23),
        planting.Planting(kinds.CROWD, planting.crowd(spots[1::2], left, right), 7, 22),
    ]
