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
from vad.config import BusSettings
from vad.events import Journal, Publisher
from vad.events.schema import AnomalyData, CameraData, HeartbeatData, ScoreData
from vad.types import CameraState, DropReason, HealthIssue, Reason, Stage, WallSource

DOCUMENT = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
DEADLINE_S = 30.0


@pytest.mark.parametrize("struct", [AnomalyData, CameraData, ScoreData, HeartbeatData], ids=lambda s: s.__name__)
def test_the_document_names_every_field(struct: type[msgspec.Struct]) -> None:
    assert [name for name in struct.__struct_fields__ if f"`{name}`" not in DOCUMENT] == []


@pytest.mark.parametrize("words", [CameraState, HealthIssue, Reason, Stage, WallSource], ids=lambda e: e.__name__)
def test_the_document_names_every_word(words: type[CameraState]) -> None:
    assert [word for word in words if f"`{word}`" not in DOCUMENT] == []
    assert DropReason.OVERLOAD  # not on the wire


def test_the_example_prints_anomalies_and_what_it_missed(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert example is not None
    settings = BusSettings(bind="tcp://127.0.0.1:*", heartbeat_s=0.1)
    with (
        Journal(tmp_path / "events.sqlite") as journal,
        Publisher(settings, journal=journal) as publisher,
        subprocess.Popen(
            [sys.executable, "-c", example[1]],
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
