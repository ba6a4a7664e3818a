"""One life of a camera's stream thread. A thread that hangs in native code cannot be killed, only abandoned."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from vad.config import CameraConfig
from vad.pipeline.window import ClipWindow, Thinning
from vad.video.spec import FrameReader, ReadSpec


@dataclass(slots=True)
class Generation:
    """Whatever its thread does once it is abandoned touches nothing: ``lock`` is for what looks at ``abandoned`` first,
    as all must that goes into ``window``.

    ``spec`` is what the next run reads: only its thread changes it, between two runs.
    """

    spec: ReadSpec
    window: ClipWindow
    thinning: Thinning
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    abandoned: bool = False
    frames_before: int = 0  # decoded before the run at hand
    deadline_s: float | None = None  # monotonic; None while waiting on purpose
    continues: FrameReader | None = None  # still open, for the next run to go on with

    @property
    def config(self) -> CameraConfig:
        return self.spec.config

    @property
    def can_wait(self) -> bool:
        """A recording that is not paced: it waits for room, and nothing of it is lost by being slow."""
        return self.config.is_file and not self.config.realtime

    def abandon(self) -> bool:
        """False when somebody else was first."""
        with self.lock:
            if self.abandoned:
                return False
            self.abandoned = True
            self.stop.set()
            return True
