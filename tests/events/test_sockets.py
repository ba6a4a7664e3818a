"""How a context ends."""

from __future__ import annotations

import time

import pytest
import zmq

from vad.events import sockets
from vad.events.sockets import end_context


def test_a_context_ends_once_its_sockets_have() -> None:
    context = zmq.Context()
    context.socket(zmq.PUB).close(linger=0)
    assert end_context(context)
    assert context.closed


def test_a_context_that_libzmq_does_not_end_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sockets, "TERM_S", 0.1)
    context = zmq.Context()
    left_open = context.socket(zmq.PUB)
    began_s = time.monotonic()
    assert not end_context(context, linger_s=0.1)
    assert time.monotonic() - began_s < 5.0
    assert "does not end" in caplog.text
    left_open.close(linger=0)
    deadline_s = time.monotonic() + 20.0
    while not context.closed:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
