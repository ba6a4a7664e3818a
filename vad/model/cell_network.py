"""The network with one row for each cell that is looked at: the layers of ``Network`` as products of matrices.

What a convolution needs of the neighbours stands in tables (``vad.model.tables``), the newest value of each, be
it of this frame or held from before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vad.model import cell_kernels
from vad.model.compiling import Planes
from vad.model.network import CELL_BLOCKS, FAINT, Network
from vad.model.tables import Places
from vad.types import CELL_PX

PIECE_ROWS = 512
"""Rows that go through a convolution together: their neighbourhoods stay in the cache."""


class Held(NamedTuple):
    """What was last said of each cell of one camera."""

    cells: Tensor  # (n, values) side by side: the tables of ``CellNetwork``
    wide: Tensor  # (m, 2 features), places at stride 16


class Said(NamedTuple):
    """What the network says of R cells, and what the C cameras hold afterwards."""

    flow: Planes  # (R, 2) px a frame
    surprise: Planes  # (R,)
    activity: Tensor  # (F, n, 1) of every cell, newest value
    hidden: Tensor  # (F, n, hidden) likewise
    held: list[Held]


class CellNetwork:
    """``Network`` in inference, for pictures of any size. Same numbers, but for the order of sums."""

    def __init__(self, network: Network) -> None:
        arch = network.architecture
        self.hidden = arch.hidden
        self._features = arch.features
        self._widths = [arch.look, arch.features, arch.features, arch.hidden, arch.hidden, CELL_PX**2, CELL_BLOCKS, 1]
        self._near = _Layer(network.near.weight, network.near.bias)
        self._mix8 = _Layer(network.mix8.weight, network.mix8.bias)
        self._down16 = _Layer(network.down16.weight, network.down16.bias)
        self._mix16 = _Layer(network.mix16.weight, network.mix16.bias)
        self._drive = _Layer(network.gates.weight[:, : arch.features], network.gates.bias)
        self._recurrent = _Layer(network.gates.weight[:, arch.features :], None)
        self._mix = _Layer(network.mix.weight, network.mix.bias)
        self._head = _Layer(network.head.weight, network.head.bias)

    def nothing_held(self, cells: int, places: int) -> Held:
        """Of a run that begins."""
        return Held(torch.zeros(cells, sum(self._widths)), torch.zeros(places, 2 * self._features))

    def said_before(self, held: Held) -> tuple[Tensor, Tensor]:
        """Activity (n, 1) and hidden state (n, hidden) as they are held."""
        *_, hidden, _, _, _, activity = torch.split(held.cells, self._widths, dim=1)
        return activity, hidden

    def __call__(
        self, places: Places, held: Sequence[Held], seen: Tensor, pictures: Planes, flow: Planes, steps: Sequence[int]
    ) -> Said:
        """``seen`` (R, SEEN), ``pictures`` (R, 64) and ``flow`` (R, 2, 4) of the cells looked at, as ``features.look``
        gives them; ``steps`` the first row of each time step, and R."""
        before = torch.split(torch.cat([h.cells for h in held]), self._widths, dim=1)
        tables = [_table(part, len(seen)) for part in before]
        near, coarse8, coarse, hidden, cell, prediction, spread, activity = tables
        first = len(near) - len(seen)
        at = Index(*(torch.from_numpy(index) for index in places))
        functional.relu_(torch.addmm(self._near.bias, seen, self._near.weight, out=near[first:]))
        self._mix8.convolve(near, at.near, out=coarse8[first:])
        wide = self._widen(coarse8, at, torch.cat([h.wide for h in held]))
        torch.add(coarse8[first:], wide[1].index_select(0, at.parent), out=coarse[first:])
        drive = self._drive.convolve(coarse, at.near, out=torch.empty(len(seen), 4 * self.hidden), rectified=False)
        for begin, end in pairwise(steps):
            if begin < end:
                self._step(drive[begin:end], at.past[begin:end], hidden, cell, first + begin)
        known = torch.cat((near[first:], coarse[first:], hidden[first:]), dim=1)
        mixed = functional.relu_(torch.addmm(self._mix.bias, known, self._mix.weight))
        heads = torch.addmm(self._head.bias, mixed, self._head.weight)
        mean_flow, surprise = np.empty((len(seen), 2), np.float32), np.empty(len(seen), np.float32)
        told = prediction.numpy(), spread.numpy(), activity.numpy()
        cell_kernels.say(heads.numpy(), pictures, places.past, first, flow, FAINT, *told, mean_flow, surprise)
        held_now = _held(tables, wide, at)
        return Said(mean_flow, surprise, _newest(activity, at.seen), _newest(hidden, at.seen), held_now)

    def _widen(self, coarse8: Tensor, at: Index, held: Tensor) -> tuple[Tensor, Tensor]:
        """The two tables at stride 16."""
        down, wide = (_table(part, len(at.under)) for part in torch.split(held, self._features, dim=1))
        first = len(down) - len(at.under)
        self._down16.convolve(coarse8, at.under, out=down[first:])
        self._mix16.convolve(down, at.wide, out=wide[first:])
        return down, wide

    def _step(self, drive: Tensor, past: Tensor, hidden: Tensor, cell: Tensor, first: int) -> None:
        """``Network.step`` for the rows of one time step, from ``first`` on in the tables ``hidden`` and ``cell``."""
        around = hidden.index_select(0, past.reshape(-1)).view(len(past), -1)
        gates = drive.addmm_(around, self._recurrent.weight)
        cell_kernels.step(gates.numpy(), past.numpy(), first, hidden.numpy(), cell.numpy())


class Index(NamedTuple):
    """``Places`` as tensors."""

    rows: Tensor
    past: Tensor
    near: Tensor
    parent: Tensor
    under: Tensor
    wide: Tensor
    seen: Tensor
    last: Tensor
    last_wide: Tensor


class _Layer:
    """A convolution's weights as a matrix (taps x in, out), taps row by row from the top left."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        out = weight.shape[0]
        self.weight = weight.detach().permute(2, 3, 1, 0).reshape(-1, out).contiguous()
        self.bias = torch.zeros(out) if bias is None else bias.detach().clone()

    def convolve(self, table: Tensor, around: Tensor, *, out: Tensor, rectified: bool = True) -> Tensor:
        """Rows of ``table`` (., in) in the neighbourhoods ``around`` (R, 9) -> ``out`` (R, out)."""
        for begin in range(0, len(around), PIECE_ROWS):
            piece = around[begin : begin + PIECE_ROWS]
            values = table.index_select(0, piece.reshape(-1)).view(len(piece), -1)
            torch.addmm(self.bias, values, self.weight, out=out[begin : begin + PIECE_ROWS])
        return functional.relu_(out) if rectified else out


def _table(held: Tensor, rows: int) -> Tensor:
    """Row 0 is what lies beyond the picture, then what is held, then ``rows`` to be filled."""
    table = held.new_empty(1 + len(held) + rows, held.shape[1])
    table[0] = 0.0
    table[1 : 1 + len(held)] = held
    return table


def _newest(table: Tensor, seen: Tensor) -> Tensor:
    """(F, n, values)."""
    return table.index_select(0, seen.view(-1)).view(*seen.shape, -1)


def _held(tables: list[Tensor], wide: tuple[Tensor, Tensor], at: Index) -> list[Held]:
    last, last_wide = at.last.view(-1), at.last_wide.view(-1)
    cells = torch.cat([table.index_select(0, last) for table in tables], dim=1).view(*at.last.shape, -1)
    places = torch.cat([table.index_select(0, last_wide) for table in wide], dim=1).view(*at.last_wide.shape, -1)
    # Clones: a slice would keep all cameras' alive for as long as the slowest camera's.
    return [Held(c.clone(), w.clone()) for c, w in zip(cells, places, strict=True)]
