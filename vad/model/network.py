"""The network: a small CNN + ConvLSTM autoencoder with flow, foreground and prediction heads.

Everything a frame needs from the past is the frame before it and the ConvLSTM's state, so the cost per frame does not
grow with the length of the footage. No layer mixes the members of a batch: one camera never sees another.

Picture sizes are multiples of ``CELL_PX``; "stride 4" and "stride 8" are the grids of 4 px blocks and 8 px cells.

The ConvLSTM is Shi et al., "Convolutional LSTM Network", NeurIPS 2015, without peepholes. The multiplicative units of
the stem follow the motion energy model (Adelson and Bergen 1985): a product of two space-time filters responds to
motion itself, where a rectified filter responds to contrast as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vad.types import BLOCK_PX, CELL_PX

LUMA_UNIT = 64.0
"""Grey levels of one unit of the network's pictures: about the contrast of a scene."""

CONTRAST_FLOOR = 6.0 / LUMA_UNIT
"""Added to the local contrast that divides the stem's input: about twice a camera's noise, so noise stays small."""

BLOCK_VALUES = BLOCK_PX * BLOCK_PX


@dataclass(frozen=True, slots=True)
class Architecture:
    """Channel counts, all that is needed to rebuild the network: kept in the model card."""

    stem: int = 24  # space-time filters at stride 2; half as many products of them
    features: int = 32  # at stride 4
    context: int = 40  # at stride 8
    hidden: int = 24  # ConvLSTM, at stride 8

    def __post_init__(self) -> None:
        for name in ("stem", "features", "context", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 512 or value % 2:
                raise ValueError(f"{name} is {value!r}; allowed: an even number of channels from 2 to 512")


class State(NamedTuple):
    """What the ConvLSTM carries, each (N, hidden, H/8, W/8)."""

    hidden: Tensor
    cell: Tensor


class Encoded(NamedTuple):
    """One frame after the feed-forward encoder."""

    fine: Tensor  # (N, features, H/4, W/4)
    coarse: Tensor  # (N, context, H/8, W/8)


class Decoded(NamedTuple):
    """What the network says of one frame and of the one after it, at stride 4."""

    flow: Tensor  # (N, 2, H/4, W/4) px a frame (x, y): how far what is here now has come since the frame before
    foreground: Tensor  # (N, 1, H/4, W/4) logit of "covered by something that moves"
    prediction: Tensor  # (N, 1, H, W) the next picture, in the units of ``centred``
    log_spread: Tensor  # (N, 1, H/4, W/4) log of the expected absolute error of ``prediction`` in that block


def centred(luma: Tensor) -> Tensor:
    """(N, 1, H, W) luma 0..255 -> zero mean per picture, in ``LUMA_UNIT``: a change of exposure alone vanishes."""
    return (luma - luma.mean(dim=(2, 3), keepdim=True)) * (1.0 / LUMA_UNIT)


def _local_contrast(pair: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and inverse contrast around each cell (24 px square, both pictures), each (N, 1, H/2, W/2).

    Both pictures share them: what stands still stays exactly still.
    """
    moments = torch.cat((pair.mean(dim=1, keepdim=True), (pair * pair).mean(dim=1, keepdim=True)), dim=1)
    moments = functional.avg_pool2d(moments, CELL_PX // 2)
    moments = functional.avg_pool2d(moments, 3, stride=1, padding=1, count_include_pad=False)
    mean, square = moments.chunk(2, dim=1)
    gain = ((square - mean * mean).clamp_min(0.0).sqrt() + CONTRAST_FLOOR).reciprocal()
    local = functional.interpolate(torch.cat((mean, gain), dim=1), scale_factor=float(CELL_PX // 2), mode="nearest")
    return local[:, :1], local[:, 1:]


class Network(nn.Module):
    """Encode each frame, step the state, decode: three calls, so that all frames of a batch share the outer two."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = arch = architecture or Architecture()
        # A pixel-unshuffle by 2 of two frames makes 8 channels; 3 x 3 on it sees 6 x 6 px of both.
        self.stem = nn.Conv2d(8, arch.stem, 3, padding=1)
        self.down4 = nn.Conv2d(arch.stem + arch.stem // 2, arch.features, 3, stride=2, padding=1)
        self.mix4 = nn.Conv2d(arch.features, arch.features, 3, padding=1)
        self.down8 = nn.Conv2d(arch.features, arch.context, 3, stride=2, padding=1)
        self.down16 = nn.Conv2d(arch.context, arch.context, 3, stride=2, padding=1)
        self.mix16 = nn.Conv2d(arch.context, arch.context, 3, padding=1)
        self.gates = nn.Conv2d(arch.context + arch.hidden, 4 * arch.hidden, 3, padding=1)
        self.up4 = nn.Conv2d(arch.hidden + arch.context, arch.features, 1)
        self.mix_up = nn.Conv2d(2 * arch.features, arch.features, 3, padding=1)
        self.head = nn.Conv2d(arch.features, 2 + 1 + BLOCK_VALUES + 1, 1)
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
        pair = functional.pixel_unshuffle(torch.cat((now, before), dim=1), 2)  # (N, 8, H/2, W/2)
        mean, gain = _local_contrast(pair)
        pair = (pair - mean) * gain
        linear = self.stem(pair.contiguous(memory_format=torch.channels_last))
        first, second = linear.chunk(2, dim=1)
        energy = first * second
        fine = functional.relu(self.down4(torch.cat((functional.relu(linear), energy), dim=1)))
        fine = functional.relu(self.mix4(fine))
        coarse = functional.relu(self.down8(fine))
        wide = functional.relu(self.mix16(functional.relu(self.down16(coarse))))
        wide = functional.interpolate(wide, size=coarse.shape[2:], mode="nearest")
        return Encoded(fine, coarse + wide)

    def step(self, coarse: Tensor, state: State) -> State:
        """One ConvLSTM step: (N, context, H/8, W/8) and the state before -> the state after."""
        gates = self.gates(torch.cat((coarse, state.hidden), dim=1))
        keep_in, forget, out, value = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(keep_in) * torch.tanh(value)
        return State(torch.sigmoid(out) * torch.tanh(cell), cell)

    def decode(self, now: Tensor, encoded: Encoded, hidden: Tensor) -> Decoded:
        """The picture, its features and the state after it -> flow, foreground and the prediction of the next."""
        context = functional.relu(self.up4(torch.cat((hidden, encoded.coarse), dim=1)))
        context = functional.interpolate(context, scale_factor=2.0, mode="nearest")
        mixed = functional.relu(self.mix_up(torch.cat((encoded.fine, context), dim=1)))
        flow, foreground, change, log_spread = self.head(mixed).split((2, 1, BLOCK_VALUES, 1), dim=1)
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
