"""The subscriber against the real delivery: nothing missed, nothing twice, whatever was away meanwhile."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.events.factory import CAMERA, anomalies, anomaly
from tests.events.running import delivering
from tests.pipeline.sites import wait_for
from vad.errors import CursorError, EventsLost, ReplayError
from vad.events import AnomalyMessage, CameraMessage, JournalMessage, Subscriber
from vad.pipeline.delivery import Delivery
from vad.types import CameraEvent, HealthIssue, Region

DEADLINE_S = 30.0


def put(delivery: Delivery, events: list[Any]) -> int:
    """Store events; the last sequence once they are."""
    until = delivery.journal.last_sequence + len(events)
    delivery.put(events)
    wait_for(lambda: delivery.journal.last_sequence == until)
    return until


def subscribe(delivery: Delivery, **options: Any) -> Subscriber:
    return Subscriber(delivery.bus_address, **options)


def take(subscriber: Subscriber, count: int) -> list[int]:
    sequences = []
    for _ in range(count):
        message = subscriber.receive(DEADLINE_S)
        assert isinstance(message, AnomalyMessage | CameraMessage | JournalMessage), f"{len(sequences)} of {count}"
        sequences.append(message.sequence)
    return sequences


def connected(subscriber: Subscriber) -> Subscriber:
    """Once it follows: what is raised from now on is heard or missed knowingly."""
    while subscriber.epoch is None:
        subscriber.receive(0.05)
    return subscriber


def test_since_is_answered_by_the_engine_without_its_file(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(3_000))
        with subscribe(delivery, since=7) as subscriber:
            assert take(subscriber, 2_993) == list(range(8, 3_001))
            put(delivery, anomalies(5))
            assert take(subscriber, 5) == list(range(3_001, 3_006))
            assert subscriber.is_up_to_date
            assert subscriber.missed == 0


def test_what_is_raised_while_the_past_is_replayed_comes_after_it(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(2_000))
        with subscribe(delivery, since=0) as subscriber:
            sequences = take(subscriber, 10)
            for _ in range(20):
                put(delivery, anomalies(50))
            sequences += take(subscriber, 2_990)
        assert sequences == list(range(1, 3_001))


def test_since_beyond_the_last_event_is_refused_with_the_range_there_is(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(3))
        with subscribe(delivery, since=9) as subscriber:
            with pytest.raises(ReplayError, match=r"sequence 9 is beyond .* allowed: 0 to 3"):
                subscriber.receive(DEADLINE_S)
            put(delivery, anomalies(1))
            assert take(subscriber, 1) == [4]


def test_a_gap_in_what_is_heard_is_filled_by_replay_in_order(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery, subscribe(delivery) as subscriber:
        connected(subscriber)
        put(delivery, anomalies(2))
        assert take(subscriber, 2) == [1, 2]
        for topic in subscriber._topics():
            subscriber._socket.unsubscribe(topic)
        wait_for(lambda: subscriber.receive(0.3) is None)
        put(delivery, anomalies(700))
        for topic in subscriber._topics():
            subscriber._socket.subscribe(topic)
        put(delivery, anomalies(1))
        assert take(subscriber, 701) == list(range(3, 704))
        assert subscriber.missed == 0


def test_a_subscriber_too_slow_for_the_bus_catches_up_by_replay(tmp_path: Path) -> None:
    boxes = tuple(Region(i / 100, 0.0, 1.0, 1.0, 5.0) for i in range(60))  # some 4 KiB an event
    with delivering(tmp_path, bus={"high_water_mark": 10}) as delivery, subscribe(delivery) as subscriber:
        connected(subscriber)
        subscriber._socket.disconnect(delivery.bus_address)  # and with hardly any room where it comes back
        subscriber._socket.rcvhwm = 10
        subscriber._socket.rcvbuf = 4_096
        subscriber._socket.connect(delivery.bus_address)
        wait_for(lambda: subscriber._listen())
        for _ in range(60):
            put(delivery, [anomaly(regions=boxes)] * 100)
        assert take(subscriber, 6_000) == list(range(1, 6_001))
        assert subscriber.missed == 0
        assert delivery.replay_status.events > 1_000  # it did not hear them all


def test_a_snapshot_before_the_beginning_does_not_move_the_cursor_back(tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    with delivering(tmp_path) as delivery:
        put(delivery, [CAMERA, *anomalies(5)])
        with subscribe(delivery, snapshot=True, cursor_file=cursor) as subscriber:
            assert take(subscriber, 1) == [1]
            subscriber.ack()
            assert json.loads(cursor.read_text())["sequence"] == 6
            put(delivery, anomalies(1))
            assert take(subscriber, 1) == [7]
            subscriber.ack()
    assert json.loads(cursor.read_text())["sequence"] == 7


def test_what_the_journal_has_forgotten_is_raised_with_its_exact_range(tmp_path: Path) -> None:
    with delivering(tmp_path, journal_mib=1) as delivery:
        put(delivery, anomalies(6_000))  # some four times what is kept
        wait_for(lambda: delivery.journal_status.first_sequence > 1 and delivery.journal_status.used_bytes <= 2**20)
        first = delivery.journal_status.first_sequence
        assert first > 3_000
        with subscribe(delivery, since=10) as subscriber:
            with pytest.raises(EventsLost) as caught:
                subscriber.receive(DEADLINE_S)
            assert (caught.value.first, caught.value.last) == (11, first - 1)
            assert take(subscriber, 6_001 - first) == list(range(first, 6_001))
            assert subscriber.missed == first - 11


def test_an_engine_that_was_away_is_asked_for_what_was_raised_before_it_was_heard(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        bind, replay = delivery.bus_address, delivery.replay_address
        subscriber = connected(subscribe(delivery))
        put(delivery, anomalies(3))
        assert take(subscriber, 3) == [1, 2, 3]
        for topic in subscriber._topics():
            subscriber._socket.unsubscribe(topic)
        wait_for(lambda: subscriber.receive(0.3) is None)
        put(delivery, anomalies(3))
    for topic in subscriber._topics():
        subscriber._socket.subscribe(topic)
    with subscriber, delivering(tmp_path, bind=bind, replay_bind=replay) as delivery:
        put(delivery, anomalies(2))
        assert take(subscriber, 5) == [4, 5, 6, 7, 8]
        assert subscriber.missed == 0


def test_a_new_journal_is_followed_from_its_first_event_and_what_was_not_had_is_lost(tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    with delivering(tmp_path / "data") as delivery:
        bind, replay = delivery.bus_address, delivery.replay_address
        put(delivery, anomalies(9))
        with subscribe(delivery, since=0, cursor_file=cursor) as subscriber:
            assert take(subscriber, 4) == [1, 2, 3, 4]
            subscriber.ack()
            old = subscriber.epoch
    for file in (tmp_path / "data").glob("events.sqlite*"):
        if not file.name.endswith(".lock"):
            file.write_bytes(b"rubbish")
    with delivering(tmp_path / "data", bind=bind, replay_bind=replay) as delivery:
        put(delivery, anomalies(2))
        with subscribe(delivery, cursor_file=cursor) as subscriber:
            with pytest.raises(EventsLost) as caught:
                subscriber.receive(DEADLINE_S)
            assert (caught.value.epoch, caught.value.first, caught.value.last) == (old, 5, 9)
            replaced = subscriber.receive(DEADLINE_S)
            assert isinstance(replaced, JournalMessage)
            assert (replaced.type, replaced.sequence) == ("io.vad.journal.replaced", 1)
            assert take(subscriber, 2) == [2, 3]
            subscriber.ack()
        with subscribe(delivery, cursor_file=cursor) as subscriber:
            put(delivery, anomalies(1))
            assert take(subscriber, 1) == [4]


def test_what_was_not_acknowledged_comes_again_with_the_same_id(tmp_path: Path) -> None:
    cursor = tmp_path / "cursor.json"
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(10))
        with subscribe(delivery, since=0, cursor_file=cursor) as subscriber:
            messages = [subscriber.receive(DEADLINE_S) for _ in range(6)]
            assert isinstance(messages[3], AnomalyMessage)
            subscriber.ack(messages[3])
        with subscribe(delivery, since=0, cursor_file=cursor) as subscriber:
            again = subscriber.receive(DEADLINE_S)
            assert again is not None
            assert again == messages[4]
            assert take(subscriber, 5) == [6, 7, 8, 9, 10]
            subscriber.ack()
        assert json.loads(cursor.read_text()) == {"epoch": delivery.journal.epoch, "sequence": 10}


def test_a_new_cursor_without_since_begins_now_and_remembers_when_that_was(tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(5))
        with subscribe(delivery, cursor_file=cursor) as subscriber:
            connected(subscriber)
            assert subscriber.receive(0.2) is None
        put(delivery, anomalies(3))
        with subscribe(delivery, cursor_file=cursor) as subscriber:
            assert take(subscriber, 3) == [6, 7, 8]


def test_what_nobody_asked_for_moves_the_cursor_but_never_past_what_is_not_acknowledged(tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    with delivering(tmp_path) as delivery:
        with subscribe(delivery, since=0, cursor_file=cursor, cameras=["quiet"]) as subscriber:
            put(delivery, anomalies(500, camera="loud"))
            assert subscriber.receive(1.0) is None
        assert json.loads(cursor.read_text())["sequence"] == 500
        with subscribe(delivery, cursor_file=cursor, cameras=["quiet"]) as subscriber:
            put(delivery, [*anomalies(1, camera="quiet"), *anomalies(500, camera="loud")])
            assert take(subscriber, 1) == [501]
            assert subscriber.receive(1.0) is None
        assert json.loads(cursor.read_text())["sequence"] == 500


def test_a_cursor_that_is_none_is_refused(tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    cursor.write_text("not a cursor")
    with pytest.raises(CursorError, match="is not a cursor"):
        Subscriber("tcp://127.0.0.1:1", cursor_file=cursor)


def test_a_cursor_that_cannot_be_written_says_so_and_the_one_before_stays(tmp_path: Path) -> None:
    cursor = tmp_path / "gone" / "cursor"
    with delivering(tmp_path / "data") as delivery:
        put(delivery, anomalies(1))
        subscriber = subscribe(delivery, since=0, cursor_file=cursor)
        assert take(subscriber, 1) == [1]
        with pytest.raises(CursorError, match="cannot be written"):
            subscriber.ack()
        cursor.parent.mkdir()
        subscriber.ack()
        subscriber.close()
    assert json.loads(cursor.read_text())["sequence"] == 1


def test_a_snapshot_gives_the_last_of_each_cameras_stream_and_picture_first(tmp_path: Path) -> None:
    def state(camera: str, word: str) -> CameraEvent:
        return CameraEvent(camera, 1, word, wall_s=1_700_000_000.0)

    with delivering(tmp_path) as delivery:
        put(delivery, [state("a", "up"), state("b", "up"), state("a", HealthIssue.FROZEN), *anomalies(9)])
        put(delivery, [state("b", "backoff"), state("a", "recovered")])
        put(delivery, [state("a", "nuisance")])  # which changes neither
        with subscribe(delivery, snapshot=True, types=["io.vad.camera"]) as subscriber:
            seen = [subscriber.receive(DEADLINE_S) for _ in range(3)]
            assert [(m.camera, m.data.state) for m in seen if isinstance(m, CameraMessage)] == [
                ("a", "up"),
                ("b", "backoff"),
                ("a", "recovered"),
            ]
            put(delivery, [state("b", "up")])
            assert take(subscriber, 1) == [16]


def test_async_iteration_gives_the_same_and_can_be_cancelled_without_a_loss(tmp_path: Path) -> None:
    async def follow(delivery: Delivery) -> list[int]:
        sequences: list[int] = []
        with subscribe(delivery, since=0, timeout_s=2.0) as subscriber:
            while len(sequences) < 20:
                try:
                    message = await asyncio.wait_for(subscriber.receive_async(), timeout=0.002)
                    assert isinstance(message, AnomalyMessage)
                    sequences.append(message.sequence)
                except TimeoutError:
                    continue
            delivery.put(anomalies(5))
            async for message in subscriber:
                assert isinstance(message, AnomalyMessage)
                sequences.append(message.sequence)
        return sequences

    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(20))
        assert asyncio.run(follow(delivery)) == list(range(1, 26))


def test_the_body_as_it_came_is_at_hand(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, [CAMERA])
        with subscribe(delivery, since=0) as subscriber:
            subscriber.receive(DEADLINE_S)
            assert subscriber.body == delivery.journal.read(0)[0].body


def test_a_replay_that_nobody_answers_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vad.events.replayer.ANSWER_S", 0.2)
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(5))
        answer, replay = delivery._replay.answer, delivery._replay
        silent = iter([True, True, True])
        monkeypatch.setattr(replay, "answer", lambda *a: [] if next(silent, False) else answer(*a))
        with subscribe(delivery, since=0) as subscriber:
            assert take(subscriber, 5) == [1, 2, 3, 4, 5]
