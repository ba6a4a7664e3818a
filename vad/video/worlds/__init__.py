"""Worlds: simulated cameras that live for days, with exact ground truth, for training and for judging the detector.

Each kind of place has its rhythm, its rare but normal visits and its planted anomalies (10 to 15 a day, at least twenty
minutes apart, none in the first hour). Everything is a causal function of kind, seed and time: any frame can be asked
for. What makes a picture hard is normal and never labelled: sun, clouds and shadows, dusk, lamps, infrared, rain, snow,
fog, wind, insects and spiders' threads at the lens, headlights, automatic exposure, shake, noise and compression.

A frame costs 0.2 to 1.3 ms of one core at 160x96, if ``cv2.setNumThreads(1)`` has been called: OpenCV's own threads
cost more than they save on pictures of that size.
"""

from __future__ import annotations

from vad.video.worlds.kinds import JUDGED_SEEDS, TRAINING_SEEDS, Planted, PlantedKind, WorldKind
from vad.video.worlds.world import World, WorldFrame, open_world

__all__ = [
    "JUDGED_SEEDS",
    "TRAINING_SEEDS",
    "Planted",
    "PlantedKind",
    "World",
    "WorldFrame",
    "WorldKind",
    "open_world",
]
