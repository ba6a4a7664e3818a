"""How sockets are made, and how a context ends."""

from __future__ import annotations

import time

import pytest
import zmq

from vad.events import sockets
from vad.events.sockets import Limits, bound_socket, connected_socket, end_context, real_address


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


def test_how_long_what_is_unread_is_kept_is_known_before_anybody_connects() -> None:
    """Peers' sessions take it over as they begin."""
    with zmq.Context() as context:
        bound = bound_socket(context, zmq.XPUB, "tcp://127.0.0.1:*", what="t", limits=Limits(512, linger_s=0.25))
        connected = connected_socket(context, zmq.SUB, real_address(bound), limits=Limits(512))
        assert (bound.linger, connected.linger) == (250, 0)
        connected.close()
        bound.close()
