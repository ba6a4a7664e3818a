"""What moves where, in closed form: the hand-made features that the network looks at beside the pictures themselves.

Exact speed is what the detector lives on, and a small network is slow to learn the quotient behind it: trained to
choose among these candidates it did worse than the plain rule below (docs/detector.md has the figures). So flow is
computed: differential flow (Lucas and Kanade 1981) at three scales, a coarse block matching for what moves too fast for
it, and a check of each candidate by warping the picture before. The finest scale is kept unless it fits badly and
another fits clearly better; that other is then refined where it points to.

This module is the definition, in tensor operations, for any device; ``vad.model.features`` has the same numbers as
loops for a CPU. Nothing here copies from the host or waits for the device, so that a CUDA graph may hold it. Pictures
are (N, 1, H, W) in units of ``LUMA_UNIT``; h, w = H / 4, W / 4 count blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vad.types import BLOCK_PX

LUMA_UNIT = 64.0
"""Grey levels of one unit of the network's pictures: about the contrast of a scene."""

CONTRAST_FLOOR = 6.0 / LUMA_UNIT
"""Added to the local contrast that divides the picture: about twice a camera's noise, so noise stays small."""

GRADIENT_FLOOR = (2.0 / LUMA_UNIT) ** 2
"""Added to the squared gradients that divide the flow: where there is no texture, there is no motion."""

STILL_CHANGE = (2.5 / LUMA_UNIT) ** 2
"""Mean squared change of a block below which no candidate but the finest is looked at."""

SCALES = (1, 2, 4)
"""Model pixels per pixel at which the differential flow is measured: it reaches about 1.5 such pixels a frame."""

MOST_PX = 2.0
"""Differential flow is cut to that many of its scale's pixels."""

REACH = (2, 3)
"""Blocks up and down, left and right, over which blocks are matched: 8 and 12 px a frame."""

CHECK_PX = 8
"""Side of the window, around each block, over which a candidate is checked."""

GOOD_FIT = 6.0 / LUMA_UNIT
"""Mean absolute difference, about twice a camera's noise, up to which the finest flow needs no other candidate."""

WITHIN_REACH_PX = 1.2
"""The finest flow is trusted up to here, in x and in y; beyond it any candidate that fits better is believed."""

CLEARLY_BETTER = 0.7
"""Share of the finest candidate's error, within its reach, below which another candidate is believed."""

REFINEMENTS = 2
"""Steps of Gauss and Newton from a candidate that is not the finest, each taken only if the picture fits better."""

TRAITS = 7
"""Per block: flow (x, y, squashed), fit, change at two scales, texture, unexplained share."""


class Rules(NamedTuple):
    """The limits above, as one value for the loops of ``features`` and ``candidates``."""

    block: int = BLOCK_PX
    up: int = REACH[0]
    left: int = REACH[1]
    scales: int = len(SCALES)
    gradient_floor: float = GRADIENT_FLOOR
    contrast_floor: float = CONTRAST_FLOOR
    still_change: float = STILL_CHANGE
    good_fit: float = GOOD_FIT
    within_reach_px: float = WITHIN_REACH_PX
    clearly_better: float = CLEARLY_BETTER
    refinements: int = REFINEMENTS


RULES = Rules()


class Motion(NamedTuple):
    """What is known of each block before the network looks."""

    flow: Tensor  # (N, 2, h, w) px a frame (x, y): how far what is here now has come since the frame before
    traits: Tensor  # (N, TRAITS, h, w) about -1..2


def measure(now: Tensor, before: Tensor) -> Motion:
    """Two successive pictures -> motion of the later one."""
    flows, traits = differential_flow(now, before)
    matched, still = match_blocks(now, before), torch.zeros_like(flows[:, 0])
    candidates = torch.cat((flows, matched.unsqueeze(1), still.unsqueeze(1)), dim=1)  # (N, C + 1, 2, h, w)
    misfits = check(now, before, candidates)  # (N, C + 1, h, w)
    errors, misfit_still = misfits[:, :-1], misfits[:, -1:]
    moves = functional.avg_pool2d((now - before).square(), BLOCK_PX) > STILL_CHANGE
    within = candidates[:, :1].abs().amax(dim=2) <= WITHIN_REACH_PX
    asked = torch.where(within, CLEARLY_BETTER, 1.0)  # (N, 1, h, w)
    best = torch.cat((errors[:, :1] * asked, errors[:, 1:]), dim=1).argmin(dim=1, keepdim=True)  # (N, 1, h, w)
    doubtful = moves & (~within | (errors[:, :1] > GOOD_FIT))
    best = torch.where(doubtful, best, torch.zeros_like(best))
    flow = torch.take_along_dim(candidates, best.unsqueeze(2), dim=1)  # (N, 1, 2, h, w)
    error = torch.take_along_dim(errors, best, dim=1)
    slopes = _slopes(now)
    for _ in range(REFINEMENTS):
        refined = _refined(now, before, flow, slopes)
        other = check(now, before, refined)
        better = (best > 0) & (other < error)
        flow, error = torch.where(better.unsqueeze(2), refined, flow), torch.where(better, other, error)
    fit = torch.where(moves, error / (misfit_still + CONTRAST_FLOOR), torch.ones_like(error))
    flow = flow[:, 0]
    return Motion(flow, torch.cat((flow / (1.0 + flow.abs()), fit, traits), dim=1))


