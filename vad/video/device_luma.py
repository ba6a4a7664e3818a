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
from vad.video.luma import SHIFT, scale_of

_DEEP = frozenset({"p010le", "p016le"})  # 10 or more bits, in the high ones of 16
_KNOWN = _DEEP | {"nv12"}


def pool_on_device(
    frame: VideoFrame, grid: Geometry, mask: NDArray[np.uint8] | None, *, limited_range: bool
) -> NDArray[np.uint8]:
    """What ``pool_luma`` gives for the same picture: (grid.height, grid.width) uint8. Raises RuntimeError.

    torch reads the decoder's memory on the stream on which FFmpeg wrote it, the default one; nothing else orders them.
    """
    layout = frame.sw_format.name if frame.sw_format else frame.format.name
    if layout not in _KNOWN:
        raise RuntimeError(f"frames of {layout} on a device; known: {', '.join(sorted(_KNOWN))}")
    # The capsule is asked for here: torch would ask for one on a stream of its choice, which PyAV refuses.
    plane = dlpack.from_dlpack(frame.planes[0].__dlpack__())
    luma: NDArray[np.uint8] = pool_plane(plane, grid, deep=layout in _DEEP, limited_range=limited_range).cpu().numpy()
    if mask is not None:
        np.bitwise_and(luma, mask, out=luma)
    return luma


def pool_plane(plane: Tensor, grid: Geometry, *, deep: bool, limited_range: bool) -> Tensor:
    """``luma.pool_luma`` without a mask, in tensor operations; ``deep`` planes hold 16 bits a pixel."""
    pool, height, width = grid.pool, grid.valid_height, grid.valid_width
    gain, bias = scale_of(grid, limited_range=limited_range)
    used = plane[: height * pool, : width * pool]
    if deep:  # torch computes little in uint16
        used = used.view(torch.int16).to(torch.int32) & 0xFFFF
    scaled = used.reshape(height, pool, width, pool).sum(dim=(1, 3), dtype=torch.int64) * gain
    if deep:
        scaled >>= 8
    luma = ((scaled + bias) >> SHIFT).clamp(0, 255).to(torch.uint8)
    if width < grid.width:
        luma = torch.cat((luma, luma[:, -1:].expand(-1, grid.width - width)), dim=1)
    if height < grid.height:
        luma = torch.cat((luma, luma[-1:].expand(grid.height - height, -1)), dim=0)
    return luma
