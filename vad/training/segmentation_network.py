"""The segmentation network: which pixels belong to objects, from the picture and the background behind it.

A small U-Net (Ronneberger et al., 2015) over what ``vad.scoring.objects.segmentation`` makes of a frame, where it runs.
The background is one of its inputs, so that it need not know the place (BSUV-Net, Tezcan et al., 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vad.scoring.objects.segmentation import SHAPES


class SegmentationNetwork(nn.Module):
    """(N, CHANNELS, H/2, W/2) -> (N, 1, H, W) logits of "belongs to an object"; H and W multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.mix2 = _convolution("mix2")
        self.down4 = _convolution("down4")
        self.mix4 = _convolution("mix4")
        self.down8 = _convolution("down8")
        self.mix8 = _convolution("mix8")
        self.down16 = _convolution("down16")
        self.mix16 = _convolution("mix16")
        self.up8 = _convolution("up8")
        self.up4 = _convolution("up4")
        self.up2 = _convolution("up2")
        self.leave = _convolution("leave")

    def forward(self, planes: Tensor) -> Tensor:
        """The logits."""
        relu = functional.relu
        a = relu(self.mix2(planes))
        b = relu(self.mix4(relu(self.down4(functional.pixel_unshuffle(a, 2)))))
        c = relu(self.mix8(relu(self.down8(functional.pixel_unshuffle(b, 2)))))
        d = relu(self.mix16(relu(self.down16(functional.pixel_unshuffle(c, 2)))))
        c = relu(self.up8(torch.cat((_doubled(d), c), dim=1)))
        b = relu(self.up4(torch.cat((_doubled(c), b), dim=1)))
        a = relu(self.up2(torch.cat((_doubled(b), a), dim=1)))
        return functional.pixel_shuffle(self.leave(a), 2)


def _doubled(planes: Tensor) -> Tensor:
    return functional.interpolate(planes, scale_factor=2, mode="nearest")


def _convolution(name: str) -> nn.Conv2d:
    out, channels, side = SHAPES[name]
    return nn.Conv2d(channels, out, side, padding=side // 2)
