"""A seeded scene with exact ground truth: luma, flow, foreground, labelled anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from vad.video.synthetic.anomalies import Anomaly, stage
from vad.video.synthetic.backdrop import paint
from vad.video.synthetic.camera import draw_camera
from vad.video.synthetic.painting import SHADE_SCALE, cast_shadows, paint_bodies, truth_of
from vad.video.synthetic.plan import Layout, draw_plan
from vad.video.synthetic.posing import Array
from vad.video.synthetic.sensor import draw_sensor
from vad.video.synthetic.shaping import Drawn, Shaper
from vad.video.synthetic.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Label:
    """An anomaly seen in a frame: ``id`` is its value in the foreground mask, the box is in fractions, half-open."""

    kind: StrEnum
    id: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Rendered:
    """One frame and its truth. ``flow`` and ``foreground`` are None when rendered with ``truth=False``.

    ``flow`` is how far what is seen at a pixel of THIS frame has come since the previous frame, in pixels (x, y): it
    was at ``p - flow[p]``. It is 0 on the background; a shaking camera (Layout.FREE only) is not part of it.
    """

    index: int
    luma: Array  # (H, W) uint8
    flow: Array | None  # (H, W, 2) float32
    foreground: Array | None  # (H, W) uint8, object's id or 0; includes those who stand still
    labels: tuple[Label, ...]

    @property
    def moving(self) -> Array:
        """(H, W) bool: foreground that moved by more than a twentieth of a pixel since the previous frame."""
        if self.flow is None:
            raise ValueError("the frame was rendered without truth; allowed: truth=True")
        moving: Array = np.abs(self.flow).max(axis=2) > 0.05
        return moving


class Scene:
    """A synthetic surveillance camera. Everything follows from the arguments; frames may be asked for in any order.

    ``layout`` says which lanes there are (``Layout.LANES`` for the one that gives every anomaly its meaning),
    ``anomalies`` what happens on them. Cheap for frames in sequence; a far jump costs some milliseconds once.
    """

    def __init__(
        self,
        *,
        seed: int,
        width: int = 640,
        height: int = 360,
        fps: float = 12.5,
        anomalies: Sequence[Anomaly] = (),
        layout: Layout = Layout.FREE,
    ) -> None:
        self.seed, self.width, self.height, self.fps, self.anomalies = seed, width, height, fps, tuple(anomalies)
        lanes = layout is Layout.LANES
        rng = np.random.default_rng([seed, 1])
        self.camera = draw_camera(rng, width, height, lanes=lanes)
        self._plan = draw_plan(layout, self.camera, rng)
        self._backdrop = paint(self.camera, self._plan, rng)
        self._sensor = draw_sensor(seed, width, height, shade_scale=SHADE_SCALE, steady=lanes)
        self._shadow = float(rng.uniform(0.0, 0.55)) if rng.random() < 0.8 else 0.0
        self._sun = rng.uniform(-1.5, 1.5, 2) * (rng.random() < 0.6)
        staged = stage(self.anomalies, self._plan, self.camera, seed=seed, fps=fps)
        self._staged = [next(track for track in tracks if track.kind is not None) for tracks in staged]
        special = [track for tracks in staged for track in tracks]
        self._shaper = Shaper(self.camera)
        self._traffic = Traffic(seed, fps, self._plan.lanes, special)

    def frames(self, count: int, *, start: int = 0, truth: bool = True) -> Iterator[Rendered]:
        """Frames ``start`` to ``start + count - 1``."""
        for index in range(start, start + count):
            yield self.render(index, truth=truth)

    def render(self, index: int, *, truth: bool = True) -> Rendered:
        """Frame ``index``, at ``index / fps`` seconds."""
        drawn = self._shaper.draw(self._traffic.at(index), index, truth=truth)
        at_s = index / self.fps
        shade = self._sensor.shade(at_s)
        light = self._backdrop.at(at_s)
        gain = cast_shadows(shade, self.camera, drawn, self._sun, self._shadow)
        cv2.multiply(light, cv2.resize(gain, (self.width, self.height)), light, dtype=cv2.CV_8U)
        parts = np.zeros((self.height, self.width), np.uint16) if truth else None
        paint_bodies(light, parts, drawn, shade=shade, occluders=self._backdrop.occluders)
        shift = self._sensor.shift(index)
        if shift != (0.0, 0.0):
            light = self._shake(light, shift, cv2.INTER_LINEAR)
            parts = None if parts is None else self._shake(parts, shift, cv2.INTER_NEAREST)
        luma = self._sensor.expose(light, index, at_s)
        flow, foreground = (None, None) if parts is None else truth_of(parts, drawn, shift)
        return Rendered(index, luma, flow, foreground, self._labels(drawn, index))

    def labels(self, index: int) -> tuple[Label, ...]:
        """The labels of a frame, without rendering it."""
        return self._labels(self._shaper.draw(self._traffic.at(index), index, truth=False), index)

    def span(self, number: int) -> range | None:
        """From the first to the last frame that labels ``anomalies[number]``; None if it is never in the picture."""
        track, shaper = self._staged[number], Shaper(self.camera)
        seen = [i for i in track.labelled if self._labels(shaper.draw([track], i, truth=False), i)]
        return range(seen[0], seen[-1] + 1) if seen else None

    def _shake(self, image: Array, shift: tuple[float, float], how: int) -> Array:
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        edge = cv2.BORDER_REPLICATE if how == cv2.INTER_LINEAR else cv2.BORDER_CONSTANT
        return cv2.warpAffine(image, move, (self.width, self.height), flags=how, borderMode=edge)

    def _labels(self, drawn: list[Drawn], index: int) -> tuple[Label, ...]:
        return labels_of(drawn, index, self.width, self.height)


def labels_of(drawn: Sequence[Drawn], index: int, width: int, height: int) -> tuple[Label, ...]:
    """The labels of those drawn whose tracks say that frame ``index`` is an anomaly."""
    labels = []
    for body in drawn:
        kind = body.track.kind
        if kind is None or index not in body.track.labelled:
            continue
        x0, x1 = (min(max((x + 0.5) / width, 0.0), 1.0) for x in body.box[::2])
        y0, y1 = (min(max((y + 0.5) / height, 0.0), 1.0) for y in body.box[1::2])
        if (x1 - x0) * width >= 2 and (y1 - y0) * height >= 2:  # at least two pixels of it are in the picture
            labels.append(Label(kind, body.track.id, x0, y0, x1, y1))
    return tuple(labels)
