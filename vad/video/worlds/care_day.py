"""The day of somebody who lives in a room: sleeps, gets up, sits, stands at the window, goes out and comes back.

The day runs from 6:00 to 6:00, and begins and ends in bed. It is a chain of appearances: stays at one of the places,
cut to a few minutes each, and moves from one place to another. Anomalies are links of the same chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import crate_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import HIDDEN, POSTURE, Array
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import HEADING, LIFT, SIT, TILT, Acting, X, Y
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.passers import ORDINARY_IDS
from vad.video.worlds.place import Setting
from vad.video.worlds.planting import Planting, Stage, plan

DOOR, BEHIND_DOOR = 1.95, 4.4
"""Where the door is and who has left stays, metres to the side (of a room that is not mirrored)."""

_BACK = 5.3
_PIECE_S = 240.0
_ID = 9
_WAKES_H, _SLEEPS_H = (6.75, 7.3), (21.0, 21.5)
_SILENT_H, _FOUND_H = 7.75, (9.2, 9.8)  # nobody has got up by then; gets up at last


class Resident:
    """One person's days. ``side`` is -1 in a mirrored room."""

    def __init__(self, setting: Setting, side: float) -> None:
        self.setting, self.side, self.fps = setting, side, setting.fps
        self.look = walker_look(generator(setting.seed, 141))
        self.look.size[3] = np.pi  # lies down, and falls, backwards
        luma = int(generator(setting.seed, 142).integers(90, 215))
        self.blanket = crate_look(luma, HIDDEN, length_m=1.0, width_m=1.35, height_m=0.2)
        stages = []
        if setting.anomalies:
            drawn = plan(_PLANTINGS, seed=setting.seed, begins_s=setting.begins_s, days=setting.days, fps=self.fps)
            stages = [stage for _, stage in drawn]
        self._stages: Sequence[Stage] = stages
        self.poses = {name: self._pose(*row) for name, row in _POSES.items()}

    def is_well(self, start_s: float, end_s: float) -> bool:
        """Whether nothing is planted in [start_s, end_s) or in the minute before."""
        return not any(start_s - 90 < stage.at_s < end_s for stage in self._stages)

    def stages(self, day: int) -> list[Stage]:
        """What is planted in a day of the world."""
        return [stage for stage in self._stages if day <= stage.at_s / DAY_S < day + 1]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of this room."""
        return x * self.side, y

    def _pose(self, x: float, y: float, heading: float, sit: float, tilt: float, lift: float) -> Array:
        pose = np.zeros(POSTURE)
        pose[[X, Y, HEADING, SIT, TILT, LIFT]] = x * self.side, y, heading, sit, tilt, lift
        return pose

    # -- moves: each takes an Acting that is in one pose and leaves it in another

    def rise(self, person: Acting, place: str) -> None:
        """Get up from a place, to stand before it."""
        if place == "bed":
            person.change(2.2, x=-1.25 * self.side, y=3.9, tilt=0.25, sit=0.9, lift=0.08)
            person.change(1.0, tilt=0.0, heading=self._out()).wait(2.0)
            person.change(1.4, x=-0.85 * self.side, sit=0.0, lift=0.0)
        elif place == "chair":
            person.change(1.6, sit=0.0, y=3.95)

    def settle(self, person: Acting, place: str) -> None:
        """Go to a place and sit or lie down there."""
        if place == "bed":
            person.walk(self.at(-0.85, 3.9), speed=0.7).change(0.8, heading=self._out())
            person.change(1.5, x=-1.25 * self.side, sit=0.9, lift=0.08).wait(2.0)
            person.change(2.4, **_columns(self.poses["bed"]))
        elif place == "chair":
            person.walk(self.at(1.0, 3.85), speed=0.7).change(1.0, heading=-np.pi / 2)
            person.change(1.8, **_columns(self.poses["chair"]))
        elif place == "window":
            person.walk(self.at(0.0, 4.7), speed=0.7).change(0.8, **_columns(self.poses["window"]))
        else:
            person.walk(
                self.at(DOOR, _BACK - 0.5), self.at(DOOR, _BACK + 0.8), self.at(BEHIND_DOOR, _BACK + 0.9), speed=0.7
            )
            person.change(0.5, **_columns(self.poses["out"]))

    def _out(self) -> float:
        return 0.0 if self.side > 0 else np.pi

    def starts(self, person: Acting, place: str) -> None:
        """From a place to the middle of the room."""
        if place == "out":
            person.walk(self.at(DOOR, _BACK + 0.8), self.at(DOOR, _BACK - 0.5), speed=0.7)
        else:
            self.rise(person, place)


_POSES = {
    # x, y, heading, sit, tilt, lift
    "bed": (-1.75, 3.25, -np.pi / 2, 0.0, 1.5, 0.42),
    "chair": (1.0, 4.35, -np.pi / 2, 1.0, 0.0, 0.0),
    "window": (0.0, 4.75, np.pi / 2, 0.0, 0.0, 0.0),
    "out": (BEHIND_DOOR, _BACK + 0.9, np.pi, 0.0, 0.0, 0.0),
}


def _columns(pose: Array) -> dict[str, float]:
    names = {"x": X, "y": Y, "heading": HEADING, "sit": SIT, "tilt": TILT, "lift": LIFT}
    return {name: float(pose[column]) for name, column in names.items()}


def _nothing(stage: Stage) -> list[Track]:
    return []


_PLANTINGS = [
    Planting(PlantedKind.FALL, _nothing, 10.5, 20.3),
    Planting(PlantedKind.WANDERING_AT_NIGHT, _nothing, 0.3, 5.3),
    Planting(PlantedKind.LYING, _nothing, 10.5, 20.3),
]


class _Chain:
    """The links of one day, in order of time."""

    def __init__(self, resident: Resident, day: int) -> None:
        self.resident, self.day, self.fps = resident, day, resident.fps
        self.rng = generator(resident.setting.seed, 143, day & 0xFFFF)
        self.now, self.place = round(day * DAY_S * self.fps), "bed"  # frame, and where the resident is
        self.ordinary: list[Appearance] = []
        self.played: list[list[Appearance]] = []

    def frame(self, hour: float) -> int:
        """The frame at an hour of the clock, 6 to 30."""
        return round((self.day * DAY_S + hour * 3600 - self.resident.setting.begins_s) * self.fps)

    def stay(self, until: int, *, kind: PlantedKind | None = None, labelled_from: int = 0) -> None:
        """Stay until a frame, in pieces; with ``kind`` labelled from a frame on."""
        parts = []
        while self.now < until:
            end = min(until, self.now + round(_PIECE_S * self.fps))
            make = partial(self._piece, self.place, self.now, end, kind, labelled_from)
            parts.append(Appearance(self.now / self.fps, end / self.fps, make))
            self.now = end
        if kind is None:
            self.ordinary += parts
        else:
            self.played.append(parts)

    def _piece(self, place: str, first: int, end: int, kind: PlantedKind | None, labelled_from: int) -> list[Track]:
        resident, rng = self.resident, generator(self.resident.setting.seed, 144, first & 0xFFFFFFFF)
        person = Acting(resident.look, fps=self.fps, pose=resident.poses[place])
        seconds = (end - first) / self.fps
        if place == "bed":
            if rng.random() < 0.25 and seconds > 30 and kind is None:  # turns over
                person.wait(rng.uniform(1, seconds - 20)).change(1.5, heading=-np.pi / 2 + rng.uniform(-0.25, 0.25))
                person.wait(3.0).change(1.0, heading=-np.pi / 2)
        else:
            person.wait(seconds, restless=0.9 if place == "chair" else 0.4, rng=rng)
        if person.frame < end - first:
            person.wait((end - first - person.frame) / self.fps)
        labelled = range(max(labelled_from - first, 0), end - first) if kind else range(0)
        track = person.track(first, ORDINARY_IDS + 1 if kind else _ID, kind=kind, labelled=labelled)
        return [track, self._blanket(first, end - first)] if place == "bed" else [track]

    def _blanket(self, first: int, frames: int) -> Track:
        state = np.zeros((frames, POSTURE))
        state[:, [X, Y, LIFT]] = self.resident.at(-1.75, 3.8)[0], 3.79, 0.5
        return Track(Body.CRATE, _ID + 1, self.resident.blanket, first, state)

    def move(self, to: str, doing: Callable[[Acting], None] | None = None) -> None:
        """Get up, do something on the way if asked, and settle at another place."""
        person = self._begin()
        if doing is not None:
            doing(person)
        self.resident.settle(person, to)
        self._link(person, to, [])

    def _begin(self) -> Acting:
        person = Acting(self.resident.look, fps=self.fps, pose=self.resident.poses[self.place])
        self.resident.starts(person, self.place)
        return person

    def _link(self, person: Acting, to: str, tracks: list[Track]) -> None:
        made = tracks or [person.track(self.now, _ID)]
        end = self.now + person.frame
        link = Appearance(self.now / self.fps, end / self.fps, lambda: made)
        if tracks:
            self.played.append([link])
        else:
            self.ordinary.append(link)
        self.now, self.place = end, to

    def fill(self, until: int, *, lively: bool) -> None:
        """Spend the time up to a frame: mostly sitting, with walks to the window and out of the room."""
        minute = 60 * self.fps
        while lively and until - self.now > 30 * minute:
            self.stay(self.now + round(self.rng.uniform(6, 24) * minute))
            to = str(self.rng.choice(["window", "out", "bed"], p=[0.5, 0.35, 0.15]))
            self.move(to)
            self.stay(self.now + round(self.rng.uniform(1, 5) * minute))
            self.move("chair")
        self.stay(until)

    def plant(self, stage: Stage) -> None:
        """One anomaly, whose label begins at the stage's frame."""
        person = self._begin()
        begin, end = _ACTS[stage.kind](self.resident, person, stage.rng)
        self.resident.settle(person, self.place)
        first = stage.frame - begin
        self.fill(first, lively=False)
        track = person.track(first, stage.id, kind=stage.kind, labelled=range(begin, end))
        self._link(person, self.place, [track])


