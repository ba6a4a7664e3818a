"""Clips that become ready at about the same time go through the network together, and nothing waits for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from tests.pipeline.frames import make_clip
from tests.pipeline.sites import wait_for
from vad.pipeline import inference
from vad.pipeline.mailbox import ClipMailbox, Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.scoring import Item
from vad.types import CellMap, Clip

TOOK_S = 0.02


class Batches:
    """A network that notes whose clips come together, and when; each batch takes it ``TOOK_S``."""

    def __init__(self) -> None:
        self.cameras: list[list[str]] = []
        self.at_s: list[float] = []

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        self.cameras.append([clip.camera for clip in clips])
        self.at_s.append(time.monotonic())
        time.sleep(TOOK_S)
        return [[] for _ in clips]

    def forget(self, camera: str) -> None:
        pass


@pytest.fixture
def clips(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClipMailbox]:
    monkeypatch.setattr(inference, "LONGEST_APART_S", 1.0)
    monkeypatch.setattr(inference, "APART_BATCHES", 100.0)
    box = ClipMailbox()
    yield box
    box.close()


def start(clips: ClipMailbox, *, max_batch: int = 8) -> Batches:
    batches, maps = Batches(), Mailbox[Item](64)
    metrics = StageMetrics(CollectorRegistry())
    settings = {"clips": clips, "runner": batches, "maps": maps, "max_batch": max_batch, "metrics": metrics}
    threading.Thread(target=inference.run_inference, kwargs=settings, daemon=True).start()
    return batches


def test_what_becomes_ready_soon_after_a_batch_goes_together(clips: ClipMailbox) -> None:
    batches = start(clips)
    clips.put(make_clip("a", 0))
    wait_for(lambda: batches.cameras == [["a"]], what="the first clip, which waits for nobody")
    for camera in ("b", "c", "d"):
        clips.put(make_clip(camera, 0))
    wait_for(lambda: len(batches.cameras) == 2, what="the others")
    assert batches.cameras[1] == ["b", "c", "d"]
    assert batches.at_s[1] - batches.at_s[0] >= 0.9


def test_a_recording_and_more_cameras_than_fit_are_not_held_up(clips: ClipMailbox) -> None:
    batches = start(clips, max_batch=2)
    began_s = time.monotonic()
    for index in range(20):
        clips.put(make_clip("file", index), wait=True)
    wait_for(lambda: len(batches.cameras) == 20, what="the recording")
    for index in range(5):
        for camera in ("a", "b", "c"):
            clips.put(make_clip(camera, index))
    wait_for(lambda: sum(map(len, batches.cameras)) == 35, what="all cameras")
    assert time.monotonic() - began_s < 8.0  # one or two pauses; 27 of them would be 27 s
