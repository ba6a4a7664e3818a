"""The engine's health as the health page shows it: every frame accounted for, every error by its code."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vad import __version__
from vad.pipeline.engine import Engine
from vad.pipeline.status import CameraStatus, EngineStatus
from vad.service.console.fleet import camera_card
from vad.service.console.rendering import count
from vad.service.console.words import CODES, word
from vad.types import CameraState, DropReason

ROWS = 100
QUEUES = {
    "clips": "clips for the network",
    "maps": "maps for the scoring",
    "events": "events for the journal",
    "outbox": "messages for the bus",
}
LOW_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure. ``tone`` is "trouble" where somebody should look."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


def tiles(engine: Engine, status: EngineStatus) -> list[Tile]:
    return [_engine(engine, status), _latency(engine), _frames(status), _journal(status), _bus(status), _disk(engine)]


def _engine(engine: Engine, status: EngineStatus) -> Tile:
    if status.is_overloaded:
        return Tile("Engine", "Overloaded", f"{status.analysis_share:.0%} of what is asked for is analysed", "trouble")
    failing = [name.replace("_", " ") for name, holds in engine.readiness().items() if not holds]
    note = f"not: {', '.join(failing)}" if failing else f"version {__version__} on {engine.device}{_read_by(status)}"
    return Tile("Engine", "Not ready" if failing else "Ready", note, "trouble" if failing else "")


def _read_by(status: EngineStatus) -> str:
    """Where cameras are read, if not in the engine's own process."""
    readers = status.readers
    if not readers.processes and not readers.died:
        return ""
    died = f", {count(readers.died)} died" if readers.died else ""
    read = "process reads" if readers.processes == 1 else "processes read"
    return f"; {count(readers.processes)} {read} cameras{died}"


def _latency(engine: Engine) -> Tile:
    p50_s, p95_s = engine.latency_quantiles_s((0.5, 0.95))
    if p95_s != p95_s:  # nan: nothing scored yet
        return Tile("Latency", "–", "nothing scored yet")
    return Tile("Latency", f"{p50_s:.2f} s", f"p95 {p95_s:.2f} s, arrival to score")


def _frames(status: EngineStatus) -> Tile:
    frames = status.frames
    share = frames.lost / frames.received if frames.received else 0.0
    return Tile(
        "Frames lost", count(frames.lost), f"{share:.2%} of {count(frames.received)}", "trouble" if frames.lost else ""
    )


def _journal(status: EngineStatus) -> Tile:
    journal = status.journal
    if not journal.is_writable:
        return Tile("Journal", "Not writable", journal.detail or f"{journal.waiting} events wait", "trouble")
    lost = f", {count(journal.lost)} lost" if journal.lost else ""
    note = f"{size(journal.used_bytes)}, {count(journal.waiting)} waiting{lost}"
    return Tile("Events in the journal", count(status.last_sequence - journal.first_sequence + 1), note)


def _bus(status: EngineStatus) -> Tile:
    down = [name for name, bridge in status.bridges.items() if not bridge.up]
    note = f"bridges down: {', '.join(down)}" if down else f"{len(status.bridges)} bridges, all up"
    if not status.bridges:
        note = "no bridge configured"
    return Tile("Subscribers", count(status.bus.connections), note, "trouble" if down else "")


def _disk(engine: Engine) -> Tile:
    storage = engine.config.storage.dir
    try:
        free = shutil.disk_usage(storage).free
    except OSError as exc:
        return Tile("Disk", "Unknown", f"{storage}: {exc.strerror}", "trouble")
    evidence = engine.evidence
    note = f"evidence {size(evidence.used_bytes)} of {size(evidence.limit_bytes)}"
    return Tile("Disk free", size(free), note, "trouble" if free < LOW_BYTES else "")


def size(count_bytes: int) -> str:
    for unit, step in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count_bytes >= step:
            return f"{count_bytes / step:.{0 if count_bytes >= 10 * step else 1}f} {unit}"
    return f"{count_bytes} B"


def rows(status: EngineStatus, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row of the ledger for each camera."""
    return [_row(name, status.cameras[name]) for name in names]


def _row(name: str, camera: CameraStatus) -> dict[str, Any]:
    frames = camera.frames
    accounted = frames.scored + sum(frames.dropped.values()) + frames.in_flight
    errors = [f"{word('codes', code.value)} ×{times}" for code, times in camera.errors.items() if times]
    reconnects = {code: times for code, times in camera.reconnects.items() if times}
    return {
        **camera_card(name, camera, None),
        "received": frames.received,
        "scored": frames.scored,
        "dropped": [frames.dropped.get(reason, 0) for reason in DropReason],
        "in_flight": frames.in_flight,
        "is_balanced": frames.is_balanced,
        "off_by": frames.received - accounted,
        "fps": "–" if camera.fps is None else f"{camera.fps:.1f}",
        "reconnects": sum(reconnects.values()),
        "reconnects_by": ", ".join(f"{word('codes', code.value)}: {times}" for code, times in reconnects.items()),
        "errors": ", ".join(errors) or "none",
        "budget": "–"
        if camera.budget_ratio is None
        else f"{camera.budget_ratio:.{2 if camera.budget_ratio < 100 else 0}f}",
    }


def errors_by_code(status: EngineStatus) -> list[dict[str, Any]]:
    """Over all cameras, the most frequent first."""
    times: Counter[str] = Counter()
    cameras: Counter[str] = Counter()
    for camera in status.cameras.values():
        for code, number in camera.errors.items():
            if number:
                times[code.value] += number
                cameras[code.value] += 1
    return [
        {"code": code, "words": CODES.get(code, code), "times": number, "cameras": cameras[code]}  # type: ignore[call-overload]
        for code, number in times.most_common()
    ]


def queues(status: EngineStatus) -> list[tuple[str, int]]:
    return [(QUEUES.get(name, name), waiting) for name, waiting in status.queues.items()]


def bus(status: EngineStatus) -> list[tuple[str, str]]:
    refused = ", ".join(f"{reason}: {count(number)}" for reason, number in status.bus.refused.items() if number)
    return [
        ("Connections now", count(status.bus.connections)),
        ("Connections since the start", count(status.bus.accepted)),
        ("Refused", refused or "none"),
        ("Events replayed", count(status.replay.events)),
        ("Last event's sequence", count(status.last_sequence)),
        ("Journal's epoch", status.epoch[:8]),
    ]


def summary(status: EngineStatus) -> str:
    """In one line, for whoever only listens."""
    unbalanced = sum(not camera.frames.is_balanced for camera in status.cameras.values())
    up = sum(camera.state is CameraState.UP for camera in status.cameras.values())
    account = "every account is balanced" if not unbalanced else f"{unbalanced} accounts are not balanced"
    return f"{up} of {len(status.cameras)} cameras live; {account}"
