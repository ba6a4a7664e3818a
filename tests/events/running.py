"""The engine's delivery without its cameras: the real journal, bus and replay in their real threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from vad.clock import SystemClock
from vad.config import BusSettings, StorageSettings
from vad.pipeline.delivery import Delivery
from vad.pipeline.metrics import StageMetrics


@contextmanager
def delivering(
    storage: Path,
    *,
    bind: str = "tcp://127.0.0.1:*",
    replay_bind: str = "",
    bus: dict[str, Any] | None = None,
    **keep: Any,
) -> Iterator[Delivery]:
    """A delivery at work; its threads have ended, with whatever was put, when this does. Their errors are raised."""
    delivery = Delivery(
        bus=BusSettings(bind=bind, replay_bind=replay_bind, heartbeat_s=0.1, linger_s=0.5, **(bus or {})),
        storage=StorageSettings(dir=storage, **keep),
        metrics=StageMetrics(CollectorRegistry()),
        clock=SystemClock(),
    )
    errors: list[BaseException] = []

    def guarded(body: Any) -> None:
        try:
            body()
        except BaseException as exc:  # noqa: BLE001 - raised in the test's own thread
            errors.append(exc)
            delivery.abandon()

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in delivery.stages.values()]
    for thread in threads:
        thread.start()
    try:
        yield delivery
    finally:
        delivery.finish()
        for thread in threads:
            thread.join()
        delivery.close()
    if errors:
        raise errors[0]
