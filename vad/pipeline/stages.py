"""The engine's own threads: started together; when one dies the engine is over, and the others must not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import structlog

from vad.errors import EngineError, VadError

log = structlog.get_logger(__name__)


class Stages:
    """``on_fault`` is called in the thread that dies; ``fault`` says of what, the first one if several do."""

    def __init__(self, *, on_fault: Callable[[], None]) -> None:
        self.fault: EngineError | None = None
        self._on_fault = on_fault
        self._threads: list[threading.Thread] = []

    @property
    def have_started(self) -> bool:
        return bool(self._threads)

    def start(self, bodies: Mapping[str, Callable[[], None]]) -> None:
        """A thread for each. Raises RuntimeError when there are not enough of them; those started run then."""
        for name, body in bodies.items():
            thread = threading.Thread(target=self.guarded, args=(name, body), name=f"vad-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def guarded(self, name: str, body: Callable[[], None]) -> None:
        """Run a stage; one that dies takes the engine with it, loudly."""
        try:
            body()
        except BaseException as exc:
            foreseen = isinstance(exc, VadError)  # a full disk, say: the message is all there is to know
            log.error("engine.fault", stage=name, detail=str(exc), exc_info=not foreseen)
            if self.fault is None:
                self.fault = EngineError(f"the {name} stage died: {type(exc).__name__}: {exc}")
                self.fault.__cause__ = exc
            self._on_fault()
