"""Worlds: simulated cameras that live for days, with exact ground truth, for training and for judging the detector."""

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
