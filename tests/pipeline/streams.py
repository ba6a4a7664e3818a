"""One camera's supervisor without an engine."""

from __future__ import annotations

import random

from vad.clock import SystemClock
from vad.config import CameraConfig
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.stream import CameraStream
from vad.types import CameraEvent
from vad.video.reader import Reader
from vad.video.spec import MakeReader


def make_stream(
    config: CameraConfig, notices: list[CameraEvent], *, clip_length: int = 4, make_reader: MakeReader = Reader
) -> CameraStream:
    """Not started. ``notices`` gets what it announces."""
    return CameraStream(
        "cam",
        config=config,
        model_width=160,
        clip_length=clip_length,
        clips=ClipMailbox(per_camera=3),
        ledger=Ledger(),
        notify=notices.append,
        clock=SystemClock(),
        jitter=random.Random(0),
        make_reader=make_reader,
    )
