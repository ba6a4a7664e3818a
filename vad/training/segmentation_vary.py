"""How the examples of the segmentation network are varied: what light, lenses and compression do to a picture.

Blur and JPEG are torchvision's (``transforms.v2.functional``, of the extra ``train``): those take their parameters, so
that every draw is from the generator given and a training that goes on gives the same weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vad.errors import TrainingError
from vad.training.segmentation_material import HEIGHT, WIDTH, Examples

LIT_SHARE, FADES_OVER_PX = 0.35, (10.0, 40.0)
"""So many of the pictures have a beam or a shadow in them that fades out over so many pixels."""

BLURRED_SHARE, BLUR_PX = 0.3, (0.3, 1.0)
"""So many of the pictures, and their backgrounds, are out of focus; standard deviation of the blur."""

COMPRESSED_SHARE, JPEG_QUALITY, JPEG_SCALE = 0.4, (12, 70), 2
"""Cameras compress before a picture is pooled: so many are enlarged, compressed and pooled again."""

PART_SHARE = 0.5
"""So many of the batches are parts of the pictures, of the sides that ``part_to_look_at`` gives."""

PART_HEIGHTS, PART_WIDTHS = (48, 64, 80, 96), (48, 64, 80, 96, 128, 160)


class Degradation:
    """Defocus and compression, by torchvision. Raises TrainingError where it cannot be imported."""

    def __init__(self) -> None:
        try:
            from torchvision.transforms.v2 import functional as kernels
        except (ImportError, RuntimeError) as error:  # beside a torch of another build it raises RuntimeError
            raise TrainingError(
                f"torchvision cannot be imported: {error}; allowed: --without-degradation, or the extra vad[train] in "
                "an environment whose torch and torchvision are of one build and fit each other"
            ) from error
        self._kernels: Any = kernels

    def __call__(self, examples: Examples, random: np.random.Generator) -> Examples:
        """Some of the examples, blurred or compressed."""
        luma, level = examples.luma.copy(), examples.level.copy()
        blurred, compressed = random.random((2, len(examples))) < np.array([[BLURRED_SHARE], [COMPRESSED_SHARE]])
        spreads_px = random.uniform(*BLUR_PX, len(examples))
        qualities = random.integers(*JPEG_QUALITY, len(examples))
        for k in range(len(examples)):
            if blurred[k]:
                for planes in (luma, level):
                    soft = self._blurred(torch.from_numpy(planes[k].astype(np.float32)), float(spreads_px[k]))
                    planes[k] = soft.numpy() if planes is level else soft.round().numpy()
            if compressed[k]:
                luma[k] = self._compressed(torch.from_numpy(luma[k]), int(qualities[k])).numpy()
        return replace(examples, luma=luma, level=level)

    def _blurred(self, plane: Tensor, spread_px: float) -> Tensor:
        blurred: Tensor = self._kernels.gaussian_blur(plane[None], [5, 5], [spread_px, spread_px])[0]
        return blurred

    def _compressed(self, plane: Tensor, quality: int) -> Tensor:
        height, width = plane.shape
        size = [JPEG_SCALE * height, JPEG_SCALE * width]
        large = functional.interpolate(plane[None, None].float(), size=size, mode="bilinear")[0]
        decoded = self._kernels.jpeg(large.round().clamp(0.0, 255.0).to(torch.uint8), quality)
        return functional.avg_pool2d(decoded.float(), JPEG_SCALE)[0].round().to(torch.uint8)


def vary(examples: Examples, random: np.random.Generator, degradation: Degradation | None) -> Examples:
    """Other light, less contrast and more noise than the examples have, beams and shadows, defocus and compression."""
    shape = len(examples), 1, 1
    gain = (random.uniform(0.7, 1.3, shape) * random.uniform(0.4, 1.1, shape)).astype(np.float32)
    offset = (128.0 + random.uniform(-25.0, 25.0, shape)).astype(np.float32)
    grain = (random.uniform(0.0, 4.0, shape) * (random.random(shape) < 0.5)).astype(np.float32)
    luma = (examples.luma.astype(np.float32) - 128.0) * gain + offset
    luma *= 1.0 + light(len(examples), random)
    luma += grain * random.standard_normal(luma.shape, np.float32)
    level = np.clip((examples.level.astype(np.float32) - 128.0) * gain + offset, 0.0, 255.0)
    varied = replace(examples, luma=np.clip(np.round(luma), 0, 255).astype(np.uint8), level=level.astype(np.float16))
    return degradation(varied, random) if degradation else varied


def part_of_batch(random: np.random.Generator) -> tuple[slice, slice]:
    """The rows and columns of a batch that are taught: half the time all, else a part that begins at a multiple of 8.

    The network sees no more than the part around what is marked, with nothing beyond its border: as here.
    """
    if random.random() >= PART_SHARE:
        return slice(0, HEIGHT), slice(0, WIDTH)
    tall, wide = int(random.choice(PART_HEIGHTS)), int(random.choice(PART_WIDTHS))
    top = 8 * int(random.integers(0, (HEIGHT - tall) // 8 + 1))
    left = 8 * int(random.integers(0, (WIDTH - wide) // 8 + 1))
    return slice(top, top + tall), slice(left, left + wide)


def light(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """(N, H, W): by what share beams and shadows without an outline make some pictures brighter or darker."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    out = np.zeros((count, HEIGHT, WIDTH), np.float32)
    for k in np.flatnonzero(random.random(count) < LIT_SHARE):
        turn, fades_over = random.uniform(0.0, np.pi), random.uniform(*FADES_OVER_PX)
        along, across = random.uniform(10.0, 120.0), random.uniform(10.0, 50.0)
        dx, dy = x - random.uniform(0.0, WIDTH), y - random.uniform(0.0, HEIGHT)
        u, v = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
        beyond = (np.hypot(u / along, v / across) - 1.0) * across
        out[k] = random.uniform(-0.5, 0.7) * np.clip(1.0 - beyond / fades_over, 0.0, 1.0)
    return out
