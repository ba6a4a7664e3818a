"""The network: a small CNN + ConvLSTM autoencoder with flow, foreground and prediction heads.

Everything a frame needs from the past is the frame before it and the ConvLSTM's state, so the cost per frame does not
grow with the length of the footage. No layer mixes the members of a batch: one camera never sees another.

Exact speed is what the detector lives on, and a small network is slow to learn the quotient behind it. So the classic
closed form is computed (Lucas and Kanade 1981, at three scales, no iteration), and a coarse block matching for what
moves too fast for it. Both are given to the network as features, and the flow head chooses among them and adds what
they miss. The ConvLSTM is that of Shi et al., "Convolutional LSTM Network", NeurIPS 2015, without peepholes.

Picture sizes are multiples of ``CELL_PX``; "stride 4" and "stride 8" are the grids of 4 px blocks and 8 px cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vad.model import features
from vad.types import BLOCK_PX, CELL_PX

LUMA_UNIT = 64.0
"""Grey levels of one unit of the network's pictures: about the contrast of a scene."""

CONTRAST_FLOOR = 6.0 / LUMA_UNIT
"""Added to the local contrast that divides the picture: about twice a camera's noise, so noise stays small."""

GRADIENT_FLOOR = (2.0 / LUMA_UNIT) ** 2
"""Added to the squared gradients that divide the flow: where there is no texture, there is no motion."""

SCALES = (1, 2, 4)
"""Model pixels per pixel at which the differential flow is measured: it reaches about 1.5 such pixels a frame."""

REACH = (2, 3)
"""Blocks up and down, left and right, over which blocks are matched: 8 and 12 px a frame."""

SHIFTS = [(y, x) for y in range(-REACH[0], REACH[0] + 1) for x in range(-REACH[1], REACH[1] + 1)]
"""Where a block is looked for in the picture before, in blocks."""

CANDIDATES = len(SCALES) + 1
"""Flows the head chooses among: one per scale, one from matching."""

MATCH_FEATURES = 12

BLOCK_VALUES = BLOCK_PX * BLOCK_PX

