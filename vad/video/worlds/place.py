"""What a place is to the world that plays in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vad.video.synthetic.camera import Camera
from vad.video.synthetic.traffic import Track
from vad.video.worlds.cast import Appearance, Source
from vad.video.worlds.light import Lighting
from vad.video.worlds.planting import Planting
from vad.video.worlds.surfaces import Surface

REACH = 12
"""Nobody stays longer in one appearance than that many windows."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a place is built for."""

    seed: int
    width: int
    height: int
    fps: float
    days: float
    begins_s: float
    anomalies: bool

    def clock_s(self, at_s: float) -> float:
        """Seconds since the midnight before the first frame."""
        return self.begins_s + at_s


@dataclass(frozen=True, slots=True)
class Place:
    """A place, who comes there, and what can be planted in it."""

    camera: Camera
    surface: Surface
    lighting: Lighting
    sources: Sequence[Source]
    outdoors: bool
    plantings: Sequence[Planting] = ()  # the world draws when, and makes their tracks
    played: Sequence[Sequence[Appearance]] = ()  # anomalies that it has woven into its own course: parts of each
    sweeps_per_hour: float = 0.0  # headlights of vehicles outside the picture, at night


class Builder(Protocol):
    """Builds a place."""

    def __call__(self, setting: Setting) -> Place: ...


def look_down(setting: Setting, *, height_m: float, pitch_deg: float, view_deg: float) -> Camera:
    """A camera ``height_m`` above the ground that looks down by ``pitch_deg``; ``view_deg`` is the vertical angle."""
    focal = setting.height / 2 / np.tan(np.radians(view_deg) / 2)
    return Camera(setting.width, setting.height, float(focal), float(np.radians(pitch_deg)), 0.0, height_m)


def half_width_m(camera: Camera, y_m: float) -> float:
    """How far to the side the picture reaches on the ground ``y_m`` away, with room for a person."""
    depth = y_m * np.cos(camera.pitch_rad) + camera.height_m * np.sin(camera.pitch_rad)
    return float(camera.width / 2 / camera.focal_px * depth) + 0.6


def across(camera: Camera, y_m: float, *, mirrored: bool = False) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The ends (2, 2) of a way across the picture, from left to right, or from right to left."""
    half = half_width_m(camera, y_m)
    ends = np.array([[-half, y_m], [half, y_m]])
    return ends[::-1] if mirrored else ends


def appearance(tracks: Sequence[Track], fps: float) -> Appearance:
    """Tracks that are made already."""
    return Appearance(min(t.first for t in tracks) / fps, (max(t.end for t in tracks) + 1) / fps, lambda: tracks)
