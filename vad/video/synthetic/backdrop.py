"""What does not move (but for foliage that sways): ground, wall or horizon, clutter; and what stands before people."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from vad.video.synthetic.bodies import Body, polygons
from vad.video.synthetic.boxes import bag_look, vehicle_look
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.plan import DOOR_HALF_M, Plan
from vad.video.synthetic.posing import SUBPIXEL, Array


@dataclass(frozen=True, slots=True)
class Occluder:
    """Part of the backdrop that hides whoever is further away than ``y_m``."""

    y_m: float
    top: int
    left: int
    mask: Array  # (h, w) uint8, non-zero where it hides


@dataclass(frozen=True, slots=True)
class Foliage:
    """A patch that sways a little: real motion, but background."""

    top: int
    left: int
    leaves: Array  # (h, w) float32 luma
    alpha: Array  # (h, w) float32 0..1
    reach_px: float
    period_s: float


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A painted scene without people."""

    light: Array  # (H, W) uint8
    occluders: tuple[Occluder, ...]
    foliage: tuple[Foliage, ...] = field(default=())

    def at(self, at_s: float) -> Array:
        """The backdrop at a moment: a fresh (H, W) uint8."""
        light = self.light.copy()
        for patch in self.foliage:
            turn = 2 * np.pi * at_s / patch.period_s
            dx = patch.reach_px * (np.sin(turn) + 0.5 * np.sin(2.7 * turn + 1))
            dy = 0.4 * patch.reach_px * np.sin(1.6 * turn + 2)
            move = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
            height, width = patch.alpha.shape
            alpha = cv2.warpAffine(patch.alpha, move, (width, height))
            leaves = cv2.warpAffine(patch.leaves, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
            area = light[patch.top : patch.top + height, patch.left : patch.left + width]
            area[:] = area + alpha * (leaves - area)
        return light


def paint(camera: Camera, plan: Plan, rng: np.random.Generator) -> Backdrop:
    """Paint a backdrop at random for the camera and the plan."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    pixels = np.stack([u, v], -1).astype(np.float64)
    light = _ground(camera, plan, rng, pixels)
    light = _behind(camera, plan, rng, pixels, light)
    light *= _patches_of_light(rng, light.shape)
    canvas = np.clip(light, 4, 250).astype(np.uint8)
    occluders = [*_clutter(camera, plan, rng, canvas), *_posts(camera, rng, canvas)]
    occluders += _door_walls(camera, plan, pixels)
    return Backdrop(canvas, tuple(occluders), tuple(_trees(camera, plan, rng)))


def fill(canvas: Array, corners: Array, luma: float) -> None:
    """Fill one convex polygon (k, 2), subpixel and anti-aliased."""
    cv2.fillConvexPoly(canvas, np.round(corners * (1 << SUBPIXEL)).astype(np.int32), luma, cv2.LINE_AA, SUBPIXEL)


def noise_tile(rng: np.random.Generator, *, finest: int = 1, roughness: float = 0.6) -> Array:
    """A (256, 256) float32 tile that wraps, values about -1..1: noise at scales from 32 pixels to ``finest``."""
    tile = np.zeros((256, 256), np.float32)
    strength, step = 1.0, 32
    while step >= finest:
        grain = rng.standard_normal((256 // step, 256 // step)).astype(np.float32)
        large = cv2.resize(np.pad(grain, 2, mode="wrap"), None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        tile += strength * large[2 * step : 2 * step + 256, 2 * step : 2 * step + 256]
        strength, step = strength * roughness, step // 2
    even: Array = np.clip(tile / tile.std() * 0.45, -1.5, 1.5)
    return even


def sample(tile: Array, x: Array, y: Array, size_m: float) -> Array:
    """The tile, ``size_m`` wide, repeated over world coordinates."""
    scale = 256 / size_m
    x, y = np.mod(x * scale, 256).astype(np.float32), np.mod(y * scale, 256).astype(np.float32)
    return cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _ground(camera: Camera, plan: Plan, rng: np.random.Generator, pixels: Array) -> Array:
    place = np.clip(np.nan_to_num(camera.ground(pixels), posinf=1e4, neginf=-1e4), -1e4, 1e4)
    x, y = place[..., 0], place[..., 1]
    coarse = np.abs(np.gradient(y, axis=0))  # metres a pixel, away from the camera
    base = rng.uniform(100, 180) if plan.doors_m else rng.uniform(55, 190)  # with doors: the demo's, of good contrast
    tile = noise_tile(rng)
    light = np.full(x.shape, base)
    for size_m, strength in ((1.5, 8), (7.0, 12), (40.0, 16)):
        fade = np.clip(1.5 - coarse * 24 / size_m, 0, 1)
        light += rng.uniform(0.3, 1.0) * strength * fade * sample(tile, x + size_m, y, size_m)
    if rng.random() < 0.5:
        slab, joint = rng.uniform(0.6, 3.0), rng.uniform(-22, -6)
        for along, step in ((x, np.abs(np.gradient(x, axis=1))), (y, coarse)):
            near = np.abs(np.mod(along / slab + 0.5, 1) - 0.5) * slab
            light += joint * np.clip(1 - near / np.maximum(step, 0.03), 0, 1) * np.clip(1.2 - step * 3 / slab, 0, 1)
    for line, half in plan.strips:
        tone = rng.choice([-1, 1]) * rng.uniform(8, 32)
        light += tone * _strip_mask(camera, line, half)
    return light


def _strip_mask(camera: Camera, line: Array, half: float) -> Array:
    """1 on the paved strip along a middle line (m, 2), 0 elsewhere, soft edges."""
    mask = np.zeros((camera.height, camera.width), np.uint8)
    for a, b in pairwise(line):
        ahead = (b - a) / np.linalg.norm(b - a)
        left = np.array([-ahead[1], ahead[0]]) * half
        long = ahead * half * 0.5
        ring = np.array([a - long + left, b + long + left, b + long - left, a - long - left])
        sides = np.concatenate(
            [ring[i] + (ring[(i + 1) % 4] - ring[i]) * np.linspace(0, 1, 20)[:, None] for i in range(4)]
        )
        sides = sides[(sides[:, 1] * np.cos(camera.pitch_rad) + camera.height_m * np.sin(camera.pitch_rad)) > 0.5]
        if len(sides) > 2:
            corners, _ = camera.project(np.concatenate([sides, np.zeros((len(sides), 1))], 1))
            corners = np.clip(corners, -8000, 8000)
            cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, SUBPIXEL)
    return cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float64) / 255


def _wall_coordinates(camera: Camera, pixels: Array, wall_y_m: float) -> tuple[Array, Array]:
    ray = camera.rays(pixels)
    reach = wall_y_m / np.maximum(ray[..., 1], 1e-3)
    return ray[..., 0] * reach, camera.height_m + ray[..., 2] * reach


def _behind(camera: Camera, plan: Plan, rng: np.random.Generator, pixels: Array, light: Array) -> Array:
    """The building's front with windows and doors, or hedges, far houses and sky."""
    if plan.wall_y_m is None:
        return _horizon(camera, rng, pixels, light)
    x, z = _wall_coordinates(camera, pixels, plan.wall_y_m)
    wall = rng.uniform(50, 210) + 9 * sample(noise_tile(rng), x, z, 9.0)
    if rng.random() < 0.5:
        course = rng.uniform(0.15, 0.5)
        wall -= 8 * (np.mod(z, course) < 0.12 * course)
    width, gap, storey = rng.uniform(1.0, 2.6), rng.uniform(0.7, 2.5), rng.uniform(2.8, 3.8)
    column, floor = np.floor(x / (width + gap)), np.floor(z / storey)
    across, up = x - column * (width + gap), z - floor * storey
    pane = (across < width) & (up > 1.0) & (up < storey - 0.5)
    dark = rng.uniform(15, 90)
    glass = dark + 25 * np.mod(np.sin(column * 12.9898 + floor * 78.233) * 43758.5453, 1.0) + 12 * across / width
    wall = np.where(pane, glass, wall)
    wall -= 35 * ((z >= 0) & (z < 0.12))
    for door in plan.doors_m:
        frame = (np.abs(x - door) < DOOR_HALF_M + 0.15) & (z < 2.5)
        wall = np.where(frame, 190.0, wall)
        wall = np.where((np.abs(x - door) < DOOR_HALF_M) & (z < 2.35), 22 + 4 * z, wall)
    roof = rng.uniform(4.5, 14)
    sky = rng.uniform(150, 245) + 10 * np.arange(light.shape[0])[:, None] / light.shape[0]
    return np.where(z >= 0, np.where(z < roof, wall, sky), light)


def _horizon(camera: Camera, rng: np.random.Generator, pixels: Array, light: Array) -> Array:
    far = camera.ground(pixels)[..., 1]
    edge = rng.uniform(60, 160)
    beyond = (far > edge) | ~np.isfinite(far) | (camera.rays(pixels)[..., 2] >= 0)
    if not beyond.any():
        return light
    azimuth = camera.rays(pixels)[..., 0] / camera.rays(pixels)[..., 1]
    height = camera.height_m + camera.rays(pixels)[..., 2] / np.maximum(camera.rays(pixels)[..., 1], 1e-3) * edge
    sky = rng.uniform(120, 250) - rng.uniform(0, 50) * pixels[..., 1] / camera.height
    tile = noise_tile(rng)
    crowns = rng.uniform(2, 9) + 3 * tile[0, np.mod(azimuth * 300, 256).astype(int)]
    hedge = rng.uniform(25, 110) + 22 * sample(tile, azimuth * edge, height, 14.0)
    houses = np.floor(azimuth * rng.uniform(4, 12))
    lot = np.mod(np.sin(houses * 12.9898 + 4.1) * 43758.5453, 1.0)
    storey = np.where(lot > 0.45, 6 + 14 * lot, 0)
    lit = 60 + 150 * np.mod(lot * 7.7, 1.0) - 20 * ((np.mod(azimuth * 260, 1) < 0.4) & (np.mod(height, 3) < 1.5))
    back = np.where(height < storey, lit, sky)
    return np.where(beyond, np.where(height < crowns, hedge, back), light)


def _patches_of_light(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Broad uneven light, and in some scenes the hard shadow of something outside the picture."""
    broad = cv2.resize(rng.uniform(-1, 1, (4, 6)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    gain = 1 + rng.uniform(0.02, 0.12) * broad
    if rng.random() < 0.35:
        mask = np.zeros(shape, np.float32)
        corners = rng.uniform(-0.2, 1.2, (4, 2)) * shape[::-1]
        cv2.fillConvexPoly(mask, cv2.convexHull(corners.astype(np.int32)), 1.0)
        gain *= 1 - rng.uniform(0.2, 0.5) * cv2.GaussianBlur(mask, (0, 0), 2.0)
    return gain


def _free_spots(camera: Camera, plan: Plan, rng: np.random.Generator, count: int, clear_m: float) -> list[Array]:
    """Ground points in view that keep ``clear_m`` from every lane and stand before the wall."""
    top = camera.row_of_person(0.05 * camera.height)
    spots: list[Array] = []
    for _ in range(count * 6):
        spot = camera.ground_at(float(rng.uniform(0, 1)), float(rng.uniform(top, 1.0)))
        if plan.wall_y_m is not None and spot[1] > plan.wall_y_m - 0.6:
            continue
        if all(_distance(spot, lane.points) > lane.spread_m + clear_m for lane in plan.lanes) and len(spots) < count:
            spots.append(spot)
    return spots


def _distance(spot: Array, line: Array) -> float:
    a, b = line[:-1], line[1:]
    along = np.clip(((spot - a) * (b - a)).sum(-1) / np.maximum(((b - a) ** 2).sum(-1), 1e-9), 0, 1)
    return float(np.linalg.norm(a + (b - a) * along[:, None] - spot, axis=1).min())


def _clutter(camera: Camera, plan: Plan, rng: np.random.Generator, canvas: Array) -> list[Occluder]:
    """Parked cars, bins and crates beside the lanes, the far ones first."""
    spots = [(spot, Body.VEHICLE) for spot in _free_spots(camera, plan, rng, int(rng.integers(0, 3)), 2.8)]
    spots += [(spot, Body.BAG) for spot in _free_spots(camera, plan, rng, int(rng.integers(0, 5)), 0.9)]
    occluders = []
    for spot, body in sorted(spots, key=lambda s: -float(s[0][1])):
        look = vehicle_look(rng) if body is Body.VEHICLE else bag_look(rng)
        if body is Body.BAG:
            look.size[:3] *= rng.uniform(0.8, 1.7, 3)
        state = np.array([[spot[0], spot[1], rng.uniform(0, 2 * np.pi), 0, 0, 0]])
        corners, order = polygons(body, camera, look.size[None], state)
        level, mask = rng.uniform(0.55, 0.95), np.zeros_like(canvas)
        for part in np.argsort(order[0], kind="stable"):
            if order[0, part] >= 0:
                fill(canvas, corners[0, part], float(look.lumas[part] * level + 10))
                fill(mask, corners[0, part], 255.0)
        occluders += occluder_of(float(spot[1]), mask)
    return occluders


def _posts(camera: Camera, rng: np.random.Generator, canvas: Array) -> list[Occluder]:
    """Lamp posts and poles, painted on the canvas; in some scenes only."""
    occluders = []
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.25, 0.15, 0.1]))):
        spot = camera.ground_at(float(rng.uniform(0.05, 0.95)), float(rng.uniform(0.6, 1.15)))
        tall, half = rng.uniform(0.9, 6.0), rng.uniform(0.04, 0.14)
        ring = [
            [spot[0] + dx, spot[1], z] for dx, z in ((-half, 0), (half, 0), (half * 0.8, tall), (-half * 0.8, tall))
        ]
        corners, _ = camera.project(np.array(ring))
        fill(canvas, corners, float(rng.uniform(20, 200)))
        mask = np.zeros_like(canvas)
        fill(mask, corners, 255.0)
        occluders += occluder_of(float(spot[1]), mask)
    return occluders


def _door_walls(camera: Camera, plan: Plan, pixels: Array) -> list[Occluder]:
    """The wall beside each door: people inside are hidden by it."""
    if plan.wall_y_m is None:
        return []
    x, z = _wall_coordinates(camera, pixels, plan.wall_y_m)
    occluders = []
    for door in plan.doors_m:
        beside = (np.abs(x - door) < DOOR_HALF_M + 4.5) & (z >= 0) & (z < 3.2)
        opening = (np.abs(x - door) < DOOR_HALF_M) & (z < 2.35)
        occluders += occluder_of(plan.wall_y_m, (beside & ~opening).astype(np.uint8) * 255)
    return occluders


def occluder_of(y_m: float, mask: Array) -> list[Occluder]:
    hard = (mask > 127).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(hard)
    if not width:
        return []
    return [Occluder(y_m, top, left, np.ascontiguousarray(hard[top : top + height, left : left + width]))]


def _trees(camera: Camera, plan: Plan, rng: np.random.Generator) -> list[Foliage]:
    """Crowns and bushes in the upper part of the picture, above the ground where there is a wall with doors."""
    trees = []
    lowest = 0.36 if plan.doors_m else 0.6
    for _ in range(int(rng.integers(0, 4))):
        height, width = (int(camera.height * rng.uniform(0.12, 0.35)) for _ in range(2))
        top = int(rng.uniform(0, max(lowest * camera.height - height, 1)))
        left = int(rng.uniform(0, camera.width - width))
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        tile = noise_tile(rng, finest=2)
        rough = cv2.resize(tile[:128, :128], (width, height))
        door_px = [camera.project(np.array([door, plan.wall_y_m, 0.0]))[0][0] for door in plan.doors_m]
        if any(left - 20 < at < left + width + 20 for at in door_px):
            continue
        alpha = np.clip((0.75 - np.hypot(x, y) + 0.25 * rough) * 6, 0, 1)
        leaves = rng.uniform(25, 120) + 30 * cv2.resize(tile[128:, 128:], (width, height))
        reach = float(rng.uniform(0.2, 1.2)) * camera.height / 360
        trees.append(Foliage(top, left, leaves, alpha.astype(np.float32), reach, float(rng.uniform(2, 6))))
    return trees
