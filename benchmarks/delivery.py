"""From a raised event to its subscribers: how many, how soon, how quickly again, and who disturbs whom.

    python -m benchmarks.delivery [sustained] [latency] [replay] [crowd] [kills] [--storage DIR] [--json OUT]

Without a name all but ``kills``. The engine's journal, bus and replay run in their real threads in a process of their
own, subscribers in others, all on this machine. A latency is from the moment an event is raised, before it is stored,
to the moment a subscriber has it decoded. ``kills`` is the kill test of tests/events/killing.py, 1,000 rounds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zmq
from prometheus_client import CollectorRegistry

from tests.events.factory import anomalies, anomaly
from vad.clock import SystemClock
from vad.config import BusSettings, StorageSettings
from vad.events import AnomalyMessage, Journal, Subscriber
from vad.events.journal import JOURNAL_NAME
from vad.pipeline.delivery import Delivery
from vad.pipeline.metrics import StageMetrics

TICK_S = 0.005
REPLAYED = 1_000_000
fork = multiprocessing.get_context("fork")  # nothing is started before


@dataclass(frozen=True, slots=True)
class Load:
    """So many events a second for so long."""

    events_a_second: int
    seconds: float

    @property
    def events(self) -> int:
        return round(self.events_a_second * self.seconds)


class Engine:
    """The delivery in a process of its own, told what to raise through a pipe. ``bus`` are settings of the bus."""

    def __init__(self, storage: Path, **bus: Any) -> None:
        self._pipe, other = fork.Pipe()
        self._process = fork.Process(target=_run_engine, args=(storage, other, bus), daemon=True)
        self._process.start()
        self.pid = self._process.pid
        self.address: str = self._pipe.recv()

    def load(self, load: Load) -> dict[str, float]:
        """Raise that many; when all are stored, what it cost."""
        self._pipe.send(load)
        result: dict[str, float] = self._pipe.recv()
        return result

    def start(self, load: Load) -> Callable[[], dict[str, float]]:
        self._pipe.send(load)
        return self._pipe.recv

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def _run_engine(storage: Path, pipe: Connection, bus: dict[str, Any]) -> None:
    delivery = Delivery(
        bus=BusSettings(bind="tcp://127.0.0.1:*", **bus),
        storage=StorageSettings(dir=storage, journal_mib=16_384),
        metrics=StageMetrics(CollectorRegistry()),
        clock=SystemClock(),
    )
    threads = [threading.Thread(target=body, daemon=True) for body in delivery.stages.values()]
    for thread in threads:
        thread.start()
    pipe.send(delivery.bus_address)
    while (load := pipe.recv()) is not None:
        pipe.send(_raise(delivery, load))
    delivery.finish()
    for thread in threads:
        thread.join()
    delivery.close()


def _raise(delivery: Delivery, load: Load) -> dict[str, float]:
    before, cpu_s, started_s = delivery.journal.last_sequence, time.process_time(), time.monotonic()
    raised = most_waiting = 0
    while raised < load.events:
        due = min(load.events, int((time.monotonic() - started_s) * load.events_a_second) + 1)
        now = time.time()
        delivery.put([anomaly(wall_s=now) for _ in range(raised, due)])
        raised = due
        most_waiting = max(most_waiting, delivery.journal_status.waiting)
        time.sleep(TICK_S if load.events_a_second < 1_000_000 else 0.0)
    while delivery.journal.last_sequence < before + raised:
        time.sleep(TICK_S)
    seconds = time.monotonic() - started_s
    return {
        "events": raised,
        "events_a_second": round(raised / seconds),
        "cores": round((time.process_time() - cpu_s) / seconds, 2),
        "most_waiting": most_waiting,
        "lost": delivery.journal_status.lost,
    }


def _read(address: str, subscribers: int, pipe: Connection) -> None:
    """So many subscribers in this process; latencies of all of them once the pipe says that it is over."""
    readers = [Subscriber(address) for _ in range(subscribers)]
    for reader in readers:
        while reader.epoch is None:
            reader.receive(0.05)
    pipe.send("ready")
    by_socket = {reader._socket: reader for reader in readers}
    poller = zmq.Poller()
    for socket in by_socket:
        poller.register(socket, zmq.POLLIN)
    latencies_s: list[float] = []
    while not pipe.poll():
        for socket, _ in poller.poll(50):
            while (message := by_socket[socket].receive(0.0)) is not None:
                assert isinstance(message, AnomalyMessage)
                latencies_s.append(time.time() - message.data.wall_s)
    pipe.send((latencies_s, sum(reader.missed for reader in readers)))


def _hear_nothing(address: str, subscribers: int, pipe: Connection) -> None:
    """Subscribers that never read."""
    context = zmq.Context()
    sockets = [context.socket(zmq.SUB) for _ in range(subscribers)]
    for socket in sockets:
        socket.subscribe("vad/1/")
        socket.connect(address)
    time.sleep(1.0)
    pipe.send("ready")
    pipe.recv()


class Listeners:
    """A process of subscribers."""

    def __init__(self, body: Callable[[str, int, Connection], None], address: str, subscribers: int) -> None:
        self._pipe, other = fork.Pipe()
        self._process = fork.Process(target=body, args=(address, subscribers, other), daemon=True)
        self._process.start()
        self._pipe.recv()

    def stop(self) -> tuple[list[float], int]:
        """Latencies in seconds, and how many events were missed."""
        time.sleep(1.0)
        self._pipe.send("stop")
        latencies_s, missed = self._pipe.recv()
        self._process.join()
        return latencies_s, missed

    def kill(self) -> None:
        self._process.kill()


def sustained(storage: Path) -> dict[str, Any]:
    """2,000 durable events a second for half a minute, one subscriber; and all at once."""
    engine = Engine(storage)
    reader = Listeners(_read, engine.address, 1)
    cost = engine.load(Load(2_000, 30.0))
    latencies_s, missed = reader.stop()
    flood = engine.load(Load(10**9, 5e-6))
    engine.close()
    return {
        **cost,
        **_quantiles(latencies_s),
        "received": len(latencies_s),
        "missed": missed,
        "5,000_at_once_a_second": flood["events_a_second"],
        "passed": cost["events_a_second"] >= 1_950 and len(latencies_s) == cost["events"] and not cost["lost"],
    }


def latency(storage: Path) -> dict[str, Any]:
    """200 events a second, one subscriber."""
    engine = Engine(storage)
    reader = Listeners(_read, engine.address, 1)
    cost = engine.load(Load(200, 30.0))
    latencies_s, missed = reader.stop()
    engine.close()
    found = _quantiles(latencies_s)
    passed = found["p99_ms"] < 20.0 and len(latencies_s) == cost["events"]
    return {**found, "received": len(latencies_s), "missed": missed, "passed": passed}


def replay(storage: Path) -> dict[str, Any]:
    """A million stored events through the subscriber, decoded and typed."""
    with Journal(storage / JOURNAL_NAME) as journal:
        started_s = time.monotonic()
        for _ in range(REPLAYED // 1_000):
            journal.append(anomalies(1_000))
        stored_s = time.monotonic() - started_s
        mib = journal.used_bytes / 2**20
    started_s = time.monotonic()
    engine = Engine(storage)
    opened_s = time.monotonic() - started_s
    with Subscriber(engine.address, since=0) as events:
        first = events.receive(30.0)
        assert isinstance(first, AnomalyMessage)
        started_s, count = time.monotonic(), 1
        for event in events:
            assert isinstance(event, AnomalyMessage)
            count += 1
            assert event.sequence == count
            if count == REPLAYED:
                break
        seconds = time.monotonic() - started_s
    engine.close()
    rate = count / seconds
    return {
        "events": count,
        "events_a_second": round(rate),
        "journal_mib": round(mib),
        "stored_a_second": round(REPLAYED / stored_s),
        "opened_and_checked_s": round(opened_s, 1),
        "passed": rate >= 50_000,
    }


def crowd(storage: Path) -> dict[str, Any]:
    """50 subscribers that never read, and once all that is kept for them is full 50 that do: 200 events a second."""
    engine = Engine(storage)
    deaf = Listeners(_hear_nothing, engine.address, 50)
    engine.load(Load(2_000, 15.0))
    readers = Listeners(_read, engine.address, 50)
    cost = engine.load(Load(200, 20.0))
    latencies_s, missed = readers.stop()
    deaf.kill()
    engine.close()
    found = _quantiles(latencies_s)
    expected = 50 * cost["events"]
    passed = found["p99_ms"] < 50.0 and len(latencies_s) == expected and not missed
    return {**found, "received": len(latencies_s), "of": expected, "missed": missed, "passed": passed}


def kills(_: Path) -> dict[str, Any]:
    """1,000 rounds of the kill test, and 300 on a disk that is full at times."""
    found = {}
    for name, arguments in (("", ["--rounds", "1000"]), ("full_disk_", ["--rounds", "300", "--full-disk"])):
        command = [sys.executable, "-m", "tests.events.killing", "--seed", "3", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        result = json.loads(done.stdout) if done.stdout else {"complaints": [done.stderr]}
        found |= {name + key: value for key, value in result.items()}
    passed = not found["complaints"] and not found["full_disk_complaints"]
    return {**found, "passed": passed}


def _quantiles(latencies_s: list[float]) -> dict[str, float]:
    ordered = sorted(latencies_s) or [float("nan")]
    return {
        f"{name}_ms": round(1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))
    }


PARTS = {"sustained": sustained, "latency": latency, "replay": replay, "crowd": crowd, "kills": kills}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--storage", type=Path, help="a folder on the disk that counts; the system's temporary one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part named {', '.join(sorted(unknown))}; allowed: {', '.join(PARTS)}")
    report = {}
    for name in options.parts or [name for name in PARTS if name != "kills"]:
        with tempfile.TemporaryDirectory(dir=options.storage, prefix="vad-delivery-") as folder:
            report[name] = PARTS[name](Path(folder))
        print(name, (PARTS[name].__doc__ or "").strip(), sep=": ")
        for what, value in report[name].items():
            print(f"  {what:<26} {value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(0 if all(part["passed"] for part in report.values()) else 1)


if __name__ == "__main__":
    main()
