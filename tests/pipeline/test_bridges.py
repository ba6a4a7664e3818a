"""Bridges beside the engine: fed to the last event, and never in its way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from tests.events.bridges.driving import bridge_settings
from tests.events.bridges.receiver import Receiver
from tests.events.factory import anomalies
from tests.pipeline.sites import make_site, wait_for
from vad.clock import ManualClock, SystemClock
from vad.config import SiteConfig
from vad.errors import BridgeError, CursorError
from vad.events import Journal, StoredEvent
from vad.pipeline.bridging import BridgeWorker
from vad.pipeline.engine import Engine


class Recording:
    """A bridge to a list, which fails when told to."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.errors: list[Exception] = []
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def send(self, events: Sequence[StoredEvent]) -> Iterator[StoredEvent]:
        assert self.is_open
        for event in events:
            if self.errors:
                raise self.errors.pop()
            self.sequences.append(event.sequence)
            yield event

    def idle(self, timeout_s: float) -> None:
        time.sleep(timeout_s)

    def close(self) -> None:
        self.is_open = False


def worker_on(journal: Journal, folder: Path, bridge: Recording, **settings: Any) -> BridgeWorker:
    return BridgeWorker(
        bridge_settings(type="webhook", url="http://127.0.0.1:9", secret_key="x", **settings),
        bridge=bridge,
        reader=journal.reader(),
        last_sequence=lambda: journal.last_sequence,
        storage=folder,
        clock=SystemClock(),
    )


def run_to_the_end(worker: BridgeWorker) -> None:
    """All that is in the journal, in this thread."""
    worker._drain_until_s = time.monotonic() + 20.0
    worker._stopping.set()
    worker._run_once()


def test_events_forgotten_before_they_could_be_delivered_are_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    with Journal(tmp_path / "events.sqlite", clock=clock) as journal:
        bridge = Recording()
        worker = worker_on(journal, tmp_path, bridge)
        journal.append(anomalies(30))
        clock.advance(1_000.0)
        journal.append(anomalies(10))
        journal.forget(older_than_s=500.0, max_bytes=2**30)
        run_to_the_end(worker)
    assert bridge.sequences == list(range(31, 41))
    assert (worker.status.lost, worker.status.sent, worker.status.sequence) == (30, 10, 40)


def test_a_new_journal_is_begun_from_its_first_event(tmp_path: Path) -> None:
    bridge = Recording()
    for round_ in range(2):
        with Journal(tmp_path / f"events{round_}.sqlite") as journal:
            worker = worker_on(journal, tmp_path, bridge)
            journal.append(anomalies(3))
            run_to_the_end(worker)
            if round_ == 0:
                continue
            assert bridge.sequences == [1, 2, 3, 1, 2, 3]


def test_a_cursor_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "bridges").mkdir()
    (tmp_path / "bridges" / "webhook.cursor").write_text("nonsense")
    with Journal(tmp_path / "events.sqlite") as journal, pytest.raises(CursorError, match=r"webhook\.cursor"):
        worker_on(journal, tmp_path, Recording())


def test_a_defect_in_a_library_is_survived_and_what_was_delivered_is_not_repeated(tmp_path: Path) -> None:
    import threading

    with Journal(tmp_path / "events.sqlite") as journal:
        bridge = Recording()
        worker = worker_on(journal, tmp_path, bridge)
        journal.append(anomalies(5))
        bridge.errors = [KeyError("a defect"), BridgeError("away")]
        thread = threading.Thread(target=worker.run)
        thread.start()
        wait_for(lambda: worker.status.sequence == 5)
        journal.append(anomalies(5))
        bridge.errors = [ValueError("another")]
        wait_for(lambda: worker.status.sequence == 10)
        worker.stop()
        thread.join()
    assert bridge.sequences == list(range(1, 11))
    assert worker.status.failed >= 3
    assert not bridge.is_open


def test_waits_double_with_jitter_up_to_the_longest(tmp_path: Path) -> None:
    with Journal(tmp_path / "events.sqlite") as journal:
        worker = worker_on(journal, tmp_path, Recording(), retry_min_s=0.5, retry_max_s=8.0)
        for failures, whole_s in enumerate((0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)):
            waits = {worker._backoff_s(failures, BridgeError("away")) for _ in range(50)}
            assert 0.5 * whole_s <= min(waits) < max(waits) <= whole_s
        assert worker._backoff_s(0, BridgeError("later", wait_s=5.0)) == 5.0
        assert worker._backoff_s(0, BridgeError("much later", wait_s=5_000.0)) == 8.0


def site_with(storage: Path, footage: Path, bridges: list[dict[str, Any]]) -> SiteConfig:
    site = make_site(storage, {"cam1": {"url": str(footage), "realtime": False}})
    return SiteConfig.model_validate({**site.model_dump(), "bridges": bridges})


def test_the_engine_feeds_its_bridges_down_to_the_last_event(tmp_path: Path, footage: Path) -> None:
    receiver = Receiver().start()
    bridge = {"type": "webhook", "url": receiver.url, "secret_key": "x"}
    try:
        with Engine(site_with(tmp_path, footage, [bridge])) as engine:
            wait_for(lambda: engine.is_stopping, what="the end of the footage")
        last = engine.status().last_sequence
        assert receiver.ids == [f"{engine.status().epoch}-{sequence}" for sequence in range(1, last + 1)]
        told = engine.status().bridges["webhook"]
        assert (told.behind, told.sent, told.failed) == (0, last, 0)
        metrics = generate_latest(engine.registry).decode()
        assert f'vad_bridge_sent_total{{bridge="webhook"}} {last}.0' in metrics
        assert 'vad_bridge_lag_events{bridge="webhook"} 0.0' in metrics
    finally:
        receiver.stop()


def test_bridges_that_hang_or_are_away_neither_slow_nor_stop_the_engine(tmp_path: Path, footage: Path) -> None:
    receiver = Receiver(answer=lambda request: lambda handler: time.sleep(20)).start()
    bridges = [
        {"type": "webhook", "name": "hangs", "url": receiver.url, "secret_key": "x", "timeout_s": 15.0},
        {"type": "webhook", "name": "away", "url": "http://127.0.0.1:9", "secret_key": "x"},
    ]
    try:
        with Engine(site_with(tmp_path, footage, bridges)) as engine:
            wait_for(lambda: engine.is_stopping, what="the end of the footage")
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 15.0
        status = engine.status()
        assert status.cameras["cam1"].frames.lost == 0
        assert status.last_sequence > 0
        assert status.bridges["away"].failed > 0
        assert {bridge.behind for bridge in status.bridges.values()} == {status.last_sequence}
        metrics = generate_latest(engine.registry).decode()
        assert 'vad_bridge_up{bridge="away"} 0.0' in metrics
    finally:
        receiver.stop()
