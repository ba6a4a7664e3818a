"""The publisher on real sockets, heard by plain pyzmq."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.events.factory import CAMERA, anomalies, anomaly, frame_score
from vad.clock import ManualClock
from vad.config import BusSettings
from vad.errors import BindError
from vad.events import Journal, Publisher, StoredEvent
from vad.events.gatekeeper import Gatekeeper
from vad.types import Region

DEADLINE_S = 20.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "events.sqlite") as journal:
        yield journal


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context
        context.destroy(linger=0)


def settings(**changes: Any) -> BusSettings:
    return BusSettings(**{"bind": "tcp://127.0.0.1:*", "linger_s": 0.5, **changes})


def listen(context: zmq.Context[zmq.Socket[bytes]], publisher: Publisher, *topics: str) -> zmq.Socket[bytes]:
    """A subscriber that is known to be connected: it has heard a heartbeat."""
    socket = context.socket(zmq.SUB)
    for topic in (*topics, "vad/1/heartbeat/"):
        socket.subscribe(topic)
    socket.connect(publisher.address)
    deadline_s = time.monotonic() + DEADLINE_S
    while not socket.poll(20):
        assert time.monotonic() < deadline_s
        publisher._send_heartbeat()
    time.sleep(0.05)
    while socket.poll(20):
        socket.recv_multipart()
    socket.unsubscribe("vad/1/heartbeat/")
    return socket


def heard(socket: zmq.Socket[bytes], count: int) -> list[tuple[str, dict[str, Any]]]:
    messages = []
    for _ in range(count):
        assert socket.poll(DEADLINE_S * 1000), f"only {len(messages)} of {count} came"
        topic, body = socket.recv_multipart()
        messages.append((topic.decode(), json.loads(body)))
    assert not socket.poll(50), "more came than was expected"
    return messages


def test_stored_events_arrive_in_order_with_their_topics(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with Publisher(settings(), journal=journal) as publisher:
        socket = listen(context, publisher, "vad/1/event/", "vad/1/health/")
        publisher.publish(journal.append([*anomalies(3), CAMERA]))
        messages = heard(socket, 4)
    assert [body["sequence"] for _, body in messages] == [1, 2, 3, 4]
    assert [topic for topic, _ in messages] == ["vad/1/event/cam1/"] * 3 + ["vad/1/health/cam1/"]


def test_a_topic_with_its_slash_never_matches_a_longer_camera_name(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with Publisher(settings(), journal=journal) as publisher:
        socket = listen(context, publisher, "vad/1/event/cam1/", "vad/1/score/cam1/")
        for camera in ("cam10", "cam1", "cam", "cam1.b"):
            publisher.publish(journal.append(anomalies(1, camera=camera)))
            publisher.publish_score(frame_score(camera=camera))
        assert [topic for topic, _ in heard(socket, 2)] == ["vad/1/event/cam1/", "vad/1/score/cam1/"]


def test_events_that_were_never_handed_over_are_read_from_the_journal(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with Publisher(settings(), journal=journal) as publisher:
        socket = listen(context, publisher, "vad/1/event/")
        journal.append(anomalies(1_500))  # more than a page of the journal
        publisher.publish(journal.append(anomalies(2)))
        assert [body["sequence"] for _, body in heard(socket, 1_502)] == list(range(1, 1_503))


def test_the_heartbeat_comes_after_what_the_journal_holds(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    clock = ManualClock()
    with Publisher(settings(heartbeat_s=1.0), journal=journal, clock=clock) as publisher:
        socket = listen(context, publisher, "vad/1/event/")
        socket.subscribe("vad/1/heartbeat/")
        time.sleep(0.1)
        journal.append(anomalies(2))
        assert publisher.tick() == 1.0
        clock.advance(0.25)
        assert publisher.tick() == 0.75
        messages = heard(socket, 3)
    assert [topic for topic, _ in messages] == ["vad/1/event/cam1/"] * 2 + ["vad/1/heartbeat/"]
    assert messages[2][1]["data"]["last_sequence"] == 2
    assert messages[2][1]["data"]["epoch"] == journal.epoch


def test_an_event_handed_over_twice_is_sent_once(journal: Journal, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with Publisher(settings(), journal=journal) as publisher:
        socket = listen(context, publisher, "vad/1/event/")
        stored = journal.append(anomalies(2))
        publisher.publish(stored)
        publisher.publish(stored)
        assert [body["sequence"] for _, body in heard(socket, 2)] == [1, 2]


def test_an_event_of_another_journal_is_refused(journal: Journal) -> None:
    with Publisher(settings(), journal=journal) as publisher, pytest.raises(ValueError, match="epoch"):
        publisher.publish([StoredEvent("ffff", 1, "vad/1/event/cam1/", b"{}")])


def test_a_new_publisher_begins_at_the_end_of_the_journal(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    journal.append(anomalies(5))
    with Publisher(settings(), journal=journal) as publisher:
        assert publisher.last_sequence == 5
        socket = listen(context, publisher, "vad/1/event/")
        publisher.publish(journal.append(anomalies(1)))
        assert [body["sequence"] for _, body in heard(socket, 1)] == [6]


def test_scores_are_not_sent_when_they_are_switched_off(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with Publisher(settings(scores=False), journal=journal) as publisher:
        socket = listen(context, publisher, "vad/1/")
        publisher.publish_score(frame_score())
        publisher.publish(journal.append(anomalies(1)))
        assert [topic for topic, _ in heard(socket, 1)] == ["vad/1/event/cam1/"]


def test_ids_of_scores_and_heartbeats_are_unique(journal: Journal, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    ids = []
    for _ in range(2):
        with Publisher(settings(), journal=journal) as publisher:
            socket = listen(context, publisher, "vad/1/score/")
            for index in range(3):
                publisher.publish_score(frame_score(index=index))
            ids += [body["id"] for _, body in heard(socket, 3)]
            socket.close()
    assert len(set(ids)) == 6


def test_closing_sends_what_is_unsent_and_a_last_heartbeat(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    publisher = Publisher(settings(linger_s=5.0), journal=journal)
    socket = listen(context, publisher, "vad/1/")
    journal.append([anomaly(incident=f"i{i}", close_reason="shutdown") for i in range(50)])
    publisher.close()
    publisher.close()
    messages = heard(socket, 51)
    assert messages[-1][1]["data"]["last_sequence"] == 50


def test_a_subscriber_that_never_reads_slows_nobody_and_loses_what_it_does_not_read(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    events, page = 6_000, 200
    boxes = tuple(Region(i / 100, 0.0, 1.0, 1.0, 5.0) for i in range(60))  # about 4 KiB each
    with Publisher(settings(high_water_mark=1_000), journal=journal) as publisher:
        sleeper = context.socket(zmq.SUB)
        sleeper.rcvhwm = 10
        sleeper.setsockopt(zmq.RCVBUF, 4_096)
        sleeper.subscribe("")
        sleeper.connect(publisher.address)
        reader = listen(context, publisher, "vad/1/event/")
        stored = journal.append([anomaly(regions=boxes)] * events)
        started_s = time.monotonic()
        sequences: list[int] = []
        for first in range(0, events, page):
            publisher.publish(stored[first : first + page])
            while len(sequences) < first + page:
                assert reader.poll(DEADLINE_S * 1000)
                sequences.append(json.loads(reader.recv_multipart()[1])["sequence"])
        assert sequences == list(range(1, events + 1))
        assert time.monotonic() - started_s < DEADLINE_S
        late = 0
        while sleeper.poll(200):
            sleeper.recv_multipart()
            late += 1
        assert 0 < late < events


def test_a_subscriber_that_never_reads_stays_connected(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vad.events.sockets.PEER_SILENT_MS", 3_000)
    gatekeeper = Gatekeeper()
    with (
        Publisher(settings(high_water_mark=100), journal=journal, secure=gatekeeper.guard) as publisher,
        closing(gatekeeper),
    ):
        sleeper = context.socket(zmq.SUB)
        sleeper.rcvhwm = 1
        sleeper.setsockopt(zmq.RCVBUF, 4_096)
        sleeper.subscribe("")
        sleeper.connect(publisher.address)
        deadline_s = time.monotonic() + 5.0
        while time.monotonic() < deadline_s:
            publisher.publish(journal.append(anomalies(200)))
            gatekeeper.step(0.05)
        assert (gatekeeper.accepted, gatekeeper.connections) == (1, 1)


def test_closing_waits_no_longer_than_linger_for_a_subscriber_that_never_reads(
    journal: Journal, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    publisher = Publisher(settings(linger_s=0.2), journal=journal)
    sleeper = listen(context, publisher, "vad/1/")
    sleeper.close()  # its place in the publisher's list is gone or going: either way nobody waits for it
    stuck = context.socket(zmq.SUB)
    stuck.rcvhwm = 1
    stuck.subscribe("")
    stuck.connect(publisher.address)
    time.sleep(0.2)
    publisher.publish(journal.append(anomalies(9_000)))
    started_s = time.monotonic()
    publisher.close()
    assert time.monotonic() - started_s < 5.0


def test_a_taken_port_is_refused_with_what_got_allowed(journal: Journal) -> None:
    with (
        Publisher(settings(), journal=journal) as publisher,
        pytest.raises(BindError, match=f"bus.bind: Address already in use; got {publisher.address}, allowed: "),
    ):
        Publisher(settings(bind=publisher.address), journal=journal)


def test_a_port_is_free_again_after_close(journal: Journal) -> None:
    publisher = Publisher(settings(), journal=journal)
    address = publisher.address
    publisher.close()
    with Publisher(settings(bind=address), journal=journal) as again:
        assert again.address == address


def test_localhost_can_be_bound(journal: Journal) -> None:
    with Publisher(settings(bind="tcp://localhost:*"), journal=journal) as publisher:
        assert publisher.address.startswith("tcp://127.0.0.1:")


HOSTILE = """
import os, sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1])
socket.setsockopt(zmq.SUBSCRIBE, b"x" * 2**20)
time.sleep(0.5)
os._exit(0)  # libzmq overflows the stack of whoever closes such a socket
"""


def test_a_giant_subscription_hurts_nobody_else(journal: Journal, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with Publisher(settings(), journal=journal) as publisher:
        reader = listen(context, publisher, "vad/1/event/")
        subprocess.run([sys.executable, "-c", HOSTILE, publisher.address], check=True, timeout=60)
        publisher.publish(journal.append(anomalies(3)))
        assert [body["sequence"] for _, body in heard(reader, 3)] == [1, 2, 3]
