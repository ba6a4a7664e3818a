"""The network: a small CNN + ConvLSTM autoencoder with foreground and prediction heads.

Everything a frame needs from the past is the frame before it and the ConvLSTM's state, so the cost per frame does not
grow with the length of the footage. No layer mixes the members of a batch: one camera never sees another.

Motion is measured in closed form (``vad.model.motion``) and is part of what the network looks at; the network says
what closed forms cannot: which surface belongs to something that moves, and what the next picture will be. All of it
works on the grid of 8 px cells, each described by its pixels, now and before, and by the motion of its four blocks. The
ConvLSTM is that of Shi et al., "Convolutional LSTM Network", NeurIPS 2015, without peepholes.

Picture sizes are multiples of ``CELL_PX``; "stride 4" and "stride 8" are the grids of 4 px blocks and 8 px cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vad.model import features, motion
from vad.model.motion import LUMA_UNIT
from vad.types import BLOCK_PX, CELL_PX

BLOCK_VALUES = BLOCK_PX * BLOCK_PX

CELL_BLOCKS = (CELL_PX // BLOCK_PX) ** 2

SEEN = CELL_BLOCKS * (2 * BLOCK_VALUES + motion.TRAITS)
"""Values that describe a cell: its blocks' pixels in both pictures, and their motion."""

HEAD = (CELL_BLOCKS, CELL_BLOCKS, CELL_BLOCKS * BLOCK_VALUES)
"""Channels of the head: foreground and spread of each block, change to come of each pixel."""

