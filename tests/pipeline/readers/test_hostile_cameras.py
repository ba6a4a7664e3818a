"""All attacks at once on one engine that also reads a good camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.attacks import ATTACKS, Attacker, flipped_clip
from tests.rtsp.stub import StubCamera
from vad.config import ReaderSettings
from vad.pipeline.engine import Engine
from vad.pipeline.readers.workers import taken
from vad.types import CameraState

MEMORY_MIB = 512
UNHARMED = {"http flipped bits", "h264", "hevc"}
"""Of these some pictures can be read."""


def name_of(attack: str) -> str:
    return attack.replace(" ", "-")


@pytest.mark.slow
def test_hostile_cameras_take_neither_the_good_ones_nor_the_machine_down(
    tmp_path: Path, stub_camera: Callable[..., StubCamera], cam_h264: Path, cam_hevc: Path
) -> None:
    quick = {"read_timeout_s": 2.0, "backoff_min_s": 0.2, "backoff_max_s": 1.0}
    most_bytes = 0
    with ExitStack() as servers:
        attackers = {name_of(name): servers.enter_context(Attacker(name)) for name in ATTACKS}
        cameras = {name: {"url": attacker.url, **quick} for name, attacker in attackers.items()}
        for clip in (cam_h264, cam_hevc):
            bad = flipped_clip(clip, tmp_path / f"bad{clip.suffix}")
            cameras[clip.suffix[1:]] = {"url": stub_camera(bad).url, **quick}
        cameras["good"] = {"url": stub_camera(cam_h264).url}
        site = make_site(tmp_path, cameras).model_copy(update={"readers": ReaderSettings(memory_mib=MEMORY_MIB)})
        engine = servers.enter_context(Engine(site))
        until_s = time.monotonic() + 30.0

        def have_attacked() -> bool:
            nonlocal most_bytes
            most_bytes = max([most_bytes, *(taken(worker.process.pid)[1] for worker in engine._readers._workers)])
            told = engine.status().cameras
            is_named = all(told[name].errors or name in map(name_of, UNHARMED) for name in cameras if name != "good")
            return is_named and time.monotonic() > until_s

        wait_for(have_attacked, timeout_s=180.0, what="all of them to be named")
        assert all(attacker.connections for attacker in attackers.values())
        up = {name for name, camera in engine.status().cameras.items() if camera.state is CameraState.UP}
        assert up <= {"good", *map(name_of, UNHARMED)} | {"endless-fragments"}
        wait_for_frames(engine, "good", 40)
        check_ledger(engine)
        pids = [worker.process.pid for worker in engine._readers._workers]
        stopping = threading.Thread(target=engine.stop)
        stopping.start()
        stopping.join(60.0)
        assert not stopping.is_alive(), "the engine does not stop"
        check_ledger(engine, stopped=True)
    assert most_bytes < (MEMORY_MIB + 400) << 20
    assert not any(map(psutil.pid_exists, pids))
