"""A production line: a belt with parts, a press, a robot behind a fence, somebody who looks after it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import crate_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import HIDDEN
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import Acting
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator, uniform
from vad.video.worlds.kinds import PlantedKind
from vad.video.worlds.light import Lighting, infrared_lamp, pools
from vad.video.worlds.line_belt import BELT, REACH_M, SHIFTS_H, TALL, Belt
from vad.video.worlds.passers import Way, ordinary_id, traffic
from vad.video.worlds.place import Place, Setting, across, appearance, half_width_m, look_down
from vad.video.worlds.planting import Planting, Recipe, Stage, plan
from vad.video.worlds.rhythm import YARD, is_between
from vad.video.worlds.surfaces import Painter, Plane

BACK, AISLE, FRONT = 9.5, 8.3, 3.6
LIT_H = (5.5, 22.5)


def build(setting: Setting) -> Place:
    """A line at random."""
    rng = generator(setting.seed, 161)
    direction = float(rng.choice([-1, 1]))
    camera = look_down(
        setting, height_m=rng.uniform(3.2, 3.7), pitch_deg=rng.uniform(25, 28), view_deg=rng.uniform(50, 55)
    )
    painter = Painter(camera, rng, back_m=BACK)
    _paint(painter, rng, direction)
    surface = painter.finish()
    ceiling = [(x, y, 4.8, 0.3) for x in (-3.0, 1.0, 5.0) for y in (4.0, 8.0)]
    lighting = Lighting(
        sky=np.full(surface.plane.shape, np.float32(0.06)),
        lamps=pools(surface, ceiling, least=0.25),
        infrared=infrared_lamp(surface, reach_m=10.0),
        lamps_on=lambda clock_s: is_between(clock_s, *LIT_H),
        sunny=False,
    )
    stages: list[Stage] = []
    side = half_width_m(camera, FRONT) + 0.4
    if setting.anomalies:
        drawn = plan(_PLANTINGS, seed=setting.seed, begins_s=setting.begins_s, days=setting.days, fps=setting.fps)
        stages = [stage for _, stage in drawn]
    belt = Belt(setting, direction, stages)
    in_cell = _in_cell(direction, half_width_m(camera, AISLE))
    played = belt.played()
    played += [[appearance(in_cell(s), setting.fps)] for s in stages if s.kind is PlantedKind.PERSON_IN_CELL]
    trolleys = Way(across(camera, AISLE), per_hour=14, hours=YARD, spread_m=0.2, mix=(("walk", 0.6), ("trolley", 0.4)))
    behind = traffic([trolleys], seed=setting.seed, begins_s=setting.begins_s, fps=setting.fps)
    sources = [belt.begin, _operator(setting, belt, direction, side), behind]
    return Place(camera, surface, lighting, sources, outdoors=False, played=played)


def _nothing(stage: Stage) -> list[Track]:
    return []


_FAULTS = (
    PlantedKind.LINE_STOP,
    PlantedKind.HALF_SPEED,
    PlantedKind.REVERSE,
    PlantedKind.JAM,
    PlantedKind.WRONG_PART,
    PlantedKind.MISSING_PART,
    PlantedKind.PERSON_IN_CELL,
)
_HOURS = tuple((begin + 0.1, end - 0.1) for begin, end in SHIFTS_H)
_PLANTINGS = [Planting(kind, _nothing, hours=_HOURS) for kind in _FAULTS]


def _paint(p: Painter, rng: np.random.Generator, direction: float) -> None:
    floor = rng.uniform(95, 150)
    p.paint(p.on(Plane.GROUND), floor, grain=4)
    p.paint(p.ground(-99, 99, 3.95, 4.05) | p.ground(-99, 99, 7.5, 7.6), 205)
    wall = rng.uniform(110, 170)
    p.paint(p.on(Plane.BACK), wall + 5 * (np.mod(p.x, 0.6) < 0.3))
    p.paint(p.back(-99, 99, 0, 0.15), 60)
    p.paint(p.on(Plane.SKY), 90)
    for x in (-4.5, 4.2):
        p.body(
            Body.CRATE, crate_look(int(rng.integers(60, 150)), HIDDEN, length_m=1.6, width_m=0.7, height_m=1.9), x, 9.1
        )
        p.texture(float(rng.uniform(12, 28)))
    for x in np.arange(-5.0, 5.1, 2.0):  # fence of the cell, as posts and a rail
        p.body(Body.CRATE, crate_look(190, HIDDEN, length_m=0.06, width_m=0.06, height_m=1.5), float(x), 7.3)
    p.body(Body.CRATE, crate_look(185, HIDDEN, length_m=10.4, width_m=0.05, height_m=0.06), 0.0, 7.3, lift=1.45)
    frame = int(rng.integers(60, 150))
    for x in (-2.0, -1.2):  # the press's frame, behind the belt
        post = crate_look(frame + 40, HIDDEN, length_m=0.14, width_m=0.14, height_m=2.5)
        p.body(Body.CRATE, post, x * direction, BELT + 0.42)
    head = crate_look(frame + 25, HIDDEN, length_m=1.1, width_m=0.3, height_m=0.35)
    p.body(Body.CRATE, head, -1.6 * direction, BELT + 0.42, lift=2.3)
    p.body(
        Body.CRATE, crate_look(frame, HIDDEN, length_m=2 * REACH_M + 4, width_m=0.75, height_m=TALL - 0.12), 0.0, BELT
    )
    belt = crate_look(42, HIDDEN, length_m=2 * REACH_M + 4, width_m=0.6, height_m=0.12)
    p.body(Body.CRATE, belt, 0.0, BELT, lift=TALL - 0.12)
    p.body(Body.CRATE, crate_look(165, 60, length_m=0.45, width_m=0.35, height_m=1.25), 3.3 * direction, 4.2)


def _operator(setting: Setting, belt: Belt, direction: float, side_m: float) -> Source:
    """Comes every so often while the line runs, looks at the parts for a minute or two, and goes."""

    def begin(window: int) -> Iterator[Appearance]:
        start_s = (window + uniform(setting.seed, 162, window)) * WINDOW_S
        if window % 12 == int(12 * uniform(setting.seed, 163, window // 12)) and belt.is_running(start_s):
            make = partial(_inspect, setting, direction, side_m, start_s, (setting.seed, 164, window))
            yield Appearance(start_s, start_s + 300, make)

    return begin


def _inspect(setting: Setting, direction: float, side_m: float, start_s: float, seed: tuple[int, ...]) -> list[Track]:
    rng, fps = generator(*seed), setting.fps
    shift = int(setting.clock_s(start_s) // (8 * 3600))
    operator = Acting(walker_look(generator(setting.seed, 165, shift)), fps=fps, at=(side_m * direction, FRONT))
    for _ in range(int(rng.integers(2, 4))):
        operator.walk((direction * rng.uniform(0.5, 2.6), rng.uniform(FRONT - 0.2, FRONT + 0.3)), speed=1.0)
        operator.change(0.7, heading=np.pi / 2).wait(rng.uniform(20, 55), restless=1.3, rng=rng)
    operator.walk((side_m * direction, FRONT), speed=1.1)
    return [operator.track(int(np.ceil(start_s * fps)), ordinary_id(*seed))]


def _in_cell(direction: float, half_m: float) -> Recipe:
    """Somebody inside the fence, beside the robot, while it works."""

    def recipe(stage: Stage) -> list[Track]:
        rng = stage.rng
        outside = (-half_m * direction, 6.7)
        person = Acting(walker_look(rng), fps=stage.fps, at=outside)
        for _ in range(int(rng.integers(2, 4))):
            person.walk((direction * rng.uniform(-1.5, 3.0), rng.uniform(6.4, 7.0)), speed=1.1)
            person.change(0.5, heading=-np.pi / 2).wait(rng.uniform(4, 9), restless=1.2, rng=rng)
        person.walk(outside, speed=1.3)
        return [person.track(stage.frame, stage.id, kind=stage.kind, labelled=range(person.frame))]

    return recipe
