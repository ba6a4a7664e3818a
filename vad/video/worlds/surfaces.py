"""Painting a place without people: every pixel knows which surface it shows and where on it, in metres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import cv2
import numpy as np

from vad.video.synthetic.backdrop import Foliage, Occluder, fill, noise_tile, occluder_of, sample
from vad.video.synthetic.bodies import Body, polygons
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import POSTURE, Array, Look

_FINER = 4  # a place is painted that much finer than it is shown
_FAR_M = 400.0


class Plane(IntEnum):
    """What a ray meets."""

    GROUND = 0
    BACK = 1  # the wall across the picture
    LEFT = 2
    RIGHT = 3
    SKY = 4


@dataclass(frozen=True, slots=True)
class Surface:
    """A painted place. Reflectance is the luma that a surface has in full daylight."""

    visible: Array  # (H, W) uint8
    infrared: Array  # (H, W) uint8: the same under an infrared lamp
    place_m: Array  # (H, W, 3) float32: the point that a pixel shows
    plane: Array  # (H, W) uint8, see ``Plane``
    distance_m: Array  # (H, W) float32 from the camera
    occluders: tuple[Occluder, ...]
    foliage: tuple[Foliage, ...]


class Painter:
    """Paints one place. ``place`` (x, y, z) and ``plane`` are those of the finer canvas; paint where a mask says."""

    def __init__(
        self,
        camera: Camera,
        rng: np.random.Generator,
        *,
        back_m: float | None = None,
        left_m: float | None = None,
        right_m: float | None = None,
    ) -> None:
        self.camera = replace(
            camera, width=camera.width * _FINER, height=camera.height * _FINER, focal_px=camera.focal_px * _FINER
        )
        self._small, self.rng = camera, rng
        v, u = np.mgrid[0 : self.camera.height, 0 : self.camera.width].astype(np.float64)
        rays = self.camera.rays(np.stack([u, v], -1))
        self.plane, reach = _first_met(rays, camera.height_m, back_m, left_m, right_m)
        self.x, self.y, self.z = (rays[..., 0] * reach, rays[..., 1] * reach, rays[..., 2] * reach + camera.height_m)
        self.distance = reach * np.linalg.norm(rays, axis=-1)
        self.light = np.full(self.x.shape, 128.0)
        self._green = np.zeros(self.x.shape, np.float32)  # plants: bright in infrared
        self._tile = noise_tile(rng)
        self._bodies: list[tuple[float, Array]] = []
        self._foliage: list[Foliage] = []

    def on(self, plane: Plane) -> Array:
        """Mask of a plane."""
        mask: Array = self.plane == plane
        return mask

    def ground(self, x0: float, x1: float, y0: float, y1: float) -> Array:
        """Mask of a rectangle of the ground."""
        mask: Array = self.on(Plane.GROUND) & (self.x >= x0) & (self.x < x1) & (self.y >= y0) & (self.y < y1)
        return mask

    def back(self, x0: float, x1: float, z0: float, z1: float) -> Array:
        """Mask of a rectangle of the wall across the picture."""
        mask: Array = self.on(Plane.BACK) & (self.x >= x0) & (self.x < x1) & (self.z >= z0) & (self.z < z1)
        return mask

    def paint(self, mask: Array, luma: float | Array, *, grain: float = 0.0, grain_m: float = 1.5) -> None:
        """Paint where the mask is set; ``grain`` is the strength of texture in luma, finest ``grain_m / 256``."""
        value = np.broadcast_to(np.asarray(luma, np.float64), self.light.shape)
        if grain:
            along = np.where((self.plane == Plane.LEFT) | (self.plane == Plane.RIGHT), self.y, self.x)
            up = np.where(self.plane == Plane.GROUND, self.y, self.z)
            value = value + grain * (
                sample(self._tile, along, up, grain_m) + sample(self._tile, along, up, grain_m * 9)
            )
        self.light = np.where(mask, value, self.light)

    def joints(self, mask: Array, size_m: float, depth: float, *, across: Array | None = None) -> None:
        """Grooves of slabs, tiles or planks, faded where they are finer than the canvas."""
        for along in (self.x, self.y) if across is None else (across,):
            step = np.maximum(np.abs(np.gradient(along, axis=0)), np.abs(np.gradient(along, axis=1)))
            near = np.abs(np.mod(along / size_m + 0.5, 1) - 0.5) * size_m
            line = np.clip(1 - near / np.maximum(step, 0.02), 0, 1) * np.clip(1.3 - step * 3 / size_m, 0, 1)
            self.light = np.where(mask, self.light - depth * line, self.light)

    def plants(self, mask: Array, luma: float) -> None:
        """Grass or hedge."""
        self.paint(mask, luma, grain=14, grain_m=3.0)
        self._green = np.where(mask, np.float32(1), self._green)

    def body(self, body: Body, look: Look, x: float, y: float, *, heading: float = 0.0, lift: float = 0.0) -> None:
        """Something that stands there for good, and hides who passes behind it."""
        state = np.zeros((1, POSTURE))
        state[0, [0, 1, 2, 6]] = x, y, heading, lift
        corners, order = polygons(body, self.camera, look.size[None].astype(np.float64), state)
        mask = np.zeros(self.light.shape, np.uint8)
        canvas = np.clip(self.light, 0, 255).astype(np.uint8)
        for part in np.argsort(order[0], kind="stable"):
            if order[0, part] >= 0 and look.lumas[part] >= 0:
                fill(canvas, corners[0, part], float(look.lumas[part]))
                fill(mask, corners[0, part], 255.0)
        self.light = np.where(mask > 0, canvas.astype(np.float64), self.light)
        self._green[mask > 0] = 0
        self._bodies.append((y, mask))

    def texture(self, amount: float) -> None:
        """Irregularity over the last body: goods on a shelf, a rack's contents."""
        _, mask = self._bodies[-1]
        cells = self.rng.uniform(-1, 1, (self.camera.height // 8 + 1, self.camera.width // 6 + 1)).astype(np.float32)
        size = (self.camera.width, self.camera.height)
        self.light += (mask > 0) * amount * cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)

    def hides(self, y_m: float, mask: Array) -> None:
        """What the mask shows hides whoever is further away than ``y_m``: a wall beside a door."""
        self._bodies.append((y_m, mask.astype(np.uint8) * 255))

    def foliage(self, u: float, v: float, width: float, height: float) -> None:
        """A crown or bush that sways, its middle and size in fractions of the picture."""
        size = (max(int(width * self._small.width), 4), max(int(height * self._small.height), 4))
        left = int(np.clip(u * self._small.width - size[0] / 2, 0, self._small.width - size[0]))
        top = int(np.clip(v * self._small.height - size[1] / 2, 0, self._small.height - size[1]))
        down, across = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j].astype(np.float32)
        rough = cv2.resize(noise_tile(self.rng, finest=4)[:128, :128], size, interpolation=cv2.INTER_AREA)
        alpha = np.clip((0.75 - np.hypot(across, down) + 0.3 * rough) * 5, 0, 1).astype(np.float32)
        grain = cv2.resize(noise_tile(self.rng, finest=4)[:128, :128], size, interpolation=cv2.INTER_AREA)
        leaves = (self.rng.uniform(50, 95) + 26 * grain).astype(np.float32)
        reach = self._small.height / 96 * float(self.rng.uniform(0.5, 1.1))
        self._foliage.append(Foliage(top, left, leaves, alpha, reach, float(self.rng.uniform(2, 5))))

    def finish(self) -> Surface:
        """Everything at the size that is shown."""
        size = (self._small.width, self._small.height)

        def small(image: Array) -> Array:
            return cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)

        middle = slice(_FINER // 2, None, _FINER)
        visible, green = small(np.clip(self.light, 4, 250)), small(self._green)
        infrared = 70 + 0.5 * visible + 70 * green
        place = np.stack([self.x, self.y, self.z], -1)[middle, middle].astype(np.float32)
        occluders = []
        for y_m, mask in sorted(self._bodies, key=lambda body: -body[0]):
            occluders += occluder_of(y_m, small(mask).astype(np.uint8))
        return Surface(
            np.round(visible).astype(np.uint8),
            np.round(np.clip(infrared, 0, 255)).astype(np.uint8),
            place,
            self.plane[middle, middle].astype(np.uint8),
            self.distance[middle, middle].astype(np.float32),
            tuple(occluders),
            tuple(self._foliage),
        )


def _first_met(
    rays: Array, height_m: float, back_m: float | None, left_m: float | None, right_m: float | None
) -> tuple[Array, Array]:
    """Which plane each ray meets first, and after how many of its lengths."""
    rx, ry, rz = rays[..., 0], rays[..., 1], rays[..., 2]
    far = _FAR_M / np.linalg.norm(rays, axis=-1)
    never = np.full(rx.shape, np.inf)
    with np.errstate(divide="ignore"):
        met = [np.where(rz < -1e-6, height_m / -rz, np.inf)]
        met.append(never if back_m is None else np.where(ry > 1e-6, back_m / ry, np.inf))
        met.append(never if left_m is None else np.where(rx < -1e-6, left_m / rx, np.inf))
        met.append(never if right_m is None else np.where(rx > 1e-6, right_m / rx, np.inf))
    stack = np.stack([*met, far])
    plane = np.argmin(stack, axis=0)
    return plane, np.take_along_axis(stack, plane[None], 0)[0]
