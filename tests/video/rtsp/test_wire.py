from __future__ import annotations

import random
import struct

import pytest

from vad.video.rtsp.messages import Message, MessageError
from vad.video.rtsp.wire import Interleaved, Splitter

TYPE = 96


def rtp(number: int, size: int = 40) -> bytes:
    return struct.pack(">BBHII", 0x80, TYPE, number, 0, 7) + bytes(size)


def sent(channel: int, packet: bytes) -> bytes:
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def playing() -> Splitter:
    return Splitter(channels=(0, 1), types=frozenset({TYPE}))


def test_packets_and_messages_come_out_however_they_are_cut() -> None:
    stream = (
        sent(0, rtp(1))
        + b"\r\nRTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
        + sent(1, b"\x80\xc8\0\1" + bytes(4))
        + sent(0, rtp(2))
    )
    for size in (1, 2, 3, 5, 7, 64, 1000):
        splitter, found = playing(), []
        for at in range(0, len(stream), size):
            found += splitter.push(stream[at : at + size])
        assert [type(item) for item in found] == [Interleaved, Message, Interleaved, Interleaved]
        assert found[3] == Interleaved(0, rtp(2))
        assert splitter.faults == 0


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_bytes_that_are_neither_are_passed_over_and_counted_once_a_stretch(size: int) -> None:
    noise = random.Random(3)
    garbage = [bytes([0]) + noise.randbytes(36) for _ in range(50)]
    stream = b"".join(sent(0, rtp(number)) + garbage[number] for number in range(50)) + sent(0, rtp(50))
    splitter, found = playing(), []
    for at in range(0, len(stream), size):
        found += splitter.push(stream[at : at + size])
    assert found == [Interleaved(0, rtp(number)) for number in range(51)]
    assert splitter.faults == 50


def test_a_length_that_is_wrong_costs_no_more_than_what_it_covers() -> None:
    splitter = playing()
    found = splitter.push(sent(0, rtp(1)) + b"$\0\0\x05short" + b"".join(sent(0, rtp(n)) for n in range(2, 9)))
    assert found == [Interleaved(0, rtp(n)) for n in range(1, 9)]
    assert splitter.faults == 1


def test_packets_of_other_tracks_are_given_too() -> None:
    assert playing().push(sent(6, b"anything")) == [Interleaved(6, b"anything")]


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\0", b"220 ready\r\n\r\n", b"<html>\r\n"])
def test_before_there_is_video_what_is_no_rtsp_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        Splitter().push(data)


@pytest.mark.parametrize("piece", [b"$", b"$\0\xff\xff", b"R", b"RTSP/1.0 200 OK\r\n", b"\0", b"A", b"\r\n"])
def test_whatever_comes_little_is_kept(piece: bytes) -> None:
    splitter = playing()
    for _ in range(64):
        splitter.push(piece * (16_384 // len(piece)))
        assert len(splitter._rest) < 200_000


def test_noise_of_a_megabyte_is_survived() -> None:
    splitter, noise = playing(), random.Random(5)
    for _ in range(16):
        splitter.push(noise.randbytes(65_536))
    splitter.push(bytes(80_000))
    assert Interleaved(0, rtp(1)) in splitter.push(sent(0, rtp(1)) + sent(0, rtp(2)))