def differential_flow(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Flow in the closed form of Lucas and Kanade over 12 px windows, at each of SCALES.

    Returns flow (N, scales, 2, h, w) in px a frame, unreliable beyond its scale's reach, and (N, 4, h, w): logarithms
    of change at the two finest scales and of texture, and the share of the change that the finest flow leaves
    unexplained.
    """
    structures = []
    for scale in SCALES:
        if scale > 1:
            now, before = functional.avg_pool2d(now, 2), functional.avg_pool2d(before, 2)
        structures.append(_structure(now, before, BLOCK_PX // scale))
    around = functional.pad(torch.cat(structures, dim=1), (1, 1, 1, 1), mode="replicate")
    structure = functional.avg_pool2d(around, 3, stride=1).reshape(len(now), len(SCALES), 6, *structures[0].shape[2:])
    xx, xy, yy, xt, yt, tt = structure.unbind(dim=2)  # each (N, scales, h, w)
    xx_, yy_, tt_ = xx + GRADIENT_FLOOR, yy + GRADIENT_FLOOR, tt + GRADIENT_FLOOR
    determinant = xx_ * yy_ - xy * xy
    u = (xy * yt - yy_ * xt) / determinant
    v = (xy * xt - xx_ * yt) / determinant
    unexplained = (tt + u * xt + v * yt) / tt_
    change = torch.log(tt_[:, :2] * (1.0 / GRADIENT_FLOOR)) * 0.2
    texture = torch.log((xx_ + yy)[:, :1] * (1.0 / GRADIENT_FLOOR)) * 0.2
    flow = torch.stack((u, v), dim=2).clamp(-MOST_PX, MOST_PX)
    flow = torch.cat([flow[:, s : s + 1] * scale for s, scale in enumerate(SCALES)], dim=1)
    return flow, torch.cat((change, texture, unexplained[:, :1]), dim=1)


def _structure(now: Tensor, before: Tensor, block: int) -> Tensor:
    """The structure tensor in space and time, xx xy yy xt yt tt: block means, (N, 6, h / block, w / block)."""
    middle = functional.pad((now + before) * 0.5, (1, 1, 1, 1), mode="replicate")
    x = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) * 0.5
    y = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) * 0.5
    t = now - before
    products = torch.cat((x * x, x * y, y * y, x * t, y * t, t * t), dim=1)
    return functional.avg_pool2d(products, block) if block > 1 else products


def match_blocks(now: Tensor, before: Tensor) -> Tensor:
    """The shift, (N, 2, h, w) px, at which a block and its neighbours fit the picture before best, as a flow."""
    now, before = functional.avg_pool2d(now, BLOCK_PX), functional.avg_pool2d(before, BLOCK_PX)
    height, width = now.shape[2:]
    up, left = REACH
    wide = functional.pad(before, (left, left, up, up), mode="replicate")
    shifted = wide[:, 0].unfold(1, height, 1).unfold(2, width, 1)  # (N, 2 up + 1, 2 left + 1, h, w), a view
    misfit = (shifted - now.unsqueeze(1)).abs().flatten(1, 2)  # (N, shifts, h, w)
    misfit = functional.avg_pool2d(functional.pad(misfit, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    best = misfit.argmin(dim=1)  # (N, h, w)
    y, x = torch.div(best, 2 * left + 1, rounding_mode="floor") - up, best % (2 * left + 1) - left
    return torch.stack((x, y), dim=1) * float(-BLOCK_PX)


def check(now: Tensor, before: Tensor, flows: Tensor) -> Tensor:
    """Mean absolute difference between a window of ``now`` and ``before`` where each flow says it came from.

    ``flows`` is (N, C, 2, h, w), the result (N, C, h, w). The window is CHECK_PX square around the block; beyond the
    border the edge repeats.
    """
    return (_windows(now).unsqueeze(1) - _came_from(before, flows)).abs().mean(dim=(4, 5))


class _Slopes(NamedTuple):
    """What of a step of Gauss and Newton does not depend on the flow."""

    x: Tensor  # (N, 1, h, w, CHECK_PX, CHECK_PX) half differences of pixels in each block's window
    y: Tensor
    xx: Tensor  # (N, 1, h, w) means over the window
    xy: Tensor
    yy: Tensor


def _slopes(now: Tensor) -> _Slopes:
    wide = functional.pad(now, (1, 1, 1, 1), mode="replicate")
    x = _windows((wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) * 0.5).unsqueeze(1)
    y = _windows((wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) * 0.5).unsqueeze(1)
    xx, xy, yy = ((a * b).mean(dim=(4, 5)) for a, b in ((x, x), (x, y), (y, y)))
    return _Slopes(x, y, xx + GRADIENT_FLOOR, xy, yy + GRADIENT_FLOOR)


def _refined(now: Tensor, before: Tensor, flows: Tensor, slopes: _Slopes) -> Tensor:
    """One step of Gauss and Newton, of at most a pixel, on the window's squared difference: (N, 1, 2, h, w)."""
    off = _windows(now).unsqueeze(1) - _came_from(before, flows)
    _, _, xx, xy, yy = slopes
    xo, yo = (slopes.x * off).mean(dim=(4, 5)), (slopes.y * off).mean(dim=(4, 5))
    step = torch.stack((xy * yo - yy * xo, xy * xo - xx * yo), dim=2) / (xx * yy - xy * xy).unsqueeze(2)
    refined: Tensor = flows + step / step.norm(dim=2, keepdim=True).clamp_min(1.0)
    return refined


def _windows(picture: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N, h, w, CHECK_PX, CHECK_PX): every block's window, a view of the picture with wider borders."""
    beyond = (CHECK_PX - BLOCK_PX) // 2
    wide = functional.pad(picture, (beyond, beyond, beyond, beyond), mode="replicate")
    return wide[:, 0].unfold(1, CHECK_PX, BLOCK_PX).unfold(2, CHECK_PX, BLOCK_PX)


def _came_from(before: Tensor, flows: Tensor) -> Tensor:
    """``_windows`` of the picture before, displaced by each flow, bilinearly: (N, C, h, w, CHECK_PX, CHECK_PX)."""
    (n, count, _, h, w), (height, width) = flows.shape, before.shape[2:]
    u, v = flows[:, :, 0, :, :, None, None], flows[:, :, 1, :, :, None, None]  # (N, C, h, w, 1, 1)
    x = 2.0 * (_places(w, before.device)[:, None, :] - u) / max(width - 1, 1) - 1.0  # (N, C, h, w, 1, CHECK_PX)
    y = 2.0 * (_places(h, before.device)[:, None, :, None] - v) / max(height - 1, 1) - 1.0  # (..., CHECK_PX, 1)
    size = (n, count, h, w, CHECK_PX, CHECK_PX)
    places = torch.stack((x.expand(size), y.expand(size)), dim=-1).view(n, -1, CHECK_PX * CHECK_PX, 2)
    return functional.grid_sample(before, places, padding_mode="border", align_corners=True).view(size)


def _places(count: int, device: torch.device) -> Tensor:
    """(count, CHECK_PX): rows or columns of the picture that the windows of ``count`` blocks cover."""
    first = torch.arange(count, device=device)[:, None] * BLOCK_PX - (CHECK_PX - BLOCK_PX) // 2
    return first + torch.arange(CHECK_PX, device=device)


def normalised_blocks(now: Tensor, before: Tensor) -> Tensor:
    """Both pictures as (N, 32, h, w), free of local mean and contrast (over 20 px, both pictures).

    The pictures share mean and contrast: what stands still stays exactly still.
    """
    blocks = functional.pixel_unshuffle(torch.cat((now, before), dim=1), BLOCK_PX)
    moments = torch.cat((blocks.mean(dim=1, keepdim=True), blocks.square().mean(dim=1, keepdim=True)), dim=1)
    moments = functional.avg_pool2d(moments, 5, stride=1, padding=2, count_include_pad=False)
    mean, square = moments.chunk(2, dim=1)
    contrast = (square - mean * mean).clamp_min(0.0).sqrt() + CONTRAST_FLOOR
    return (blocks - mean) / contrast
