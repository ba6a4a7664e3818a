"""Connections to a camera are ended under whoever reads, and no others."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from vad.config import CameraConfig
from vad.pipeline.readers.cutting import cut


def connection(stack: ExitStack) -> tuple[socket.socket, str]:
    """One to a server of its own; and that server's address."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    ours = stack.enter_context(socket.create_connection(server.getsockname(), timeout=20.0))
    stack.enter_context(server.accept()[0])
    return ours, f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["rtsp", "RTSPS", "http", "https"])
def test_what_is_open_to_the_camera_is_cut_and_nothing_else(scheme: str) -> None:
    with ExitStack() as stack:
        ours, address = connection(stack)
        other, _ = connection(stack)
        pair = socket.socketpair()
        for end in pair:
            stack.enter_context(end)
        files = len(os.listdir("/proc/self/fd"))
        assert cut(CameraConfig(url=f"{scheme}://user:secret@{address}/cam")) == 1
        assert ours.recv(1) == b""
        other.sendall(b"x")
        pair[0].sendall(b"x")
        assert pair[1].recv(1) == b"x"
        assert len(os.listdir("/proc/self/fd")) == files


def test_a_host_that_is_not_known_and_a_file_have_no_connections() -> None:
    assert cut(CameraConfig(url="rtsp://no-such-host.invalid/cam")) == 0
    assert cut(CameraConfig(url="clip.mp4")) == 0
