"""The subscriber against a real publisher."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.events.factory import CAMERA, anomalies, frame_score
from vad.config import BusSettings
from vad.errors import EventsLost
from vad.events import AnomalyMessage, CameraMessage, Journal, Publisher, ScoreMessage, Subscriber, encode
from vad.events.messages import heartbeat_message
from vad.events.schema import Message

SETTINGS = BusSettings(bind="tcp://127.0.0.1:*", heartbeat_s=0.1, linger_s=0.5)
DEADLINE_S = 20.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "events.sqlite") as journal:
        yield journal


@pytest.fixture
def publisher(journal: Journal) -> Iterator[Publisher]:
    with Publisher(SETTINGS, journal=journal) as publisher:
        yield publisher


Connect = Callable[..., Subscriber]


@pytest.fixture
def connect(publisher: Publisher) -> Iterator[Connect]:
    """Makes subscribers that have heard a heartbeat of ``publisher``."""
    made: list[Subscriber] = []

    def make(**options: Any) -> Subscriber:
        subscriber = Subscriber(publisher.address, **options)
        made.append(subscriber)
        deadline_s = time.monotonic() + DEADLINE_S
        while not subscriber._socket.poll(20):
            assert time.monotonic() < deadline_s
            publisher._send_heartbeat()
        time.sleep(0.05)
        return subscriber

    yield make
    for subscriber in made:
        subscriber.close()


def receive(subscriber: Subscriber, count: int) -> list[Message]:
    messages = []
    for _ in range(count):
        message = subscriber.receive(DEADLINE_S)
        assert message is not None, f"only {len(messages)} of {count} came"
        messages.append(message)
    assert subscriber.receive(0.05) is None
    return messages


def sequences(messages: list[Message]) -> list[int]:
    return [m.sequence for m in messages if isinstance(m, AnomalyMessage | CameraMessage)]


def test_iterating_gives_typed_events_in_order_until_nothing_comes(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    subscriber = connect(timeout_s=0.5)
    publisher.publish(journal.append([*anomalies(2), CAMERA]))
    publisher.publish_score(frame_score())
    messages = list(subscriber)
    assert [type(m) for m in messages] == [AnomalyMessage, AnomalyMessage, CameraMessage]
    assert sequences(messages) == [1, 2, 3]
    assert subscriber.missed == 0


def test_cameras_are_chosen_by_their_whole_name_and_what_is_left_out_is_no_gap(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    subscriber = connect(cameras=["cam1"], types=["io.vad.anomaly", "io.vad.score"])
    for camera in ("cam10", "cam1", "cam", "cam10", "cam1"):
        publisher.publish(journal.append(anomalies(1, camera=camera)))
        publisher.publish_score(frame_score(camera=camera))
    messages = receive(subscriber, 4)
    assert {m.camera for m in messages if isinstance(m, AnomalyMessage | ScoreMessage)} == {"cam1"}
    assert sequences(messages) == [2, 5]
    assert subscriber.missed == 0


def test_types_choose_themselves_and_what_is_below_them(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    cameras = connect(types=["io.vad.camera"])
    closed = connect(types=["io.vad.anomaly.closed"])
    publisher.publish(journal.append([*anomalies(2), CAMERA]))
    assert sequences(receive(cameras, 1)) == [3]
    assert receive(closed, 0) == []
    assert (cameras.missed, closed.missed) == (0, 0)


def lose(journal: Journal, publisher: Publisher, count: int) -> None:
    """Stored and taken for sent, but heard by nobody: what a high-water mark does."""
    publisher._cursor = journal.append(anomalies(count))[-1].sequence


def test_a_gap_is_raised_once_with_its_range_and_the_next_call_goes_on(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    subscriber = connect()
    publisher.publish(journal.append(anomalies(1)))
    lose(journal, publisher, 3)
    publisher.publish(journal.append(anomalies(1)))
    assert subscriber.receive(DEADLINE_S) is not None
    with pytest.raises(EventsLost) as caught:
        subscriber.receive(DEADLINE_S)
    assert (caught.value.first, caught.value.last, caught.value.epoch) == (2, 4, journal.epoch)
    assert sequences(receive(subscriber, 1)) == [5]
    assert subscriber.missed == 3


def test_a_loss_at_the_end_is_known_from_the_heartbeat(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    lost: list[EventsLost] = []
    subscriber = connect(on_lost=lost.append)
    assert subscriber.receive(0.1) is None
    lose(journal, publisher, 2)
    publisher._send_heartbeat()
    assert subscriber.receive(0.5) is None
    assert [(loss.first, loss.last) for loss in lost] == [(1, 2)]


def test_with_the_journal_at_hand_a_gap_is_filled_in_order(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    subscriber = connect(journal=journal.path)
    assert subscriber.receive(0.1) is None
    publisher.publish(journal.append(anomalies(2)))
    lose(journal, publisher, 2_500)
    publisher.publish(journal.append(anomalies(3)))
    lose(journal, publisher, 4)
    publisher._send_heartbeat()
    assert sequences(receive(subscriber, 2_509)) == list(range(1, 2_510))
    assert subscriber.missed == 0


def test_since_begins_with_the_past_and_goes_on_live_without_hole_or_repeat(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    publisher.publish(journal.append(anomalies(1_200)))
    subscriber = connect(since=7, journal=journal.path)
    publisher.publish(journal.append(anomalies(5)))
    assert sequences(receive(subscriber, 1_198)) == list(range(8, 1_206))


def test_since_beyond_the_journal_is_refused(journal: Journal, publisher: Publisher) -> None:
    with pytest.raises(ValueError, match="allowed: 0 to 0"):
        Subscriber(publisher.address, since=1, journal=journal.path)
    with pytest.raises(ValueError, match="allowed: 0 or more"):
        Subscriber(publisher.address, since=-1)


def test_what_is_gone_from_the_journal_is_said_to_be_lost(
    journal: Journal, publisher: Publisher, connect: Connect
) -> None:
    publisher.publish(journal.append(anomalies(10)))
    journal._db.execute("DELETE FROM events WHERE sequence <= 4")
    lost: list[EventsLost] = []
    subscriber = connect(since=1, journal=journal.path, on_lost=lost.append)
    assert sequences(receive(subscriber, 6)) == [5, 6, 7, 8, 9, 10]
    assert [(loss.first, loss.last) for loss in lost] == [(2, 4)]


def test_an_engine_that_comes_back_is_found_again_and_nothing_is_missed(
    tmp_path: Path, connect: Connect, journal: Journal, publisher: Publisher
) -> None:
    subscriber = connect(journal=journal.path)
    assert subscriber.receive(0.1) is None
    address = publisher.address
    publisher.close()
    while_down = journal.append(anomalies(3))
    assert while_down[-1].sequence == 3
    with Publisher(SETTINGS.model_copy(update={"bind": address}), journal=journal) as again:
        deadline_s = time.monotonic() + DEADLINE_S
        messages: list[Message] = []
        while len(messages) < 3:
            assert time.monotonic() < deadline_s
            again.tick()
            if (message := subscriber.receive(0.05)) is not None:
                messages.append(message)
        again.publish(journal.append(anomalies(1)))
        messages += receive(subscriber, 1)
    assert sequences(messages) == [1, 2, 3, 4]


def test_a_new_epoch_is_expected_from_its_first_event(tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        lost: list[EventsLost] = []
        with (
            Journal(tmp_path / "a.sqlite") as old,
            Journal(tmp_path / "b.sqlite") as new,
            Subscriber(f"tcp://127.0.0.1:{port}", on_lost=lost.append) as subscriber,
        ):
            old_events, new_events = old.append(anomalies(9)), new.append(anomalies(3))
            deadline_s = time.monotonic() + DEADLINE_S
            while subscriber.receive(0.05) is None:
                assert time.monotonic() < deadline_s
                socket.send_multipart((old_events[8].topic.encode(), old_events[8].body))
            socket.send_multipart((new_events[1].topic.encode(), new_events[1].body))
            heartbeat = heartbeat_message(epoch=new.epoch, last_sequence=2, wall_s=0.0, id="h")
            socket.send_multipart((b"vad/1/heartbeat/", encode(heartbeat)))  # of an engine that offers no replay
            assert sequences(receive(subscriber, 1)) == [2]
        assert [(loss.epoch, loss.first, loss.last) for loss in lost] == [(new.epoch, 1, 1)]


@pytest.mark.parametrize("frames", [[b"{}"], [b"not json"], [], [b"{}", b"more"]])
def test_what_cannot_be_read_is_counted_and_passed_over(
    journal: Journal, publisher: Publisher, connect: Connect, frames: list[bytes]
) -> None:
    subscriber = connect()
    publisher._socket.send_multipart([b"vad/1/event/cam1/", *frames])
    publisher.publish(journal.append(anomalies(1)))
    assert sequences(receive(subscriber, 1)) == [1]
    assert subscriber.unreadable == 1


def test_silence_is_measured_while_no_engine_is_there() -> None:
    with Subscriber("tcp://127.0.0.1:1") as subscriber:
        assert subscriber.receive(0.05) is None
        assert subscriber.silence_s >= 0.05


def test_a_closed_subscriber_ends_its_iteration(publisher: Publisher) -> None:
    subscriber = Subscriber(publisher.address)
    subscriber.close()
    subscriber.close()
    assert list(subscriber) == []


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: tcp://HOST:PORT"):
        Subscriber("nonsense")
