"""Clips of many cameras -> cell maps on a CUDA device: ``Runner``'s numbers, with nothing launched one by one.

One frame of each of many cameras is a step (``lane``); a clip of T frames is T steps. While the device computes one,
the next is uploaded and the last one's results come down, each on a stream of its own, through two *berths*: pinned
memory and its counterpart on the device, allocated once for each picture size. Only pooled luma (uint8) goes up, and
one packed row a frame comes down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from vad.errors import EngineError
from vad.model.lane import BATCHES, Lane, Step, advance
from vad.model.layout import Layout, cell_maps, layouts
from vad.model.weights import Weights
from vad.types import CELL_PX, CellMap, Clip, Frame, Geometry, WallSource

log = structlog.get_logger(__name__)

MOST_IDLE_SIZES = 4
"""Picture sizes without a camera whose buffers and graphs are kept for the next one."""


class _Streams(NamedTuple):
    upload: torch.cuda.Stream
    compute: torch.cuda.Stream
    download: torch.cuda.Stream


@dataclass(slots=True)
class _Seat:
    """Where a camera's state is, and whose continuation it would be."""

    lane: Lane
    slot: int
    run: int
    geometry: Geometry
    pts_s: float


class _Berth:
    """One step's way up and down. ``pending`` are the rows of the call's results that it still carries."""

    def __init__(self, lane: Lane, *, streams: _Streams | None) -> None:
        pinned = streams is not None
        self.pending: slice | None = None
        self.pictures, self.about, self.out = (torch.empty_like(x) for x in (lane.pictures, lane.about, lane.out))
        self._host = tuple(torch.empty(x.shape, dtype=x.dtype, pin_memory=pinned) for x in (lane.pictures, lane.about))
        self._host_out = torch.empty(lane.out.shape, pin_memory=pinned)
        self._streams = streams
        self._events = [torch.cuda.Event(blocking=True) for _ in range(3)] if pinned else []  # type: ignore[no-untyped-call]

    def upload(self, frames: Sequence[Frame], about: Sequence[tuple[int, bool]]) -> None:
        """Pictures and ``advance``'s ``about``, one row a frame."""
        pictures, rows = (host.numpy() for host in self._host)
        for row, frame in enumerate(frames):
            pictures[row, 0] = frame.luma
        rows[: len(about)] = about
        count = len(frames)
        with _on(self._streams and self._streams.upload):
            self.pictures[:count].copy_(self._host[0][:count], non_blocking=True)
            self.about[:count].copy_(self._host[1][:count], non_blocking=True)
        if self._streams is not None:
            self._events[0].record(self._streams.upload)
            self._streams.compute.wait_event(self._events[0])

    def compute(self, lane: Lane, first: int, count: int) -> None:
        """Rows ``first`` to ``first + count`` through the lane; on the compute stream."""
        rows = slice(first, first + count)
        lane.pictures[:count].copy_(self.pictures[rows])
        lane.about[:count].copy_(self.about[rows])
        lane.step(count)
        self.out[rows].copy_(lane.out[:count])

    def download(self, rows: slice) -> None:
        """Start bringing down the results: ``rows`` of the call's."""
        count = rows.stop - rows.start
        if self._streams is not None:
            self._events[1].record(self._streams.compute)
            self._streams.download.wait_event(self._events[1])
        with _on(self._streams and self._streams.download):
            self._host_out[:count].copy_(self.out[:count], non_blocking=True)
        if self._streams is not None:
            self._events[2].record(self._streams.download)
        self.pending = rows

    def collect(self, results: NDArray[np.float32]) -> None:
        """Wait for what it carries and put it where it belongs; the berth is free then."""
        if self.pending is None:
            return
        if self._streams is not None:
            self._events[2].synchronize()
        results[self.pending] = self._host_out[: self.pending.stop - self.pending.start].numpy()
        self.pending = None


