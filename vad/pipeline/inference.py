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

LONGEST_APART_S, APART_BATCHES = 0.04, 5.0
"""From the beginning of a batch to that of the next: a few times what it took, an interval of frames at most. What
becomes ready meanwhile goes together: with 48 cameras that takes a twentieth less of the machine, since the threads
behind wake less often and find warmer caches; with few of them hardly anything waits."""


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

    Batches begin a little apart, unless that would hold up a recording or more cameras than fit into one.
    """
    try:
        while (batch := clips.take(max_batch, timeout_s=POLL_S)) is not None:
            for camera in clips.take_gone():
                runner.forget(camera)
            if not batch:
                continue
            is_pressed, started_s = clips.is_pressed, time.perf_counter()
            results = runner(batch)
            took_s = time.perf_counter() - started_s
            metrics.observe("model", took_s)
            metrics.batch_size.observe(len(batch))
            maps.put_all(results)
            if not is_pressed:
                next_s = started_s + min(LONGEST_APART_S, APART_BATCHES * took_s)
                time.sleep(max(0.0, next_s - time.perf_counter()))
    finally:
        maps.close()
