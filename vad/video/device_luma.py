"""``luma`` for frames that a GPU decoded: the same pooling, on the device, of the plane where it lies.

What leaves the device is the pooled picture alone, 15 kB of the 3 MB of a 1080p frame: the network's input goes the way
of every other, so that a clip, its runner and what happens when the device fails know one kind of frame.
"""

from __future__ import annotations

import numpy as np
import torch
from av import VideoFrame
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import dlpack

from vad.types import Geometry
from vad.video.luma import SHIFT, as_seen, levels, masked, scale_of
from vad.video.pooling import EDGE, Window, must_blend, window_of

_DEEP = frozenset({"p010le", "p016le"})  # 10 or more bits, in the high ones of 16
_KNOWN = _DEEP | {"nv12"}


def pool_on_device(
    frame: VideoFrame, grid: Geometry, mask: NDArray[np.uint8] | None, *, limited_range: bool, woven: bool = False
) -> NDArray[np.uint8]:
    """What ``pool_luma`` gives for the same picture: (grid.height, grid.width) uint8. Raises RuntimeError.

    torch reads the decoder's memory on the stream on which FFmpeg wrote it, the default one; nothing else orders them.
    """
    layout = frame.sw_format.name if frame.sw_format else frame.format.name
    if layout not in _KNOWN:
        raise RuntimeError(f"frames of {layout} on a device; known: {', '.join(sorted(_KNOWN))}")
    # The capsule is asked for here: torch would ask for one on a stream of its choice, which PyAV refuses.
    plane = dlpack.from_dlpack(frame.planes[0].__dlpack__())
    pooled = pool_plane(plane, grid, deep=layout in _DEEP, limited_range=limited_range, woven=woven)
    return masked(as_seen(pooled.cpu().numpy(), grid), mask)


def pool_plane(plane: Tensor, grid: Geometry, *, deep: bool, limited_range: bool, woven: bool = False) -> Tensor:
    """``luma.pool_luma`` in tensor operations, neither turned nor padded yet; ``deep`` planes hold 16 bits a pixel."""
    width, height = grid.coded_size
    plane = plane[:height, :width]
    if deep:  # torch computes little in uint16
        plane = plane.view(torch.int16).to(torch.int32) & 0xFFFF
    if woven and must_blend(grid):
        plane = _blended(plane)
    window = window_of(grid)
    if not window.is_whole:
        return _pool_edges(plane, window, deep=deep, limited_range=limited_range)
    gain, bias = scale_of(grid, limited_range=limited_range)
    rows, columns = window.size
    pool, top, left = grid.pool, window.top, window.left
    used = plane[top : top + rows * pool, left : left + columns * pool]
    scaled = used.reshape(rows, pool, columns, pool).sum(dim=(1, 3), dtype=torch.int64) * gain
    if deep:
        scaled >>= 8
    return ((scaled + bias) >> SHIFT).clamp(0, 255).to(torch.uint8)


def _pool_edges(plane: Tensor, window: Window, *, deep: bool, limited_range: bool) -> Tensor:
    """Where model pixels cover parts of pixels. Sums of shares are whole numbers, and exact in 64 bits."""
    black, stretch = levels(limited_range)
    down, across = (_shares(edges, size) for edges, size in zip(window[-2:], plane.shape, strict=True))
    boxes = down.to(plane.device) @ plane.to(torch.float64) @ across.to(plane.device).T
    areas = torch.outer(down.sum(dim=1), across.sum(dim=1)).to(plane.device)
    means = boxes / (areas * 256.0 if deep else areas)
    return ((means - black) * stretch + 0.5).floor().clamp(0.0, 255.0).to(torch.uint8)


def _shares(edges: NDArray[np.int64], size: int) -> Tensor:
    """(model pixels, coded pixels) float64: how many EDGE parts of each coded pixel each model pixel covers."""
    begin = EDGE * torch.arange(size, dtype=torch.int64)
    at = torch.from_numpy(edges)[:, None]
    covered = torch.minimum(at[1:], begin + EDGE) - torch.maximum(at[:-1], begin)
    return covered.clamp(min=0).to(torch.float64)


def _blended(plane: Tensor) -> Tensor:
    """Each line averaged with the next one, the last one with that before."""
    lines = plane.to(torch.int32)
    others = torch.cat((lines[1:], lines[-2:-1] if len(lines) > 1 else lines))
    return (lines + others + 1) >> 1
