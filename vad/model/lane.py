"""What a device keeps for all cameras of one picture size: their states, the buffers of a batch, the step over them.

``advance`` is a plain function over buffers that never move, free of host synchronisation and of shapes that depend on
data: on a CPU, and at first on a CUDA device, it is called as it is; then it is captured once for each batch size and
replayed (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). Batches are filled up to the next size in
``BATCHES``; what fills them belongs to slot 0, which is nobody's.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import structlog
import torch
from torch import Tensor

from vad.model.layout import Rows
from vad.model.network import Network, State, centred, reduce_to_cells, surprise_per_cell
from vad.types import BLOCK_PX, CELL_PX

log = structlog.get_logger(__name__)

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Frames of one step, each of another camera: one graph each."""

EAGER_CALLS = 2
"""Calls of a batch size before it is captured: libraries choose and load their kernels in the first ones."""

MOST_FAILURES = 3
"""Captures that may fail before no more are tried: what other threads do on the device may spoil one by chance."""

FIRST_SLOTS = 64
"""Cameras for which there is room at first; it doubles."""


class Slots(NamedTuple):
    """The states of all cameras of one picture size, one row each, float32."""

    before: Tensor  # (S, 1, H, W) the last picture, in the units of ``centred``
    hidden: Tensor  # (S, hidden, H/8, W/8)
    cell: Tensor
    prediction: Tensor  # (S, 1, H, W) of the frame to come
    log_spread: Tensor  # (S, 1, H/4, W/4)


def advance(network: Network, slots: Slots, pictures: Tensor, about: Tensor, out: Tensor) -> None:
    """One frame of each of B cameras: ``pictures`` (B, 1, H, W) uint8 -> ``out`` (B, values) float32.

    ``slots`` move on by that frame. ``about`` (B, 2) int64 holds each camera's slot, and 1 where a run begins: there
    the frame before is the frame itself. Nothing is written before all is computed, so that running out of memory
    leaves the states as they were.
    """
    slot, begins = about[:, 0], about[:, 1, None, None, None] > 0
    luma = pictures.float()
    now = centred(luma)
    before = torch.where(begins, now, slots.before.index_select(0, slot))
    expected = torch.where(begins, now, slots.prediction.index_select(0, slot))
    spread = slots.log_spread.index_select(0, slot).masked_fill(begins, 0.0)
    hidden = slots.hidden.index_select(0, slot).masked_fill(begins, 0.0)
    cell = slots.cell.index_select(0, slot).masked_fill(begins, 0.0)
    encoded = network.encode(now, before)
    state = network.step(encoded.drive, State(hidden, cell))
    decoded = network.decode(now, encoded, state.hidden)
    reduced = reduce_to_cells(encoded.flow, decoded.foreground, state.hidden, luma)
    surprise = surprise_per_cell(now, expected, spread)
    results = (reduced.flow, reduced.activity, surprise, reduced.latent, reduced.luma)  # the order of ``Rows``
    packed = torch.cat([values.flatten(1) for values in results], dim=1)
    after = Slots(now, state.hidden, state.cell, decoded.prediction, decoded.log_spread)
    for kept, new in zip(slots, after, strict=True):
        kept.index_copy_(0, slot, new)
    out.copy_(packed)


Step = Callable[[Network, Slots, Tensor, Tensor, Tensor], None]
"""``advance``, or something that does the same."""


