"""The bridges of a site: their threads, started and stopped together."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import structlog

from vad.clock import Clock
from vad.config import SiteConfig
from vad.events.bridges import make_bridge
from vad.events.journal import Journal
from vad.pipeline.bridging import DRAIN_S, BridgeWorker
from vad.pipeline.status import BridgeStatus

log = structlog.get_logger(__name__)

HANG_S = 3.0
"""Beyond DRAIN_S: how long a stop waits for a bridge that hangs."""


class Bridges:
    """All bridges of a site, each with a thread of its own.

    Raises BridgeError where a library is missing, CursorError and JournalError where one of those cannot be used, and
    leaves nothing open then.
    """

    def __init__(self, config: SiteConfig, *, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._workers: list[BridgeWorker] = []
        self._threads: list[threading.Thread] = []
        with ExitStack() as undo:
            for settings in config.bridges:
                reader = undo.enter_context(journal.reader())
                worker = BridgeWorker(
                    settings,
                    bridge=make_bridge(settings, cameras=list(config.cameras)),
                    reader=reader,
                    last_sequence=lambda: journal.last_sequence,
                    storage=config.storage.dir,
                    clock=clock,
                )
                self._workers.append(worker)
            undo.pop_all()

    def start(self) -> None:
        for worker in self._workers:
            thread = threading.Thread(target=worker.run, name=f"vad-bridge-{worker.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Once everything is stored. A bridge that hangs is left behind: its cursor says where to go on."""
        for worker in self._workers:
            worker.stop()
        give_up_s = time.monotonic() + DRAIN_S + HANG_S
        for worker, thread in zip(self._workers, self._threads, strict=False):
            thread.join(max(0.0, give_up_s - time.monotonic()))
            if thread.is_alive():
                log.warning("bridge.abandoned", bridge=worker.name)

    def close(self) -> None:
        """Of bridges that were never started."""
        for worker in self._workers:
            worker.close()

    def statuses(self) -> dict[str, BridgeStatus]:
        last = self._journal.last_sequence
        return {worker.name: worker.told(last) for worker in self._workers}
