"""Clips of many cameras -> cell maps, through one batched call of the network per picture size.

Each camera's state lives here between calls; nothing else does. Used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad.model.device import find_device
from vad.model.features import warm_features
from vad.model.layout import Layout, Rows, cell_maps, layouts
from vad.model.network import Decoded, Encoded, Network, State, centred, reduce_to_cells, surprise_per_cell
from vad.model.weights import Weights
from vad.types import CellMap, Clip, Geometry

PIECE_FRAMES = 8
"""Frames that go through the convolutions together on a CPU."""


@dataclass(frozen=True, slots=True)
class _CameraState:
    """What the next frame of a run needs. Tensors are this camera's own, on the device, without a batch axis."""

    run: int
    geometry: Geometry
    pts_s: float
    before: Tensor  # (1, H, W) the last picture, in the units of ``centred``
    hidden: Tensor
    cell: Tensor
    prediction: Tensor  # (1, H, W) of the frame to come
    log_spread: Tensor  # (1, H/4, W/4)


class Runner:
    """``runner(clips)`` -> the cell maps of each clip's frames, in the order given.

    ``device`` is ``auto`` (CUDA when there is one), ``cpu``, ``cuda`` or ``cuda:N``. ``threads`` sets how many CPU
    threads torch uses in this process, on the CPU alone. A camera's state starts afresh whenever its run or its
    geometry changes. Raises EngineError when the device asked for is not there.
    """

    def __init__(self, weights: Weights, *, device: str = "auto", threads: int = 1) -> None:
        self.device = find_device(device)
        if self.device.type == "cpu":
            torch.set_num_threads(threads)
            warm_features()
        self.card = weights.card
        network = weights.network().eval().to(self.device)
        self._network: Network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._states: dict[str, _CameraState] = {}

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        """At most one clip per camera; clips may differ in length and geometry."""
        maps: dict[str, list[CellMap]] = {}
        with torch.inference_mode():
            for layout in layouts(clips).values():
                maps.update(self._run_group(layout))
        return [maps[clip.camera] for clip in clips]

    def forget(self, camera: str) -> None:
        """Drop a camera's state. A camera without state is fine."""
        self._states.pop(camera, None)

    def _run_group(self, layout: Layout) -> dict[str, list[CellMap]]:
        luma = self._upload(layout)  # (F, 1, H, W)
        now = centred(luma)
        states = [self._continue(clip, now[row]) for row, clip in enumerate(layout.clips)]
        before = torch.stack([state.before for state in states])
        before = torch.cat([before, *(now[layout.step(t)][:w] for t, w in enumerate(layout.widths[1:]))])
        encoded = Encoded(*self._in_pieces(self._network.encode, now, before))
        hidden, last = self._step_through(layout, encoded, states)
        decoded = Decoded(*self._in_pieces(self._decode, now, hidden, *encoded))
        reduced = reduce_to_cells(encoded.flow, decoded.foreground, hidden, luma)
        expected = self._shift(layout, decoded.prediction, [state.prediction for state in states])
        spread = self._shift(layout, decoded.log_spread, [state.log_spread for state in states])
        surprise = surprise_per_cell(now, expected, spread)
        rows = Rows(*(_to_numpy(x) for x in (reduced.flow, reduced.activity, surprise, reduced.latent, reduced.luma)))
        maps = cell_maps(layout, rows, [state.pts_s for state in states])
        for column, clip in enumerate(layout.clips):
            row = layout.starts[len(clip.frames) - 1] + column
            # Clones: a slice would keep the whole batch alive for as long as its slowest camera.
            self._states[clip.camera] = _CameraState(
                clip.run,
                clip.geometry,
                clip.frames[-1].pts_s,
                now[row].clone(),
                last[column].hidden,
                last[column].cell,
                decoded.prediction[row].clone(),
                decoded.log_spread[row].clone(),
            )
        return maps

    def _decode(self, now: Tensor, hidden: Tensor, *encoded: Tensor) -> Decoded:
        return self._network.decode(now, Encoded(*encoded), hidden)

    def _in_pieces(self, stage: Callable[..., Sequence[Tensor]], *rows: Tensor) -> Sequence[Tensor]:
        """A stage that treats each row alone. On a CPU a few rows at a time: what they need then stays in the cache."""
        if self.device.type != "cpu":
            return stage(*rows)
        pieces = [stage(*piece) for piece in zip(*(torch.split(x, PIECE_FRAMES) for x in rows), strict=True)]
        return [torch.cat(parts) for parts in zip(*pieces, strict=True)]

    def _upload(self, layout: Layout) -> Tensor:
        frames = [clip.frames[t].luma for t, width in enumerate(layout.widths) for clip in layout.clips[:width]]
        pictures = torch.from_numpy(np.stack(frames))  # (F, H, W) uint8
        if self.device.type == "cuda":
            pictures = pictures.pin_memory().to(self.device, non_blocking=True)
        return pictures.unsqueeze(1).float()

    def _continue(self, clip: Clip, first: Tensor) -> _CameraState:
        """The camera's state, or that of a run's beginning: the frame before is the frame itself, nothing moved."""
        state = self._states.get(clip.camera)
        if state is not None and state.run == clip.run and state.geometry == clip.geometry:
            return state
        height, width = first.shape[1:]
        zero = self._network.initial_state(1, height, width)
        spread = first.new_zeros((1, height // 4, width // 4))
        return _CameraState(
            clip.run, clip.geometry, clip.frames[0].pts_s, first, zero.hidden[0], zero.cell[0], first, spread
        )

    def _step_through(self, layout: Layout, encoded: Encoded, states: list[_CameraState]) -> tuple[Tensor, list[State]]:
        """The hidden state after each frame (F, hidden, H/8, W/8), and each clip's last state."""
        state = State(torch.stack([s.hidden for s in states]), torch.stack([s.cell for s in states]))
        hidden: list[Tensor] = []
        last: list[State] = [state] * len(states)
        for t, width in enumerate(layout.widths):
            state = State(state.hidden[:width], state.cell[:width])
            state = self._network.step(encoded.drive[layout.step(t)], state)
            hidden.append(state.hidden)
            for column in range(width):
                if len(layout.clips[column].frames) == t + 1:
                    last[column] = State(state.hidden[column].clone(), state.cell[column].clone())
        return torch.cat(hidden), last

    @staticmethod
    def _shift(layout: Layout, rows: Tensor, carried: list[Tensor]) -> Tensor:
        """What was said one frame earlier, for each row: the carried value at step 0, the row above after that."""
        later = (rows[layout.step(t)][:width] for t, width in enumerate(layout.widths[1:]))
        return torch.cat([torch.stack(carried), *later])


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.cpu().numpy())
