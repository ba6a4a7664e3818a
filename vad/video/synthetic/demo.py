"""The demo's camera: normal life first, then each anomaly once, and when they happened."""

from __future__ import annotations

from dataclasses import dataclass

from vad.video.synthetic.anomalies import Anomaly
from vad.video.synthetic.plan import Layout
from vad.video.synthetic.scene import Scene
from vad.video.synthetic.traffic import AnomalyKind

DEMO_SECONDS = 73.2
DEMO_FPS = 12.5

_DEMO = (
    Anomaly(AnomalyKind.RUNNING, 34.8),
    Anomaly(AnomalyKind.VEHICLE, 41.2),
    Anomaly(AnomalyKind.FALL, 48.6, 7.0),
    Anomaly(AnomalyKind.WRONG_DIRECTION, 58.8, 4.4),
    Anomaly(AnomalyKind.ABANDONED_OBJECT, 65.4, 5.6),
)
"""Starts and lengths leave about three seconds of normal life between one and the next."""


@dataclass(frozen=True, slots=True)
class LabelledInterval:
    """An anomaly is visible in [start_s, end_s) of the scene's time."""

    kind: AnomalyKind
    start_s: float
    end_s: float


def demo_scene(*, seed: int = 7, width: int = 640, height: int = 360, anomalies: bool = True) -> Scene:
    """DEMO_SECONDS of a place with one-way lanes at DEMO_FPS: normal until 34 s, the last anomaly over by 71 s.

    Without ``anomalies`` the same camera shows normal life for ever.
    """
    staged = _DEMO if anomalies else ()
    return Scene(seed=seed, width=width, height=height, fps=DEMO_FPS, anomalies=staged, layout=Layout.LANES)


def ground_truth(scene: Scene) -> list[LabelledInterval]:
    """When each of the scene's anomalies is to be seen, in order of time; one that never shows is left out."""
    intervals = []
    for number, anomaly in enumerate(scene.anomalies):
        span = scene.span(number)
        if span is not None:
            intervals.append(LabelledInterval(anomaly.kind, span.start / scene.fps, span.stop / scene.fps))
    return sorted(intervals, key=lambda interval: interval.start_s)
