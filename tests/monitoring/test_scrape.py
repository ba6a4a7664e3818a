"""What a real Prometheus gets from a running engine."""

from __future__ import annotations

import subprocess

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.conftest import CAMERAS, Monitored
from tests.monitoring.prometheus import needs_prometheus
from tests.pipeline.sites import wait_for

pytestmark = [needs_prometheus, pytest.mark.slow]

CONTRACT = (
    "vad_frames_received_total",
    "vad_frames_scored_total",
    "vad_frames_dropped_total",
    "vad_frames_in_flight",
    "vad_stream_up",
    "vad_stream_state",
    "vad_stream_reconnects_total",
    "vad_stage_duration_seconds_bucket",
    "vad_end_to_end_latency_seconds_bucket",
    "vad_batch_size_bucket",
    "vad_anomaly_score",
    "vad_score_threshold",
    "vad_allowed_alarms_per_day",
    "vad_false_alarm_budget_ratio",
    "vad_events_total",
    "vad_event_last_sequence",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
)
"""What outsiders rely on."""

BOUNDED = {
    "camera",
    "reason",
    "code",
    "state",
    "stage",
    "issue",
    "type",
    "queue",
    "result",
    "bridge",
    "verdict",
    "le",
} | {
    "version",
    "device",
    "weights_sha256",
}


def test_prometheus_takes_every_family_of_the_contract(monitored: Monitored) -> None:
    (up,) = monitored.prometheus.query('up{job="vad"}')
    assert up["value"][1] == "1"
    names = monitored.prometheus.names()
    assert [name for name in CONTRACT if name not in names] == []
    assert not [name for name in names if name.endswith("_created")]


def test_promtool_finds_nothing_to_mend(monitored: Monitored) -> None:
    page = httpx.get(f"{monitored.address}/metrics", timeout=20.0).content
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_labels_are_bounded_and_nothing_tells_an_address(monitored: Monitored) -> None:
    page = httpx.get(f"{monitored.address}/metrics", timeout=20.0).text
    for family in text_string_to_metric_families(page):
        assert family.documentation, family.name
        if family.name.startswith("vad_"):
            assert {label for sample in family.samples for label in sample.labels} <= BOUNDED, family.name
    assert "hunter2" not in page
    assert "://" not in page


def test_the_ledger_balances_in_every_scrape(monitored: Monitored) -> None:
    balance = (
        "vad_frames_received_total - vad_frames_scored_total - vad_frames_in_flight"
        " - sum without (reason) (vad_frames_dropped_total)"
    )
    cameras = {s["metric"]["camera"]: s["values"] for s in monitored.prometheus.query_range(balance, seconds=20)}
    assert set(cameras) == set(CAMERAS)
    for camera, values in cameras.items():
        assert {float(value) for _, value in values} == {0.0}, camera
    (received,) = monitored.prometheus.query('vad_frames_received_total{camera="walk"}')
    assert float(received["value"][1]) > 100


def test_what_ails_a_camera_is_told_of_that_camera_alone(monitored: Monitored) -> None:
    told = {(s["metric"]["camera"], s["metric"]["issue"]) for s in monitored.prometheus.query("vad_camera_issue")}
    assert ("frozen", "frozen") in told
    assert {camera for camera, _ in told} == {"frozen"}
    down = monitored.prometheus.query("vad_stream_up == 0")
    assert [series["metric"]["camera"] for series in down] == ["gone"]


def test_a_log_line_of_a_camera_names_it_and_its_run(monitored: Monitored) -> None:
    lines = monitored.log_lines()
    wait_for(lambda: any(line["event"].startswith("anomaly.") for line in monitored.log_lines()))
    of_cameras = [line for line in lines if line["event"].partition(".")[0] in ("stream", "anomaly", "calibration")]
    assert {line.get("camera") for line in of_cameras} == set(CAMERAS)
    assert [line for line in of_cameras if not isinstance(line.get("run"), int)] == []
    assert "hunter2" not in monitored.log.read_text()
