"""A seeded synthetic surveillance camera with exact ground truth: for the demo, for training, for tests."""

from __future__ import annotations

from vad.video.synthetic.anomalies import Anomaly
from vad.video.synthetic.demo import DEMO_FPS, DEMO_SECONDS, LabelledInterval, demo_scene, ground_truth
from vad.video.synthetic.encode import FrameSource, encode
from vad.video.synthetic.plan import Layout
from vad.video.synthetic.scene import Label, Rendered, Scene
from vad.video.synthetic.traffic import AnomalyKind

__all__ = [
    "DEMO_FPS",
    "DEMO_SECONDS",
    "Anomaly",
    "AnomalyKind",
    "FrameSource",
    "Label",
    "LabelledInterval",
    "Layout",
    "Rendered",
    "Scene",
    "demo_scene",
    "encode",
    "ground_truth",
]
