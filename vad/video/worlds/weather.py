"""Rain, snow, fog and wind of a world: how strong each is at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vad.video.worlds.chance import generator, smooth, uniform
from vad.video.worlds.kinds import DAY_S
from vad.video.worlds.sky import ramp


@dataclass(frozen=True, slots=True)
class Weather:
    """Strengths, 0 = none to 1."""

    rain: float = 0.0
    snow: float = 0.0
    fog: float = 0.0
    wind: float = 0.0


CALM = Weather()


@lru_cache(maxsize=64)
def _episodes(seed: int, day: int) -> tuple[tuple[str, float, float, float], ...]:
    """(what, from, to, strength) of a day, seconds of its clock."""
    rng = generator(seed, 21, day)
    winter = generator(seed, 10).uniform(-1, 1) < -0.3  # as ``sky`` draws the season
    episodes = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.4, 0.35, 0.25]))):
        begin = rng.uniform(0, 22) * 3600
        episodes.append(("snow" if winter else "rain", begin, begin + rng.uniform(900, 6000), rng.uniform(0.25, 1)))
    if rng.random() < 0.25:
        begin = rng.uniform(3, 6) * 3600
        episodes.append(("fog", begin, begin + rng.uniform(3, 5.5) * 3600, rng.uniform(0.3, 1)))
    return tuple((what, float(begin), float(end), float(strength)) for what, begin, end, strength in episodes)


def weather_at(seed: int, clock_s: float) -> Weather:
    """The weather outdoors; ``clock_s`` counts from the midnight before the world's first frame."""
    day, of_day = divmod(clock_s, DAY_S)
    strengths = {"rain": 0.0, "snow": 0.0, "fog": 0.0}
    for what, begin, end, strength in _episodes(seed, int(day)):
        edge = 1500.0 if what == "fog" else 150.0
        now = strength * ramp(of_day, begin, begin + edge) * (1 - ramp(of_day, end - edge, end))
        strengths[what] = max(strengths[what], now)
    windy = 0.2 + 0.8 * uniform(seed, 22, int(day))
    wind = windy * smooth(of_day / 2400, seed, 23, int(day)) * (0.6 + 0.4 * smooth(clock_s / 7, seed, 24))
    return Weather(**strengths, wind=max(wind, 0.5 * strengths["rain"]))
