"""Cameras that come and go by the thousand leave nothing behind, and disturb nobody."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import psutil

from tests.pipeline.sites import check_ledger, make_site, wait_for
from tests.video.clips import VideoFile
from vad.config import CameraConfig
from vad.pipeline.engine import Engine

WARM_UP, CYCLES = 100, 1000
MOST_GROWTH_MIB = 24.0
"""What a thousand cycles may add: an account, a judge or a decoder that stayed would take a hundred and more."""


def footprint() -> tuple[int, int, float]:
    """(threads, file descriptors, resident MiB) of this process."""
    gc.collect()
    process = psutil.Process()
    return threading.active_count(), process.num_fds(), process.memory_info().rss / 2**20


def churn(engine: Engine, config: CameraConfig, cycles: int) -> None:
    for number in range(cycles):
        name = f"guest{number % 7}"
        engine.add_camera(name, config)
        if number % 10 == 0:  # some stay long enough to be scored
            wait_for(lambda name=name: engine.status().cameras[name].frames.scored > 0)  # type: ignore[misc]
        engine.remove_camera(name)


def test_a_thousand_cameras_come_and_go_and_leave_nothing(tmp_path: Path, video_file: VideoFile) -> None:
    guest = CameraConfig(url=str(video_file("guest.mp4", width=160, height=96, frames=25)), realtime=False)
    resident = str(video_file("resident.mp4", width=160, height=96, frames=100))
    with Engine(make_site(tmp_path, {"resident": {"url": resident, "loop": True}})) as engine:
        churn(engine, guest, WARM_UP)
        threads, files, memory_mib = footprint()
        scored = engine.status().cameras["resident"].frames.scored
        churn(engine, guest, CYCLES)
        now_threads, now_files, now_memory_mib = footprint()
        check_ledger(engine)
        stayed = engine.status().cameras["resident"].frames
    assert now_threads <= threads + 1  # the resident's reader may be between two runs
    assert now_files <= files + 2
    assert now_memory_mib - memory_mib < MOST_GROWTH_MIB
    assert stayed.lost == 0
    assert stayed.scored > scored
    check_ledger(engine, stopped=True)
    assert sorted(path.stem for path in (tmp_path / "calibration").iterdir()) == sorted(
        ["resident", *(f"guest{i}" for i in range(7))]
    )
    assert os.listdir(tmp_path).count("cameras.json") == 0
