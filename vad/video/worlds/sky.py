"""The sky over a world: how much light it gives, where the sun is, which clouds pass; by the second."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from vad.video.synthetic.posing import Array
from vad.video.worlds.chance import generator, smooth, uniform
from vad.video.worlds.kinds import DAY_S

_SLOT_S = 150.0  # at most one cloud passes in each


def ramp(value: float, low: float, high: float) -> float:
    """0 below ``low``, 1 above ``high``, smooth between."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3 - 2 * share)


@dataclass(frozen=True, slots=True)
class _Day:
    rise_s: float  # of its clock
    set_s: float
    overcast: float  # 0 = clear, 1 = no direct sun at all
    cloudy: float  # chance that a cloud passes in a slot


@lru_cache(maxsize=64)
def _day(seed: int, number: int) -> _Day:
    rng = generator(seed, 11, number)
    season = generator(seed, 10).uniform(-1, 1)  # -1 winter, 1 summer
    half = 5.4 + 1.6 * season
    noon = 12.6 + rng.uniform(-0.05, 0.05)
    overcast = float(rng.choice([0.0, 0.35, 1.0], p=[0.45, 0.3, 0.25]))
    return _Day((noon - half) * 3600, (noon + half) * 3600, overcast, float(rng.uniform(0.15, 0.8)))


@dataclass(slots=True)
class Sky:
    """A function of (seed, clock); ``clock_s`` counts from the midnight before the world's first frame."""

    seed: int
    _azimuth: float = field(init=False)

    def __post_init__(self) -> None:
        self._azimuth = uniform(self.seed, 12) * 2 * np.pi

    def altitude(self, clock_s: float) -> float:
        """Sine of the sun's height, about -0.6 to 0.9."""
        day = _day(self.seed, int(clock_s // DAY_S))
        of_day = clock_s % DAY_S
        return (
            0.85 * float(np.sin(np.pi * (of_day - day.rise_s) / (day.set_s - day.rise_s)))
            if (day.rise_s - 5400 < of_day < day.set_s + 5400)
            else -0.5
        )

    def daylight(self, clock_s: float) -> float:
        """Light of the whole sky, 0 at night to 1: falls over half an hour of dusk."""
        return ramp(self.altitude(clock_s), -0.10, 0.22)

    def cloud_gain(self, clock_s: float) -> float:
        """What passing clouds leave of the light: 1, or 0.7 to 0.9 under one, reached over seconds."""
        gain = 1.0
        number = int(clock_s // _SLOT_S)
        for slot in (number - 1, number):
            day = _day(self.seed, int(slot * _SLOT_S // DAY_S))
            if uniform(self.seed, 13, slot) < day.cloudy:
                begin = (slot + uniform(self.seed, 14, slot)) * _SLOT_S
                edge = 2.0 + 6.0 * uniform(self.seed, 15, slot)
                end = begin + 15.0 + 100.0 * uniform(self.seed, 16, slot)
                depth = 0.10 + 0.20 * uniform(self.seed, 17, slot)
                gain *= 1 - depth * ramp(clock_s, begin, begin + edge) * (1 - ramp(clock_s, end, end + edge))
        return gain

    def direct(self, clock_s: float) -> float:
        """Direct sunlight as a share of a clear noon's, 0..1; clouds not counted."""
        day = _day(self.seed, int(clock_s // DAY_S))
        haze = 0.85 + 0.15 * smooth(clock_s / 900, self.seed, 18)
        return (1 - day.overcast) * haze * ramp(self.altitude(clock_s), 0.02, 0.35)

    def shadow(self, clock_s: float) -> Array:
        """(2,): metres that a shadow is cast along the ground for each metre of height."""
        turn = self._azimuth + np.pi * (clock_s % DAY_S / DAY_S - 0.5) * 1.6
        length = min(1.0 / max(self.altitude(clock_s), 0.30) * 0.6, 1.8)
        return length * np.array([np.cos(turn), np.sin(turn)])
