"""When a step is captured as a graph, and what becomes of captures that fail; torch's graphs have a stand-in."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import torch
from torch import Tensor

from tests.model.factory import random_weights
from vad.model.lane import EAGER_CALLS, FIRST_SLOTS, MOST_FAILURES, Lane, Slots
from vad.model.network import Network


class Capture:
    """In place of torch's graphs: what happens in each capture is ``happens[k]``, or nothing; the last for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *happens: str) -> None:
        self.happens, self.batches, self.pools, self.replayed = happens, list[int](), list[object](), 0
        self.is_underway, self.collects = False, list[bool]()
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=self._replay))
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
        monkeypatch.setattr(torch.cuda, "graph", self._held)

    @contextmanager
    def _held(self, graph: object, *, pool: object, **_: object) -> Iterator[None]:
        self.pools.append(pool)
        self.is_underway = True
        try:
            yield
        finally:
            self.is_underway = False
            if "spoilt" in self._now():
                raise RuntimeError("CUDA error: operation failed due to a previous error during capture\nmore text")

    def _replay(self) -> None:
        self.replayed += 1

    def _now(self) -> str:
        return self.happens[min(len(self.batches), len(self.happens)) - 1]

    def step(self, network: Network, slots: Slots, pictures: Tensor, about: Tensor, out: Tensor) -> None:
        if self.is_underway:
            self.batches.append(len(pictures))
            self.collects.append(gc.isenabled())
            if "no memory" in self._now():
                raise torch.OutOfMemoryError("CUDA out of memory")


def captured(capture: Capture) -> Lane:
    stream: Any = SimpleNamespace(synchronize=lambda: None)
    return Lane(
        random_weights().network(), 16, 16, device=torch.device("cpu"), most=8, stream=stream, step=capture.step
    )


def test_nothing_is_collected_in_the_middle_of_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = Capture(monkeypatch, "spoilt", "fine")
    lane = captured(capture)
    for _ in range(4):
        lane.step(3)
    assert capture.collects == [False, False]
    assert gc.isenabled()
    gc.disable()
    try:
        for _ in range(3):
            lane.step(1)
        assert not gc.isenabled()  # as it was
    finally:
        gc.enable()


def test_a_capture_that_failed_is_tried_again_with_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = Capture(monkeypatch, "spoilt", "fine")
    lane = captured(capture)
    with structlog.testing.capture_logs() as said:
        for _ in range(5):
            lane.step(3)
    assert (capture.batches, capture.replayed) == ([4, 4], 2)
    assert len(set(map(id, capture.pools))) == 2
    assert len(lane._spoilt) == 1  # torch's allocator keeps a pointer to it
    assert [entry["event"] for entry in said] == ["model.no_graph"]
    assert said[0]["detail"] == "CUDA error: operation failed due to a previous error during capture"


def test_after_three_failures_no_more_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = Capture(monkeypatch, "spoilt")
    lane = captured(capture)
    with structlog.testing.capture_logs() as said:
        for count in (1, 3, 8):
            for _ in range(6):
                lane.step(count)
    assert len(capture.batches) == MOST_FAILURES
    assert [entry["failures"] for entry in said] == [1, 2, 3]


@pytest.mark.parametrize("how", ["no memory", "no memory, spoilt"])
def test_no_memory_for_a_capture_is_for_the_caller_who_can_do_with_fewer_frames(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    capture = Capture(monkeypatch, how, "fine")
    lane = captured(capture)
    for _ in range(2):
        lane.step(8)
    with pytest.raises(torch.OutOfMemoryError):
        lane.step(8)
    for _ in range(3):
        lane.step(4)
    assert capture.replayed == 1


def test_a_single_frame_without_memory_for_a_capture_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = Capture(monkeypatch, "no memory")
    lane = captured(capture)
    with structlog.testing.capture_logs() as said:
        for _ in range(8):
            lane.step(1)
    assert capture.batches == [1] * MOST_FAILURES
    assert {entry["detail"] for entry in said} == {"CUDA out of memory"}


def test_once_the_slots_have_grown_a_batch_is_called_as_it_is_before_it_is_captured_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Graphs may have been captured in another thread than the one that goes on: it needs its libraries' handles."""
    capture = Capture(monkeypatch, "fine")
    lane = captured(capture)
    for _ in range(EAGER_CALLS + 1):
        lane.step(2)
    assert capture.batches == [2]
    for _ in range(FIRST_SLOTS):
        lane.take_slot()
    for _ in range(EAGER_CALLS):
        lane.step(2)
    assert capture.batches == [2]
    lane.step(2)
    assert capture.batches == [2, 2]
