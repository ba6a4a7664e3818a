"""One frame of a world: light, shadows, bodies, weather, exposure, noise; and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vad.video.synthetic.backdrop import Foliage
from vad.video.synthetic.painting import SHADE_SCALE, truth_of
from vad.video.synthetic.posing import Array
from vad.video.synthetic.shaping import Drawn, Shaper
from vad.video.worlds.cast import Cast
from vad.video.worlds.exposure import Exposure
from vad.video.worlds.headlights import beams, sweep
from vad.video.worlds.imaging import draw_imaging
from vad.video.worlds.kernels import hang, relight
from vad.video.worlds.lens import draw_lens
from vad.video.worlds.light import Illumination, Lit, Moment
from vad.video.worlds.place import Place, Setting
from vad.video.worlds.sky import Sky
from vad.video.worlds.staging import cast_shadows, paint_bodies
from vad.video.worlds.weather import CALM, Weather, weather_at

_DUSK = 0.3  # daylight at which headlights are on, and that counts as night
_OVERHEAD = np.zeros(2)
_BLOCK_FRAMES = 64
_STILL = 0.12  # wind in which leaves hang still


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as it leaves the camera, and who is in it."""

    luma: Array  # (H, W) uint8
    drawn: Sequence[Drawn]
    conditions: frozenset[str]
    flow: Array | None  # (H, W, 2) float32
    foreground: Array | None  # (H, W) uint8


