"""Reads a source to its end, or until enough was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vad.clock import Clock, SystemClock
from vad.config import CameraConfig
from vad.errors import StreamError
from vad.types import Frame
from vad.video.reader import Reader
from vad.video.spec import MakeReader, ReadEnv, ReadSpec
from vad.video.tape import Tape


@dataclass
class Outcome:
    """What one run gave."""

    decoded: int = 0
    overrun: int = 0
    frames: list[Frame] = field(default_factory=list)
    error: StreamError | None = None
    duration_s: float = 0.0
    corrupt_packets: int = 0
    reader: Any = None  # a Reader, or what ``make`` made

    @property
    def code(self) -> str | None:
        return self.error.code.value if self.error else None


def read(
    url: object,
    *,
    at_most: int | None = None,
    clock: Clock | None = None,
    model_width: int = 160,
    run: int = 0,
    continues: Any = None,
    stop: threading.Event | None = None,
    tape: Tape | None = None,
    clip_length: int = 1,
    is_behind: Callable[[], bool] = lambda: False,
    turns: threading.Lock | None = None,
    network_device: str = "cpu",
    make: MakeReader = Reader,
    **settings: object,
) -> Outcome:
    """Run a reader until it ends, or is stopped after ``at_most`` decoded frames. Never raises StreamError."""
    config = CameraConfig.model_validate({"url": str(url), "realtime": False, **settings})
    outcome, stop, began_s = Outcome(), stop or threading.Event(), time.monotonic()
    spec = ReadSpec("cam1", config, model_width, clip_length, network_device)
    env = ReadEnv(stop, clock or SystemClock(), tape, is_behind, turns)
    reader = make(spec, run=run, env=env, continues=continues)
    try:
        with reader:
            for item in reader:
                if isinstance(item, Frame):
                    outcome.decoded += 1
                    outcome.frames.append(item)
                else:
                    outcome.decoded += item.frames
                    outcome.overrun += item.overrun
                if at_most is not None and outcome.decoded >= at_most:
                    stop.set()
    except StreamError as exc:
        outcome.error = exc
    outcome.duration_s = time.monotonic() - began_s
    outcome.corrupt_packets = reader.counts.corrupt_packets
    outcome.reader = reader
    return outcome
