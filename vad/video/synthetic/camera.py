"""The pinhole camera that looks down on the ground.

World in metres: x to the right, y away from the camera along the ground, z up; the camera stands at (0, 0, height_m).
Pixels: origin at the centre of the top left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAREST_M = 0.3
"""Points nearer than that to the image plane are projected as if they were there."""

PERSON_M = 1.72


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of known place and lens. ``pitch_rad`` is how far it looks down, ``roll_rad`` how far it is tilted."""

    width: int
    height: int
    focal_px: float
    pitch_rad: float
    roll_rad: float
    height_m: float

    def project(self, points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """World points (..., 3) -> pixels (..., 2) and pixels per metre there (...)."""
        cos, sin = np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        y, z = points[..., 1], points[..., 2] - self.height_m
        per_m = self.focal_px / np.maximum(y * cos - z * sin, NEAREST_M)
        u, v = points[..., 0] * per_m, (-y * sin - z * cos) * per_m
        cos, sin = np.cos(self.roll_rad), np.sin(self.roll_rad)
        pixels = np.stack([u * cos - v * sin + (self.width - 1) / 2, u * sin + v * cos + (self.height - 1) / 2], -1)
        return pixels, per_m

    def rays(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels (..., 2) -> directions (..., 3) in the world, from the camera; not of unit length."""
        u, v = pixels[..., 0] - (self.width - 1) / 2, pixels[..., 1] - (self.height - 1) / 2
        cos, sin = np.cos(-self.roll_rad), np.sin(-self.roll_rad)
        u, v = (u * cos - v * sin) / self.focal_px, (u * sin + v * cos) / self.focal_px
        cos, sin = np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        return np.stack([u, cos - v * sin, -sin - v * cos], -1)

    def ground(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Where the rays of pixels (..., 2) meet the ground: (..., 2) as (x, y); infinite at and above the horizon."""
        ray = self.rays(np.asarray(pixels, np.float64))
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(ray[..., 2] < -1e-6, self.height_m / -ray[..., 2], np.inf)
            return np.where(np.isfinite(reach)[..., None], ray[..., :2] * np.minimum(reach, 1e9)[..., None], np.inf)

    def ground_at(self, u: float, v: float) -> NDArray[Any]:
        """``ground`` of one point given in fractions of the picture."""
        return self.ground(np.array([u * self.width, v * self.height]))

    def person_px(self, xy: NDArray[Any]) -> float:
        """How tall a person standing at ground point ``xy`` looks."""
        feet_head = np.array([[xy[0], xy[1], 0.0], [xy[0], xy[1], PERSON_M]])
        pixels, _ = self.project(feet_head)
        return float(np.linalg.norm(pixels[0] - pixels[1]))

    def row_of_person(self, person_px: float) -> float:
        """The row, as a fraction of the picture, at whose middle a person looks ``person_px`` tall; 0..1."""
        rows = np.linspace(0.0, 1.0, 81)
        for row in rows:
            place = self.ground_at(0.5, float(row))
            if np.isfinite(place).all() and self.person_px(place) >= person_px:
                return float(row)
        return 1.0


def draw_camera(rng: np.random.Generator, width: int, height: int, *, lanes: bool) -> Camera:
    """A camera at random: its height follows from how tall a person is to look at the lower edge of the picture."""
    if lanes:  # the composition of the lanes needs ground from about a third of the picture downwards
        pitch, view, roll = rng.uniform(15, 20), rng.uniform(34, 42), rng.uniform(-0.6, 0.6)
        person_px = rng.uniform(0.29, 0.34) * height
    else:
        pitch, view, roll = rng.uniform(8, 48), rng.uniform(14, 55), rng.uniform(-2.5, 2.5)
        person_px = np.exp(rng.uniform(np.log(0.10), np.log(0.38))) * height
    focal = height / 2 / np.tan(np.radians(view) / 2)
    lens = Camera(width, height, float(focal), float(np.radians(pitch)), float(np.radians(roll)), 1.0)
    low, high = 1.8, 60.0
    for _ in range(30):  # a higher camera sees smaller people: bisect
        middle = (low * high) ** 0.5
        trial = Camera(width, height, lens.focal_px, lens.pitch_rad, lens.roll_rad, middle)
        low, high = (middle, high) if trial.person_px(trial.ground_at(0.5, 1.0)) > person_px else (low, middle)
    return Camera(width, height, lens.focal_px, lens.pitch_rad, lens.roll_rad, float(low))
