"""``vad demo``: simulated cameras, the real engine, real events, and an honest summary.

Data flow: scene or world -> H.264 files -> Engine (files in real time) -> ZeroMQ -> Subscriber here. What is normal was
learnt from other footage of the same place (``vad calibrate``'s own code). What was caught is decided from the events
that came over the bus, against the ground truth of whoever made the footage.
"""

from __future__ import annotations

from vad.service.demo.scenes import run_scene
from vad.service.demo.standard import run_demo

__all__ = ["run_demo", "run_scene"]
