"""``vad run``: the engine with its HTTP endpoint, under signals, until told to stop."""

from __future__ import annotations

import gc
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from types import FrameType

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from vad.config import SiteConfig
from vad.pipeline.capacity import too_many
from vad.pipeline.engine import Engine
from vad.pipeline.status import EngineStatus
from vad.service.api.app import http_routes
from vad.service.api.state import AppState
from vad.service.http import HttpServer
from vad.service.place import place
from vad.types import AnomalyEvent, CameraEvent

log = structlog.get_logger(__name__)


def run_site(site: SiteConfig) -> EngineStatus:
    """Watch the site's cameras until SIGINT or SIGTERM, or until every source has ended; the last status.

    The first signal drains and closes in order, a second one exits at once. Raises VadError: EngineError when a stage
    died, BindError, WeightsError, JournalError when it could not start.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter, which nobody asks for
    _take_all_file_descriptors()
    if warning := too_many(site):
        log.warning("capacity.exceeded", detail=warning)
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    engine = Engine(site, registry=registry)
    with ExitStack() as stack:
        if site.http.bind:
            state = stack.enter_context(closing(AppState(engine, settings=site.http)))
            server = HttpServer(
                site.http.bind, registry=registry, readiness=engine.readiness, routes=http_routes(state)
            )
            stack.enter_context(server)
            log.info("http.started", address=server.address)
        stack.enter_context(_signals(engine))
        with engine:
            gc.collect()
            gc.freeze()  # walking all that the libraries have loaded holds every thread up, for 140 ms
            for event in engine.events():
                _log_event(event)
        for event in engine.events():  # raised while it drained
            _log_event(event)
    return engine.status()


def _take_all_file_descriptors() -> None:
    """Up to the hard limit: the usual soft one, 1,024, is for programs that call ``select``; clients may be more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a system that gives less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _signals(engine: Engine) -> Iterator[None]:
    """First signal: stop in order. Second: exit at once."""

    signalled = False  # not engine.is_stopping: an engine whose sources have ended drains too

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal signalled
        if signalled:
            os._exit(128 + number)
        signalled = True
        engine.request_stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_event(event: AnomalyEvent | CameraEvent) -> None:
    """Camera events are logged where they happen."""
    if isinstance(event, CameraEvent):
        return
    step = event.type.value.rsplit(".", 1)[-1]
    log.warning(
        f"anomaly.{step}",
        camera=event.camera,
        run=event.run,
        incident=event.incident,
        reasons=",".join(event.reasons),
        score=round(event.score, 2),
        peak=round(event.peak_score, 2),
        threshold=round(event.threshold, 2),
        place=place(event.regions),
        stage=event.stage.value,
        **({"closed": event.close_reason} if event.close_reason else {}),
    )
