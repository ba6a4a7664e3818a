"""200,000 hostile inputs: no error but the one that is foreseen, and nothing left behind."""

from __future__ import annotations

import gc
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.events.factory import ANOMALY, CAMERA, anomalies, frame_score
from vad.config import BusSettings
from vad.errors import WireError
from vad.events import Journal, ReplayServer, decode, encode
from vad.events.credit import MAX_BYTES
from vad.events.messages import durable_message, heartbeat_message, score_message
from vad.events.requests import decode_reply

INPUTS = 100_000  # of each kind
GROWTH_BYTES = 24 * 2**20
EPOCH = "0123456789abcdef0123456789abcdef"

REQUESTS = [
    b'{"op":"replay","after":0}',
    b'{"op":"replay","epoch":"0123456789abcdef","after":17,"until":40,"limit":9,"received":"00112233"}',
    b'{"op":"snapshot","after":3,"limit":2}',
    b'{"op":"done","received":"0011223344556677"}',
]
BODIES = [
    encode(durable_message(ANOMALY, epoch=EPOCH, sequence=7)),
    encode(durable_message(CAMERA, epoch=EPOCH, sequence=8)),
    encode(score_message(frame_score(), id="s-1")),
    encode(heartbeat_message(epoch=EPOCH, last_sequence=3, wall_s=1.0, id="h", first_sequence=1, replay_port=5591)),
]
DICTIONARY = [
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"9007199254740993",
    b"null",
    b"true",
    b"[[[[[[[[",
    b'{"a":' * 50,
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b'"op":"replay"',
    b'"type":"io.vad.camera.x"',
    b'"after":-1',
    b"\n",
    b" " * 600,
]


def mutated(seeds: list[bytes], chance: random.Random, count: int) -> Iterator[bytes]:
    """Other numbers in it; or flipped, cut, doubled, spliced and filled with what parsers dislike."""
    for number in range(count):
        if number % 16 == 0:
            yield chance.randbytes(chance.randrange(300))
            continue
        data = bytearray(chance.choice(seeds))
        if number % 4 == 1:
            yield re.sub(rb":\d+", lambda _: b":%d" % chance.choice((0, 1, 5, 200, 201, 202, 2**31, 2**53)), data)
            continue
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(6):
                case 0 if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    del data[at : at + chance.randrange(20)]
                case 2:
                    data[at:at] = chance.choice(DICTIONARY)
                case 3:
                    data[at : at + 8] = chance.choice(DICTIONARY)
                case 4:
                    other = chance.choice(seeds)
                    data[at:] = other[chance.randrange(len(other)) :]
                case _:
                    data[at:at] = data[at : at + 30]
        yield bytes(data)


def growth_bytes(work: Callable[[Iterator[bytes]], None], seeds: list[bytes]) -> int:
    """How much this process grows over INPUTS, after it has grown accustomed."""
    chance = random.Random(20_231_114)
    work(mutated(seeds, chance, INPUTS // 10))
    gc.collect()
    before = psutil.Process().memory_info().rss
    work(mutated(seeds, chance, INPUTS - INPUTS // 10))
    gc.collect()
    return int(psutil.Process().memory_info().rss - before)


def test_no_body_makes_the_decoder_fail_or_grow() -> None:
    read = refused = 0

    def work(inputs: Iterator[bytes]) -> None:
        nonlocal read, refused
        for body in inputs:
            try:
                decode(body)
                read += 1
            except WireError:
                refused += 1

    assert growth_bytes(work, BODIES) < GROWTH_BYTES
    assert read + refused == INPUTS
    assert min(read, refused) > INPUTS // 100  # the inputs are neither all rubbish nor all fine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReplayServer]:
    with Journal(tmp_path / "events.sqlite") as journal:
        journal.append([*anomalies(200), CAMERA])
        with ReplayServer(BusSettings(bind="tcp://127.0.0.1:*"), journal=journal) as server:
            yield server


def test_no_request_makes_the_replay_fail_or_grow(server: ReplayServer) -> None:
    chance = random.Random(5)

    def work(inputs: Iterator[bytes]) -> None:
        for body in inputs:
            frames = chance.choice(([body], [b"", body], [], [body, body], [b"", body, b""]))
            answer = server.answer(chance.randbytes(1), frames)
            if answer:
                decode_reply(answer[1] if frames[:1] == [b""] and len(frames) == 2 else answer[0])
            assert server.unread_bytes <= MAX_BYTES + 2**20

    assert growth_bytes(work, REQUESTS) < GROWTH_BYTES + MAX_BYTES
    assert sum(server.answers.values()) == INPUTS
    assert min(server.answers["malformed"], server.answers["page"], server.answers["unread"]) > INPUTS // 1_000
