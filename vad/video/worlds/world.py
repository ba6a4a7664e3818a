"""A world: one simulated camera, its days and its anomalies, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vad.video.synthetic.posing import Array
from vad.video.synthetic.scene import Label, labels_of
from vad.video.synthetic.shaping import Drawn, Shaper
from vad.video.synthetic.traffic import Track
from vad.video.worlds import care, line, shop, street, yard
from vad.video.worlds.cast import Cast, filed
from vad.video.worlds.chance import bits
from vad.video.worlds.kinds import DAY_S, Planted, PlantedKind, WorldKind
from vad.video.worlds.place import REACH, Builder, Place, Setting, appearance
from vad.video.worlds.planting import plan
from vad.video.worlds.rendering import Renderer
from vad.video.worlds.staging import is_hidden

BEGINS_S = 6 * 3600.0
"""The clock at a world's first frame."""


@dataclass(frozen=True, slots=True)
class WorldFrame:
    """One frame and its truth. ``flow`` and ``foreground`` are None unless asked for.

    ``flow`` is how far what is seen at a pixel of THIS frame has come since the previous frame, in pixels (x, y); it is
    0 on the background, and a shaking camera is not part of it. ``foreground`` is the id of the body seen, or 0.
    ``conditions`` names what makes the picture hard now: ``night``, ``infrared``, ``rain``, ``snow``, ``fog``,
    ``headlights``, ``insect``, ``lamp_switched``, ``shake``. None of them is an anomaly.
    """

    index: int
    at_s: float
    luma: Array  # (H, W) uint8
    labels: tuple[Label, ...]
    conditions: frozenset[str]
    flow: Array | None = None  # (H, W, 2) float32
    foreground: Array | None = None  # (H, W) uint8


class World:
    """A simulated camera. Everything follows from the arguments of ``open_world``; used by one thread at a time."""

    def __init__(self, kind: WorldKind, seed: int, setting: Setting, place: Place) -> None:
        self.kind, self.seed, self.fps = kind, seed, setting.fps
        self.width, self.height, self.days, self.begins_s = (
            setting.width,
            setting.height,
            setting.days,
            setting.begins_s,
        )
        self._place, self._setting = place, setting
        planted = [list(parts) for parts in place.played]
        if setting.anomalies and place.plantings:
            staged = plan(place.plantings, seed=setting.seed, begins_s=self.begins_s, days=self.days, fps=self.fps)
            planted += [[appearance(planting.recipe(stage), self.fps)] for planting, stage in staged]
        self.planted = self._spans([[track for part in parts for track in part.made()] for parts in planted])
        self._cast = Cast(self.fps, [*place.sources, filed(part for parts in planted for part in parts)], REACH)
        self._renderer = Renderer(setting, place, self._cast)

    @property
    def frame_count(self) -> int:
        """Frames of all its days."""
        return round(self.days * DAY_S * self.fps)

    def frames(self, count: int, *, start: int = 0, truth: bool = False) -> Iterator[WorldFrame]:
        """Frames ``start`` to ``start + count - 1``; cheap in sequence, a jump costs some milliseconds."""
        for index in range(start, start + count):
            yield self.render(index, truth=truth)

    def render(self, index: int, *, truth: bool = False) -> WorldFrame:
        """Frame ``index``, at ``index / fps`` seconds."""
        picture = self._renderer.render(index, truth=truth)
        return WorldFrame(
            index,
            index / self.fps,
            picture.luma,
            self._labels(picture.drawn, index),
            picture.conditions,
            picture.flow,
            picture.foreground,
        )

    def _labels(self, drawn: Sequence[Drawn], index: int) -> tuple[Label, ...]:
        labels, at_s = labels_of(drawn, index, self.width, self.height), index / self.fps
        return labels if labels and any(item.start_s <= at_s < item.end_s for item in self.planted) else ()

    def _spans(self, planted: Sequence[Sequence[Track]]) -> tuple[Planted, ...]:
        """From the first frame to the last in which each is to be seen; one that never is, is left out."""
        spans = []
        occluders = self._place.surface.occluders
        for tracks in planted:
            marked = [track for track in tracks if track.kind is not None]
            shaper = Shaper(self._place.camera)

            def shows(index: int, marked: Sequence[Track] = marked, shaper: Shaper = shaper) -> bool:
                here = [track for track in marked if track.first + track.lead <= index < track.end]
                drawn = shaper.draw(here, index, truth=False)
                seen = [body for body in drawn if not is_hidden(body, occluders, self.width, self.height)]
                return bool(labels_of(seen, index, self.width, self.height))

            frames = sorted({index for track in marked for index in track.labelled})
            first = next((index for index in frames if shows(index)), None)
            if first is not None:
                last = next(index for index in reversed(frames) if shows(index))
                kind = PlantedKind(str(marked[0].kind))
                spans.append(Planted(kind, first / self.fps, (last + 1) / self.fps))
        return tuple(sorted(spans, key=lambda span: span.start_s))


_BUILDERS: dict[WorldKind, Builder] = {
    WorldKind.STREET: street.build,
    WorldKind.SHOP: shop.build,
    WorldKind.YARD: yard.build,
    WorldKind.CARE: care.build,
    WorldKind.LINE: line.build,
}


def open_world(
    kind: WorldKind | str,
    *,
    seed: int,
    days: float = 1.0,
    width: int = 160,
    height: int = 96,
    fps: float = 8.0,
    anomalies: bool = True,
) -> World:
    """A world by its kind and seed; the same arguments give the same pictures.

    ``anomalies=False`` gives the same place without anything planted. Raises ValueError for what is not offered.
    """
    if not (days > 0 and fps > 0 and width >= 64 and height >= 48):
        raise ValueError(f"world: got days={days}, fps={fps}, {width}x{height}; allowed: positive, 64x48 and more")
    try:
        kind = WorldKind(kind)
        build = _BUILDERS[kind]
    except (ValueError, KeyError):
        raise ValueError(f"world: got {kind!r}; allowed: {', '.join(_BUILDERS)}") from None
    own_seed = bits(list(WorldKind).index(kind), seed) >> 32  # worlds of two kinds have nothing in common
    setting = Setting(own_seed, width, height, fps, days, BEGINS_S, anomalies)
    return World(kind, seed, setting, build(setting))
