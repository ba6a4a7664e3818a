"""Between the place and the camera: rain, snow, fog, insects, a spider's web, dirt, a mount that shakes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vad.video.synthetic.posing import SUBPIXEL, Array
from vad.video.worlds.chance import bits, generator, smooth, uniform
from vad.video.worlds.kinds import DAY_S
from vad.video.worlds.weather import Weather

_SLACK = 64
_RAIN_PLANES = 12
_FLAKES = 90
_INSECT_SLOT_S = 12.0


@dataclass(frozen=True, slots=True)
class _Insect:
    begin_s: float
    lasts_s: float
    path: Array  # (3, 2) of a curve, in fractions of the picture
    size: float  # radius as a share of the picture's height
    bright: float  # of 255, as lit by the infrared lamp; dark against the sky of a day


@dataclass(frozen=True, slots=True)
class Lens:
    """What one camera's lens collects. Pure functions of time."""

    seed: int
    width: int
    height: int
    rain: Array  # (_RAIN_PLANES, H + _SLACK, W + _SLACK) uint8
    flakes: Array  # (_FLAKES, 5): x, y, fall, drift, phase in fractions
    dirt: Array  # (H, W) float32: what is let through
    fogginess: Array  # (H, W) float32: metres of air, as optical depth in thick fog
    insects: float  # chance in a slot of a night
    web: tuple[float, float, Array] | None  # from..to of world days, and its thread (3, 2) in fractions
    shakes: float  # pixels in the strongest wind

    def shift(self, index: int, wind: float) -> tuple[float, float]:
        """How far the mount shakes, in pixels (x, y)."""
        reach = self.shakes * max(wind - 0.45, 0.0)
        if reach < 0.03:
            return 0.0, 0.0
        x, y = smooth(index / 1.7, self.seed, 71) - 0.5, smooth(index / 1.7, self.seed, 72) - 0.5
        return 2 * reach * x, 2 * reach * y

    def precipitate(self, light: Array, index: int, at_s: float, weather: Weather, luma: float) -> None:
        """Draw rain and snow into ``light`` (H, W) uint8; ``luma`` is that of a well-lit drop."""
        if weather.rain > 0.02:
            chance = bits(self.seed, 73, index)
            plane, dy, dx = chance % _RAIN_PLANES, (chance >> 8) % _SLACK, (chance >> 16) % _SLACK
            streaks = self.rain[plane, dy : dy + self.height, dx : dx + self.width]
            cv2.scaleAdd(streaks, 0.6 * weather.rain * luma / 255, light, light)
        if weather.snow > 0.02:
            flakes = self.flakes[: int(_FLAKES * weather.snow)]
            wind = 0.25 * (weather.wind - 0.3)
            x = flakes[:, 0] + (flakes[:, 3] * 0.1 + wind) * at_s + 0.01 * np.sin(at_s * 2 + flakes[:, 4])
            y = flakes[:, 1] + flakes[:, 2] * at_s
            columns = (np.mod(x, 1.0) * self.width).astype(np.intp)
            rows = (np.mod(y, 1.0) * self.height).astype(np.intp)
            light[rows, columns] = np.maximum(light[rows, columns], np.uint8(min(luma, 250)))

    def fog(self, light: Array, fog: float, luma: float) -> Array:
        """The picture through fog."""
        clear = np.exp(self.fogginess * np.float32(-fog))
        veiled = cv2.multiply(light, clear, dtype=cv2.CV_32F) + np.float32(luma) * (1 - clear)
        return np.clip(veiled, 0, 255).astype(np.uint8)

    def crawl(self, light: Array, at_s: float, *, night: bool, wind: float) -> bool:
        """Draw insects and the web's thread into ``light``; whether an insect is to be seen."""
        if self.web is not None and self.web[0] <= at_s / DAY_S < self.web[1]:
            self._draw_web(light, at_s, night, wind)
        slot = int(at_s // _INSECT_SLOT_S)
        seen = False
        for number in (slot - 1, slot):
            if uniform(self.seed, 74, number) < self.insects * (1.0 if night else 0.06):
                seen |= self._draw_insect(light, at_s, _insect(self.seed, number), night)
        return seen

    def _draw_insect(self, light: Array, at_s: float, insect: _Insect, night: bool) -> bool:
        along = (at_s - insect.begin_s) / insect.lasts_s
        if not 0 <= along < 1:
            return False
        ends = [max(along - 0.06 / insect.lasts_s, 0.0), along]  # as far as it flies while the shutter is open
        points = []
        for t in ends:
            a, b, c = insect.path
            flutter = 0.03 * np.array([np.sin(31 * t * insect.lasts_s), np.cos(23 * t * insect.lasts_s)])
            points.append(((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c + flutter) * [self.width, self.height])
        corners = np.round(np.array(points) * (1 << SUBPIXEL)).astype(int)
        luma = insect.bright if night else 30.0
        thick = max(int(insect.size * 2 * self.height), 1)
        cv2.line(light, corners[0].tolist(), corners[1].tolist(), luma, thick, cv2.LINE_AA, SUBPIXEL)
        return True

    def _draw_web(self, light: Array, at_s: float, night: bool, wind: float) -> None:
        assert self.web is not None
        thread = self.web[2].copy()
        thread[1] += (0.01 + 0.06 * wind) * np.array([smooth(at_s, self.seed, 75) - 0.5, smooth(at_s, self.seed, 76)])
        t = np.linspace(0, 1, 9)[:, None]
        curve = (1 - t) ** 2 * thread[0] + 2 * t * (1 - t) * thread[1] + t * t * thread[2]
        corners = np.round(curve * [self.width, self.height] * (1 << SUBPIXEL)).astype(np.int32)
        level = int(light.mean())
        luma = min(level + 90, 250) if night else min(level + 25, 250)
        cv2.polylines(light, [corners], False, luma, max(self.height // 96, 1), cv2.LINE_AA, SUBPIXEL)


@lru_cache(maxsize=8)
def _insect(seed: int, number: int) -> _Insect:
    rng = generator(seed, 77, number)
    path = rng.uniform(0.0, 1.0, (3, 2))
    side = int(rng.integers(2))
    path[0, side], path[2, side] = (-0.05, 1.05) if rng.random() < 0.5 else (1.05, -0.05)
    return _Insect(
        begin_s=(number + float(rng.random())) * _INSECT_SLOT_S,
        lasts_s=float(rng.uniform(0.5, 3.5)),
        path=path,
        size=float(rng.uniform(0.008, 0.035)),
        bright=float(rng.uniform(150, 250)),
    )


def draw_lens(seed: int, width: int, height: int, distance_m: Array, *, outdoors: bool) -> Lens:
    """A lens and its mount at random."""
    rng = generator(seed, 70)
    dirt = np.ones((height, width), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        spot = np.zeros((height, width), np.float32)
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(spot, centre, int(height * rng.uniform(0.02, 0.09)), 1.0, -1)
        dirt *= 1 - float(rng.uniform(0.04, 0.2)) * cv2.GaussianBlur(spot, (0, 0), height * 0.02)
    web = None
    if outdoors and rng.random() < 0.5:
        begin = rng.uniform(0, 0.8)
        thread = rng.uniform(0, 1, (3, 2))
        thread[0, int(rng.integers(2))] = 0.0
        web = float(begin), float(begin + rng.uniform(0.1, 0.5)), thread
    return Lens(
        seed=seed,
        width=width,
        height=height,
        rain=_rain(rng, width, height),
        flakes=rng.uniform([0, 0, 0.25, -1, 0], [1, 1, 0.7, 1, 6], (_FLAKES, 5)),
        dirt=dirt,
        fogginess=np.minimum(distance_m / 22.0, 4.0).astype(np.float32),
        insects=float(rng.uniform(0.1, 0.5)) if outdoors else float(rng.uniform(0.0, 0.08)),
        web=web,
        shakes=float(rng.uniform(0.3, 2.2)) * height / 96 if outdoors else 0.0,
    )


def _rain(rng: np.random.Generator, width: int, height: int) -> Array:
    planes = np.zeros((_RAIN_PLANES, height + _SLACK, width + _SLACK), np.uint8)
    slant = rng.uniform(-0.25, 0.25)
    for plane in planes:
        for _ in range(int(0.006 * plane.size)):
            x, y = rng.uniform(0, plane.shape[1]), rng.uniform(0, plane.shape[0])
            length = rng.uniform(0.02, 0.09) * height
            ends = np.round(np.array([[x, y], [x + slant * length, y + length]]) * (1 << SUBPIXEL)).astype(int)
            cv2.line(plane, ends[0].tolist(), ends[1].tolist(), float(rng.uniform(20, 70)), 1, cv2.LINE_AA, SUBPIXEL)
    return planes
