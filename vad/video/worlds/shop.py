"""A shop: shelves, a counter with somebody behind it, a door to the street; dark and infrared when closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import crate_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import HIDDEN, Array
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import Acting
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator, uniform
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.light import Lighting, infrared_lamp, pools
from vad.video.worlds.passers import Trip, Way, ordinary_id, set_out
from vad.video.worlds.place import Place, Setting, look_down
from vad.video.worlds.planting import Planting, Recipe, Stage, bag_left, come, fight, go, running, trespass
from vad.video.worlds.rhythm import SHOP, is_between, share
from vad.video.worlds.surfaces import Painter, Plane

OPENS_H, CLOSES_H, LIT_H = 8.0, 21.0, (6.75, 22.25)
BACK, SIDE = 11.0, 5.6  # metres to the back wall and to either side
FRONT, REAR = 4.4, 9.9  # the lanes before and behind the shelves
COUNTER = 5.1
_STAYS_S = 8 * 60.0
_AISLES = np.array([-3.3, 0.1, 3.0])


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where things are; x is mirrored in every other shop."""

    side: float  # 1 or -1

    def at(self, *points: tuple[float, float]) -> Array:
        """Points (m, 2) of this shop."""
        return np.array(points) * [self.side, 1.0]

    def route(self, aisle: int) -> Array:
        """From outside through the door and an aisle to the lane before the shelves."""
        x = float(_AISLES[aisle])
        return self.at((-5.4, BACK + 1.0), (-3.2, BACK + 0.9), (-3.2, REAR), (x, REAR), (x, FRONT))


def build(setting: Setting) -> Place:
    """A shop at random."""
    rng = generator(setting.seed, 111)
    plan = _Plan(float(rng.choice([-1, 1])))
    camera = look_down(
        setting, height_m=rng.uniform(3.0, 3.4), pitch_deg=rng.uniform(27, 30), view_deg=rng.uniform(60, 65)
    )
    painter = Painter(camera, rng, back_m=BACK, left_m=-SIDE, right_m=SIDE)
    _paint(painter, rng, plan)
    surface = painter.finish()
    door = plan.at((-3.2, BACK))[0]
    window = np.exp(-((surface.place_m[..., 0] - door[0]) ** 2 + (surface.place_m[..., 1] - BACK) ** 2) / 22.0)
    ceiling = [(x, y, 3.6, 0.42) for x in (-2.6, 0.3, 3.0) for y in (3.5, 7.5)]
    lighting = Lighting(
        sky=(0.04 + 0.5 * window).astype(np.float32),
        lamps=pools(surface, ceiling, least=0.08),
        infrared=infrared_lamp(surface, reach_m=9.0),
        lamps_on=lambda clock_s: is_between(clock_s, *LIT_H),
        sunny=False,
    )
    sources = [_customers(setting, plan), _clerk(setting, plan), _rare(setting, plan)]
    return Place(camera, surface, lighting, sources, outdoors=False, plantings=_plantings(plan))


def _paint(p: Painter, rng: np.random.Generator, plan: _Plan) -> None:
    wall = rng.uniform(130, 190)
    p.paint(p.on(Plane.GROUND), rng.uniform(110, 170), grain=3)
    p.joints(p.on(Plane.GROUND), float(rng.uniform(0.5, 0.9)), float(rng.uniform(6, 18)))
    for plane in (Plane.BACK, Plane.LEFT, Plane.RIGHT):
        p.paint(p.on(plane), wall - 12 * (plane != Plane.BACK), grain=3)
        p.paint(p.on(plane) & (p.z < 0.12), 70)
        p.paint(p.on(plane) & (p.z > 2.9), wall + 25)
    x = p.x * plan.side
    p.paint(p.on(Plane.BACK) & (np.abs(x + 3.2) < 0.95) & (p.z < 2.3), 70)
    opening = p.on(Plane.BACK) & (np.abs(x + 3.2) < 0.85) & (p.z < 2.2)
    p.paint(opening, 205)
    p.hides(BACK, ~p.on(Plane.GROUND) & ~opening)
    p.paint(p.on(Plane.BACK) & (x > -1.4) & (x < 4.8) & (p.z > 0.3) & (p.z < 2.2), 100 + 30 * (np.mod(p.z, 0.4) > 0.07))
    for x_m in (-1.6, 1.6):
        look = crate_look(
            int(rng.integers(45, 110)), HIDDEN, length_m=0.7, width_m=3.6, height_m=rng.uniform(1.25, 1.5)
        )
        p.body(Body.CRATE, look, x_m * plan.side, 7.4)
        p.texture(float(rng.uniform(15, 30)))
    counter = crate_look(int(rng.integers(60, 190)), HIDDEN, length_m=2.6, width_m=0.7, height_m=1.0)
    p.body(Body.CRATE, counter, 3.9 * plan.side, COUNTER)
    till = crate_look(40, 120, length_m=0.4, width_m=0.35, height_m=0.35)
    p.body(Body.CRATE, till, 4.3 * plan.side, COUNTER, lift=1.0)


