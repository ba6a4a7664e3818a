"""The whole engine with its cameras in processes of their own."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.control import RtspServer
from tests.video.clips import VideoFile
from vad.config import CameraConfig, ReaderSettings, SiteConfig
from vad.pipeline.engine import Engine
from vad.pipeline.readers import workers as workers_module
from vad.types import AnomalyEvent, CameraState

QUICK = {"read_timeout_s": 3.0, "backoff_min_s": 0.2, "backoff_max_s": 1.0}


def site_with(processes: int, storage: Path, cameras: dict[str, dict[str, Any]]) -> SiteConfig:
    site = make_site(storage, cameras)
    return site.model_copy(update={"readers": ReaderSettings(processes=processes)})


def value_of(registry: CollectorRegistry, name: str) -> float:
    lines = generate_latest(registry).decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.rtsp
def test_cameras_of_a_process_that_is_killed_come_back_and_the_others_never_notice(
    tmp_path: Path, rtsp_server: Callable[..., RtspServer], clip_h264: Path
) -> None:
    server = rtsp_server({"cam": clip_h264})
    names = [f"cam{number}" for number in range(4)]
    site = site_with(2, tmp_path, {name: {"url": server.url("cam"), **QUICK} for name in names})
    registry = CollectorRegistry()
    with Engine(site, registry=registry) as engine:
        pids = {worker.process.pid for worker in engine._readers._workers}
        for name in names:
            wait_for_frames(engine, name, 5)
        assert value_of(registry, "vad_reader_processes") == 2
        engine._readers._workers[0].process.send_signal(signal.SIGKILL)
        wait_for(lambda: sum(bool(c.reconnects) for c in engine.status().cameras.values()) == 2, what="two reconnects")
        for name in names:
            wait_for_frames(engine, name, 10)
        cameras = engine.status().cameras
        assert {c.state for c in cameras.values()} == {CameraState.UP}
        assert sorted(sum(c.reconnects.values()) for c in cameras.values()) == [0, 0, 1, 1]
        assert {c.run for c in cameras.values()} == {0, 1}
        assert {code.value for c in cameras.values() for code in c.errors} == {"broken"}
        assert value_of(registry, "vad_reader_processes") == 3  # each of the two might have been the cause
        assert value_of(registry, "vad_reader_isolated_cameras") == 0
        assert value_of(registry, "vad_reader_processes_died_total") == 1
        assert value_of(registry, "vad_reader_processes_cpu_seconds_total") > 0.0
        assert value_of(registry, "vad_reader_processes_bytes") > 0.0
        check_ledger(engine)
        pids |= {worker.process.pid for worker in engine._readers._workers}
    check_ledger(engine, stopped=True)
    assert len(pids) == 4
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.rtsp
@pytest.mark.slow
def test_cameras_of_a_process_that_is_frozen_come_back(
    tmp_path: Path, rtsp_server: Callable[..., RtspServer], clip_h264: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while nobody else could read them: there is one process."""
    monkeypatch.setattr(workers_module, "ASK_EVERY_S", 0.5)
    server = rtsp_server({"cam": clip_h264})
    site = site_with(1, tmp_path, {name: {"url": server.url("cam"), **QUICK} for name in ("a", "b")})
    with Engine(site) as engine:
        for name in ("a", "b"):
            wait_for_frames(engine, name, 5)
        (worker,) = engine._readers._workers
        worker.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: worker.process.poll() is not None, timeout_s=60.0, what="the frozen process to be killed")
        for name in ("a", "b"):
            wait_for_frames(engine, name, 5)
        assert engine.status().readers.died == 1
        check_ledger(engine)
    check_ledger(engine, stopped=True)


def test_what_is_read_elsewhere_is_scored_and_kept_as_evidence_all_the_same(tmp_path: Path, footage: Path) -> None:
    def incidents(processes: int) -> list[tuple[str, float, float, list[str]]]:
        storage = tmp_path / str(processes)
        engine = Engine(site_with(processes, storage, {"cam": {"url": str(footage), "realtime": False}}))
        with engine:
            events = list(engine.events())
        events += list(engine.events())
        check_ledger(engine, stopped=True)
        found = []
        for event in events:
            if not isinstance(event, AnomalyEvent) or not event.close_reason:
                continue
            files = engine.evidence.get(event.incident)
            assert files is not None
            details = json.loads(files.details.read_text())
            names = sorted(path.name for path in files.details.parent.iterdir())
            found.append((event.close_reason, event.peak_score, details["clip"]["duration_s"], names))
        return found

    near, far = incidents(0), incidents(1)
    assert near
    assert far == near


def test_cameras_come_and_go_and_are_looked_at(tmp_path: Path, footage: Path) -> None:
    with Engine(site_with(1, tmp_path, {"first": {"url": str(footage), "loop": True}})) as engine:
        engine.add_camera("second", CameraConfig(url=str(footage), loop=True))
        for name in ("first", "second"):
            wait_for_frames(engine, name, 3)
            assert engine.snapshot(name).startswith(b"\xff\xd8")
        engine.pause_camera("second")
        assert engine.status().cameras["second"].state is CameraState.PAUSED
        engine.resume_camera("second")
        wait_for_frames(engine, "second", 3)
        engine.remove_camera("second")
        wait_for_frames(engine, "first", 3)
        (worker,) = engine._readers._workers
        assert worker.load == 1
        check_ledger(engine)
    check_ledger(engine, stopped=True)


def test_hundreds_of_cameras_come_and_go_and_leave_nothing_in_the_processes(
    tmp_path: Path, video_file: VideoFile
) -> None:
    guest = CameraConfig(url=str(video_file("guest.mp4", width=160, height=96, frames=25)), realtime=False)
    resident = str(video_file("resident.mp4", width=160, height=96, frames=100))
    with Engine(site_with(1, tmp_path, {"resident": {"url": resident, "loop": True}})) as engine:
        (worker,) = engine._readers._workers
        process = psutil.Process(worker.process.pid)

        def come_and_go(times: int) -> tuple[int, int, float]:
            for number in range(times):
                engine.add_camera("guest", guest)
                if number % 10 == 0:
                    wait_for_frames(engine, "guest", 1)
                engine.remove_camera("guest")
            wait_for(lambda: worker.load <= 1, what="the sessions to end")
            wait_for_frames(engine, "resident", 3)
            return process.num_threads(), process.num_fds(), process.memory_info().rss / 2**20

        threads, files, memory_mib = come_and_go(50)
        now_threads, now_files, now_memory_mib = come_and_go(300)
        assert now_threads <= threads + 1  # the resident's may be between two runs
        assert now_files <= files + 2
        assert now_memory_mib - memory_mib < 12.0
        assert engine.status().cameras["resident"].frames.lost == 0
        assert engine.status().readers.died == 0
    check_ledger(engine, stopped=True)
