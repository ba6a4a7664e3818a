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
from vad.model.tables import Places, Shares
from vad.types import CELL_PX

PIECE_ROWS = 512
"""Rows that go through a convolution together: their neighbourhoods stay in the cache."""


class Held(NamedTuple):
    """What was last said of each cell of one camera, ``Tables`` side by side."""

    cells: Planes  # (n, values)
    wide: Planes  # (m, 2 features), places at stride 16


class Said(NamedTuple):
    """What the network says of R cells, and the tables to be kept of it."""

    flow: Planes  # (R, 2) px a frame
    surprise: Planes  # (R,)
    hidden: Planes  # (R, hidden)
    activity: Planes  # (R, 1)
    tables: tuple[Planes, ...]
    tables_wide: tuple[Planes, ...]


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

    @property
    def hidden_at(self) -> int:
        """Where the state begins in what is held of a cell; the activity is the last value."""
        return sum(self._widths[:3])

    @property
    def nothing_said(self) -> Said:
        """Of no cell."""
        none = [np.empty((0, width), np.float32) for width in (2, self.hidden, 1)]
        return Said(none[0], np.empty(0, np.float32), none[1], none[2], (), ())

    def nothing_held(self, cells: int, places: int) -> Held:
        """Of a run that begins."""
        held_wide = np.zeros((places, 2 * self._features), np.float32)
        return Held(np.zeros((cells, sum(self._widths)), np.float32), held_wide)

    def __call__(
        self, places: Places, held: Sequence[Held], seen: Tensor, pictures: Planes, flow: Planes, steps: Sequence[int]
    ) -> Said:
        """``seen`` (R, SEEN) and ``flow`` (R, 2, 4) of the cells looked at, as ``features.look`` gives them; their
        ``pictures`` (F, H, W); ``steps`` the first row of each time step, and R. ``held`` is only read."""
        tables = Tables(*_tables(self._widths, places.held, len(seen), [one.cells for one in held]))
        first, around = len(tables.near) - len(seen), _Around(*(torch.from_numpy(rows) for rows in places.around))
        near, coarse8, coarse, hidden = (table[first:] for table in tables[:4])
        functional.relu_(torch.addmm(self._near.bias, seen, self._near.weight, out=near))
        self._mix8.convolve(tables.near, around.near, out=coarse8)
        wide = _tables([self._features] * 2, places.held_wide, len(around.under), [one.wide for one in held])
        self._widen(tables.coarse8, around, *wide)
        torch.add(coarse8, wide[1].index_select(0, around.parent), out=coarse)
        drive = torch.empty(len(seen), 4 * self.hidden)
        self._drive.convolve(tables.coarse, around.near, out=drive, rectified=False)
        for begin, end in pairwise(steps):
            if begin < end:
                self._step(drive[begin:end], around.past[begin:end], tables, first + begin)
        known = torch.cat((near, coarse, hidden), dim=1)
        mixed = functional.relu_(torch.addmm(self._mix.bias, known, self._mix.weight))
        heads = torch.addmm(self._head.bias, mixed, self._head.weight).numpy()
        mean_flow, surprise = np.empty((len(seen), 2), np.float32), np.empty(len(seen), np.float32)
        kept, kept_wide = (tuple(table.numpy() for table in some) for some in (tables, wide))
        past = places.around.past
        cell_kernels.say(heads, pictures, places.where, past, first, flow, FAINT, *kept[5:], mean_flow, surprise)
        return Said(mean_flow, surprise, hidden.numpy(), kept[-1][first:], kept, kept_wide)

    def _widen(self, coarse8: Tensor, around: _Around, down: Tensor, wide: Tensor) -> None:
        """Fill the two tables at stride 16."""
        first = len(down) - len(around.under)
        self._down16.convolve(coarse8, around.under, out=down[first:])
        self._mix16.convolve(down, around.wide, out=wide[first:])

    def _step(self, drive: Tensor, past: Tensor, tables: Tables, first: int) -> None:
        """``Network.step`` for the rows of one time step, from ``first`` on in the tables."""
        values = tables.hidden.index_select(0, past.reshape(-1)).view(len(past), -1)
        gates = drive.addmm_(values, self._recurrent.weight)
        cell_kernels.step(gates.numpy(), past.numpy(), first, tables.hidden.numpy(), tables.cell.numpy())


class Tables(NamedTuple):
    """Of cells; a row each."""

    near: Tensor
    coarse8: Tensor
    coarse: Tensor
    hidden: Tensor
    cell: Tensor
    prediction: Tensor
    spread: Tensor
    activity: Tensor


class _Around(NamedTuple):
    """``tables.Around`` as tensors."""

    past: Tensor
    near: Tensor
    parent: Tensor
    under: Tensor
    wide: Tensor


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


def _tables(widths: Sequence[int], shares: Shares, rows: int, held: Sequence[Planes]) -> list[Tensor]:
    """Row 0 is what lies beyond the picture, then what is needed of ``held``, then ``rows`` to be filled."""
    tables = [torch.empty(1 + len(shares.row) + rows, width) for width in widths]
    arrays = tuple(table.numpy() for table in tables)
    for table in arrays:
        table[0] = 0.0
    for c, values in enumerate(held):
        cell_kernels.fetch(values, c, *shares, arrays)
    return tables


def keep(said: Said, places: Places, held: Sequence[Held]) -> None:
    """Change what the cameras hold to what was said of them last."""
    for c, one in enumerate(held):
        cell_kernels.keep(one.cells, c, *places.last, said.tables)
        cell_kernels.keep(one.wide, c, *places.last_wide, said.tables_wide)