class CudaRunner:
    """``runner(clips)`` -> the cell maps of each clip's frames, in the order given: see ``Runner``.

    ``dtype`` is that of the convolutions; motion, states and reductions are float32. float16 is as fast as bfloat16 and
    keeps scores within 0.5 % of float32's, where bfloat16 is more than 1 % off in every thirtieth frame. ``most``
    bounds the cameras of one step. A step that does not fit into the device's memory is halved. Used by one thread at a
    time. Raises EngineError when the device fails, here already when it cannot do the work at all. On a CPU (for tests)
    the same steps run as they are, uncaptured.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float16,
        most: int = BATCHES[-1],
        graphs: bool = True,
        step: Step = advance,
    ) -> None:
        self.card = weights.card
        self.device = device
        self._most = next((size for size in BATCHES if size >= most), BATCHES[-1])
        self._graphs = graphs
        self._step = step
        self._lanes: dict[tuple[int, int], Lane] = {}
        self._berths: dict[tuple[int, int], tuple[_Berth, _Berth]] = {}
        self._seats: dict[str, _Seat] = {}
        with _on_device(device):
            self._streams = _new_streams(device) if device.type == "cuda" else None
            network = weights.network().eval().to(device)
            network.lower(dtype)
            self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # the weights are there before another stream reads them
        self._prove()

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        """At most one clip per camera; clips may differ in length and geometry."""
        maps: dict[str, list[CellMap]] = {}
        with self._working():
            for size, layout in layouts(clips).items():
                maps.update(self._run(layout, self._lane(size), self._berths[size]))
        return [maps[clip.camera] for clip in clips]

    def forget(self, camera: str) -> None:
        """Drop a camera's state. A camera without state is fine."""
        seat = self._seats.pop(camera, None)
        if seat is not None:
            seat.lane.give_slot(seat.slot)

    def _run(self, layout: Layout, lane: Lane, berths: tuple[_Berth, _Berth]) -> dict[str, list[CellMap]]:
        began = [self._take_seat(clip, lane) for clip in layout.clips]
        seats = [self._seats[clip.camera] for clip in layout.clips]
        before_pts_s = [seat.pts_s for seat in seats]
        results = np.empty((sum(layout.widths), lane.values), np.float32)
        turn = 0
        try:
            for t, width in enumerate(layout.widths):
                for first in range(0, width, self._most):
                    columns = range(first, min(first + self._most, width))
                    berth = berths[turn % 2]
                    berth.collect(results)
                    berth.upload(
                        [layout.clips[column].frames[t] for column in columns],
                        [(seats[column].slot, t == 0 and began[column]) for column in columns],
                    )
                    self._compute(berth, lane, len(columns))
                    row = layout.starts[t] + first
                    berth.download(slice(row, row + len(columns)))
                    turn += 1
            for berth in berths:
                berth.collect(results)
        finally:
            for berth in berths:
                berth.pending = None  # of a call that failed nothing is left to the next
        for clip, seat in zip(layout.clips, seats, strict=True):
            seat.pts_s = clip.frames[-1].pts_s
        return cell_maps(layout, lane.rows(results), before_pts_s)

    def _compute(self, berth: _Berth, lane: Lane, count: int) -> None:
        first = 0
        with _on(self._streams and self._streams.compute):
            while first < count:
                part = min(lane.most, count - first)
                try:
                    berth.compute(lane, first, part)
                except torch.OutOfMemoryError:
                    if part == 1:
                        raise
                    lane.most = max(size for size in BATCHES if size < part)
                    log.warning("model.smaller_steps", frames=lane.most, detail=f"no memory for {part} frames a step")
                    if self.device.type == "cuda":
                        torch.cuda.empty_cache()
                    continue
                first += part

    def _take_seat(self, clip: Clip, lane: Lane) -> bool:
        """Whether a run begins: the camera has no state, or one of another run or geometry."""
        seat = self._seats.get(clip.camera)
        if seat is not None and seat.run == clip.run and seat.geometry == clip.geometry:
            return False
        if seat is None or seat.lane is not lane:
            self.forget(clip.camera)
            with _on(self._streams and self._streams.compute):
                slot = lane.take_slot()
        else:
            slot = seat.slot
        self._seats[clip.camera] = _Seat(lane, slot, clip.run, clip.geometry, clip.frames[0].pts_s)
        return True

    def _lane(self, size: tuple[int, int]) -> Lane:
        if size not in self._lanes:
            self._drop_idle_lanes()
            with _on(self._streams and self._streams.compute):
                lane = Lane(
                    self._network,
                    *size,
                    device=self.device,
                    most=self._most,
                    stream=self._streams and self._streams.compute,
                    captures=self._graphs,
                    step=self._step,
                )
                self._berths[size] = _Berth(lane, streams=self._streams), _Berth(lane, streams=self._streams)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # buffers are whole before another stream writes them
            self._lanes[size] = lane
        return self._lanes[size]

    def _drop_idle_lanes(self) -> None:
        idle = [size for size, lane in self._lanes.items() if lane.is_idle]
        for size in idle[: max(0, len(idle) + 1 - MOST_IDLE_SIZES)]:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            del self._lanes[size], self._berths[size]

    def _prove(self) -> None:
        """A few frames of nobody's, so that a device that cannot do the work says so now, and is warm when it can."""
        width = -(-self.card.input_width // CELL_PX) * CELL_PX
        height = -(-width * 9 // 16 // CELL_PX) * CELL_PX
        grid = Geometry(width, height, 1, width, height)
        luma = np.zeros((height, width), np.uint8)
        frames = (Frame("", 0, k, 0.1 * k, 0.0, WallSource.FILE, 0.0, grid, luma) for k in range(4))
        (maps,) = self([Clip(tuple(frames))])
        self.forget("")
        if not all(np.isfinite(values).all() for one in maps for values in (one.flow, one.surprise, one.latent)):
            raise EngineError(f"device {self.device} computes no finite numbers; allowed: a device that torch supports")

    @contextmanager
    def _working(self) -> Iterator[None]:
        with _on_device(self.device), torch.inference_mode():
            yield


@contextmanager
def _on_device(device: torch.device) -> Iterator[None]:
    """Make it the current one; what it or its driver raises becomes an EngineError."""
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield
    except RuntimeError as exc:  # torch has no narrower one for all that a device may do
        raise EngineError(f"device {device} failed: {str(exc).strip().splitlines()[0]}") from exc


def _new_streams(device: torch.device) -> _Streams:
    return _Streams(*(torch.cuda.Stream(device) for _ in range(3)))  # type: ignore[no-untyped-call]


def _on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Queue what follows on that stream; on a CPU there is none."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)