Act = Callable[[Resident, Acting, np.random.Generator], tuple[int, int]]
"""Plays an anomaly from standing to standing; gives its labelled frames, counted from the acting's first."""


def _falls(resident: Resident, person: Acting, rng: np.random.Generator) -> tuple[int, int]:
    person.walk(resident.at(rng.uniform(-0.4, 0.9), rng.uniform(2.2, 3.2)), speed=0.7)
    begin = person.frame
    person.change(0.7, tilt=1.5).wait(rng.uniform(8, 40), restless=0.7, rng=rng)
    person.change(2.5, tilt=0.3, sit=0.9).change(2.0, tilt=0.0, sit=0.0)
    end = person.frame
    person.wait(2.0)
    return begin, end


def _lies(resident: Resident, person: Acting, rng: np.random.Generator) -> tuple[int, int]:
    person.walk(resident.at(rng.uniform(-0.4, 0.9), rng.uniform(2.2, 3.2)), speed=0.6)
    person.change(3.0, sit=0.9)
    begin = person.frame
    person.change(2.5, tilt=1.5, sit=0.15).wait(rng.uniform(20, 45)).change(2.5, tilt=0.3, sit=0.9)
    end = person.frame
    person.change(2.5, tilt=0.0, sit=0.0)
    return begin, end


