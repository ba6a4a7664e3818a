"""From light to luma: vignetting, clouds, drift, flicker, lens blur, contrast, gamma, noise. Seeded frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vad.video.synthetic.posing import Array

_PLANES = 4
_SLACK = 64


@dataclass(frozen=True, slots=True)
class Sensor:
    """One camera's picture faults. ``light`` and ``expose`` are pure functions of the frame's index."""

    seed: int
    vignette: Array  # (H / shade_scale, W / shade_scale) float32, 1 in the middle
    clouds: Array  # (64, 64) float32 around 0, wraps
    planes: Array  # (_PLANES, H + _SLACK, W + _SLACK) float32, unit noise
    sigma: Array  # (256,) float32: noise in luma steps by luma
    blur: float
    gamma: float
    contrast: float
    black: float
    drift: tuple[float, float, float]  # amplitude, period in seconds, phase
    cloud_speed: float
    flicker: float
    jitter_px: float

    def shift(self, index: int) -> tuple[float, float]:
        """How far the camera's mount shakes this frame, in pixels (x, y)."""
        if not self.jitter_px:
            return 0.0, 0.0
        rng = np.random.default_rng([self.seed, 5, index])
        x, y = np.clip(rng.normal(0, self.jitter_px, 2), -3 * self.jitter_px, 3 * self.jitter_px)
        return float(x), float(y)

    def shade(self, at_s: float) -> Array:
        """Vignetting and clouds: what the light is multiplied by, float32, on the vignette's coarse grid."""
        height, width = self.vignette.shape
        at = at_s * self.cloud_speed % 44
        patch = cv2.getRectSubPix(self.clouds, (9, 6), (10.0 + at, 30.0))
        return cv2.multiply(cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR), self.vignette)

    def expose(self, light: Array, index: int, at_s: float) -> Array:
        """Light (H, W) uint8 -> luma (H, W) uint8: blur, tone curve, noise."""
        rng = np.random.default_rng([self.seed, 4, index])
        if self.blur > 0.3:
            light = cv2.GaussianBlur(light, (5, 5) if self.blur > 0.8 else (3, 3), self.blur)
        amplitude, period_s, phase = self.drift
        gain = 1 + amplitude * np.sin(2 * np.pi * at_s / period_s + phase) + self.flicker * rng.uniform(-1, 1)
        tone = np.clip(np.arange(256) / 255 * gain, 0, 1.2) ** self.gamma
        light = cv2.LUT(light, np.clip(255 * (self.contrast * tone + self.black), 0, 255).astype(np.uint8))
        plane, dy, dx = rng.integers(0, _PLANES), *rng.integers(0, _SLACK, 2)
        height, width = light.shape
        noise = self.planes[plane, dy : dy + height, dx : dx + width]
        if rng.random() < 0.5:
            noise = noise[:, ::-1]
        return cv2.add(light, cv2.multiply(noise, cv2.LUT(light, self.sigma)), dtype=cv2.CV_8U)


def draw_sensor(seed: int, width: int, height: int, *, shade_scale: int, steady: bool) -> Sensor:
    """A sensor at random; ``steady`` for a good camera that does not shake."""
    rng = np.random.default_rng([seed, 2])
    y, x = np.mgrid[-1 : 1 : max(height // shade_scale, 1) * 1j, -1 : 1 : max(width // shade_scale, 1) * 1j].astype(
        np.float32
    )
    vignette = 1 - rng.uniform(0.0, 0.3) * (x * x + y * y) / 2
    clouds = cv2.GaussianBlur(
        rng.standard_normal((64, 64)).astype(np.float32), (0, 0), 5, borderType=cv2.BORDER_REFLECT
    )
    depth = rng.uniform(0.0, 0.05) if steady or rng.random() < 0.6 else rng.uniform(0.05, 0.25)
    grain = 0.0 if rng.random() < 0.5 else rng.uniform(0.3, 0.7)
    planes = np.stack([_noise(rng, height + _SLACK, width + _SLACK, grain) for _ in range(_PLANES)])
    read, shot = (rng.uniform(0.8, 2.0), 0.02) if steady else (rng.uniform(0.4, 4.5), rng.uniform(0.0, 0.08))
    contrast = 1.0 if steady else rng.uniform(0.55, 1.15)
    return Sensor(
        seed=seed,
        vignette=vignette.astype(np.float32),
        clouds=(1 + clouds / max(float(np.abs(clouds).max()), 1e-6) * depth).astype(np.float32),
        planes=planes,
        sigma=np.sqrt(read**2 + shot * np.arange(256)).astype(np.float32),
        blur=float(rng.uniform(0.4, 0.8) if steady else rng.uniform(0.2, 1.3)),
        gamma=float(rng.uniform(0.85, 1.1) if steady else np.exp(rng.uniform(-0.45, 0.45))),
        contrast=float(contrast),
        black=float(rng.uniform(0.0, max(0.02, 1 - contrast) * 0.8)),
        drift=(
            float(rng.uniform(0.01, 0.04 if steady else 0.10)),
            float(rng.uniform(40, 150)),
            float(rng.uniform(0, 6)),
        ),
        cloud_speed=float(rng.uniform(0.02, 0.15)),
        flicker=float(rng.uniform(0.0, 0.004)),
        jitter_px=0.0 if steady or rng.random() < 0.7 else float(rng.uniform(0.1, 0.8)),
    )


def _noise(rng: np.random.Generator, height: int, width: int, grain: float) -> Array:
    plane: Array = rng.standard_normal((height, width), dtype=np.float32)
    if grain:
        plane = cv2.GaussianBlur(plane, (3, 3), grain)
    return plane / float(plane.std())
