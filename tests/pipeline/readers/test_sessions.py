"""What a process can do with a session beside what it says of the stream: pictures, floods, silence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.pipeline.readers.telling import first, hear, message
from tests.pipeline.sites import wait_for
from vad.pipeline.readers import remote
from vad.pipeline.readers.messages import MOST_PACKET_BYTES, MOST_PACKETS, Batch, Behind, Seen
from vad.pipeline.readers.relay import RelayedTape
from vad.pipeline.readers.remote import ProcessGone, Session
from vad.video.tape import TapedPacket


def test_a_picture_that_nobody_has_asked_for_ends_the_session() -> None:
    """Else a process could keep the thread that reads it busy for ever."""
    for told in ([Seen(1, 2, 2, bytes(12))], [first(), Seen(0)]):
        assert "said what no reader says: a picture that nobody has asked for" in str(hear(*told).error)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (Seen(1, 2, 2, bytes(11)), "bytes of a picture 11; allowed: 12"),
        (Seen(1, 2, 321, bytes(6 * 321)), "the width of a picture 321; allowed: 1 to 320"),
        (Seen(1, 0, 4, bytes(4)), "the height of a picture 0; allowed: 1 to 16384"),
        (Seen(1, -1, -1, bytes(3)), "the width of a picture -1"),
        (Seen(1, 1 << 40, 2, bytes(3)), "the height of a picture 1099511627776"),
        (Seen(1, 5, 5, b""), "bytes of a picture 0; allowed: 75"),
    ],
)
def test_a_picture_has_the_size_that_was_asked_for_and_who_looks_never_notices(seen: Seen, text: str) -> None:
    looked: list[Any] = []

    def look(session: Session) -> None:
        thread = threading.Thread(target=lambda: looked.append(session.look(320)))
        thread.start()
        wait_for(lambda: bool(session._asked), what="the question")
        threads.append(thread)

    threads: list[threading.Thread] = []
    error = hear(seen, while_open=look).error
    for thread in threads:
        thread.join()
    assert text in str(error)
    assert looked == [None]


def test_answers_are_taken_in_any_order_and_no_more_are_asked_for_than_will_be_remembered() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        session = Session(ours)
        numbers = [session._ask(None) for _ in range(remote.MOST_ASKED)]
        assert session._ask(None) == 0
        newest, before = bytes([9, 9, 9]), bytes([1, 1, 1])
        theirs.sendall(message(Seen(numbers[-1], 1, 1, newest)) + message(Seen(numbers[0], 1, 1, before)))
        theirs.sendall(message(Batch()))
        assert session.receive() == Batch()
        assert session._seen[0] == numbers[-1]
        assert session._ask(None) > numbers[-1]


@pytest.fixture
def pair() -> Iterator[tuple[Session, socket.socket]]:
    """A session, and the other end of it."""
    ours, theirs = socket.socketpair()
    yield Session(ours), theirs
    theirs.close()
    ours.close()


def test_a_process_that_says_a_message_for_ever_holds_nobody(pair: tuple[Session, socket.socket]) -> None:
    session, theirs = pair
    is_over = threading.Event()

    def trickle() -> None:
        theirs.sendall((1000).to_bytes(4, "big"))
        while not is_over.wait(0.02):
            theirs.sendall(b"\x00")

    speaker = threading.Thread(target=trickle)
    speaker.start()
    answers = [session.receive() for _ in range(3)]
    is_over.set()
    speaker.join()
    assert answers == [None] * 3


def test_what_is_said_to_a_session_that_is_closed_is_not_kept(pair: tuple[Session, socket.socket]) -> None:
    session, theirs = pair
    said: list[int] = []

    def flood() -> None:
        with suppress(OSError):
            while True:
                said.append(theirs.send(bytes(1 << 16)))

    speaker = threading.Thread(target=flood)
    speaker.start()
    assert not session.has_let_go(within_s=0.2)
    assert sum(said) > 1 << 20
    assert not session._inbox._bytes
    session.drop()
    speaker.join()


def say_for_ever(session: Session) -> None:
    while True:
        session.say(Behind(True))


def test_a_process_that_does_not_listen_holds_nobody(
    pair: tuple[Session, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "SAY_S", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        session = Session(ours)
        with pytest.raises(ProcessGone):
            say_for_ever(session)
        assert session.look(None) is None


def test_what_waits_in_the_process_is_bounded_and_goes_on_with_a_key_frame() -> None:
    tape = RelayedTape(run=0, keeps_packets=True, samples=None)
    large = bytes(MOST_PACKET_BYTES // 4)
    for number in range(8):
        tape._add(TapedPacket(large, float(number), number == 0))
    assert [packet.at_s for packet in tape.fetch()] == [0.0, 1.0, 2.0, 3.0]
    for number in range(8, 12):
        tape._add(TapedPacket(b"x", float(number), number == 10))
    assert [packet.at_s for packet in tape.fetch()] == [10.0, 11.0]
    for _ in range(MOST_PACKETS + 5):
        tape._add(TapedPacket(b"x", None, True))
    assert len(tape.fetch()) == MOST_PACKETS
