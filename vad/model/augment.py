"""What cameras do to a picture: applied to training sequences so that the network learns to look past it.

Everything works on whole batches (N, T, H, W) of luma 0..255, float32, and keeps the flow true: nothing here moves a
pixel, except ``flip``, which turns the labels too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def degrade(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Light, gamma, blur, compression, weather and noise, drawn anew for each sequence; (N, T, H, W) -> the same."""
    luma = light(luma, generator)
    luma = blur(luma, generator)
    luma = compression(luma, generator)
    luma = specks(luma, generator)
    return noise(luma, generator).clamp(0.0, 255.0)


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


def compression(luma: Tensor, generator: torch.Generator) -> Tensor:
    """Blocks of 2 or 4 px whose level hangs behind or is off by a little, as coarse quantisation leaves them."""
    n, t, h, w = luma.shape
    size = 4 if float(_uniform((1,), generator)) < 0.5 else 2
    error = _normal((n, t, h // size, w // size), generator)
    error = functional.interpolate(error, scale_factor=float(size), mode="nearest")
    strength = (_uniform((n, 1, 1, 1), generator) * 2.0 - 1.0).clamp_min(0.0) * 2.5
    return luma + error * strength


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