def _customers(setting: Setting, plan: _Plan) -> Source:
    """Those who come to buy, by the rhythm of the day; groups now and then."""

    def begin(window: int) -> Iterator[Appearance]:
        rate = 55 * share(SHOP, setting.clock_s((window + 0.5) * WINDOW_S)) * WINDOW_S / 3600
        for k in range(int(rate + uniform(setting.seed, 112, window))):
            start_s = (window + uniform(setting.seed, 113, window, k)) * WINDOW_S
            build_it = partial(_customer, plan, start_s, setting.fps, (setting.seed, 114, window, k))
            yield Appearance(start_s, start_s + _STAYS_S + 60, build_it)

    return begin


def _customer(plan: _Plan, start_s: float, fps: float, seed: tuple[int, ...]) -> list[Track]:
    rng = generator(*seed)
    speed = float(rng.uniform(0.7, 1.25))
    aisle = int(rng.integers(3))
    route = plan.route(aisle)
    person = Acting(walker_look(rng), fps=fps, at=route[0])
    person.walk(*route[1:4], speed=speed)
    for _ in range(int(rng.integers(1, 4))):
        x = float(_AISLES[aisle])
        _browse(person, rng, plan, x, speed)
        if rng.random() < 0.4:
            aisle = int(rng.integers(3))
            person.walk(*plan.at((x, FRONT), (float(_AISLES[aisle]), FRONT)), speed=speed)
    x = float(_AISLES[aisle])
    person.walk(*plan.at((x, FRONT)), speed=speed)
    if rng.random() < 0.75:
        person.walk(*plan.at((rng.uniform(3.2, 4.6), FRONT - rng.uniform(0.0, 0.6))), speed=speed)
        person.change(0.6, heading=np.pi / 2).wait(rng.uniform(12, 45), restless=0.9, rng=rng)
        person.walk(*plan.at((x, FRONT)), speed=speed)
    go(person, plan.route(aisle)[:-1], speed)
    return [person.track(int(np.ceil(start_s * fps)), ordinary_id(*seed))]


def _browse(person: Acting, rng: np.random.Generator, plan: _Plan, x: float, speed: float) -> None:
    """Stand before a shelf, look, and reach for something."""
    person.walk(*plan.at((x + rng.uniform(-0.3, 0.3), rng.uniform(5.8, 9.0))), speed=speed)
    person.change(0.6, heading=float(rng.choice([0.0, np.pi]))).wait(rng.uniform(3, 22), restless=1.2, rng=rng)


