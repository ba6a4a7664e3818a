"""The whole engine when its disk is full, and when it is killed: it goes on scoring, and nobody misses an event."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tests.events.disks import fill, small_disk
from tests.pipeline.sites import make_site, wait_for, wait_for_frames
from vad.events import Subscriber, read_journal
from vad.pipeline.engine import Engine
from vad.service.http import HttpServer


def test_an_engine_on_a_full_disk_goes_on_scoring_says_so_and_stores_what_waited(tmp_path: Path, footage: Path) -> None:
    registry = CollectorRegistry()
    with small_disk(tmp_path / "disk", kib=4_096) as disk:
        config = make_site(disk, {"cam": {"url": str(footage), "loop": True}}, update_every_s=0.5)
        engine = Engine(config, registry=registry)
        with engine, HttpServer("127.0.0.1:0", registry=registry, readiness=engine.readiness) as server:

            def metric(name: str) -> float:
                page = httpx.get(f"{server.address}/metrics").text
                families = {family.name: family for family in text_string_to_metric_families(page)}
                return families[name].samples[0].value

            wait_for(lambda: engine.status().last_sequence > 0)
            assert httpx.get(f"{server.address}/readyz").json()["checks"]["journal_writable"]
            ballast = fill(disk)
            while engine.status().journal.is_writable:  # a write-ahead log has some room
                fill(disk)
                time.sleep(0.1)
            wait_for_frames(engine, "cam", 20)
            wait_for(lambda: engine.status().journal.waiting > 0)
            ready = httpx.get(f"{server.address}/readyz")
            assert (ready.status_code, ready.json()["checks"]["journal_writable"]) == (503, False)
            assert httpx.get(f"{server.address}/livez").status_code == 200
            assert (metric("vad_journal_writable"), metric("vad_journal_write_failures") > 0) == (0.0, True)
            assert metric("vad_journal_waiting_events") > 0
            before = engine.status().last_sequence
            ballast.unlink()
            wait_for(lambda: engine.status().journal.is_writable and engine.status().last_sequence > before)
            assert metric("vad_journal_writable") == 1.0
            assert metric("vad_journal_lost_events") == 0.0
        stored = [event.sequence for event in read_journal(engine.journal_path)]
    assert stored == list(range(1, engine.status().last_sequence + 1))


@pytest.mark.slow
def test_a_subscriber_with_a_cursor_misses_nothing_of_an_engine_that_is_killed_and_restarted(
    tmp_path: Path, footage: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [listening.getsockname()[1] for listening in (one, other)]
    site = {
        "cameras": {"cam": {"url": str(footage), "loop": True, "false_alarms_per_day": 1440}},
        "scoring": {"warming_after_s": 2.0, "calibrated_after_s": 4.0, "open_after_s": 0.1, "update_every_s": 0.5},
        "bus": {"bind": f"tcp://127.0.0.1:{ports[0]}", "replay_bind": f"tcp://127.0.0.1:{ports[1]}"},
        "http": {"bind": ""},
        "storage": {"dir": str(tmp_path / "data")},
    }
    config = tmp_path / "site.yaml"
    config.write_text(yaml.safe_dump(site))
    had: list[int] = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-m", "vad", "run", str(config)], stderr=subprocess.DEVNULL)
        try:
            with Subscriber(site["bus"]["bind"], since=0, cursor_file=tmp_path / "cursor") as events:
                for _ in range(4):
                    event = events.receive(60.0)
                    assert event is not None, "the engine raises nothing"
                    had.append(event.sequence)  # type: ignore[union-attr]
                    events.ack()
            time.sleep(1.0)  # raised while nobody listens
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    with Subscriber(
        site["bus"]["bind"], cursor_file=tmp_path / "cursor", journal=tmp_path / "data" / "events.sqlite"
    ) as events:
        process = subprocess.Popen([sys.executable, "-m", "vad", "run", str(config)], stderr=subprocess.DEVNULL)
        last = list(read_journal(tmp_path / "data" / "events.sqlite"))[-1].sequence
        while had[-1] < last:
            event = events.receive(60.0)
            assert event is not None
            had.append(event.sequence)  # type: ignore[union-attr]
        process.kill()
        process.wait()
    assert had == list(range(1, had[-1] + 1))
