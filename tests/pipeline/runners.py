"""The engine's own network, with what a test wants to know and change of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from vad.model.making import make_runner
from vad.types import CellMap, Clip


class WatchedRunner:
    """Takes ``frame_s`` more for each frame, and remembers whom it forgot."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._runner = make_runner(*args, **settings)
        self.device, self.card = self._runner.device, self._runner.card
        self.frame_s = 0.0
        self.forgotten: list[str] = []

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        time.sleep(self.frame_s * sum(len(clip.frames) for clip in clips))
        return self._runner(clips)

    def forget(self, camera: str) -> None:
        self.forgotten.append(camera)
        self._runner.forget(camera)


def watch_runners(monkeypatch: pytest.MonkeyPatch) -> list[WatchedRunner]:
    """The runners that engines make from now on, in order."""
    made: list[WatchedRunner] = []

    def make(*args: Any, **settings: Any) -> WatchedRunner:
        made.append(WatchedRunner(*args, **settings))
        return made[-1]

    monkeypatch.setattr("vad.pipeline.engine.make_runner", make)
    return made