class Lane:
    """One picture size, ``height`` x ``width``, at most ``most`` (of ``BATCHES``) frames a step.

    With ``stream`` (CUDA) all work is queued on it, and captured unless ``captures`` is False. Whoever calls makes it
    the current stream, and has inference mode on.
    """

    def __init__(
        self,
        network: Network,
        height: int,
        width: int,
        *,
        device: torch.device,
        most: int,
        stream: torch.cuda.Stream | None = None,
        captures: bool = True,
        step: Step = advance,
    ) -> None:
        self.most = most
        self.cells = height // CELL_PX, width // CELL_PX
        self._network = network
        self._step = step
        self._size = height, width
        self._device = device
        self._stream = stream
        self._captures = captures and stream is not None
        self._pool: Any = torch.cuda.graph_pool_handle() if self._captures else None
        self._calls = dict.fromkeys(BATCHES, 0)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._failures = 0
        self._spoilt: list[torch.cuda.CUDAGraph] = []  # torch's allocator still points at them
        self._free = list(range(FIRST_SLOTS - 1, 0, -1))
        self.slots = self._new_slots(FIRST_SLOTS)
        self.pictures = torch.zeros((most, 1, height, width), dtype=torch.uint8, device=device)
        self.about = torch.zeros((most, 2), dtype=torch.int64, device=device)
        self.out = torch.zeros((most, self.values), device=device)

    @property
    def values(self) -> int:
        """Numbers in a row of ``out``: those of ``Rows``."""
        blocks = (CELL_PX // BLOCK_PX) ** 2
        return (2 + 1 + 1 + self._network.architecture.hidden + blocks) * self.cells[0] * self.cells[1]

    def take_slot(self) -> int:
        if not self._free:
            self._grow()
        return self._free.pop()

    def give_slot(self, slot: int) -> None:
        self._free.append(slot)

    @property
    def is_idle(self) -> bool:
        """No camera has a slot."""
        return len(self._free) == len(self.slots.before) - 1

    def step(self, count: int) -> None:
        """Advance the first ``count`` rows of ``pictures`` and ``about``; their results are in ``out``.

        Raises torch.OutOfMemoryError, with every state as it was.
        """
        batch = next(size for size in BATCHES if size >= count)
        self.about[count:batch].zero_()
        if batch not in self._graphs and self._captures and self._calls[batch] >= EAGER_CALLS:
            self._capture(batch)
        self._calls[batch] += 1
        if batch in self._graphs:
            self._graphs[batch].replay()
        else:
            self._advance(batch)

    def rows(self, results: Any) -> Rows:
        """Rows of ``out`` on the host, (F, values) float32, as views in the shapes of ``CellMap``."""
        gh, gw = self.cells
        hidden = self._network.architecture.hidden
        blocks = CELL_PX // BLOCK_PX
        shapes = ((2, gh, gw), (gh, gw), (gh, gw), (hidden, gh, gw), (blocks * gh, blocks * gw))
        views, first = [], 0
        for shape in shapes:
            count = int(torch.Size(shape).numel())
            views.append(results[:, first : first + count].reshape(-1, *shape))
            first += count
        return Rows(*views)

    def _advance(self, batch: int) -> None:
        self._step(self._network, self.slots, self.pictures[:batch], self.about[:batch], self.out[:batch])

    def _capture(self, batch: int) -> None:
        """A device that cannot hold the step as a graph still runs it: said each time, tried MOST_FAILURES times.

        Raises torch.OutOfMemoryError where fewer frames may do.
        """
        graph = torch.cuda.CUDAGraph()
        # Other threads decode on this device meanwhile: what they allocate must not spoil the capture.
        held = torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local")
        try:
            with _nothing_collected(), held:
                self._advance(batch)
        except RuntimeError as exc:
            self._note_failure(graph, batch, exc)
            return
        self._graphs[batch] = graph

    def _note_failure(self, graph: torch.cuda.CUDAGraph, batch: int, exc: RuntimeError) -> None:
        errors = (exc, exc.__context__)
        no_memory = next((error for error in errors if isinstance(error, torch.OutOfMemoryError)), None)
        if exc is not no_memory:  # ending the capture has failed, and torch has not cleaned up after it
            self._spoilt.append(graph)
            self._pool = torch.cuda.graph_pool_handle()
        if no_memory is not None and batch > 1:
            raise no_memory
        self._failures += 1
        self._captures = self._failures < MOST_FAILURES
        detail = str(no_memory or exc).split("\n")[0]
        log.warning("model.no_graph", batch=batch, size=self._size, failures=self._failures, detail=detail)

    def _new_slots(self, count: int) -> Slots:
        height, width = self._size
        picture = torch.zeros((count, 1, height, width), device=self._device)
        state = self._network.initial_state(count, height, width)
        spread = torch.zeros((count, 1, height // BLOCK_PX, width // BLOCK_PX), device=self._device)
        return Slots(picture, state.hidden, state.cell, picture.clone(), spread)

    def _grow(self) -> None:
        """Twice the slots. Graphs hold the old ones' addresses, so they go first, once the device is done with them."""
        count = len(self.slots.before)
        wider = self._new_slots(2 * count)
        for new, old in zip(wider, self.slots, strict=True):
            new[:count].copy_(old)
        if self._stream is not None:
            self._stream.synchronize()
        if self._graphs:
            self._graphs.clear()
            self._pool = torch.cuda.graph_pool_handle()  # the memory of the old one went with its last graph
        self._calls = dict.fromkeys(BATCHES, 0)  # a thread's first calls may not be those captured
        self.slots = wider
        self._free = list(range(2 * count - 1, count - 1, -1))


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """What the garbage collector frees on a device in the middle of a capture would spoil it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
