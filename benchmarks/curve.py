"""What encryption costs: the same events with keys and without, in turn, in one run.

    python -m benchmarks.curve [--events N] [--rounds N] [--json OUT]

``durable`` raises events as fast as they can be stored and sent, ``replay`` reads stored ones back, ``bus`` publishes
what is in memory with no journal in the way, far above any rate at which events are raised. A ``Subscriber`` decodes
and types each. Engine and subscriber are two processes on this machine. Each round with keys is compared with the one
without just before it, and the median of these is what counts: the machine's other load changes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from benchmarks.delivery import Engine, Load, fork
from tests.events.factory import anomalies
from vad.config import BusSettings
from vad.events import Journal, Publisher, Subscriber
from vad.events.gatekeeper import Gatekeeper
from vad.events.journal import JOURNAL_NAME
from vad.events.keys import new_client

ALLOWED_COST = 0.15
AT_ONCE = 5_000  # events raised together; the next once they are stored


@dataclass(frozen=True, slots=True)
class Round:
    """Wall time from the first event to the last, and CPU time of both processes."""

    events_a_second: float
    cpu_us_an_event: float


def replay(journal: Path, events: int, keys: dict[str, Any], client: Path | None) -> Round:
    engine = Engine(journal.parent, **keys)
    with Subscriber(engine.address, since=0, keys=client) as subscriber:
        found = _read(subscriber, events, engine.pid)
    engine.close()
    return found


def durable(journal: Path, events: int, keys: dict[str, Any], client: Path | None) -> Round:
    with tempfile.TemporaryDirectory(dir=journal.parent) as storage:
        engine = Engine(Path(storage), **keys)
        with Subscriber(engine.address, keys=client) as subscriber:
            while subscriber.epoch is None:
                subscriber.receive(0.05)
            batches = [engine.start(Load(10**9, AT_ONCE / 10**9)) for _ in range(events // AT_ONCE)]
            found = _read(subscriber, events, engine.pid)
            for stored in batches:
                stored()
        engine.close()
    return found


def bus(journal: Path, events: int, keys: dict[str, Any], client: Path | None) -> Round:
    pipe, other = fork.Pipe()
    publishing = fork.Process(target=_publish, args=(journal, events, keys, other), daemon=True)
    publishing.start()
    with Subscriber(pipe.recv(), keys=client) as subscriber:
        while subscriber.epoch is None:
            subscriber.receive(0.05)
        pipe.send("go")
        found = _read(subscriber, events, publishing.pid)
        assert not subscriber.missed
    pipe.send("end")
    publishing.join()
    return found


def _read(subscriber: Subscriber, events: int, engine: int | None) -> Round:
    assert subscriber.receive(30.0) is not None
    other = psutil.Process(engine)
    started_s, cpu_s = time.monotonic(), time.process_time() + sum(other.cpu_times()[:2])
    for _ in range(events - 1):
        assert subscriber.receive(30.0) is not None
    seconds, cpu_s = time.monotonic() - started_s, time.process_time() + sum(other.cpu_times()[:2]) - cpu_s
    return Round((events - 1) / seconds, 1e6 * cpu_s / events)


def _publish(path: Path, events: int, keys: dict[str, Any], pipe: Connection) -> None:
    settings = BusSettings(bind="tcp://127.0.0.1:*", high_water_mark=10 * events, heartbeat_s=0.1, **keys)
    with Journal(path) as journal:
        stored = [event for first in range(0, events, 1_000) for event in journal.read(first)]
        gatekeeper = Gatekeeper.from_settings(settings)
        publisher = Publisher(settings, journal=journal, secure=gatekeeper.guard)
        publisher._cursor = 0  # as if none had been sent
        thread = threading.Thread(target=gatekeeper.run, daemon=True)
        thread.start()
        pipe.send(publisher.address)
        while not pipe.poll(0.05):
            publisher._send_heartbeat()
        for first in range(0, events, 100):
            publisher.publish(stored[first : first + 100])
        pipe.recv()
        pipe.recv()
        publisher.close()
        thread.join()


def compare(part: Callable[..., Round], journal: Path, options: argparse.Namespace, keys: Path) -> dict[str, Any]:
    client = new_client(keys, f"reader-{part.__name__}").secret
    bus = {"keys": {"server_secret_file": keys / "server.key_secret", "clients_dir": keys / "clients"}}
    plain, curve = [], []
    for _ in range(options.rounds):
        plain.append(part(journal, options.events, {}, None))
        curve.append(part(journal, options.events, bus, client))
    pairs = list(zip(plain, curve, strict=True))
    return {
        "plain_a_second": round(statistics.median(r.events_a_second for r in plain)),
        "curve_a_second": round(statistics.median(r.events_a_second for r in curve)),
        "plain_cpu_us_an_event": round(statistics.median(r.cpu_us_an_event for r in plain), 1),
        "curve_cpu_us_an_event": round(statistics.median(r.cpu_us_an_event for r in curve), 1),
        "cost": round(1.0 - statistics.median(c.events_a_second / p.events_a_second for p, c in pairs), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="vad-curve-") as name:
        path = Path(name) / JOURNAL_NAME
        with Journal(path) as journal:
            for _ in range(options.events // 1_000):
                journal.append(anomalies(1_000))
        for part in (durable, replay, bus):
            found = report[part.__name__] = compare(part, path, options, Path(name) / "keys")
            print(part.__name__, found)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(0 if all(found["cost"] < ALLOWED_COST for found in report.values()) else 1)


if __name__ == "__main__":
    main()
