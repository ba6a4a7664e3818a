"""A bridge driven by its worker's thread, fed from a real journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vad.clock import SystemClock
from vad.config import BridgeSettings, SiteConfig, make_config
from vad.events.bridges import make_bridge
from vad.events.journal import Journal
from vad.pipeline.bridging import BridgeWorker

DEADLINE_S = 30.0
CAMERAS = ("cam1", "cam.2")


def bridge_settings(**settings: Any) -> BridgeSettings:
    """As a site file would give them; quick to try again."""
    site: SiteConfig = make_config(
        {
            "cameras": {name: {"url": "x.mp4"} for name in CAMERAS},
            "bridges": [{"timeout_s": 5, "retry_min_s": 0.05, "retry_max_s": 0.2, **settings}],
        },
        source="test",
    )
    return site.bridges[0]


@contextmanager
def running(settings: BridgeSettings, journal: Journal, folder: Path) -> Iterator[BridgeWorker]:
    """The worker in a thread of its own, stopped in order at the end."""
    worker = BridgeWorker(
        settings,
        bridge=make_bridge(settings, cameras=CAMERAS),
        reader=journal.reader(),
        last_sequence=lambda: journal.last_sequence,
        storage=folder,
        clock=SystemClock(),
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = DEADLINE_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.01)
