"""Readers that share a lock read one at a time, and nobody waits for one that waits itself."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.video.reading import Outcome, read
from vad.config import CameraConfig
from vad.video import turns
from vad.video.reader import Reader
from vad.video.spec import ReadEnv, ReadSpec
from vad.video.turns import Turn


def test_one_at_a_time() -> None:
    lock = threading.Lock()
    first, second = Turn(lock), Turn(lock)
    first.begin()
    first.begin()  # it goes on
    began = threading.Event()
    waits = threading.Thread(target=lambda: (second.begin(), began.set()))
    waits.start()
    assert not began.wait(0.1)
    first.end()
    assert began.wait(5.0)
    waits.join()
    second.end()
    second.end()
    assert not lock.locked()


def test_who_has_waited_for_long_goes_on_out_of_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_S", 0.05)
    lock = threading.Lock()
    with lock:  # whoever has it hangs
        turn = Turn(lock)
        turn.begin()
        turn.end()
        assert lock.locked()  # it was not ours


def test_recordings_that_are_held_back_take_their_turns_together(clip_h264: Path) -> None:
    """Four seconds each: one after the other they would take as long as all together."""
    lock = threading.Lock()
    outcomes: list[Outcome] = []

    def watch() -> None:
        outcomes.append(read(clip_h264, realtime=True, turns=lock))

    threads = [threading.Thread(target=watch) for _ in range(4)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began_s < 12.0
    assert [(outcome.code, outcome.decoded) for outcome in outcomes] == [("ended", 100)] * 4
    assert not lock.locked()


def test_a_reader_that_is_left_gives_its_turn_back(clip_h264: Path) -> None:
    lock = threading.Lock()
    config = CameraConfig(url=str(clip_h264), realtime=False)
    with Reader(ReadSpec("cam1", config, 160), run=0, env=ReadEnv(turns=lock)) as reader:
        items = iter(reader)
        next(items)
        assert lock.locked()
    assert not lock.locked()
