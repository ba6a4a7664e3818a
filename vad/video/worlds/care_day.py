"""The day of somebody who lives in a room: sleeps, gets up, sits, stands at the window, goes out and comes back.

The day runs from 6:00 to 6:00, and begins and ends in bed. It is a chain of appearances: stays at one of the places,
cut to a few minutes each, and moves from one place to another. Anomalies are links of the same chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.posing import POSTURE
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import LIFT, Acting, X, Y
from vad.video.worlds.care_resident import ACTS, Resident
from vad.video.worlds.cast import WINDOW_S, Appearance, Source
from vad.video.worlds.chance import generator
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.passers import ORDINARY_IDS
from vad.video.worlds.planting import Stage

_PIECE_S = 240.0
_ID = 9
_WAKES_H, _SLEEPS_H = (6.75, 7.3), (21.0, 21.5)
_SILENT_H, _FOUND_H = 7.75, (9.2, 9.8)  # nobody has got up by then; gets up at last


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

    def move(self, to: str) -> None:
        """Get up and settle at another place."""
        person = self._begin()
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
        begin, end = ACTS[stage.kind](self.resident, person, stage.rng)
        self.resident.settle(person, self.place)
        first = stage.frame - begin
        self.fill(first, lively=False)
        track = person.track(first, stage.id, kind=stage.kind, labelled=range(begin, end))
        self._link(person, self.place, [track])


def _day(resident: Resident, day: int) -> _Chain:
    chain = _Chain(resident, day)
    rng, stages = chain.rng, resident.stages(day)
    wakes, sleeps = chain.frame(rng.uniform(*_WAKES_H)), chain.frame(rng.uniform(*_SLEEPS_H))
    found = chain.frame(rng.uniform(*_FOUND_H))
    if resident.setting.anomalies and 0 <= day < resident.setting.days - 0.2 and rng.random() < 0.7:
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
