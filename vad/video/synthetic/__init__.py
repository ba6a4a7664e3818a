"""A seeded synthetic surveillance camera with exact ground truth: for the demo, for training, for tests."""

from __future__ import annotations

from vad.video.synthetic.anomalies import Anomaly
from vad.video.synthetic.plan import Layout
from vad.video.synthetic.scene import Label, Rendered, Scene
from vad.video.synthetic.traffic import AnomalyKind

__all__ = ["Anomaly", "AnomalyKind", "Label", "Layout", "Rendered", "Scene"]
