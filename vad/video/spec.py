"""What a reader is given, and what it promises: the border between reading and whoever wants frames.

``ReadSpec`` says what is read and how, and is the same wherever the reader runs; ``ReadEnv`` is who runs it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from vad.clock import Clock, SystemClock
from vad.config import CameraConfig
from vad.video.hardware import DecodePolicy
from vad.video.items import Counts, Item, StreamInfo
from vad.video.tape import Tape


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """What is read and how. ``network_device`` is where the network runs, ``cpu`` or ``cuda:N``.

    Frames are wanted ``clip_length`` at a time: what a camera sends may wait until a clip is nearly whole.
    """

    camera: str
    config: CameraConfig = field(repr=False)  # it may hold credentials
    model_width: int
    clip_length: int = 1
    network_device: str = "cpu"

    @property
    def decoding(self) -> DecodePolicy:
        """Who decodes it."""
        return DecodePolicy(self.config.decoder, self.network_device)


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ReadEnv:
    """Who runs a reader. It ends once ``stop`` is set; ``is_behind`` says whether the machine cannot keep up.

    ``tape`` is given the packets and pictures as they come. Readers that are given the same lock as ``turns`` read one
    at a time: see ``vad.video.turns``.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=SystemClock)
    tape: Tape | None = None
    is_behind: Callable[[], bool] = _never
    turns: threading.Lock | None = None


class FrameReader(Protocol):
    """One run of one stream, in this process or another: see ``vad.video.reader.Reader``."""

    @property
    def info(self) -> StreamInfo | None: ...

    @property
    def counts(self) -> Counts: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Item]: ...

    def close(self) -> None: ...


class MakeReader(Protocol):
    """Makes the reader of a run. ``continues``: the reader of the run before, whose stream is still open."""

    def __call__(
        self, spec: ReadSpec, *, run: int, env: ReadEnv, continues: FrameReader | None = None
    ) -> FrameReader: ...
