"""Kill everything: an engine's delivery that raises numbered incidents, and subscribers with cursors, killed at random.

The processes are forks of this one, which has loaded all they need: a start costs milliseconds. The engine's are the
real journal, bus and replay in their real threads. At the end each subscriber's notes are held against the journal.

    python -m tests.events.killing --rounds 100
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from tests.events.disks import fill, small_disk
from tests.events.factory import anomaly
from vad.clock import SystemClock
from vad.config import BusSettings, LogSettings, StorageSettings
from vad.errors import EventsLost, JournalError
from vad.events import AnomalyMessage, JournalReader, Subscriber, decode, read_journal
from vad.log import configure_log
from vad.pipeline.delivery import Delivery
from vad.pipeline.metrics import StageMetrics

EVENTS_A_SECOND = 200
SUBSCRIBERS = 3
SETTLE_S = 120.0
NO_ROOM = 3
"""Exit status of an engine that cannot open its journal: whoever supervises it starts it again."""


@dataclass(slots=True)
class Site:
    """Where everything is."""

    storage: Path  # the engine's
    notes: Path  # the subscribers'
    bind: str = ""
    replay_bind: str = ""

    def __post_init__(self) -> None:
        self.bind, self.replay_bind = (f"tcp://127.0.0.1:{port}" for port in _free_ports())

    @property
    def quiet(self) -> Path:
        """While it is there the engine raises nothing."""
        return self.notes / "quiet"


def engine(site: Site) -> None:
    """Raise incidents ``<process>-<start>-1``, ``-2``, ... until killed."""
    try:
        delivery = Delivery(
            bus=BusSettings(bind=site.bind, replay_bind=site.replay_bind, heartbeat_s=0.2),
            storage=StorageSettings(dir=site.storage),
            metrics=StageMetrics(CollectorRegistry()),
            clock=SystemClock(),
        )
    except JournalError:
        os._exit(NO_ROOM)
    for name, body in delivery.stages.items():
        threading.Thread(target=_or_die, args=(name, body), daemon=True).start()
    run = f"{os.getpid()}-{time.monotonic_ns()}"
    started_s, raised = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - started_s) * EVENTS_A_SECOND)
        if site.quiet.exists():
            due = raised
        delivery.put([anomaly(incident=f"{run}-{number}") for number in range(raised + 1, due + 1)])
        raised = max(raised, due)
        time.sleep(0.004)


def subscriber(site: Site, number: int) -> None:
    """Note every event once, by its id, and acknowledge some while after: what comes again in between is known."""
    notes = site.notes / f"subscriber{number}"
    seen = {line.split()[0] for line in _whole_lines(notes)}
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    patience = random.Random(os.getpid())

    def note(message: AnomalyMessage) -> None:
        if message.id not in seen:
            seen.add(message.id)
            os.write(file, f"{message.id} {message.data.incident}\n".encode())
        if patience.random() < 0.02:
            events.ack(message)

    async def follow() -> None:
        async for message in events:
            assert isinstance(message, AnomalyMessage)
            note(message)

    with Subscriber(site.bind, since=0, cursor_file=site.notes / f"cursor{number}") as events:
        try:
            if number == 0:
                asyncio.run(follow())
            for message in events:
                assert isinstance(message, AnomalyMessage)
                note(message)
        except EventsLost as exc:
            os.write(file, f"LOST {exc.first}-{exc.last}\n".encode())


@dataclass(slots=True)
class Herd:
    """The processes, and how often each kind was killed."""

    site: Site
    kills: dict[str, int] = field(default_factory=lambda: {"engine": 0, "subscriber": 0})
    no_room: int = 0
    faults: list[str] = field(default_factory=list)
    _running: dict[str, int] = field(default_factory=dict)

    def start_all(self) -> None:
        """Whoever is not there."""
        self._bury()
        wanted: dict[str, Callable[[], None]] = {"engine": lambda: engine(self.site)}
        for number in range(SUBSCRIBERS):
            wanted[f"subscriber{number}"] = lambda number=number: subscriber(self.site, number)  # type: ignore[misc]
        for name, body in wanted.items():
            if name not in self._running:
                self._running[name] = _fork(body)

    def kill(self, *names: str) -> None:
        for name in names:
            if (process := self._running.pop(name, None)) is not None:
                os.kill(process, signal.SIGKILL)
                _, status = os.waitpid(process, 0)
                self._judge(name, status)
                self.kills["engine" if name == "engine" else "subscriber"] += 1

    def _bury(self) -> None:
        for name, process in list(self._running.items()):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                del self._running[name]
                self._judge(name, status)

    def _judge(self, name: str, status: int) -> None:
        if os.WIFEXITED(status):
            if name == "engine" and os.WEXITSTATUS(status) == NO_ROOM:
                self.no_room += 1
            else:
                self.faults.append(f"{name} ended with {os.WEXITSTATUS(status)}")


def kill_at_random(site: Site, *, rounds: int, seed: int, with_a_full_disk: bool) -> Herd:
    """Everything started, then ``rounds`` times somebody killed at some moment and started again; at last, quiet."""
    chance = random.Random(seed)
    herd = Herd(site)
    herd.start_all()
    ballast: Path | None = None
    everyone = ["engine", *(f"subscriber{number}" for number in range(SUBSCRIBERS))]
    for _ in range(rounds):
        time.sleep(chance.uniform(0.0, 0.6))
        if with_a_full_disk and ballast is None and chance.random() < 0.4:
            ballast = fill(site.storage)
            time.sleep(chance.uniform(0.0, 0.3))
        victims = chance.choice([["engine"], everyone[1:], everyone, [chance.choice(everyone[1:])]])
        herd.kill(*victims)
        time.sleep(chance.choice([0.0, chance.uniform(0.0, 0.2)]))
        if ballast is not None and chance.random() < 0.5:
            ballast.unlink()
            ballast = None
        herd.start_all()
    if ballast is not None:
        ballast.unlink()
    site.quiet.touch()
    return herd


def wait_until_had(herd: Herd) -> tuple[list[str], dict[int, list[str]]]:
    """What the journal holds and what each subscriber noted, once it is all that there is; or after SETTLE_S."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        herd.start_all()
        time.sleep(0.5)
        journal = _journal(herd.site.storage / "events.sqlite")
        notes = {n: _whole_lines(herd.site.notes / f"subscriber{n}") for n in range(SUBSCRIBERS)}
        if journal and all(lines[-1:] == journal[-1:] for lines in notes.values()):
            return journal, notes
        if time.monotonic() > deadline_s:
            return journal, notes


