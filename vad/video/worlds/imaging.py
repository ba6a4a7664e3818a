"""From light to luma: gain, tone curve, noise of the sensor, and what a video encoder leaves of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vad.video.synthetic.posing import Array
from vad.video.worlds.chance import bits, generator

_PLANES = 8
_SLACK = 64
_RAMP = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Imaging:
    """One camera's sensor and encoder; a pure function of the frame's index."""

    seed: int
    noise: Array  # (_PLANES, H + _SLACK, W + _SLACK) float32: unit noise
    texture: Array  # the same, of few frequencies: what is left of the background in a group of pictures
    read: float
    shot: float
    night_noise: float  # factor at the largest gain
    compression: float  # 0..1: how much of the sensor's noise the encoder replaces
    group: int  # frames from one key frame to the next
    blur: float
    gamma: float
    contrast: float
    black: float

    def expose(self, light: Array, index: int, *, gain: float, dark: float) -> Array:
        """Light (H, W) uint8 -> luma (H, W) uint8; ``dark`` 0..1 is how far the sensor's gain is up."""
        if self.blur > 0.3:
            light = cv2.GaussianBlur(light, (3, 3), self.blur)
        tone = 255 * (self.contrast * np.minimum(_RAMP * np.float32(gain / 255), 1.15) ** self.gamma + self.black)
        light = cv2.LUT(light, np.clip(tone, 0, 255).astype(np.uint8))
        height, width = light.shape
        strength = 1 + (self.night_noise - 1) * dark
        sigma = np.sqrt(self.read**2 + self.shot * _RAMP) * np.float32(strength * (1 - 0.6 * self.compression))
        noise = cv2.multiply(self._cut(self.noise, index, height, width, 61), cv2.LUT(light, sigma.astype(np.float32)))
        if self.compression > 0.05:
            kept = self._cut(self.texture, index // self.group, height, width, 62)
            noise = cv2.scaleAdd(kept, 1.4 * self.compression * self.read * strength, noise)
        return cv2.add(light, noise, dtype=cv2.CV_8U)

    def _cut(self, planes: Array, number: int, height: int, width: int, key: int) -> Array:
        chance = bits(self.seed, key, number)
        plane, dy, dx = chance % _PLANES, (chance >> 8) % _SLACK, (chance >> 16) % _SLACK
        cut: Array = planes[plane, dy : dy + height, dx : dx + width]
        return cut


def draw_imaging(seed: int, width: int, height: int, fps: float) -> Imaging:
    """A sensor and an encoder at random."""
    rng = generator(seed, 60)
    shape = (_PLANES, height + _SLACK, width + _SLACK)
    noise = rng.standard_normal(shape, dtype=np.float32)
    coarse = rng.standard_normal((_PLANES, shape[1] // 2 + 1, shape[2] // 2 + 1), dtype=np.float32)
    texture = np.stack([np.kron(plane, np.ones((2, 2), np.float32))[: shape[1], : shape[2]] for plane in coarse])
    contrast = rng.uniform(0.75, 1.05)
    return Imaging(
        seed=seed,
        noise=noise,
        texture=0.7 * texture + 0.5 * noise[::-1],
        read=float(rng.uniform(0.5, 1.3)),
        shot=float(rng.uniform(0.002, 0.012)),
        night_noise=float(rng.uniform(2.0, 4.5)),
        compression=float(rng.uniform(0.0, 1.0)),
        group=int(rng.uniform(2, 8) * fps),
        blur=float(rng.uniform(0.0, 0.7)),
        gamma=float(rng.uniform(0.8, 1.15)),
        contrast=float(contrast),
        black=float(rng.uniform(0.0, max(0.03, 1 - contrast) * 0.6)),
    )
