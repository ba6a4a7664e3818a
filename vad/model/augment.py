"""What cameras and weather do to a picture: applied to training sequences so that the network learns to look past it.

Everything works on whole batches (N, T, H, W) of luma 0..255, float32, on the CPU, with one draw per sequence, all of
them from the generator given. Labels stay true: nothing here moves what the labels speak of, except ``flip``, which
turns them too; the shake of a camera is motion that the network must *not* report, so labels stand still under it.

Why not torchvision's v2 transforms: they know a flow field as no kind of label (a flip would have to turn its sign),
draw from the global generator, which a training that can be resumed must not lean on, treat the batch as one sample
where each sequence needs its own draw, and torchvision cannot be imported beside a CPU-only torch. What is left of them
would be a blur and a JPEG, which are ten lines here.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SHAKY_SHARE = 0.25
SHAKE_PX = 0.35
"""Sequences that shake, and how far (standard deviation): what is left of wind and vibration in model pixels."""

COMPRESSED_SHARE = 0.4
JPEG_QUALITY = (12, 70)
JPEG_SCALE = 2
"""Cameras compress before the picture is pooled: a sequence is enlarged that much, compressed and pooled again."""


def degrade(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Light, shake, blur, weather, noise and compression, as the light comes in; (N, T, H, W) -> the same."""
    luma = light(luma, generator)
    luma = shake(luma, generator)
    luma = blur(luma, generator)
    luma = specks(luma, generator)
    luma = noise(luma, generator)
    return compression(luma, generator).clamp(0.0, 255.0)


def light(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Contrast, brightness and gamma of the sequence, and a flicker of gain from frame to frame."""
    n, t = luma.shape[:2]
    gamma = torch.exp(_normal((n, 1, 1, 1), generator) * 0.25)
    gain = torch.exp(_normal((n, 1, 1, 1), generator) * 0.35 - 0.1)
    offset = _normal((n, 1, 1, 1), generator) * 20.0
    shaky = (_uniform((n, 1, 1, 1), generator) < 0.3).float()
    flicker = 1.0 + shaky * 0.03 * _normal((n, t, 1, 1), generator)
    picture = 255.0 * (luma / 255.0).clamp_min(0.0) ** gamma
    mean = picture.mean(dim=(1, 2, 3), keepdim=True)
    return ((picture - mean) * gain + mean + offset) * flicker


def blur(luma: Tensor, generator: torch.Generator) -> Tensor:
    """A little defocus: each sequence mixed with a 3 x 3 binomial blur of itself, from not at all to wholly."""
    n, t, h, w = luma.shape
    line = luma.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line)[None, None]
    padded = functional.pad(luma.reshape(n * t, 1, h, w), (1, 1, 1, 1), mode="replicate")
    soft = functional.conv2d(padded, kernel).reshape(n, t, h, w)
    share = (_uniform((n, 1, 1, 1), generator) * 2.0 - 1.0).clamp_min(0.0)
    return luma + share * (soft - luma)


def shake(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Whole pictures of some sequences jump by fractions of a pixel from frame to frame; the edge is repeated."""
    n, t, h, w = luma.shape
    shaky = _uniform((n, 1, 1), generator) < SHAKY_SHARE
    reach = SHAKE_PX * _uniform((n, 1, 1), generator)
    shift = _normal((n, t, 2), generator) * reach  # (N, T, 2) px (x, y)
    rows = torch.nonzero(shaky.flatten()).flatten()
    if not len(rows):
        return luma
    x = torch.arange(w) + shift[rows, :, 0].reshape(-1, 1)  # (n T, W)
    y = torch.arange(h) + shift[rows, :, 1].reshape(-1, 1)  # (n T, H)
    wide, tall = x.unsqueeze(1).expand(-1, h, -1), y.unsqueeze(2).expand(-1, -1, w)
    grid = torch.stack((2.0 * wide / (w - 1) - 1.0, 2.0 * tall / (h - 1) - 1.0), dim=-1)
    pictures = luma[rows].reshape(-1, 1, h, w)
    moved = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return luma.index_copy(0, rows, moved.reshape(len(rows), t, h, w))


def compression(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Some sequences make a round trip through JPEG, each at one quality, at the size before pooling."""
    n = luma.shape[0]
    chosen = _uniform((n,), generator) < COMPRESSED_SHARE
    low, high = JPEG_QUALITY
    quality = low + (high - low) * _uniform((n,), generator)
    result = luma.clone()
    for k in torch.nonzero(chosen).flatten().tolist():
        result[k] = torch.from_numpy(_through_jpeg(luma[k], round(float(quality[k]))))
    return result


def _through_jpeg(frames: Tensor, quality: int) -> NDArray[np.float32]:
    """(T, H, W) -> the same, float32."""
    _, h, w = frames.shape
    pictures = frames.clamp(0.0, 255.0).round().to(torch.uint8).numpy()
    result = np.empty(frames.shape, np.float32)
    for t, picture in enumerate(pictures):
        large = cv2.resize(picture, (JPEG_SCALE * w, JPEG_SCALE * h), interpolation=cv2.INTER_LINEAR)
        _, data = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)
        result[t] = cv2.resize(decoded, (w, h), interpolation=cv2.INTER_AREA)
    return result


def specks(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Rain, snow or dust on one sequence in ten: bright points in other places on every frame."""
    n = luma.shape[0]
    struck = (_uniform((n, 1, 1, 1), generator) < 0.1).float() * 0.006
    hit = (torch.rand(luma.shape, generator=generator) < struck).float()
    return luma + hit * (40.0 + 60.0 * _uniform((n, 1, 1, 1), generator))


def noise(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Sensor noise, new on every pixel, plus a pattern that stays."""
    n, _, h, w = luma.shape
    strength = _uniform((n, 1, 1, 1), generator) ** 2 * 6.0
    fixed = _normal((n, 1, h, w), generator) * _uniform((n, 1, 1, 1), generator) * 2.0
    return luma + torch.randn(luma.shape, generator=generator) * strength + fixed


def flip(luma: Tensor, flow: Tensor, *others: Tensor, axis: int) -> tuple[Tensor, ...]:
    """Mirror pictures (..., H, W) and labels; ``axis`` 0 turns x, 1 turns y. ``flow`` is (N, T, 2, h, w)."""
    dim = -1 - axis
    sign = flow.new_tensor([-1.0, 1.0] if axis == 0 else [1.0, -1.0])[:, None, None]
    return luma.flip(dim), flow.flip(dim) * sign, *(other.flip(dim) for other in others)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator)
