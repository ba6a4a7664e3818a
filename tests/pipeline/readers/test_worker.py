"""What a process of readers does, in this process, where its decoder can be replaced."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import pytest

from tests.video.devices import fail_after
from vad.config import CameraConfig
from vad.errors import StreamError
from vad.pipeline.readers.messages import SESSION
from vad.pipeline.readers.remote import RemoteReader, Session
from vad.pipeline.readers.sandbox import Sandbox
from vad.pipeline.readers.worker import Ear
from vad.video.spec import ReadEnv, ReadSpec


@pytest.fixture
def open_session() -> Iterator[Callable[[], Session]]:
    """Sessions with an ear of this process."""
    control, far_end = socket.socketpair()
    ear = threading.Thread(target=Ear(far_end, lanes=1).listen, args=(Sandbox(),))
    ear.start()

    def make() -> Session:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(control, [SESSION], [theirs.fileno()])
        return Session(ours)

    yield make
    control.close()
    ear.join()
    far_end.close()


def reader_of(path: Path, open_session: Callable[[], Session], *, decoder: str = "auto") -> RemoteReader:
    config = CameraConfig.model_validate({"url": str(path), "realtime": False, "decoder": decoder})
    return RemoteReader(ReadSpec("cam", config, 160), run=0, env=ReadEnv(), open_session=open_session)


def test_the_engine_is_told_that_the_gpu_has_left_a_stream_to_the_cpu(
    clip_h264: Path, open_session: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_after(20, monkeypatch)
    told: list[str] = []
    with suppress(StreamError), reader_of(clip_h264, open_session) as reader:
        for _ in reader:
            assert reader.info is not None
            told.append(reader.info.decoder)
    assert [decoder for decoder, _ in groupby(told)] == ["cuda", "cpu"]
