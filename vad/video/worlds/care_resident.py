"""Somebody who lives in a room: how they get up, sit and lie down there, and the anomalies that can befall them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vad.video.synthetic.boxes import crate_look
from vad.video.synthetic.figures import walker_look
from vad.video.synthetic.posing import HIDDEN, POSTURE, Array
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import HEADING, LIFT, SIT, TILT, Acting, X, Y
from vad.video.worlds.chance import generator
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.place import Setting
from vad.video.worlds.planting import Planting, Stage, plan

DOOR, BEHIND_DOOR = 1.95, 4.4
"""Where the door is and who has left stays, metres to the side (of a room that is not mirrored)."""

_BACK = 5.3


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


ACTS: dict[PlantedKind, Act] = {
    PlantedKind.FALL: _falls,
    PlantedKind.LYING: _lies,
    PlantedKind.WANDERING_AT_NIGHT: _wanders,
}
"""What can befall a resident."""