def _wanders(resident: Resident, person: Acting, rng: np.random.Generator) -> tuple[int, int]:
    begin, lasts = person.frame, rng.uniform(35, 50)
    while person.frame - begin < lasts * resident.fps:
        person.walk(resident.at(rng.uniform(-0.6, 1.6), rng.uniform(2.0, 4.3)), speed=rng.uniform(0.4, 0.7))
        person.wait(rng.uniform(0.5, 2))
    return begin, person.frame


_ACTS: dict[PlantedKind, Act] = {
    PlantedKind.FALL: _falls,
    PlantedKind.LYING: _lies,
    PlantedKind.WANDERING_AT_NIGHT: _wanders,
}


def _day(resident: Resident, day: int) -> _Chain:
    chain = _Chain(resident, day)
    rng, stages = chain.rng, resident.stages(day)
    wakes, sleeps = chain.frame(rng.uniform(*_WAKES_H)), chain.frame(rng.uniform(*_SLEEPS_H))
    found = chain.frame(rng.uniform(*_FOUND_H))
    if resident.setting.anomalies and 0 <= day < resident.setting.days and rng.random() < 0.7:
        chain.stay(found, kind=PlantedKind.NO_SIGN_OF_LIFE, labelled_from=chain.frame(_SILENT_H))
    else:
        chain.stay(wakes)
    chain.move("out")
    chain.stay(chain.now + round(rng.uniform(5, 10) * 60 * chain.fps))
    chain.move("chair")
    night = chain.frame(24.0 + rng.uniform(1.5, 4.5)) if rng.random() < 0.7 else 0
    for stage in stages:
        if stage.frame < sleeps:
            chain.fill(stage.frame - round(60 * chain.fps), lively=True)
            chain.plant(stage)
    chain.fill(sleeps, lively=True)
    chain.move("bed")
    for stage in stages:
        if stage.frame >= sleeps:
            chain.fill(stage.frame - round(60 * chain.fps), lively=False)
            chain.plant(stage)
    if chain.now < night < chain.frame(29.7):  # to the bathroom, as in most nights
        chain.stay(night)
        chain.move("out")
        chain.stay(chain.now + round(rng.uniform(2, 5) * 60 * chain.fps))
        chain.move("bed")
    chain.stay(chain.frame(30.0))
    return chain


def played_and_ordinary(resident: Resident) -> tuple[list[list[Appearance]], list[Source]]:
    """The anomalies of all days, as parts of each, and the source of everything else."""
    chains: dict[int, dict[int, list[Appearance]]] = {}
    played: list[list[Appearance]] = []

    def windows(day: int) -> dict[int, list[Appearance]]:
        if day not in chains:
            chain = _day(resident, day)
            by_window: dict[int, list[Appearance]] = {}
            for link in chain.ordinary:
                by_window.setdefault(int(link.start_s // WINDOW_S), []).append(link)
            chains[day] = by_window
            played.extend(chain.played)
        return chains[day]

    def begin(window: int) -> Iterator[Appearance]:
        yield from windows(int(window * WINDOW_S // DAY_S)).get(window, ())

    for day in range(int(np.ceil(resident.setting.days)) if resident.setting.anomalies else 0):
        windows(day)
    return list(played), [begin]