def complaints(herd: Herd, journal: list[str], notes: dict[int, list[str]]) -> list[str]:
    """All that is not as it must be; nothing when every subscriber holds every sequence once, in order."""
    found = list(herd.faults)
    epochs = {line.partition("-")[0] for line in journal}
    sequences = [int(line.split()[0].partition("-")[2]) for line in journal]
    if len(epochs) != 1 or sequences != list(range(1, len(journal) + 1)):
        found.append(f"the journal is not one epoch without a hole: {len(epochs)} epochs, {len(journal)} events")
    runs = itertools.groupby((line.split()[1].rpartition("-") for line in journal), key=lambda parts: parts[0])
    for run, parts in runs:
        numbers = [int(number) for _, _, number in parts]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"incidents of engine {run} are not stored in the order in which they were raised")
    for number, lines in notes.items():
        if lines != journal:
            pairs = itertools.zip_longest(lines, journal)
            at, (noted, stored) = next((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1])
            found.append(f"subscriber {number} noted {noted!r} as its event {at + 1}; the journal has {stored!r}")
    return found


def _journal(path: Path) -> list[str]:
    if not path.exists():
        return []
    with JournalReader(path) as reader:
        last = reader.last_sequence
    messages = [decode(stored.body) for stored in read_journal(path) if stored.sequence <= last]
    return [f"{m.id} {m.data.incident if isinstance(m, AnomalyMessage) else m.type}" for m in messages]


def _whole_lines(path: Path) -> list[str]:
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def _or_die(name: str, body: Callable[[], None]) -> None:
    try:
        body()
    except BaseException:  # noqa: BLE001 - it is told by the exit status
        print(f"stage {name}", file=sys.stderr)
        traceback.print_exc()
        os._exit(4)


def _fork(body: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    _or_die("process", body)
    os._exit(5)  # none of them ends by itself


def _free_ports() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        yield one.getsockname()[1]
        yield other.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full-disk", action="store_true", help="the engine's disk is a small tmpfs, at times full")
    options = parser.parse_args()
    configure_log(LogSettings(level="error", format="json"))
    with tempfile.TemporaryDirectory(prefix="vad-kill-") as folder:
        disk = small_disk(Path(folder) / "disk", kib=64 * 1024) if options.full_disk else nullcontext(Path(folder))
        with disk as storage:
            site = Site(storage=storage, notes=Path(folder))
            started_s = time.monotonic()
            herd = kill_at_random(site, rounds=options.rounds, seed=options.seed, with_a_full_disk=options.full_disk)
            journal, notes = wait_until_had(herd)
            herd.kill("engine", *(f"subscriber{n}" for n in range(SUBSCRIBERS)))
            found = complaints(herd, journal, notes)
    result = {
        "rounds": options.rounds,
        "kills": herd.kills,
        "starts_without_room": herd.no_room,
        "events": len(journal),
        "subscribers": SUBSCRIBERS,
        "seconds": round(time.monotonic() - started_s, 1),
        "complaints": found,
    }
    print(json.dumps(result, indent=2))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
