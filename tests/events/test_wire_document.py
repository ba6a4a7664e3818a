"""docs/wire.md: its example runs as it stands there, and its words are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from tests.events.factory import CAMERA, anomalies
from tests.events.running import delivering
from vad.config import BusSettings
from vad.events import Journal, Publisher, read_journal
from vad.events.credit import EXPIRES_S, MAX_BYTES
from vad.events.replay import LIMITS
from vad.events.requests import (
    MAX_PAGE_EVENTS,
    MAX_REQUEST_BYTES,
    PAGE_BYTES,
    DoneRequest,
    Refusal,
    ReplayHead,
    ReplayRequest,
    SnapshotHead,
    SnapshotRequest,
)
from vad.events.schema import AnomalyData, CameraData, EngineData, HeartbeatData, JournalData, ScoreData
from vad.types import CameraState, DropReason, EngineState, HealthIssue, JournalState, Reason, Stage, WallSource

DOCUMENT = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
DEADLINE_S = 30.0


STRUCTS = [
    AnomalyData,
    CameraData,
    JournalData,
    EngineData,
    ScoreData,
    HeartbeatData,
    ReplayRequest,
    SnapshotRequest,
    DoneRequest,
    ReplayHead,
    SnapshotHead,
    Refusal,
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda s: s.__name__)
def test_the_document_names_every_field(struct: type[msgspec.Struct]) -> None:
    assert [name for name in struct.__struct_fields__ if f"`{name}`" not in DOCUMENT] == []


@pytest.mark.parametrize(
    "words", [CameraState, EngineState, HealthIssue, JournalState, Reason, Stage, WallSource], ids=lambda e: e.__name__
)
def test_the_document_names_every_word(words: type[CameraState]) -> None:
    assert [word for word in words if f"`{word}`" not in DOCUMENT] == []
    assert DropReason.OVERLOAD  # not on the wire


def test_the_document_names_every_error_and_every_limit_of_the_replay() -> None:
    errors = msgspec.inspect.type_info(Refusal).fields[0].type.extra_json_schema["examples"]  # type: ignore[union-attr]
    assert [word for word in errors if f"| `{word}` |" not in DOCUMENT] == []
    for number in (MAX_REQUEST_BYTES, MAX_PAGE_EVENTS, PAGE_BYTES):
        assert f"{number:,}" in DOCUMENT
    assert f"{MAX_BYTES // 2**20} MiB of pages" in DOCUMENT
    assert f"forgotten after {EXPIRES_S:.0f} s" in DOCUMENT
    assert f"reads nothing for {LIMITS.unread_ms // 1000} s" in DOCUMENT


def test_the_example_prints_anomalies_and_what_it_missed(tmp_path: Path) -> None:
    settings = BusSettings(bind="tcp://127.0.0.1:*", heartbeat_s=0.1)
    with (
        Journal(tmp_path / "events.sqlite") as journal,
        Publisher(settings, journal=journal) as publisher,
        subprocess.Popen(
            [sys.executable, "-c", EXAMPLES[0]],
            env={**os.environ, "VAD_BUS": publisher.address},
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
        reader.start()
        deadline_s = time.monotonic() + DEADLINE_S
        while not lines:  # until it is connected, it hears nothing of these
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            publisher.publish(journal.append(anomalies(1)))
            time.sleep(0.05)
        publisher.publish(journal.append([CAMERA]))
        first_lost = journal.last_sequence + 1
        publisher._cursor = journal.append(anomalies(2))[-1].sequence  # as a high-water mark would lose them
        publisher._send_heartbeat()
        publisher.publish(journal.append(anomalies(1, camera="cam10")))
        while not any("cam10" in line for line in lines):
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        reader.join(DEADLINE_S)
    assert lines[0].endswith("cam1 io.vad.anomaly.opened ['speed', 'direction']\n")
    assert lines[-2] == f"missed {first_lost} to {first_lost + 1}\n"
    assert "cam10" in lines[-1]


def test_the_example_that_misses_nothing_copies_the_journal_although_it_is_killed(tmp_path: Path) -> None:
    copy = tmp_path / "copy.ndjson"
    with delivering(tmp_path / "data") as delivery:

        def start() -> subprocess.Popen[bytes]:
            environment = {**os.environ, "VAD_BUS": delivery.bus_address, "COPY": str(copy)}
            return subprocess.Popen([sys.executable, "-c", EXAMPLES[1]], env=environment)

        delivery.put(anomalies(900))
        for _ in range(3):
            process = start()
            size = copy.stat().st_size if copy.exists() else 0
            deadline_s = time.monotonic() + DEADLINE_S
            while not copy.exists() or copy.stat().st_size == size:
                assert time.monotonic() < deadline_s
                delivery.put([*anomalies(20), CAMERA])
                time.sleep(0.02)
            process.kill()
            process.wait()
            with copy.open("ab") as file:
                file.write(b'{"torn')
        process = start()
        while not copy.read_bytes().endswith(delivery.journal.read(delivery.journal.last_sequence - 1)[0].body + b"\n"):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.kill()
        process.wait()
        stored = [event.body for event in read_journal(delivery.journal.path)]
    assert copy.read_bytes().splitlines() == stored
