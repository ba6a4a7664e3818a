"""Metrics as text: what is written quickly says the same as what prometheus_client writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from vad.config import StorageSettings
from vad.errors import StreamCode
from vad.pipeline import gpu as gpu_module
from vad.pipeline.exposition import Family, encode
from vad.pipeline.gpu import GpuCollector
from vad.pipeline.ledger import Account
from vad.pipeline.metrics import EngineCollector, StageMetrics, StorageCollector
from vad.pipeline.status import BridgeStatus, CameraStatus, EngineStatus
from vad.types import CameraState, DropReason, HealthIssue, Stage

COUNTS = st.integers(0, 10**12)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
CAMERAS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,20}\Z")


def camera(**changed: object) -> CameraStatus:
    values: dict[str, object] = {
        "state": CameraState.UP,
        "code": None,
        "detail": "",
        "run": 0,
        "fps": 25.0,
        "frames": Account(10, 5, 1, dict.fromkeys(DropReason, 1)),
        "corrupt_packets": 0,
        "abandoned_readers": 0,
        "reconnects": {StreamCode.TIMEOUT: 2},
        "errors": {},
        "stage": Stage.WARMING,
        "score": 1.5,
        "threshold": 3.0,
        "health": None,
        "incidents_opened": 4,
        "false_alarms_per_day": 2.0,
        "budget_ratio": None,
        "incidents_open": 1,
        "judged_s": 12.5,
    }
    return CameraStatus(**{**values, **changed})  # type: ignore[arg-type]


STATUSES = st.builds(
    camera,
    state=st.sampled_from(CameraState),
    fps=st.none() | st.floats(0, 1e6),
    frames=st.builds(Account, COUNTS, COUNTS, COUNTS, st.dictionaries(st.sampled_from(DropReason), COUNTS)),
    reconnects=st.dictionaries(st.sampled_from(StreamCode), COUNTS),
    stage=st.sampled_from(Stage),
    score=NUMBERS,
    threshold=NUMBERS,
    health=st.none() | st.sampled_from(HealthIssue),
    judged_s=st.floats(0, 1e12),
)


def registry_of(status: Callable[[], EngineStatus]) -> CollectorRegistry:
    registry = CollectorRegistry()
    StageMetrics(registry).observe("model", 0.01)
    registry.register(EngineCollector(status))
    return registry


def of_cameras(page: bytes) -> tuple[str, ...]:
    return tuple(line for line in page.decode().splitlines() if '{camera="' in line)


def samples(families: object) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in families:  # type: ignore[attr-defined]
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if sample.name.endswith("_created"):
                continue
            assert key not in found, f"{key} is written twice"
            found[key] = sample.value
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "cam1", "cam2"]) | CAMERAS, STATUSES, max_size=3), min_size=1, max_size=3
    )
)
def test_each_page_says_what_prometheus_client_would(seen: list[dict[str, CameraStatus]]) -> None:
    """One after the other, from the same collector: cameras come, go, change and stay as they are."""
    now = EngineStatus(bridges={"hook": BridgeStatus(sent=3)}, queues={"clips": 2})
    registry = registry_of(lambda: now)
    for cameras in [*seen, seen[-1]]:
        now = dataclasses.replace(now, cameras=cameras)
        expected = samples(parse_classic(generate_latest(registry).decode()))
        page, content_type = encode(registry, "")
        assert content_type.startswith("text/plain; version=0.0.4")
        assert samples(parse_classic(page.decode())) == expected
        page, content_type = encode(registry, "application/openmetrics-text; version=1.0.0")
        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
        assert samples(parse_openmetrics(page.decode())) == expected


def test_only_what_has_changed_is_written_anew() -> None:
    written = []

    def members(number: int) -> list[tuple[str, float]]:
        written.append(number)
        return [("x", number)]

    family = Family("counter", "n", "N.", label="camera", read=int, second="of", members=members)
    assert family.lines({"a": 1, "b": 2}) == 'n_total{camera="a",of="x"} 1\nn_total{camera="b",of="x"} 2\n'
    assert family.lines({"a": 1, "b": 3}) == 'n_total{camera="a",of="x"} 1\nn_total{camera="b",of="x"} 3\n'
    assert family.lines({"a": 1, "b": 3}) == 'n_total{camera="a",of="x"} 1\nn_total{camera="b",of="x"} 3\n'
    assert written == [1, 2, 3]
    assert family.lines({"b": 3, "a": 1}) == 'n_total{camera="b",of="x"} 3\nn_total{camera="a",of="x"} 1\n'


def test_pages_that_are_asked_for_at_once_are_whole() -> None:
    status = [EngineStatus(cameras={"a": camera(score=1.0)}), EngineStatus(cameras={"b": camera(), "c": camera()})]
    wanted = {encode(registry_of(lambda: one), "")[0] for one in status}  # noqa: B023 it is called at once
    turns = cycle(status)
    registry = registry_of(lambda: next(turns))
    with ThreadPoolExecutor(4) as threads:
        pages = threads.map(lambda _: encode(registry, "")[0], range(400))
    assert {of_cameras(page) for page in pages} == {of_cameras(page) for page in wanted}


def test_every_family_says_what_it_is_and_holds_no_address() -> None:
    cameras = {"cam1": camera(detail="rtsp://user:hunter2@host/x", health=HealthIssue.FROZEN)}
    page = encode(registry_of(lambda: EngineStatus(cameras=cameras)), "")[0].decode()
    for family in parse_classic(page):
        assert family.documentation, family.name
        for sample in family.samples:
            assert set(sample.labels) <= {"camera", "reason", "code", "state", "stage", "issue", "type", "le"} | {
                "queue",
                "result",
                "bridge",
            }
    assert "hunter2" not in page
    assert "://" not in page
    assert 'vad_camera_issue{camera="cam1",issue="frozen"} 1' in page


def test_what_a_young_camera_may_raise_is_told_beside_its_budget() -> None:
    cameras = {"cam1": camera(allowed_per_day=39.712, promised_after_s=4_800.0)}
    page = encode(registry_of(lambda: EngineStatus(cameras=cameras)), "")[0].decode()
    assert 'vad_allowed_alarms_per_day{camera="cam1"} 39.71\n' in page
    assert 'vad_false_alarm_budget_per_day{camera="cam1"} 2.0\n' in page


def test_what_is_not_known_is_left_out() -> None:
    cameras = {"cam1": camera(fps=None, threshold=float("inf"), budget_ratio=None)}
    names = {
        key[0]
        for key in samples(parse_classic(encode(registry_of(lambda: EngineStatus(cameras=cameras)), "")[0].decode()))
    }
    assert names.isdisjoint(
        {"vad_stream_fps", "vad_score_threshold", "vad_false_alarm_budget_ratio", "vad_camera_issue"}
    )
    assert "vad_anomaly_score" in names


def test_a_disk_that_does_not_answer_is_left_out(tmp_path: Path) -> None:
    there = {m.name for m in StorageCollector(StorageSettings(dir=tmp_path)).collect()}
    assert there == {"vad_journal_limit_bytes", "vad_storage_free_bytes", "vad_storage_size_bytes"}
    gone = {m.name for m in StorageCollector(StorageSettings(dir=tmp_path / "gone")).collect()}
    assert gone == {"vad_journal_limit_bytes"}


def test_without_a_gpu_nothing_is_said_of_one() -> None:
    assert list(GpuCollector(torch.device("cpu")).collect()) == []


def test_a_gpu_that_has_failed_does_not_cost_the_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(device: torch.device) -> tuple[int, int]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "mem_get_info", failed)
    monkeypatch.setattr(gpu_module, "_utilisation_reader", lambda device: lambda: 0.5)
    values = {m.name: m.samples[0].value for m in GpuCollector(torch.device("cuda", 0)).collect()}
    assert values == {"vad_gpu_utilization_ratio": 0.5}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_memory_of_the_gpu_is_told() -> None:
    held = torch.zeros(2**20, device="cuda")
    values = {m.name: m.samples[0].value for m in GpuCollector(torch.device("cuda", 0)).collect()}
    assert held.nbytes <= values["vad_gpu_memory_reserved_bytes"] <= values["vad_gpu_memory_used_bytes"]
    assert values["vad_gpu_memory_used_bytes"] <= values["vad_gpu_memory_size_bytes"]
    assert 0.0 <= values.get("vad_gpu_utilization_ratio", 0.0) <= 1.0
