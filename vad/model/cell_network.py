"""The network with one row for each cell that is looked at: the layers of ``Network`` as products of matrices.

What a convolution needs of the neighbours stands in tables (``vad.model.tables``), the newest value of each, be
it of this frame or held from before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from vad.model.cell_kernels import fetch, keep, say, warm_cells
from vad.model.cell_layers import PANEL, Index, add_wide, panels_of, product, recur, warm_layers
from vad.model.compiling import Planes
from vad.model.network import CELL_BLOCKS, FAINT, Architecture, Network
from vad.model.room import Room
from vad.model.tables import Places, Rows
from vad.types import CELL_PX


class Held(NamedTuple):
    """What was last said of each cell of one camera, in ``Columns``."""

    cells: Planes  # (n, values)
    wide: Planes  # (m, 2 features), places at stride 16


class Said(NamedTuple):
    """What the network says of R cells, valid until it is asked again."""

    flow: Planes  # (R, 2) px a frame
    surprise: Planes  # (R,)
    cells: Planes  # (R, values), in ``Columns``
    table: Planes  # that the last R rows are of
    wide: Planes  # likewise at stride 16


class Columns(NamedTuple):
    """Where the values of a cell begin in its row of a table; those that the heads read come first, side by side."""

    near: int
    coarse: int
    hidden: int
    coarse8: int
    cell: int
    prediction: int  # spread and activity follow: the activity is the last value
    total: int

    @staticmethod
    def of(arch: Architecture) -> Columns:
        told = CELL_PX**2 + CELL_BLOCKS + 1
        widths = (arch.look, arch.features, arch.hidden, arch.features, arch.hidden, told)
        return Columns(*(sum(widths[:k]) for k in range(len(widths) + 1)))


class CellNetwork:
    """``Network`` in inference, for pictures of any size. Same numbers, but for the order of sums."""

    def __init__(self, network: Network, room: Room) -> None:
        arch = network.architecture
        self.hidden = arch.hidden
        self.columns = Columns.of(arch)
        self._features = arch.features
        self._room = room
        self._near = _Layer(network.near.weight, network.near.bias)
        self._mix8 = _Layer(network.mix8.weight, network.mix8.bias)
        self._down16 = _Layer(network.down16.weight, network.down16.bias)
        self._mix16 = _Layer(network.mix16.weight, network.mix16.bias)
        self._drive = _Layer(network.gates.weight[:, : arch.features], network.gates.bias)
        self._recurrent = _Layer(network.gates.weight[:, arch.features :], None)
        self._mix = _Layer(network.mix.weight, network.mix.bias)
        self._head = _Layer(network.head.weight, network.head.bias)
        warm_layers()
        warm_cells()

    def nothing_held(self, cells: int, places: int) -> Held:
        """Of a run that begins."""
        wide = np.zeros((places, 2 * self._features), np.float32)
        return Held(np.zeros((cells, self.columns.total), np.float32), wide)

    @property
    def nothing_said(self) -> Said:
        """Of no cell."""
        none = np.empty((0, self.columns.total), np.float32)
        return Said(np.empty((0, 2), np.float32), np.empty(0, np.float32), none, none, none)

    def __call__(self, places: Places, held: Held, seen: Planes, pictures: Planes, flow: Planes) -> Said:
        """``seen`` (R, SEEN) and ``flow`` (R, 2, 4) of the cells looked at, as ``features.look`` gives them; their
        ``pictures`` (T, H, W). ``held`` is only read."""
        at, around, rows = self.columns, places.around, len(seen)
        table = self._table("table", places.held, rows, held.cells)
        first = len(table) - rows
        alone = np.arange(len(table), dtype=np.int32)[:, None]
        self._near(seen, 0, alone[:rows], table, first, at.near)
        self._mix8(table, at.near, around.near, table, first, at.coarse8)
        wide = self._widen(places, held.wide, table)
        add_wide(table, at.coarse8, wide, self._features, around.parent, first, at.coarse, self._features)
        drive = self._room("drive", rows, 4 * self.hidden)
        self._drive(table, at.coarse, around.near, drive, 0, 0, rectified=False)
        gates = self._recurrent
        recur(drive, places.begins, around.past, gates.panels, gates.bias, table, first, at.hidden, at.cell)
        mixed, heads = self._room("mixed", rows, self._mix.width), self._room("heads", rows, self._head.width)
        self._mix(table, at.near, alone[first:], mixed, 0, 0)
        self._head(mixed, 0, alone[:rows], heads, 0, 0, rectified=False)
        mean_flow, surprise = np.empty((rows, 2), np.float32), np.empty(rows, np.float32)
        told = table, at.prediction, mean_flow, surprise
        say(heads, pictures, places.where, around.past, first, flow, FAINT, *told)
        return Said(mean_flow, surprise, table[first:], table, wide)

    def _widen(self, places: Places, held: Planes, table: Planes) -> Planes:
        """The table at stride 16: what was looked at coarsely, then with its neighbours."""
        under, around = places.around.under, places.around.wide
        wide = self._table("wide", places.held_wide, len(under), held)
        first = len(wide) - len(under)
        self._down16(table, self.columns.coarse8, under, wide, first, 0)
        self._mix16(wide, 0, around, wide, first, self._features)
        return wide

    def _table(self, name: str, needed: Rows, rows: int, held: Planes) -> Planes:
        """Row 0 is what lies beyond the picture, then what is ``needed`` of ``held``, then ``rows`` to be filled."""
        table = self._room(name, 1 + len(needed.row) + rows, held.shape[1])
        table[0] = 0.0
        fetch(held, *needed, table)
        return table

    def keep(self, said: Said, places: Places, held: Held) -> None:
        """Change what is held to what was said last."""
        keep(held.cells, *places.last, said.table)
        keep(held.wide, *places.last_wide, said.wide)


class _Layer:
    """A convolution's weights as a matrix (taps x in, out), taps row by row from the top left."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.width = weight.shape[0]
        self.panels = panels_of(weight.detach().permute(2, 3, 1, 0).reshape(-1, self.width).numpy())
        self.bias = np.zeros(len(self.panels) * PANEL, np.float32)
        if bias is not None:
            self.bias[: self.width] = bias.detach().numpy()

    def __call__(
        self, table: Planes, at: int, around: Index, out: Planes, first: int, to: int, *, rectified: bool = True
    ) -> None:
        """Rows ``around`` (R, taps) of ``table`` from column ``at`` -> ``out`` from row ``first``, column ``to``."""
        product(table, at, around, self.panels, self.bias, rectified, out, first, to, self.width)
