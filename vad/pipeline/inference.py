"""Inference thread: the ready clips of many cameras as one batch through the network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from vad.pipeline.mailbox import ClipMailbox, Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.scoring import Item
from vad.types import CellMap, Clip

POLL_S = 0.5

APART_S = 0.04
"""From one batch to the next, an interval of a camera's frames: what becomes ready meanwhile goes together. With 48
cameras this takes a twentieth less of the machine, since the threads behind wake less often and find warmer caches."""


class ClipRunner(Protocol):
    """The model as this stage sees it (``vad.model.Runner``)."""

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]: ...

    def forget(self, camera: str) -> None: ...


def run_inference(
    *,
    clips: ClipMailbox,
    runner: ClipRunner,
    maps: Mailbox[Item],
    max_batch: int,
    metrics: StageMetrics,
) -> None:
    """Until ``clips`` is closed and empty; closes ``maps`` then. Waiting for room in ``maps`` makes clips drop.

    Batches begin ``APART_S`` apart, unless that would hold up a recording or more cameras than fit into one.
    """
    try:
        while (batch := clips.take(max_batch, timeout_s=POLL_S)) is not None:
            for camera in clips.take_gone():
                runner.forget(camera)
            if not batch:
                continue
            is_pressed, started_s = clips.is_pressed, time.perf_counter()
            results = runner(batch)
            metrics.observe("model", time.perf_counter() - started_s)
            metrics.batch_size.observe(len(batch))
            maps.put_all(results)
            if not is_pressed:
                time.sleep(max(0.0, started_s + APART_S - time.perf_counter()))
    finally:
        maps.close()
