"""From light to luma: gain, tone curve, noise of the sensor, and what a video encoder leaves of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vad.video.synthetic.posing import Array
from vad.video.worlds.chance import bits, generator
from vad.video.worlds.kernels import develop

_PLANES = 8
_SLACK = 64
_RAMP = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Imaging:
    """One camera's sensor and encoder; a pure function of the frame's index."""

    seed: int
    noise: Array  # (_PLANES, H + _SLACK, W + _SLACK) float32: unit noise
    texture: Array  # the same, of few frequencies: what is left of the background in a group of pictures
    read: float  # noise in the dark, luma steps
    shot: float  # and how it grows with luma
    night_noise: float  # factor at the largest gain
    compression: float  # 0..1: how much of the sensor's noise the encoder replaces
    group: int  # frames from one key frame to the next
    edge: float  # weight of each neighbour in the lens blur, see ``develop``
    gamma: float
    contrast: float
    black: float

    def expose(self, light: Array, index: int, *, gain: float, dark: float) -> Array:
        """Light (H, W) uint8 -> luma (H, W) uint8; ``dark`` 0..1 is how far the sensor's gain is up."""
        shown = np.minimum(_RAMP * np.float32(gain / 255), np.float32(1.15)) ** np.float32(self.gamma)
        tone = np.minimum(np.float32(255 * self.contrast) * shown + np.float32(255 * self.black), np.float32(255))
        strength = 1 + (self.night_noise - 1) * dark
        raw = strength * (1 - 0.6 * self.compression)
        height, width = light.shape
        noise = self._cut(self.noise, index, height, width, 61)
        texture = self._cut(self.texture, index // self.group, height, width, 62)
        luma = np.empty_like(light)
        kept = 1.4 * self.compression * self.read * strength
        develop(light, tone, noise, texture, raw * self.read, raw * self.shot, kept, self.edge, luma)
        return luma

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
        read=float(rng.uniform(0.5, 1.2)),
        shot=float(rng.uniform(0.001, 0.004)),
        night_noise=float(rng.uniform(2.0, 4.5)),
        compression=float(rng.uniform(0.0, 1.0)),
        group=int(rng.uniform(2, 8) * fps),
        edge=float(rng.uniform(0.0, 0.2)),
        gamma=float(rng.uniform(0.8, 1.15)),
        contrast=float(contrast),
        black=float(rng.uniform(0.0, max(0.03, 1 - contrast) * 0.6)),
    )
