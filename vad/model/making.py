"""Which runner serves a site: where the network runs is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog
import torch

from vad.errors import EngineError
from vad.model.cell_runner import CellRunner
from vad.model.cuda import CudaRunner
from vad.model.device import find_device, why_no_cuda
from vad.model.weights import Card, Weights
from vad.types import CellMap, Clip

log = structlog.get_logger(__name__)


class AnyRunner(Protocol):
    """``runner(clips)`` -> the cell maps of each clip's frames, at most one clip per camera; see ``Runner``."""

    card: Card
    device: torch.device

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]: ...

    def forget(self, camera: str) -> None: ...


def make_runner(
    weights: Weights, *, device: str = "auto", threads: int = 1, max_batch: int = 256, skip_still: bool = True
) -> AnyRunner:
    """The runner for ``device``: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    ``auto`` is a CUDA device that can do the work, else the CPU, with ``threads`` threads, and the log says why. One
    that is named must be able to: EngineError otherwise. ``max_batch`` is how many cameras share a call. On a CPU cells
    that stand still are left out where ``skip_still``; a GPU gains nothing by that.
    """
    if device == "cpu":
        return CellRunner(weights, threads=threads, skip_still=skip_still)
    if device == "auto" and (why := why_no_cuda()):
        log.info("model.on_cpu", detail=why)
        return CellRunner(weights, threads=threads, skip_still=skip_still)
    try:
        return CudaRunner(weights, device=find_device(device), most=max_batch)
    except EngineError as exc:
        if device != "auto":
            raise
        log.warning("model.on_cpu", detail=str(exc))
    return CellRunner(weights, threads=threads, skip_still=skip_still)