class Renderer:
    """Renders the frames of one place. Everything but its caches follows from its arguments."""

    def __init__(self, setting: Setting, place: Place, cast: Cast) -> None:
        self._setting, self._place, self._cast = setting, place, cast
        seed, width, height = setting.seed, setting.width, setting.height
        self._shape = (height // SHADE_SCALE, width // SHADE_SCALE)
        self._shaper = Shaper(place.camera, _BLOCK_FRAMES)
        self._coverage = np.zeros((height, width), np.float32)  # scratch
        self._sky = Sky(seed)
        self._lens = draw_lens(seed, width, height, place.surface.distance_m, outdoors=place.outdoors)
        self._light = Illumination(seed, self._sky, place.lighting, place.surface, self._lens.dirt)
        self._imaging = draw_imaging(seed, width, height, setting.fps)
        self._exposure = Exposure(
            fps=setting.fps,
            width=width,
            height=height,
            settled=self._light.settled_gain,
            level=self._level,
            drawn=self._drawn,
        )
        self._second: tuple[int, Weather, bool] = (-1, CALM, False)  # second of the clock, weather, night
        self._hanging: tuple[Lit | None, Array] = (None, np.zeros(0))  # the picture with its leaves at rest
        self._painted: tuple[Lit | None, tuple[tuple[int, bytes], ...] | None, Array] = (None, None, np.zeros(0))
        self._names: dict[tuple[bool, ...], frozenset[str]] = {}

    def render(self, index: int, *, truth: bool) -> Picture:
        """Frame ``index``; with its flow and foreground if ``truth``."""
        at_s = index / self._setting.fps
        clock_s = self._setting.clock_s(at_s)
        now = self._light.moment(clock_s)
        weather, night = self._weather(clock_s)
        lit = self._light.lit(clock_s, now)
        drawn = self._shaper.draw(self._cast.at(index), index, truth=truth)
        self._exposure.note(index, self._light.level(now), drawn)
        shown = [body for body in drawn if len(body.lumas)]
        lamps = self._headlights(shown, at_s) if night and self._place.outdoors else None
        parts = np.zeros(lit.light.shape, np.uint16) if truth else None
        light = self._people(lit, shown, now, at_s, weather.wind, lamps, parts)
        light, parts, shift, insect = self._through_lens(light, parts, index, at_s, weather, night, lit)
        gain = self._exposure.gain(index) * self._light.level(now) / (lit.level * lit.gain)
        dark = min(max((lit.gain - 1.2) / 3.5, 0.4 if now.infrared else 0.0), 1.0)
        luma = self._imaging.expose(light, index, gain=gain, dark=dark)
        flow, foreground = (None, None) if parts is None else truth_of(parts, shown, shift)
        names = self._conditions(now, weather, night, lamps is not None, insect, shift != (0.0, 0.0), clock_s)
        return Picture(luma, drawn, names, flow, foreground)

    def _level(self, index: int) -> float:
        return self._light.level(self._light.moment(self._setting.clock_s(index / self._setting.fps)))

    def _drawn(self, index: int) -> Sequence[Drawn]:
        return self._shaper.draw(self._cast.at(index), index, truth=False)

    def _weather(self, clock_s: float) -> tuple[Weather, bool]:
        second = int(clock_s // 1)
        if self._second[0] != second:
            weather = weather_at(self._setting.seed, second) if self._place.outdoors else CALM
            self._second = second, weather, self._sky.daylight(second) < _DUSK
        return self._second[1:]

    def _backdrop(self, lit: Lit, now: Moment, at_s: float, wind: float) -> Array:
        """The picture without people, its leaves in the wind: a fresh (H, W) uint8."""
        foliage = self._place.surface.foliage
        if not foliage:
            return lit.light.copy()
        if wind < _STILL:
            if self._hanging[0] is not lit:
                picture = lit.light.copy()
                for patch in foliage:
                    _hang(picture, patch, lit.shade, now.infrared, 0.0, 0.0)
                self._hanging = lit, picture
            return self._hanging[1].copy()
        picture = lit.light.copy()
        for patch in foliage:
            turn, reach = 2 * np.pi * at_s / patch.period_s, patch.reach_px * min(2.5 * (wind - _STILL), 1.4)
            dx, dy = reach * (np.sin(turn) + 0.5 * np.sin(2.7 * turn + 1)), 0.4 * reach * np.sin(1.6 * turn + 2)
            _hang(picture, patch, lit.shade, now.infrared, float(dx), float(dy))
        return picture

    def _headlights(self, drawn: Sequence[Drawn], at_s: float) -> Array | None:
        added = beams(self._place.camera, drawn, self._shape)
        swept = sweep(self._setting.seed, at_s, self._place.sweeps_per_hour, self._shape)
        if added is None or swept is None:
            return swept if added is None else added
        both: Array = added + swept
        return both

    def _people(
        self,
        lit: Lit,
        shown: Sequence[Drawn],
        now: Moment,
        at_s: float,
        wind: float,
        lamps: Array | None,
        parts: Array | None,
    ) -> Array:
        """The picture with everybody in it, a fresh (H, W) uint8; the last one again while nobody moves."""
        still = lamps is None and parts is None and not (self._place.surface.foliage and wind >= _STILL)
        who = tuple((body.track.serial, body.state.tobytes()) for body in shown) if still else None
        if still and self._painted[0] is lit and self._painted[1] == who:
            return self._painted[2].copy()
        light = self._backdrop(lit, now, at_s, wind)
        self._shade(light, lit, shown, lamps)
        if shown:
            shade = lit.shade if lamps is None else lit.shade + lamps * np.float32(lit.gain)
            lumas = [_lit_parts(body, shade, now.infrared) for body in shown]
            paint_bodies(light, parts, self._coverage, shown, lumas, self._place.surface.occluders)
        if still:
            self._painted = lit, who, light.copy()
        return light

    def _shade(self, light: Array, lit: Lit, drawn: Sequence[Drawn], lamps: Array | None) -> None:
        """Shadows of bodies, and the light of headlights, on the ground."""
        if not drawn and lamps is None:
            return
        cast = lit.shadow if lit.sun > 0.05 else _OVERHEAD
        factor = np.ones(self._shape, np.float32)
        if drawn:
            cast_shadows(factor, self._coverage, self._place.camera, drawn, cast, 0.25 + 0.35 * lit.sun)
        if lamps is not None:
            factor += lamps * np.float32(lit.gain) / np.maximum(lit.shade, np.float32(0.15))
        relight(light, factor, SHADE_SCALE)

    def _through_lens(
        self, light: Array, parts: Array | None, index: int, at_s: float, weather: Weather, night: bool, lit: Lit
    ) -> tuple[Array, Array | None, tuple[float, float], bool]:
        bright = float(lit.shade.mean()) * 200
        if weather.fog > 0.02:
            light = self._lens.fog(light, weather.fog, bright * 0.85)
        if weather.rain or weather.snow:
            self._lens.precipitate(light, index, at_s, weather, bright)
        shift = self._lens.shift(index, weather.wind)
        if shift != (0.0, 0.0):
            move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
            size = light.shape[::-1]
            light = cv2.warpAffine(light, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            if parts is not None:
                parts = cv2.warpAffine(parts, move, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        return light, parts, shift, self._lens.crawl(light, at_s, night=night, wind=weather.wind)

    def _conditions(
        self, now: Moment, weather: Weather, night: bool, headlights: bool, insect: bool, shakes: bool, clock_s: float
    ) -> frozenset[str]:
        before = self._light.lamps_on(clock_s - 2.0)
        falling = (weather.rain > 0.02, weather.snow > 0.02, weather.fog > 0.02)
        flags = (night, now.infrared, *falling, headlights, insect, before != now.lamps, shakes)
        if flags not in self._names:
            self._names[flags] = frozenset(name for name, is_so in zip(CONDITIONS, flags, strict=True) if is_so)
        return self._names[flags]


CONDITIONS = ("night", "infrared", "rain", "snow", "fog", "headlights", "insect", "lamp_switched", "shake")
"""What can make a frame hard, in the order of the flags above."""


def _lit_parts(body: Drawn, shade: Array, infrared: bool) -> Array:
    """Lumas (parts,) float32 of a body under the light in its middle; clothes differ less under infrared light."""
    x0, y0, x1, y1 = body.box
    x, y = (x0 + x1) / 2 / SHADE_SCALE, (y0 + y1) / 2 / SHADE_SCALE
    row, column = min(max(int(y), 0), shade.shape[0] - 1), min(max(int(x), 0), shade.shape[1] - 1)
    lumas = body.lumas * np.float32(0.5) + np.float32(70) if infrared else body.lumas.astype(np.float32)
    seen: Array = np.minimum(lumas * shade[row, column], np.float32(255))
    return seen


def _hang(picture: Array, patch: Foliage, shade: Array, infrared: bool, dx: float, dy: float) -> None:
    """Paint a patch of leaves, moved by (dx, dy) pixels."""
    height, width = patch.alpha.shape
    row, column = (patch.top + height // 2) // SHADE_SCALE, (patch.left + width // 2) // SHADE_SCALE
    level = float(shade[min(row, shade.shape[0] - 1), min(column, shade.shape[1] - 1)])
    gain, base = (0.5 * level, 110 * level) if infrared else (level, 0.0)
    hang(picture, patch.alpha, patch.leaves, patch.top, patch.left, dx, dy, gain, base)