HEAD = (CANDIDATES, 2, 1, BLOCK_VALUES, 1)
"""Channels of the head: trust in each candidate, what to add to it, foreground, change to come, its spread."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Channel counts, all that is needed to rebuild the network: kept in the model card."""

    look: int = 24  # filters over the two pictures, at stride 4
    features: int = 32  # at stride 4
    context: int = 32  # at stride 8
    hidden: int = 24  # ConvLSTM, at stride 8

    def __post_init__(self) -> None:
        for name in ("look", "features", "context", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 512 or value % 2:
                raise ValueError(f"{name} is {value!r}; allowed: an even number of channels from 2 to 512")


class State(NamedTuple):
    """What the ConvLSTM carries, each (N, hidden, H/8, W/8)."""

    hidden: Tensor
    cell: Tensor


class Encoded(NamedTuple):
    """One frame after the feed-forward encoder."""

    candidates: Tensor  # (N, CANDIDATES, 2, H/4, W/4) flows, px a frame
    fine: Tensor  # (N, features, H/4, W/4)
    coarse: Tensor  # (N, context, H/8, W/8)
    drive: Tensor  # (N, 4 hidden, H/8, W/8), the picture's part of the ConvLSTM's gates


class Decoded(NamedTuple):
    """What the network says of one frame and of the one after it, at stride 4."""

    flow: Tensor  # (N, 2, H/4, W/4) px a frame (x, y): how far what is here now has come since the frame before
    foreground: Tensor  # (N, 1, H/4, W/4) logit of "covered by something that moves"
    prediction: Tensor  # (N, 1, H, W) the next picture, in the units of ``centred``
    log_spread: Tensor  # (N, 1, H/4, W/4) log of the expected absolute error of ``prediction`` in that block


def centred(luma: Tensor) -> Tensor:
    """(N, 1, H, W) luma 0..255 -> zero mean per picture, in ``LUMA_UNIT``: a change of exposure alone vanishes."""
    return (luma - luma.mean(dim=(2, 3), keepdim=True)) * (1.0 / LUMA_UNIT)


def normalised_blocks(now: Tensor, before: Tensor) -> Tensor:
    """Both pictures as (N, 32, H/4, W/4), free of local mean and contrast (over 20 px, both pictures).

    The pictures share mean and contrast: what stands still stays exactly still.
    """
    blocks = functional.pixel_unshuffle(torch.cat((now, before), dim=1), BLOCK_PX)
    moments = torch.cat((blocks.mean(dim=1, keepdim=True), blocks.square().mean(dim=1, keepdim=True)), dim=1)
    moments = functional.avg_pool2d(moments, 5, stride=1, padding=2, count_include_pad=False)
    mean, square = moments.chunk(2, dim=1)
    contrast = (square - mean * mean).clamp_min(0.0).sqrt() + CONTRAST_FLOOR
    return (blocks - mean) / contrast


def differential_flow(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Flow in the closed form of Lucas and Kanade over 12 px windows, at each of SCALES.

    Returns flow (N, scales, 2, H/4, W/4) in px a frame, unreliable beyond its scale's reach, and what helps to tell
    (N, 3 scales, H/4, W/4): the share of the change that the flow leaves unexplained, change and texture (logarithms).
    """
    structures = []
    for scale in SCALES:
        if scale > 1:
            now, before = functional.avg_pool2d(now, 2), functional.avg_pool2d(before, 2)
        structures.append(_structure(now, before, BLOCK_PX // scale))
    around = functional.pad(torch.cat(structures, dim=1), (1, 1, 1, 1), mode="replicate")
    structure = _box(around, 3).reshape(len(now), len(SCALES), 6, *structures[0].shape[2:])
    xx, xy, yy, xt, yt, tt = structure.unbind(dim=2)  # each (N, scales, H/4, W/4)
    xx_, yy_, tt_ = xx + GRADIENT_FLOOR, yy + GRADIENT_FLOOR, tt + GRADIENT_FLOOR
    determinant = xx_ * yy_ - xy * xy
    u = (xy * yt - yy_ * xt) / determinant
    v = (xy * xt - xx_ * yt) / determinant
    unexplained = (tt + u * xt + v * yt) / tt_
    change, texture = (torch.log(x * (1.0 / GRADIENT_FLOOR)) * 0.2 for x in (tt_, xx_ + yy))
    scales = torch.tensor(SCALES, dtype=now.dtype, device=now.device)[:, None, None, None]
    flow = torch.stack((u, v), dim=2).clamp(-2.0, 2.0) * scales
    return flow, torch.stack((unexplained, change, texture), dim=2).flatten(1, 2)


def _structure(now: Tensor, before: Tensor, block: int) -> Tensor:
    """The structure tensor in space and time, xx xy yy xt yt tt: block means, (N, 6, h / block, w / block)."""
    middle = functional.pad((now + before) * 0.5, (1, 1, 1, 1), mode="replicate")
    x = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) * 0.5
    y = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) * 0.5
    t = now - before
    products = torch.cat((x * x, x * y, y * y, x * t, y * t, t * t), dim=1)
    return _box(products, block, stride=block) if block > 1 else products


def match_blocks(now: Tensor, before: Tensor) -> Tensor:
    """How badly each block and its neighbours fit the picture before, at each of SHIFTS: (N, shifts, H/4, W/4).

    Mean absolute difference of 4 px means, divided by its mean over the shifts: 0 fits, 1 is no better than chance.
    """
    now, before = functional.avg_pool2d(now, BLOCK_PX), functional.avg_pool2d(before, BLOCK_PX)
    height, width = now.shape[2:]
    up, left = REACH
    wide = functional.pad(before, (left, left, up, up), mode="replicate")
    shifted = [wide[:, :, up + y : up + y + height, left + x : left + x + width] for y, x in SHIFTS]
    misfit = (torch.cat(shifted, dim=1) - now).abs().contiguous(memory_format=torch.channels_last)
    misfit = _box(functional.pad(misfit, (1, 1, 1, 1), mode="replicate"), 3)
    return misfit / (misfit.mean(dim=1, keepdim=True) + CONTRAST_FLOOR)


def _features(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Differential flow, its traits, misfits and normalised blocks; on a CPU without gradients in single passes."""
    if now.device.type != "cpu" or torch.is_grad_enabled():
        return *differential_flow(now, before), match_blocks(now, before), normalised_blocks(now, before)
    a, b = now[:, 0].contiguous().numpy(), before[:, 0].contiguous().numpy()  # (N, H, W)
    count, height, width = a.shape[0], a.shape[1] // BLOCK_PX, a.shape[2] // BLOCK_PX
    flow = np.empty((count, len(SCALES), 2, height, width), np.float32)
    traits = np.empty((count, 3 * len(SCALES), height, width), np.float32)
    misfit = np.empty((count, height, width, len(SHIFTS)), np.float32)  # channels last, as convolutions like it
    blocks = np.empty((count, height, width, 2 * BLOCK_VALUES), np.float32)
    features.differential_flow(a, b, BLOCK_PX, len(SCALES), GRADIENT_FLOOR, flow, traits)
    features.match_blocks(a, b, BLOCK_PX, *REACH, CONTRAST_FLOOR, misfit)
    features.normalised_blocks(a, b, BLOCK_PX, CONTRAST_FLOOR, blocks)
    misfits, pair = (torch.from_numpy(array).permute(0, 3, 1, 2) for array in (misfit, blocks))
    return torch.from_numpy(flow), torch.from_numpy(traits), misfits, pair


def _pointwise(planes: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1 x 1 convolution as a matrix product: torch's own takes a slow path on a CPU for less than 16 pictures."""
    rows = functional.linear(planes.permute(0, 2, 3, 1), weight.flatten(1), bias)
    return rows.permute(0, 3, 1, 2)


def _box(planes: Tensor, size: int, *, stride: int = 1) -> Tensor:
    """Box means of each plane. A depthwise convolution: several times as fast as ``avg_pool2d`` on a CPU."""
    channels = planes.shape[1]
    kernel = planes.new_full((channels, 1, size, size), 1.0 / size**2)
    return functional.conv2d(planes, kernel, stride=stride, groups=channels)


class Network(nn.Module):
    """Encode each frame, step the state, decode: three calls, so that all frames of a batch share the outer two."""

    shifts: Tensor  # (2, shifts) px (x, y): the flow that each of SHIFTS stands for

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = arch = architecture or Architecture()
        self.look = nn.Conv2d(2 * BLOCK_VALUES, arch.look, 3, padding=1)
        self.match = nn.Conv2d(len(SHIFTS), MATCH_FEATURES, 1)
        self.sharpness = nn.Parameter(torch.tensor(10.0))  # of the choice of a match
        self.register_buffer(
            "shifts", -BLOCK_PX * torch.tensor([(x, y) for y, x in SHIFTS]).float().T, persistent=False
        )
        self.mix4 = nn.Conv2d(arch.look + MATCH_FEATURES + 2 + 5 * len(SCALES), arch.features, 3, padding=1)
        self.down8 = nn.Conv2d(arch.features, arch.context, 3, stride=2, padding=1)
        self.down16 = nn.Conv2d(arch.context, arch.context, 3, stride=2, padding=1)
        self.mix16 = nn.Conv2d(arch.context, arch.context, 3, padding=1)
        self.gates = nn.Conv2d(arch.context + arch.hidden, 4 * arch.hidden, 3, padding=1)
        self.up4 = nn.Conv2d(arch.hidden + arch.context, arch.features, 1)
        self.mix_up = nn.Conv2d(2 * arch.features, arch.features, 3, padding=1)
        self.head = nn.Conv2d(arch.features, sum(HEAD), 1)
        self.reconstruct_head = nn.Conv2d(arch.hidden, 4 * BLOCK_VALUES, 1)
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

    def initial_state(self, count: int, height: int, width: int) -> State:
        """The state before the first frame of ``count`` runs, for pictures of ``height`` x ``width``."""
        size = (count, self.architecture.hidden, height // CELL_PX, width // CELL_PX)
        weight = self.gates.weight
        return State(weight.new_zeros(size), weight.new_zeros(size))

    def encode(self, now: Tensor, before: Tensor) -> Encoded:
        """Two successive pictures (N, 1, H, W) in the units of ``centred`` -> features of the later one."""
        flows, traits, misfit, blocks = _features(now, before)
        likely = torch.softmax(misfit * -self.sharpness, dim=1)  # (N, shifts, H/4, W/4)
        candidates = torch.cat((flows, _pointwise(likely, self.shifts).unsqueeze(1)), dim=1)
        look = functional.relu(self.look(blocks))
        match = functional.relu(_pointwise(misfit, self.match.weight, self.match.bias))
        seen = torch.cat((look, match, candidates.flatten(1, 2), traits), dim=1)
        fine = functional.relu(self.mix4(seen.contiguous(memory_format=torch.channels_last)))
        coarse = functional.relu(self.down8(fine))
        wide = functional.relu(self.mix16(functional.relu(self.down16(coarse))))
        wide = functional.interpolate(wide, size=coarse.shape[2:], mode="nearest")
        coarse = coarse + wide
        drive = functional.conv2d(coarse, self.gates.weight[:, : self.architecture.context], self.gates.bias, padding=1)
        return Encoded(candidates, fine, coarse, drive)

    def step(self, drive: Tensor, state: State) -> State:
        """One ConvLSTM step: (N, 4 hidden, H/8, W/8) and the state before -> the state after.

        ``drive`` is the picture's own part of the gates: all that need not wait for the frame before.
        """
        gates = drive + functional.conv2d(state.hidden, self.gates.weight[:, self.architecture.context :], padding=1)
        keep_in, forget, out, value = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(keep_in) * torch.tanh(value)
        return State(torch.sigmoid(out) * torch.tanh(cell), cell)

    def decode(self, now: Tensor, encoded: Encoded, hidden: Tensor) -> Decoded:
        """The picture, its features and the state after it -> flow, foreground and the prediction of the next."""
        context = torch.cat((hidden, encoded.coarse), dim=1)
        context = functional.relu(_pointwise(context, self.up4.weight, self.up4.bias))
        context = functional.interpolate(context, scale_factor=2.0, mode="nearest")
        mixed = functional.relu(self.mix_up(torch.cat((encoded.fine, context), dim=1)))
        said = _pointwise(mixed, self.head.weight, self.head.bias)
        trust, more, foreground, change, log_spread = torch.split(said, list(HEAD), dim=1)
        flow = (torch.softmax(trust, dim=1).unsqueeze(2) * encoded.candidates).sum(dim=1) + more
        prediction = now + functional.pixel_shuffle(change, BLOCK_PX)
        # exp(-7) and exp(3) units are 0.06 and 1,300 grey levels: beyond any picture, and no overflow in between.
        return Decoded(flow, foreground, prediction, log_spread.clamp(-7.0, 3.0))

    def reconstruct(self, hidden: Tensor) -> Tensor:
        """The present picture (N, 1, H, W) from the state alone: what makes this an autoencoder. Training only."""
        return functional.pixel_shuffle(self.reconstruct_head(hidden), CELL_PX)


class Reduced(NamedTuple):
    """One frame per cell (8 px), as ``vad.types.CellMap`` wants it, still on the device; flow in px a frame."""

    flow: Tensor  # (N, 2, gh, gw)
    activity: Tensor  # (N, gh, gw)
    latent: Tensor  # (N, hidden, gh, gw)
    luma: Tensor  # (N, 2 gh, 2 gw)


def reduce_to_cells(decoded: Decoded, hidden: Tensor, luma: Tensor) -> Reduced:
    """Average over the four blocks of each cell; the flow weighted by the foreground, so background does not dilute it.

    ``luma`` is (N, 1, H, W), 0..255.
    """
    share = torch.sigmoid(decoded.foreground)  # (N, 1, H/4, W/4)
    weight = share * share + 1e-6  # squared: an uncertain border block counts for little beside a sure one
    blocks = CELL_PX // BLOCK_PX
    flow = functional.avg_pool2d(decoded.flow * weight, blocks) / functional.avg_pool2d(weight, blocks)
    activity = functional.avg_pool2d(share, blocks)
    return Reduced(flow, activity[:, 0], hidden, functional.avg_pool2d(luma, BLOCK_PX)[:, 0])


def surprise_per_cell(now: Tensor, prediction: Tensor, log_spread: Tensor) -> Tensor:
    """Mean over each cell of the absolute error over its predicted mean: (N, gh, gw), about 1 when as expected.

    ``now`` and ``prediction`` are (N, 1, H, W) in the units of ``centred``, ``log_spread`` (N, 1, H/4, W/4).
    """
    error = functional.avg_pool2d((now - prediction).abs(), BLOCK_PX)
    return functional.avg_pool2d(error * torch.exp(-log_spread), CELL_PX // BLOCK_PX)[:, 0]
