"""Sites and waiting, for tests of the whole engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vad.config import SiteConfig, make_config
from vad.pipeline.engine import Engine
from vad.pipeline.status import CameraStatus


def make_site(storage: Path, cameras: dict[str, dict[str, Any]], **scoring: float) -> SiteConfig:
    """A site without HTTP on any free bus port. Nervous by default, so that something is raised soon."""
    return make_config(
        {
            "cameras": cameras,
            "defaults": {"false_alarms_per_day": 1440},
            "scoring": {"warming_after_s": 2.0, "calibrated_after_s": 4.0, "open_after_s": 0.1, **scoring},
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "http": {"bind": ""},
            "storage": {"dir": str(storage)},
        },
        source="test",
    )


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60.0, what: str = "the condition") -> None:
    """Poll until it holds; AssertionError when it does not within a generous time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:.0f} s in vain for {what}"
        time.sleep(0.02)


def wait_for_frames(engine: Engine, camera: str, more: int, *, timeout_s: float = 60.0) -> CameraStatus:
    """Until that many more frames of the camera were scored."""
    before = engine.status().cameras[camera].frames.scored
    wait_for(
        lambda: engine.status().cameras[camera].frames.scored >= before + more,
        timeout_s=timeout_s,
        what=f"{more} frames of {camera} (state {engine.status().cameras[camera].state}, "
        f"code {engine.status().cameras[camera].code})",
    )
    return engine.status().cameras[camera]


def check_ledger(engine: Engine, *, stopped: bool = False) -> None:
    """received = scored + dropped + in flight for every camera; nothing in flight once stopped."""
    for name, camera in engine.status().cameras.items():
        assert camera.frames.is_balanced, (name, camera.frames)
        if stopped:
            assert camera.frames.in_flight == 0, (name, camera.frames)
