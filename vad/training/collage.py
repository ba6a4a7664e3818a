"""Moving pictures made of cut-outs, with the flow of every pixel known exactly.

In the spirit of FlyingChairs (Dosovitskiy et al., "FlowNet", ICCV 2015), but for a fixed camera that watches people and
vehicles: figures with swinging limbs and plain bodies cross a background that stands still. Textures are cut from
given pictures, or made of noise. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

SUPERSAMPLE = 2
"""Pictures are drawn that much larger and box-pooled, as a camera's picture is."""

LONGEST_FIGURE_SHARE = 0.55
"""Height of the tallest figure over the height of the picture."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """T frames, exactly labelled; px are those of ``luma``."""

    luma: NDArray[np.uint8]  # (T, H, W)
    flow: Image  # (T, H, W, 2) px from the frame before to this one, at this one's pixels; zero on the background
    moving: NDArray[np.bool_]  # (T, H, W) covered by something that moves


@dataclass(frozen=True, slots=True)
class _Part:
    """A textured cut-out, hung on its body by ``anchor`` (the body's axes, px) and swinging about its own top."""

    texture: Image  # (h, w)
    alpha: Image  # (h, w), 0..1
    anchor: tuple[float, float]
    swing: float  # rad
    phase: float  # rad


@dataclass(frozen=True, slots=True)
class Body:
    """Parts, painted in order, on a path: ``centre + velocity * (t - t0) + bend * (t - t0)^2 / 2``."""

    parts: list[_Part]
    centre: NDArray[np.float64]
    velocity: NDArray[np.float64]
    bend: NDArray[np.float64]
    t0: float
    growth: float  # change of scale a frame
    stride: float  # rad of swing a frame

    def pose(self, part: _Part, t: float) -> NDArray[np.float64]:
        """2 x 3 affine map from the part's texture to the picture."""
        s = t - self.t0
        x, y = self.centre + self.velocity * s + self.bend * (0.5 * s * s)
        scale = float(np.clip(1.0 + self.growth * s, 0.5, 2.0))
        angle = part.swing * np.sin(self.stride * t + part.phase)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        top = part.texture.shape[1] / 2
        x, y = x + scale * part.anchor[0], y + scale * part.anchor[1]
        return np.array([[cos, -sin, x - cos * top], [sin, cos, y - sin * top]])


class Collage:
    """Draws sequences. ``pictures`` are grey images (H, W) uint8 to cut textures from; without any, noise alone."""

    def __init__(self, *, seed: int, pictures: Sequence[NDArray[np.uint8]] = ()) -> None:
        self._random = np.random.default_rng(seed)
        self._pictures = list(pictures)

    def draw(self, count: int, *, width: int, height: int) -> Labelled:
        """``count`` frames of ``width`` x ``height``."""
        w, h = width * SUPERSAMPLE, height * SUPERSAMPLE
        background = self._texture(h, w, low=0.0, high=1.0)
        if self._random.random() < 0.5:  # often a calm ground, as pavements and floors are
            ground = self._random.uniform(30, 220)
            background = ground + (background - ground) * self._random.uniform(0.05, 0.5)
        bodies = self.bodies(count, width=width, height=height)
        luma = np.empty((count, height, width), np.uint8)
        flow = np.empty((count, height, width, 2), np.float32)
        moving = np.empty((count, height, width), np.bool_)
        for t in range(count):
            picture, motion, share = _paint(background, bodies, float(t))
            luma[t] = np.clip(_pool(picture) + 0.5, 0, 255).astype(np.uint8)
            pooled_share = _pool(share)
            moving[t] = pooled_share >= 0.5
            scale = SUPERSAMPLE * np.maximum(pooled_share, 1e-3)
            flow[t] = np.stack([_pool(motion[..., k]) / scale for k in (0, 1)], axis=-1) * moving[t][..., None]
        return Labelled(luma, flow, moving)

    def bodies(self, count: int, *, width: int, height: int) -> list[Body]:
        """Three to seventeen, each somewhere in a picture of ``width`` x ``height`` during ``count`` frames."""
        w, h = width * SUPERSAMPLE, height * SUPERSAMPLE
        return [self._body(count, w, h) for _ in range(self._random.integers(3, 18))]

    def _body(self, count: int, w: int, h: int) -> Body:
        random = self._random
        size = float(np.exp(random.uniform(np.log(0.08 * h), np.log(LONGEST_FIGURE_SHARE * h))))  # px, height
        # Up to about a body's width a frame: beyond that no two frames show where it went.
        speed = float(np.exp(random.uniform(np.log(0.15), np.log(min(0.5 * size, 12.0 * SUPERSAMPLE)))))
        if random.random() < 0.15:
            speed = 0.0
        angle = random.normal(0.0, 0.5) + (np.pi if random.random() < 0.5 else 0.0)
        if random.random() < 0.35:
            angle = random.uniform(0.0, 2 * np.pi)
        velocity = speed * np.array([np.cos(angle), np.sin(angle)])
        parts = self._figure(size) if random.random() < 0.7 else [self._plain(size)]
        return Body(
            parts,
            centre=np.array([random.uniform(0, w), random.uniform(-0.3 * size, h - 0.5 * size)]),
            velocity=velocity,
            bend=random.normal(0.0, 0.03, 2) * speed,
            t0=random.uniform(0, count),
            growth=float(random.normal(0.0, 0.004)) if speed else 0.0,
            stride=min(6.0 * speed / size, 1.2) * random.uniform(0.6, 1.4),
        )

    def _plain(self, size: float) -> _Part:
        """A vehicle, a ball, a box: one piece."""
        wide = size * self._random.uniform(0.4, 2.5)
        size *= 0.6
        return self._part(size, wide, anchor=(0.0, 0.0), swing=0.0, round_share=self._random.uniform(0.2, 1.0))

    def _figure(self, size: float) -> list[_Part]:
        """A person seen from a camera: legs and arms swing against each other, trunk and head ride along."""
        swing = self._random.uniform(0.15, 0.6)
        stout = self._random.uniform(0.8, 1.4)
        leg, arm = 0.48 * size, 0.36 * size
        phase = self._random.uniform(0.0, 2 * np.pi)
        hip, shoulder = (0.0, 0.48 * size), (0.0, 0.18 * size)
        cloth = self._random.uniform(0, 255, 3)  # trunk, legs, head

        def limb(length: float, anchor: tuple[float, float], turn: float, tone: float) -> _Part:
            thick = 0.13 * size * stout
            return self._part(length, thick, anchor=anchor, swing=swing, phase=phase + turn, tone=tone)

        return [
            limb(leg, hip, 0.0, cloth[1]),
            limb(arm, shoulder, np.pi, cloth[0]),
            limb(leg, hip, np.pi, cloth[1]),
            self._part(0.4 * size, 0.28 * size * stout, anchor=(0.0, 0.14 * size), tone=cloth[0]),
            self._part(0.17 * size, 0.14 * size, anchor=(0.0, 0.0), tone=cloth[2]),
            limb(arm, shoulder, 0.0, cloth[0]),
        ]

    def _part(
        self,
        tall: float,
        wide: float,
        *,
        anchor: tuple[float, float],
        swing: float = 0.0,
        phase: float = 0.0,
        tone: float | None = None,
        round_share: float = 1.0,
    ) -> _Part:
        h, w = max(round(tall), 3), max(round(wide), 3)
        texture = self._texture(h, w, low=0.1, high=1.0)
        if tone is not None:  # clothes: mostly one tone
            texture = tone + (texture - texture.mean()) * self._random.uniform(0.1, 0.7)
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        dy, dx = np.abs(y - (h - 1) / 2) / (h / 2), np.abs(x - (w - 1) / 2) / (w / 2)
        power = 2.0 / max(round_share, 0.15)  # 2: an ellipse; more: nearer to a box
        edge = (1.0 - (dx**power + dy**power)) * min(h, w) / 4
        return _Part(texture.astype(np.float32), np.clip(edge + 0.5, 0, 1).astype(np.float32), anchor, swing, phase)

    def _texture(self, h: int, w: int, *, low: float, high: float) -> Image:
        """(h, w) grey levels 0..255: cut from a picture, or octaves of noise; contrast between the given shares."""
        random = self._random
        if self._pictures and random.random() < 0.7:
            source = self._pictures[random.integers(len(self._pictures))]
            zoom = random.uniform(0.5, 2.0)
            ch, cw = min(int(h * zoom) + 2, source.shape[0]), min(int(w * zoom) + 2, source.shape[1])
            top, left = random.integers(source.shape[0] - ch + 1), random.integers(source.shape[1] - cw + 1)
            cut = source[top : top + ch, left : left + cw].astype(np.float32)
            image = np.asarray(cv2.resize(cut, (w, h), interpolation=cv2.INTER_AREA), np.float32)
        else:
            image = np.full((h, w), random.uniform(20, 235), np.float32)
            cells, weight = int(random.integers(1, 5)), random.uniform(20, 90)
            while cells < max(h, w):
                grid = random.normal(0.0, weight, (min(cells, h) + 1, min(cells, w) + 1)).astype(np.float32)
                image += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
                cells, weight = cells * int(random.integers(2, 4)), weight * random.uniform(0.4, 0.9)
        mean = image.mean()
        shift = random.normal(0.0, 40.0)
        image = mean + shift + (image - mean) * random.uniform(low, high)
        return np.asarray(np.clip(image, 0, 255), np.float32)


def cover(picture: NDArray[np.uint8], bodies: Sequence[Body], t: float) -> tuple[NDArray[np.uint8], Image]:
    """``picture`` (H, W) with the bodies of time ``t`` in it, and the share (H, W) of each pixel that they cover."""
    large = picture.repeat(SUPERSAMPLE, axis=0).repeat(SUPERSAMPLE, axis=1).astype(np.float32)
    share = np.zeros(large.shape, np.float32)
    for piece in _pieces(bodies, t, large.shape):
        large[piece.window] += piece.alpha * (piece.texture - large[piece.window])
        share[piece.window] += piece.alpha * (1.0 - share[piece.window])
    return np.clip(_pool(large) + 0.5, 0, 255).astype(np.uint8), _pool(share)


def _paint(background: Image, bodies: Sequence[Body], t: float) -> tuple[Image, Image, Image]:
    """Picture (h, w), flow since ``t - 1`` weighted by share (h, w, 2), and share covered by what moves (h, w)."""
    h, w = background.shape
    picture = background.copy()
    motion = np.zeros((h, w, 2), np.float32)
    share = np.zeros((h, w), np.float32)
    for piece in _pieces(bodies, t, background.shape):
        before = piece.body.pose(piece.part, t - 1.0)
        y, x = piece.window
        step = _displacement(piece.pose, before, x.start, y.start, piece.alpha.shape[::-1])
        moves = np.hypot(step[..., 0], step[..., 1]) > 0.1 * SUPERSAMPLE
        picture[piece.window] += piece.alpha * (piece.texture - picture[piece.window])
        motion[piece.window] += piece.alpha[..., None] * (step * moves[..., None] - motion[piece.window])
        share[piece.window] += piece.alpha * (moves - share[piece.window])
    return picture, motion, share


class _Piece(NamedTuple):
    """A part where it is at one time."""

    body: Body
    part: _Part
    pose: NDArray[np.float64]
    window: tuple[slice, slice]  # of the picture
    alpha: Image  # of the window
    texture: Image


def _pieces(bodies: Sequence[Body], t: float, shape: tuple[int, ...]) -> Iterator[_Piece]:
    """The parts that are in the picture (h, w), in the order in which they are painted."""
    h, w = shape
    for body in bodies:
        for part in body.parts:
            pose = body.pose(part, t)
            box = _bounds(part, pose, w, h)
            if box is None:
                continue
            x0, y0, x1, y1 = box
            placed = pose - np.array([[0, 0, x0], [0, 0, y0]])
            size = (x1 - x0, y1 - y0)
            alpha = np.asarray(cv2.warpAffine(part.alpha, placed, size, flags=cv2.INTER_LINEAR), np.float32)
            texture = np.asarray(
                cv2.warpAffine(part.texture, placed, size, borderMode=cv2.BORDER_REPLICATE), np.float32
            )
            yield _Piece(body, part, pose, (slice(y0, y1), slice(x0, x1)), alpha, texture)


def _bounds(part: _Part, pose: NDArray[np.float64], w: int, h: int) -> tuple[int, int, int, int] | None:
    ph, pw = part.texture.shape
    corners = pose @ np.array([[-1, pw + 1, -1, pw + 1], [-1, -1, ph + 1, ph + 1], [1, 1, 1, 1]])
    x0, y0 = np.maximum(np.floor(corners.min(axis=1)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=1)) + 1, (w, h)).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


def _displacement(
    now: NDArray[np.float64], before: NDArray[np.float64], x0: int, y0: int, size: tuple[int, int]
) -> Image:
    """How far the material at each pixel of a window has come: (h, w, 2) px."""
    back = before[:, :2] @ np.linalg.inv(now[:, :2])
    turn = np.eye(2) - back
    shift = back @ now[:, 2] - before[:, 2]
    x = np.arange(x0, x0 + size[0], dtype=np.float32)
    y = np.arange(y0, y0 + size[1], dtype=np.float32)[:, None]
    return np.stack([turn[k, 0] * x + turn[k, 1] * y + shift[k] for k in (0, 1)], axis=-1, dtype=np.float32)


def _pool(image: Image) -> Image:
    h, w = image.shape
    pooled: Image = image.reshape(h // SUPERSAMPLE, SUPERSAMPLE, w // SUPERSAMPLE, SUPERSAMPLE).mean(axis=(1, 3))
    return pooled
