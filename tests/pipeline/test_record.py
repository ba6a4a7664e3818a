"""The journal thread on real disks: full, slow, damaged; and what it keeps, gives up and says."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path

import pytest

from tests.events.disks import fill, small_disk
from tests.events.factory import CAMERA, anomalies, anomaly
from tests.events.running import delivering
from tests.pipeline.sites import wait_for
from vad.errors import JournalDamaged, JournalError
from vad.events import AnomalyMessage, JournalMessage, Subscriber, decode, read_journal
from vad.pipeline.delivery import Delivery
from vad.pipeline.record import WaitingEvents

EVENT_BYTES = 600


def settle(delivery: Delivery) -> None:
    wait_for(lambda: delivery.journal_status.waiting == 0, what="the journal")


def sequences(delivery: Delivery) -> list[int]:
    return [stored.sequence for stored in read_journal(delivery.journal.path)]


def test_what_waits_is_written_in_order_and_many_at_once(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        for first in range(1, 1_001, 10):
            delivery.put(anomalies(10, first=first))
        settle(delivery)
        bodies = [decode(stored.body) for stored in read_journal(delivery.journal.path)]
    assert [m.data.incident for m in bodies if isinstance(m, AnomalyMessage)] == [f"i{n}" for n in range(1, 1_001)]


def test_a_full_disk_keeps_nobody_waiting_and_loses_nothing_that_fits_into_memory(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=2_048) as disk, delivering(disk) as delivery:
        with Subscriber(delivery.bus_address, since=0) as subscriber:
            delivery.put(anomalies(10))
            settle(delivery)
            ballast = fill(disk)
            numbers = itertools.count(11)
            while delivery.journal_status.is_writable:  # the write-ahead log may have some room left
                delivery.put(anomalies(20, first=next(numbers) * 20))
                time.sleep(0.02)
            status = delivery.journal_status
            assert "full" in status.detail
            assert status.failures >= 1
            stored = delivery.journal.last_sequence
            started_s = time.monotonic()
            delivery.put(anomalies(1_000))
            assert time.monotonic() - started_s < 1.0
            wait_for(lambda: subscriber.receive(0.2) is None)
            assert subscriber.last_sequence <= stored  # nothing is sent that is not stored
            waiting = delivery.journal_status.waiting
            assert waiting >= 1_000
            ballast.unlink()
            settle(delivery)
            assert delivery.journal_status.is_writable
            assert delivery.journal_status.lost == 0
            assert delivery.journal.last_sequence == stored + waiting
            while subscriber.last_sequence < stored + waiting:
                assert subscriber.receive(20.0) is not None
            assert subscriber.missed == 0
        assert sequences(delivery) == list(range(1, stored + waiting + 1))


def test_what_is_too_much_for_memory_costs_the_oldest_and_an_event_says_so_in_their_place(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=2_048) as disk, delivering(disk, waiting_events=100) as delivery:
        delivery.put([CAMERA])
        settle(delivery)
        ballast = fill(disk)
        raised = 0
        while delivery.journal_status.is_writable:
            delivery.put(anomalies(50, first=raised + 1))
            raised += 50
            time.sleep(0.05)
        delivery.put([anomaly(incident=f"i{raised + n}", wall_s=2_000_000_000.0 + n) for n in range(1, 1_001)])
        raised += 1_000
        assert 100 <= delivery.journal_status.waiting <= 601  # those in hand, and those in the queue
        ballast.unlink()
        settle(delivery)
        messages = [decode(stored.body) for stored in read_journal(delivery.journal.path)]
        lost = delivery.journal_status.lost
    at = [n for n, m in enumerate(messages) if isinstance(m, JournalMessage)]
    assert len(at) == 1
    told = messages[at[0]]
    assert isinstance(told, JournalMessage)
    assert (told.type, told.data.lost) == ("io.vad.journal.overflowed", lost)
    assert lost > 0
    assert told.data.until_wall_s == 2_000_000_900.0
    incidents = [int(m.data.incident[1:]) for m in messages if isinstance(m, AnomalyMessage)]
    assert len(incidents) + lost == raised
    assert incidents[-100:] == list(range(raised - 99, raised + 1))  # the newest are kept
    assert incidents[: at[0] - 1] == list(range(1, at[0]))  # and the loss stands where it is
    assert [m.sequence for m in messages if hasattr(m, "sequence")] == list(range(1, len(messages) + 1))


def test_a_stop_on_a_full_disk_ends_in_time_and_says_how_many_events_are_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=1_024) as disk:

        def stop_on_a_full_disk() -> None:
            with delivering(disk) as delivery:
                fill(disk)
                while delivery.journal_status.is_writable:
                    delivery.put(anomalies(50))
                    time.sleep(0.05)

        started_s = time.monotonic()
        with pytest.raises(JournalError, match=r"\d+ events could not be stored"):
            stop_on_a_full_disk()
        assert time.monotonic() - started_s < 30.0
        (disk / "ballast").unlink()
        with delivering(disk) as delivery:  # and what was stored is whole
            assert delivery.journal.set_aside is None


def test_a_journal_damaged_under_way_ends_the_engine_and_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    def write_on_damage() -> None:
        with delivering(tmp_path) as delivery:
            delivery.put(anomalies(3_000))
            settle(delivery)
            delivery.journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            delivery.journal._db.execute("PRAGMA cache_size = 0")
            with delivery.journal.path.open("r+b") as file:
                file.seek(4_096)
                file.write(os.urandom(delivery.journal.path.stat().st_size - 4_096))
            while not delivery.recorder._waiting.is_closed:
                delivery.put(anomalies(1))
                time.sleep(0.05)

    with pytest.raises(JournalDamaged):
        write_on_damage()
    with delivering(tmp_path) as delivery:
        told = decode(delivery.journal.read(0)[0].body)
    assert isinstance(told, JournalMessage)
    assert told.data.state == "replaced"


def test_old_events_are_forgotten_from_the_old_end_while_new_ones_are_written(tmp_path: Path) -> None:
    with delivering(tmp_path, journal_mib=1) as delivery:
        for _ in range(30):
            delivery.put(anomalies(300))
            time.sleep(0.01)
        settle(delivery)
        wait_for(lambda: delivery.journal_status.used_bytes <= 2**20)
        kept = sequences(delivery)
        assert kept == list(range(delivery.journal_status.first_sequence, 9_001))
        assert len(kept) * EVENT_BYTES > 2**20 * 0.5
        assert delivery.journal.path.stat().st_size < 8 * 2**20
    with delivering(tmp_path, journal_mib=1) as delivery:
        assert delivery.journal.set_aside is None
        assert delivery.journal.last_sequence == 9_000


def test_waiting_events_are_taken_in_order_from_many_threads() -> None:
    waiting = WaitingEvents(100_000)
    raisers = [
        threading.Thread(target=lambda k=k: [waiting.put(anomalies(1, camera=f"c{k}", first=n)) for n in range(200)])
        for k in range(4)
    ]
    for raiser in raisers:
        raiser.start()
    taken: list[str] = []
    while len(taken) < 800:
        batch = waiting.take(64, timeout_s=1.0)
        assert batch is not None
        taken += [f"{event.camera}-{event.incident}" for event in batch[1]]  # type: ignore[union-attr]
    for k in range(4):
        assert [name for name in taken if name.startswith(f"c{k}-")] == [f"c{k}-i{n}" for n in range(200)]
