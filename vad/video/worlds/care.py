"""A room in a care home: a bed, a chair, a window, a door; one resident, and a carer at fixed times."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import cart_look, crate_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import HIDDEN
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import Acting
from vad.video.worlds.care_day import played_and_ordinary
from vad.video.worlds.care_resident import BEHIND_DOOR, DOOR, Resident
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator, uniform
from vad.video.worlds.kinds import DAY_S
from vad.video.worlds.light import Lighting, infrared_lamp, pools
from vad.video.worlds.passers import ahead_of, ordinary_id
from vad.video.worlds.place import Place, Setting, look_down
from vad.video.worlds.rhythm import is_between
from vad.video.worlds.sky import Sky
from vad.video.worlds.surfaces import Painter, Plane

BACK, SIDE = 5.3, 2.7  # metres to the back wall and to either side
VISITS_H = (10.0, 12.5, 15.0, 18.0, 20.6)
"""When the carer comes."""


def build(setting: Setting) -> Place:
    """A room at random."""
    rng = generator(setting.seed, 131)
    side = float(rng.choice([-1, 1]))
    camera = look_down(
        setting, height_m=rng.uniform(2.4, 2.7), pitch_deg=rng.uniform(24, 28), view_deg=rng.uniform(58, 64)
    )
    painter = Painter(camera, rng, back_m=BACK, left_m=-SIDE, right_m=SIDE)
    _paint(painter, rng, side)
    surface = painter.finish()
    sky = Sky(setting.seed)
    offset = surface.place_m - np.array([0.1 * side, BACK, 1.5], np.float32)
    window = np.exp(-(offset**2).sum(-1) / 7.0)
    lighting = Lighting(
        sky=(0.5 + 0.5 * window).astype(np.float32),
        lamps=pools(surface, [(0.0, 3.0, 2.6, 0.4)], least=0.06),
        infrared=infrared_lamp(surface, reach_m=5.0),
        lamps_on=lambda clock_s: is_between(clock_s, 6.8, 21.7) and sky.daylight(clock_s) < 0.6,
        sunny=False,
    )
    resident = Resident(setting, side)
    played, sources = played_and_ordinary(resident)
    return Place(camera, surface, lighting, [*sources, _carer(setting, resident)], outdoors=False, played=played)


def _paint(p: Painter, rng: np.random.Generator, side: float) -> None:
    wall = rng.uniform(140, 190)
    p.paint(p.on(Plane.GROUND), rng.uniform(85, 140), grain=4)
    p.joints(p.on(Plane.GROUND), 0.35, 10.0, across=p.x)
    for plane in (Plane.BACK, Plane.LEFT, Plane.RIGHT):
        p.paint(p.on(plane), wall - 14 * (plane != Plane.BACK), grain=3)
        p.paint(p.on(plane) & (p.z < 0.1), 80)
    x = p.x * side
    back = p.on(Plane.BACK)
    p.paint(back & (np.abs(x - 0.1) < 0.85) & (p.z > 0.9) & (p.z < 2.1), wall + 30)
    p.paint(back & (np.abs(x - 0.1) < 0.75) & (p.z > 1.0) & (p.z < 2.0) & (np.abs(x - 0.1) > 0.04), 235)
    p.paint(back & (np.abs(x - DOOR) < 0.62) & (p.z < 2.12), wall - 50)
    opening = back & (np.abs(x - DOOR) < 0.54) & (p.z < 2.05)
    p.paint(opening, 60)
    p.hides(BACK, ~p.on(Plane.GROUND) & ~opening)
    picture = back & (np.abs(x + 1.6) < 0.35) & (np.abs(p.z - 1.6) < 0.25)
    p.paint(picture, float(rng.uniform(60, 200)), grain=25, grain_m=0.8)
    frame, sheet = int(rng.integers(50, 130)), int(rng.integers(180, 230))
    p.body(Body.CRATE, crate_look(frame, HIDDEN, length_m=1.0, width_m=2.1, height_m=0.35), -1.75 * side, 4.15)
    p.body(
        Body.CRATE, crate_look(sheet, HIDDEN, length_m=0.95, width_m=2.05, height_m=0.18), -1.75 * side, 4.15, lift=0.32
    )
    p.body(Body.CRATE, crate_look(235, HIDDEN, length_m=0.6, width_m=0.35, height_m=0.1), -1.75 * side, 4.95, lift=0.5)
    p.body(Body.CRATE, crate_look(frame, HIDDEN, length_m=0.4, width_m=0.4, height_m=0.55), -0.9 * side, 5.0)
    chair = int(rng.integers(40, 150))
    p.body(Body.CRATE, crate_look(chair, HIDDEN, length_m=0.7, width_m=0.15, height_m=1.0), 1.0 * side, 4.75)
    p.body(Body.CRATE, crate_look(chair, HIDDEN, length_m=0.65, width_m=0.55, height_m=0.42), 1.0 * side, 4.4)
    p.body(Body.CRATE, crate_look(frame + 30, HIDDEN, length_m=0.7, width_m=0.7, height_m=0.7), 2.1 * side, 2.6)


def _carer(setting: Setting, resident: Resident) -> Source:
    """Comes at fixed times for some minutes, at noon with a trolley; not when an anomaly is near."""

    def begin(window: int) -> Iterator[Appearance]:
        at_s = window * WINDOW_S
        clock_s = setting.clock_s(at_s)
        day = int(clock_s // DAY_S)
        for number, hour in enumerate(VISITS_H):
            late_s = hour * 3600 + 240 * (uniform(setting.seed, 132, day, number) - 0.5) - clock_s % DAY_S
            if 0 <= late_s < WINDOW_S and resident.is_well(at_s + late_s - 120, at_s + late_s + 480):
                seed = (setting.seed, 133, day, number)
                make = partial(_visit, setting, resident.side, at_s + late_s, number == 1, seed)
                yield Appearance(at_s + late_s, at_s + late_s + 480, make)

    return begin


def _visit(setting: Setting, side: float, start_s: float, trolley: bool, seed: tuple[int, ...]) -> list[Track]:
    rng, fps = generator(*seed), setting.fps
    look = walker_look(generator(setting.seed, 134))
    look.lumas[6:10] = look.lumas[10:13] = 225  # in white
    outside, door = (BEHIND_DOOR * side, BACK + 0.9), (DOOR * side, BACK - 0.5)
    carer = Acting(look, fps=fps, at=outside, heading=0.0)
    arms = 0.9 if trolley else 0.0
    carer.walk((DOOR * side, BACK + 0.8), door, (1.3 * side, 3.2), speed=1.0, arms=arms)
    carer.change(0.8, heading=np.pi * 0.6)
    for _ in range(int(rng.integers(3, 6))):
        carer.wait(rng.uniform(15, 40), restless=1.3, rng=rng)
        carer.walk((side * rng.uniform(0.2, 1.7), rng.uniform(3.0, 3.6)), speed=0.8, arms=arms)
        carer.change(0.8, heading=float(rng.uniform(0.2, 0.8)) * np.pi)
    carer.walk(door, (DOOR * side, BACK + 0.8), outside, speed=1.1, arms=arms)
    first, id = int(np.ceil(start_s * fps)), ordinary_id(*seed)
    tracks = [carer.track(first, id)]
    if trolley:
        cart = cart_look(150, length_m=0.6, width_m=0.45, height_m=1.0, clearance=0.3)
        tracks.append(Track(Body.CART, id, cart, first, ahead_of(carer.states(), 0.65)))
    return tracks
