"""Light on a place: skylight, sun and its shadows, lamps, the infrared lamp; redone once a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from vad.video.synthetic.painting import SHADE_SCALE
from vad.video.synthetic.posing import Array
from vad.video.worlds.chance import generator
from vad.video.worlds.sky import Sky
from vad.video.worlds.surfaces import Plane, Surface

_NIGHT = 0.02  # what is left without sun and lamps
_INFRARED_BELOW = 0.12  # daylight at which the camera's infrared lamp takes over, unless lamps are on
_INFRARED = 0.32
_SUN = 0.60
_GREY = 110.0  # mean reflectance of a place that a camera shows as it is


@dataclass(frozen=True, slots=True)
class Lighting:
    """How a place is lit: maps (H, W) float32 of the light that each source gives, 1 = as outdoors at noon."""

    sky: Array
    lamps: Array
    infrared: Array | None  # None: the camera has no infrared lamp
    lamps_on: Callable[[float], bool]  # by ``clock_s``
    sunny: bool = True  # the sun reaches it


@dataclass(frozen=True, slots=True)
class Moment:
    """Light at one frame: what there is of each source."""

    sky: float
    sun: float
    lamps: bool
    infrared: bool


@dataclass(frozen=True, slots=True)
class Lit:
    """A second's picture without people, as a camera that has settled shows it."""

    light: Array  # (H, W) uint8
    shade: Array  # (H / SHADE_SCALE, W / SHADE_SCALE) float32: what bodies' lumas are multiplied by
    level: float  # mean light, before the camera's gain
    gain: float  # the settled gain
    sun: float  # direct sunlight, 0..1
    shadow: Array  # (2,): metres of shadow for each metre of height


@dataclass(slots=True)
class Illumination:
    """A place's light over time. Owned by one world."""

    seed: int
    sky: Sky
    lighting: Lighting
    surface: Surface
    dirt: Array  # (H, W) float32: what the lens lets through
    _means: tuple[float, float, float] = field(init=False)
    _grey: float = field(init=False)
    _building: tuple[Array, float, float] = field(init=False)  # along (H, W), where it stands (m), height (m)
    _seconds: dict[int, tuple[float, float]] = field(default_factory=dict)
    _lit: dict[tuple[int, bool, bool], Lit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        maps = self.lighting
        infrared = 0.0 if maps.infrared is None else float(maps.infrared.mean())
        self._means = float(maps.sky.mean()), float(maps.lamps.mean()), infrared
        self._grey = 1.35 * (_GREY / float(self.surface.visible.mean())) ** 0.8
        rng = generator(self.seed, 31)
        turn = rng.uniform(0, 2 * np.pi)
        ahead = np.array([np.cos(turn), np.sin(turn)], np.float32)
        along = self.surface.place_m[..., :2] @ ahead
        near = along[self.surface.plane == Plane.GROUND]
        self._building = along, float(np.quantile(near, rng.uniform(0.0, 0.3)) - 3), float(rng.uniform(4, 10))

    def moment(self, clock_s: float) -> Moment:
        """The light at a moment; lamps and infrared switch between one frame and the next."""
        second = int(clock_s // 1)
        (sky, sun), (sky_next, sun_next) = self._second(second), self._second(second + 1)
        share = clock_s - second
        sky, sun = sky + (sky_next - sky) * share, sun + (sun_next - sun) * share
        lamps = self.lighting.lamps_on(clock_s)
        dark = sky * self._means[0] < _INFRARED_BELOW
        return Moment(sky, sun, lamps, self.lighting.infrared is not None and not lamps and dark)

    def level(self, now: Moment) -> float:
        """Mean light on the place."""
        sky, lamps, infrared = self._means
        ground = now.sky * sky + (now.sun * _SUN * 0.6 if self.lighting.sunny else 0.0)
        return _NIGHT + ground + now.lamps * lamps + now.infrared * infrared * _INFRARED

    def settled_gain(self, level: float) -> float:
        """The gain of a camera that has had time to adapt: it makes up for most of the light's changes, not for all."""
        return float(self._grey / (level**0.72 + 0.08))

    def lamps_on(self, clock_s: float) -> bool:
        """Whether the lamps are on."""
        return self.lighting.lamps_on(clock_s)

    def lit(self, clock_s: float, now: Moment) -> Lit:
        """The picture without people in the second of ``clock_s``."""
        second = int(clock_s // 1)
        key = (second, now.lamps, now.infrared)
        if key not in self._lit:
            sky, sun = self._second(second)
            self._lit = {key: self._draw(second, Moment(sky, sun, now.lamps, now.infrared))}
        return self._lit[key]

    def _second(self, second: int) -> tuple[float, float]:
        if second not in self._seconds:
            if len(self._seconds) > 100:
                self._seconds.clear()
            cloud = self.sky.cloud_gain(second)
            direct = self.sky.direct(second)
            sky = self.sky.daylight(second) * (0.45 + 0.35 * (1 - direct)) * cloud
            self._seconds[second] = sky, direct * cloud**2
        return self._seconds[second]

    def _draw(self, second: int, now: Moment) -> Lit:
        maps, level = self.lighting, self.level(now)
        gain = self.settled_gain(level)
        light = maps.sky * np.float32(now.sky * gain) + np.float32(_NIGHT * gain)
        if maps.sunny and now.sun > 0:
            light += self._sunlit(second) * np.float32(now.sun * _SUN * gain)
        if now.lamps:
            light += maps.lamps * np.float32(gain)
        reflectance = self.surface.visible
        if now.infrared and maps.infrared is not None:
            light += maps.infrared * np.float32(_INFRARED * gain)
            reflectance = self.surface.infrared
        picture = cv2.multiply(reflectance, light * self.dirt, dtype=cv2.CV_8U)
        height, width = light.shape
        shade = cv2.resize(light, (width // SHADE_SCALE, height // SHADE_SCALE), interpolation=cv2.INTER_AREA)
        return Lit(picture, shade, level, gain, now.sun if maps.sunny else 0.0, self.sky.shadow(second))

    def _sunlit(self, second: int) -> Array:
        """1 where the sun reaches the place, 0 in the shadow of a building beside it, soft between."""
        along, stands_m, tall_m = self._building
        shadow = self.sky.shadow(second)
        ahead = float(shadow[0])  # how the shadow lies to the building's front turns with the sun
        edge = stands_m + tall_m * max(ahead, 0.0)
        lit: Array = np.clip((along - np.float32(edge)) * np.float32(2.5) + np.float32(0.5), 0, 1)
        return lit


def pools(surface: Surface, lamps: list[tuple[float, float, float, float]], *, least: float) -> Array:
    """Light (H, W) of lamps at (x, y, height in metres, strength), on top of ``least`` everywhere but in the sky."""
    light = np.full(surface.plane.shape, np.float32(least))
    for x, y, up, strength in lamps:
        offset = surface.place_m - np.array([x, y, up], np.float32)
        square = (offset**2).sum(-1) / np.float32(up * up)
        light += np.float32(strength) / np.maximum(square, 0.6)
    light[surface.plane == Plane.SKY] = 0.0
    return light


def infrared_lamp(surface: Surface, *, reach_m: float) -> Array:
    """Light (H, W) of the lamp around a camera's lens: bright near by and in the middle, dark far away."""
    height, width = surface.plane.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    spot = np.exp(-(x * x + y * y) * 0.7)
    near = 1.6 / (0.35 + (surface.distance_m / np.float32(reach_m)) ** 1.5)
    light: Array = np.minimum(spot * near, 2.2).astype(np.float32)
    return light
