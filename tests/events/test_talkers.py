"""Who sends too much is found by what Linux counts, and cut off alone."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import zmq

from tests.events.doors import DEADLINE_S, LIMITS, guarded, is_cut_off, wait_until
from vad.events.gatekeeper import Gatekeeper
from vad.events.sockets import connected_socket
from vad.events.talkers import LOUD_BYTES, Talkers

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Three clients of one port, each with the server's end of its connection."""
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as server:
        made = []
        for _ in range(3):
            client = stack.enter_context(socket.create_connection(server.getsockname(), timeout=DEADLINE_S))
            made.append((client, stack.enter_context(server.accept()[0])))
        yield made


def say(pair: Pair, count: int) -> None:
    client, end = pair
    while count:
        client.sendall(bytes(piece := min(count, 65_536)))
        count -= piece
        while piece:
            piece -= len(end.recv(piece))


def look(talkers: Talkers, pairs: list[Pair], *, port: int | None = None) -> str | None:
    descriptors = [end.fileno() for _, end in pairs]
    return talkers.cut_off_loudest(descriptors, port=pairs[0][1].getsockname()[1] if port is None else port)


def test_who_sent_most_since_the_first_look_is_cut_off_and_nobody_else(pairs: list[Pair]) -> None:
    quiet, loud, once_loud = pairs
    talkers = Talkers()
    say(once_loud, 4 * LOUD_BYTES)  # over a year, as it were
    assert look(talkers, pairs) is None
    say(quiet, LOUD_BYTES - 1)
    say(loud, 2 * LOUD_BYTES)
    assert look(talkers, pairs) == "{}:{}".format(*loud[0].getsockname())
    assert is_cut_off(loud[0])
    for client, end in (quiet, once_loud):
        client.sendall(b"still here")
        assert end.recv(100) == b"still here"


def test_who_stays_below_the_bound_is_left_alone(pairs: list[Pair]) -> None:
    talkers = Talkers()
    look(talkers, pairs)
    say(pairs[0], LOUD_BYTES - 1)
    assert look(talkers, pairs) is None
    talkers.forget()
    say(pairs[0], LOUD_BYTES)
    assert look(talkers, pairs) is None  # the first look again
    say(pairs[0], LOUD_BYTES - 1)
    assert look(talkers, pairs) is None
    say(pairs[0], 1)
    assert look(talkers, pairs) is not None


def test_a_number_that_is_another_files_by_now_is_let_be(pairs: list[Pair], tmp_path: Path) -> None:
    """Told of late, a descriptor may be anything: a file, nothing, a connection to somewhere else."""
    talkers = Talkers()
    open_before = len(os.listdir("/proc/self/fd"))
    with (tmp_path / "journal").open("wb") as file, socket.socketpair()[0] as local:
        others = [file.fileno(), local.fileno(), 1_000_000]
        port = pairs[0][1].getsockname()[1]
        assert talkers.cut_off_loudest(others, port=port) is None
        assert talkers.cut_off_loudest(others, port=port) is None
    look(talkers, pairs, port=1)
    say(pairs[0], 2 * LOUD_BYTES)
    assert look(talkers, pairs, port=1) is None
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.parametrize("is_swamped", [False, True])
def test_the_gatekeeper_cuts_off_only_while_a_socket_is_swamped(
    is_swamped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vad.events.talkers.LOUD_BYTES", 65_536)  # as much as a socket takes in that nobody reads
    with (
        guarded(Gatekeeper(), is_swamped=lambda: is_swamped) as door,
        zmq.Context() as context,
        closing(connected_socket(context, zmq.SUB, door.address, limits=LIMITS)) as quiet,
        closing(connected_socket(context, zmq.SUB, door.address, limits=LIMITS)) as loud,
    ):
        quiet.subscribe("")
        assert door.reaches(quiet)
        wait_until(lambda: door.gatekeeper.connections == 2, what="both")
        for number in range(10_000):
            loud.subscribe(b"%05d" % number + bytes(100))
        if is_swamped:
            door.refuses("subscriptions")
        else:
            time.sleep(0.5)
            assert not door.gatekeeper.refused
        assert door.reaches(quiet)