def _clerk(setting: Setting, plan: _Plan) -> Source:
    """Somebody behind the counter while the shop is open, each day somebody else."""
    first, last = OPENS_H * 3600 - 600, CLOSES_H * 3600 + 600
    outside = plan.at((-5.4, BACK + 1.0), (-3.2, BACK + 0.9), (-3.2, REAR), (5.0, REAR))

    def station(window: int) -> Array:
        return plan.at((3.2 + 1.6 * uniform(setting.seed, 115, window), COUNTER + 0.75))

    def make(window: int, day: int, arrives: bool, leaves: bool) -> list[Track]:
        rng, fps = generator(setting.seed, 116, window), setting.fps
        look = walker_look(generator(setting.seed, 117, day))
        if arrives:
            person = come(look, outside, station(window + 1)[0], 1.1, fps)
        else:
            person = Acting(look, fps=fps, at=station(window)[0], heading=-np.pi / 2)
            person.wait(rng.uniform(5, 35), restless=1.0, rng=rng)
            if leaves:
                go(person, outside, 1.2)
            else:
                person.walk(station(window + 1)[0], speed=0.8)
        if not leaves:
            person.change(0.6, heading=-np.pi / 2)
            person.wait(WINDOW_S - person.frame / fps, restless=0.8, rng=rng)
        return [person.track(round(window * WINDOW_S * fps), ordinary_id(setting.seed, 118, day))]

    def begin(window: int) -> Iterator[Appearance]:
        clock_s = setting.clock_s(window * WINDOW_S)
        of_day, day = clock_s % DAY_S, int(clock_s // DAY_S)
        if first <= of_day < last:
            flags = of_day - WINDOW_S < first, of_day + WINDOW_S >= last
            yield Appearance(window * WINDOW_S, (window + 2) * WINDOW_S, partial(make, window, day, *flags))

    return begin


def _rare(setting: Setting, plan: _Plan) -> Source:
    """A delivery by trolley in the morning, a cleaning machine at 21:40."""
    outside, aisles = plan.route(0), [plan.route(k)[3:] for k in range(3)]
    cleaning = np.concatenate([outside[:3], outside[3:], aisles[1][::-1], aisles[2], aisles[1], outside[::-1][1:]])
    bringing = np.concatenate([plan.route(1)[:4], plan.at((0.1, 7.0)), plan.route(1)[3::-1]])
    visits = (
        ("trolley", bringing, 7.2, 0.4, ((9.0, 40.0),)),
        ("cleaner", cleaning, 21.63, 0.07, ()),
        ("cleaner", cleaning, 21.76, 0.02, ()),
    )

    def begin(window: int) -> Iterator[Appearance]:
        clock_s = setting.clock_s(window * WINDOW_S)
        for number, (who, points, hour, spread, stops) in enumerate(visits):
            at_h = hour + spread * uniform(setting.seed, 119, int(clock_s // DAY_S), number)
            late_s = at_h * 3600 - clock_s % DAY_S
            if 0 <= late_s < WINDOW_S:
                way = Way(points, per_hour=0, hours=SHOP, spread_m=0.0)
                seed = (setting.seed, 120, window, number)
                trip = Trip(
                    way, who, window * WINDOW_S + late_s, 0.8, backwards=False, company=0, stops=stops, seed=seed
                )
                yield Appearance(trip.start_s, trip.end_s, partial(set_out, trip, setting.fps))

    return begin


def _climbing(plan: _Plan) -> Recipe:
    """Somebody climbs on the counter, stands there and comes down again."""

    def recipe(stage: Stage) -> list[Track]:
        rng = stage.rng
        x = float(rng.uniform(3.2, 4.2)) * plan.side
        person = come(walker_look(rng), plan.route(1), (x, COUNTER - 0.6), 1.2, stage.fps)
        person.change(0.5, heading=np.pi / 2)
        begin = person.frame
        person.change(1.0, left_arm=1.6, right_arm=1.6, sit=0.5).change(1.2, lift=1.0, y=COUNTER - 0.05, sit=0.2)
        person.change(0.8, left_arm=0.3, right_arm=0.3, sit=0.0).wait(rng.uniform(3, 12), restless=1.5, rng=rng)
        person.change(1.2, lift=0.0, y=COUNTER - 0.7, sit=0.3).change(0.4, sit=0.0, left_arm=0.0, right_arm=0.0)
        labelled = range(begin, person.frame)
        go(person, plan.route(1), 1.4)
        return [person.track(stage.frame - begin, stage.id, kind=stage.kind, labelled=labelled)]

    return recipe


def _plantings(plan: _Plan) -> list[Planting]:
    spots, left, right = plan.at((-1.8, FRONT - 0.5), (0.6, FRONT - 0.4)), plan.route(0), plan.route(1)
    around = np.concatenate([plan.route(0), plan.route(1)[::-1]])
    night = [plan.at((-5.4, BACK + 1.0), (-3.2, BACK + 0.9), (-3.2, REAR), (-3.3, 6.0), (-3.2, BACK + 0.9))]
    night.append(np.concatenate([plan.route(1)[:5], plan.at((3.6, FRONT)), plan.route(1)[::-1][:4]]))
    return [
        Planting(PlantedKind.RUNNING, running(around, 0.2), OPENS_H, CLOSES_H),
        Planting(PlantedKind.FIGHT, fight(spots, left, right), OPENS_H, CLOSES_H),
        Planting(PlantedKind.CLIMBING, _climbing(plan), OPENS_H, CLOSES_H),
        Planting(PlantedKind.BAG_LEFT, bag_left(spots, left, right), OPENS_H, CLOSES_H),
        Planting(PlantedKind.AFTER_HOURS, trespass(night, speeds=(1.2, 1.6), pauses=(0.5, 4.0)), 23.0, 6.0),
    ]