FAINT = 0.05
"""Added to the foreground that weighs the flows of a cell's blocks: what the network overlooks counts a little."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Channel counts, all that is needed to rebuild the network: kept in the model card."""

    look: int = 48  # what a cell shows, at stride 8
    features: int = 32  # cells with their neighbours, and the context at stride 16
    hidden: int = 16  # ConvLSTM
    mixed: int = 48  # what the heads read

    def __post_init__(self) -> None:
        for name in ("look", "features", "hidden", "mixed"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 512 or value % 2:
                raise ValueError(f"{name} is {value!r}; allowed: an even number of channels from 2 to 512")


class State(NamedTuple):
    """What the ConvLSTM carries, each (N, hidden, H/8, W/8)."""

    hidden: Tensor
    cell: Tensor


class Encoded(NamedTuple):
    """One frame after the feed-forward encoder."""

    flow: Tensor  # (N, 2, H/4, W/4) px a frame (x, y): how far what is here now has come since the frame before
    near: Tensor  # (N, look, H/8, W/8)
    coarse: Tensor  # (N, features, H/8, W/8)
    drive: Tensor  # (N, 4 hidden, H/8, W/8), the picture's part of the ConvLSTM's gates


class Decoded(NamedTuple):
    """What the network says of one frame and of the one after it."""

    foreground: Tensor  # (N, 1, H/4, W/4) logit of "covered by something that moves"
    prediction: Tensor  # (N, 1, H, W) the next picture, in the units of ``centred``
    log_spread: Tensor  # (N, 1, H/4, W/4) log of the expected absolute error of ``prediction`` in that block


def centred(luma: Tensor) -> Tensor:
    """(N, 1, H, W) luma 0..255 -> zero mean per picture, in ``LUMA_UNIT``: a change of exposure alone vanishes."""
    return (luma - luma.mean(dim=(2, 3), keepdim=True)) * (1.0 / LUMA_UNIT)


def look(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Flow (N, 2, H/4, W/4) and what each cell shows (N, SEEN, H/8, W/8), channels last; nothing to learn in it."""
    if now.device.type == "cpu":
        return _look_in_loops(now, before)
    with torch.no_grad():
        measured = motion.measure(now, before)
        blocks = torch.cat((motion.normalised_blocks(now, before), measured.traits), dim=1)
        seen = functional.pixel_unshuffle(blocks, CELL_PX // BLOCK_PX)
        return measured.flow, seen.contiguous(memory_format=torch.channels_last)


def _look_in_loops(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    a, b = now[:, 0].detach().contiguous().numpy(), before[:, 0].detach().contiguous().numpy()  # (N, H, W)
    count, gh, gw = len(a), a.shape[1] // CELL_PX, a.shape[2] // CELL_PX
    rows = np.arange(count * gh * gw, dtype=np.int32).reshape(count, gh, gw)
    flow, seen = np.empty((rows.size, 2, CELL_BLOCKS), np.float32), np.empty((rows.size, SEEN), np.float32)
    features.look(a, b, motion.RULES, rows, flow, seen)
    blocks = torch.from_numpy(flow).view(count, gh, gw, 2 * CELL_BLOCKS).permute(0, 3, 1, 2)
    flow_of_blocks = functional.pixel_shuffle(blocks, CELL_PX // BLOCK_PX)
    return flow_of_blocks, torch.from_numpy(seen).view(count, gh, gw, SEEN).permute(0, 3, 1, 2)


def _pointwise(planes: Tensor, layer: nn.Conv2d) -> Tensor:
    """A 1 x 1 convolution as a matrix product: torch's own takes a slow path on a CPU for less than 16 pictures."""
    rows = functional.linear(planes.permute(0, 2, 3, 1), layer.weight.flatten(1), layer.bias)
    return rows.permute(0, 3, 1, 2)


class Network(nn.Module):
    """Encode each frame, step the state, decode: three calls, so that all frames of a batch share the outer two."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = arch = architecture or Architecture()
        self.near = nn.Conv2d(SEEN, arch.look, 1)
        self.mix8 = nn.Conv2d(arch.look, arch.features, 3, padding=1)
        self.down16 = nn.Conv2d(arch.features, arch.features, 3, stride=2, padding=1)
        self.mix16 = nn.Conv2d(arch.features, arch.features, 3, padding=1)
        self.gates = nn.Conv2d(arch.features + arch.hidden, 4 * arch.hidden, 3, padding=1)
        self.mix = nn.Conv2d(arch.look + arch.features + arch.hidden, arch.mixed, 1)
        self.head = nn.Conv2d(arch.mixed, sum(HEAD), 1)
        self.reconstruct_head = nn.Conv2d(arch.hidden, CELL_PX * CELL_PX, 1)
        if not self.near.weight.is_meta:  # which has no values; to draw some there would load torch's compiler
            self._initialise()

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.gates.weight)
        hidden = self.architecture.hidden
        nn.init.constant_(self.gates.bias[hidden : 2 * hidden], 1.0)  # type: ignore[index]  # remember at first
        nn.init.normal_(self.head.weight, std=0.01)

    def lower(self, dtype: torch.dtype) -> None:
        """Keep the convolutions in ``dtype``. Motion, the state, the heads and what is made of them stay float32."""
        for layer in (self.near, self.mix8, self.down16, self.mix16, self.gates, self.mix):
            layer.to(dtype)

    def initial_state(self, count: int, height: int, width: int) -> State:
        """The state before the first frame of ``count`` runs, for pictures of ``height`` x ``width``."""
        size = (count, self.architecture.hidden, height // CELL_PX, width // CELL_PX)
        weight = self.head.weight
        return State(weight.new_zeros(size), weight.new_zeros(size))

    def encode(self, now: Tensor, before: Tensor) -> Encoded:
        """Two successive pictures (N, 1, H, W) in the units of ``centred`` -> features of the later one."""
        flow, seen = look(now, before)
        near = functional.relu(_pointwise(seen.to(self.near.weight.dtype), self.near))
        coarse = functional.relu(self.mix8(near))
        wide = functional.relu(self.mix16(functional.relu(self.down16(coarse))))
        coarse = coarse + functional.interpolate(wide, size=coarse.shape[2:], mode="nearest")
        drive = functional.conv2d(
            coarse, self.gates.weight[:, : self.architecture.features], self.gates.bias, padding=1
        )
        return Encoded(flow, near, coarse, drive)

    def step(self, drive: Tensor, state: State) -> State:
        """One ConvLSTM step: (N, 4 hidden, H/8, W/8) and the state before -> the state after.

        ``drive`` is the picture's own part of the gates: all that need not wait for the frame before.
        """
        weight = self.gates.weight[:, self.architecture.features :]
        gates = (drive + functional.conv2d(state.hidden.to(weight.dtype), weight, padding=1)).to(state.cell.dtype)
        hidden = self.architecture.hidden
        keep_in, forget, out = torch.sigmoid(gates[:, : 3 * hidden]).chunk(3, dim=1)
        cell = torch.addcmul(forget * state.cell, keep_in, torch.tanh(gates[:, 3 * hidden :]))
        return State(out * torch.tanh(cell), cell)

    def decode(self, now: Tensor, encoded: Encoded, hidden: Tensor) -> Decoded:
        """The picture, its features and the state after it -> foreground and the prediction of the next."""
        known = torch.cat((encoded.near, encoded.coarse, hidden.to(encoded.near.dtype)), dim=1)
        said = _pointwise(functional.relu(_pointwise(known, self.mix)).to(self.head.weight.dtype), self.head)
        foreground, log_spread, change = torch.split(said, list(HEAD), dim=1)
        blocks = CELL_PX // BLOCK_PX
        prediction = now + functional.pixel_shuffle(change, CELL_PX)
        # exp(-7) and exp(3) units are 0.06 and 1,300 grey levels: beyond any picture, and no overflow in between.
        log_spread = functional.pixel_shuffle(log_spread, blocks).clamp(-7.0, 3.0)
        return Decoded(functional.pixel_shuffle(foreground, blocks), prediction, log_spread)

    def reconstruct(self, hidden: Tensor) -> Tensor:
        """The present picture (N, 1, H, W) from the state alone: what makes this an autoencoder. Training only."""
        return functional.pixel_shuffle(self.reconstruct_head(hidden), CELL_PX)


class Reduced(NamedTuple):
    """One frame per cell (8 px), as ``vad.types.CellMap`` wants it, still on the device; flow in px a frame."""

    flow: Tensor  # (N, 2, gh, gw)
    activity: Tensor  # (N, gh, gw)
    latent: Tensor  # (N, hidden, gh, gw)
    luma: Tensor  # (N, 2 gh, 2 gw)


def reduce_to_cells(flow: Tensor, foreground: Tensor, hidden: Tensor, luma: Tensor) -> Reduced:
    """Average over the four blocks of each cell; the flow weighted by the foreground, so background does not dilute it.

    ``foreground`` are logits, ``luma`` is (N, 1, H, W), 0..255.
    """
    share = torch.sigmoid(foreground)  # (N, 1, H/4, W/4)
    weight = share + FAINT
    blocks = CELL_PX // BLOCK_PX
    flow = functional.avg_pool2d(flow * weight, blocks) / functional.avg_pool2d(weight, blocks)
    activity = functional.avg_pool2d(share, blocks)
    return Reduced(flow, activity[:, 0], hidden, functional.avg_pool2d(luma, BLOCK_PX)[:, 0])


def surprise_per_cell(now: Tensor, prediction: Tensor, log_spread: Tensor) -> Tensor:
    """Mean over each cell of the absolute error over its predicted mean: (N, gh, gw), about 1 when as expected.

    ``now`` and ``prediction`` are (N, 1, H, W) in the units of ``centred``, ``log_spread`` (N, 1, H/4, W/4).
    """
    error = functional.avg_pool2d((now - prediction).abs(), BLOCK_PX)
    return functional.avg_pool2d(error * torch.exp(-log_spread), CELL_PX // BLOCK_PX)[:, 0]
