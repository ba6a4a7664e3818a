"""``vad run`` in a process of its own with three cameras, scraped by a real Prometheus: one a session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.events.bridges.receiver import Receiver
from tests.monitoring.prometheus import Prometheus
from tests.pipeline.sites import wait_for
from tests.video.clips import pictures, write_video
from vad.events import Subscriber

CAMERAS = ("walk", "frozen", "gone")


@dataclass(frozen=True, slots=True)
class Monitored:
    """``walk`` plays people and a vehicle over and over, ``frozen`` one picture, ``gone`` is not there."""

    address: str
    prometheus: Prometheus
    log: Path
    started_s: float

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    @property
    def age_s(self) -> float:
        return time.time() - self.started_s


def site(folder: Path, footage: Path, hook: str) -> dict[str, Any]:
    still = next(pictures(1, width=320, height=192))
    write_video(folder / "still.mp4", width=320, height=192, fps=5, frames=300, luma=lambda _: still)
    return {
        "cameras": {
            "walk": {"url": str(footage), "loop": True},
            "frozen": {"url": str(folder / "still.mp4"), "loop": True, "analysis_fps": 2},
            "gone": {"url": "rtsp://user:hunter2@127.0.0.1:9/none", "backoff_max_s": 2},
        },
        "defaults": {"false_alarms_per_day": 1440, "realtime": True},
        "scoring": {"warming_after_s": 2, "calibrated_after_s": 4, "open_after_s": 0.1},
        "bus": {"bind": "tcp://127.0.0.1:*"},
        "bridges": [{"type": "webhook", "url": hook, "secret_key": "hunter2"}],
        "http": {"bind": "127.0.0.1:0"},
        "storage": {"dir": str(folder / "data")},
        "evidence": {"before_s": 1, "after_s": 1},
    }


@pytest.fixture(scope="package")
def monitored(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Iterator[Monitored]:
    folder = tmp_path_factory.mktemp("monitored")
    receiver = Receiver().start()
    (folder / "site.yaml").write_text(yaml.safe_dump(site(folder, footage, receiver.url)))
    log = folder / "vad.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "vad", "run", str(folder / "site.yaml")]
        engine = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
    prometheus = None
    try:
        told = started(log, engine)
        prometheus = Prometheus(folder, target=told["http.started"]["address"].removeprefix("http://")).start()
        running = Monitored(told["http.started"]["address"], prometheus, log, time.time())
        wait_for(lambda: is_settled(prometheus), timeout_s=120.0, what="a camera's life to show in the metrics")
        miss_some_events(told["engine.started"]["bus"])
        use_the_api(told["http.started"]["address"])
        for what in ("vad_replay_requests_total", "vad_verdicts_total", 'vad_http_responses_total{code="403"}'):
            wait_for(lambda what=what: len(prometheus.query(f"increase({what}[10s])")) > 0, what=f"{what} to show")
        yield running
    finally:
        engine.send_signal(signal.SIGTERM)
        if prometheus is not None:
            prometheus.stop()
        try:
            engine.wait(30.0)
        finally:
            engine.kill()
            receiver.stop()


def started(log: Path, engine: subprocess.Popen[bytes]) -> dict[str, dict[str, Any]]:
    """The lines with which the engine says where it serves."""

    def told() -> dict[str, dict[str, Any]]:
        assert engine.poll() is None, log.read_text()
        lines = [
            json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")
        ]
        return {line["event"]: line for line in lines}

    wait_for(lambda: "engine.started" in told(), timeout_s=120.0, what="the engine to start")
    return told()


def is_settled(prometheus: Prometheus) -> bool:
    """An incident was opened and closed, the still picture was recognised, and a recording began anew twice."""
    needed = (
        'sum(vad_incidents_opened_total{camera="walk"}) - sum(vad_incidents_open{camera="walk"}) > 0',
        'vad_camera_issue{camera="frozen"}',
        'vad_stream_reconnects_total{camera="walk"} > 1',
        'vad_calibration_stage{camera="walk",stage="calibrated"}',
        "vad_bridge_sent_total > 0",
        "vad_evidence_written_total > 0",
    )
    return all(prometheus.query(query) for query in needed)


def miss_some_events(bus: str) -> None:
    """A subscriber that asks for what was raised before it came."""
    with Subscriber(bus, since=0) as subscriber:
        assert subscriber.receive(20.0) is not None, "nothing was replayed"


def use_the_api(address: str) -> None:
    """A verdict, and a request under a name that is not this machine's, which is refused."""
    (newest,) = httpx.get(f"{address}/api/v1/incidents", params={"limit": 1}, timeout=20.0).json()["incidents"]
    verdict = f"{address}/api/v1/events/{newest['incident']}/verdict"
    assert httpx.put(verdict, json={"verdict": "expected"}, timeout=20.0).status_code == 200
    assert httpx.get(f"{address}/api/v1/status", headers={"host": "elsewhere"}, timeout=20.0).status_code == 403
