"""HTTP for those who watch the engine: ``/metrics``, ``/livez``, ``/readyz``. The server has its own thread."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vad.errors import BindError, EngineError
from vad.pipeline.exposition import encode
from vad.service.api.problems import HANDLERS
from vad.service.protocol import Protocol

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0

Readiness = Callable[[], Mapping[str, bool]]


class HttpServer:
    """Serves on ``bind`` (``HOST:PORT``, port 0 = any free one) from ``start`` to ``stop``.

    ``readiness`` names the checks and says which hold; it is called from the server's threads and must be quick.
    ``routes`` are served besides the three of this module.
    """

    def __init__(
        self, bind: str, *, registry: CollectorRegistry, readiness: Readiness, routes: Sequence[BaseRoute] = ()
    ) -> None:
        self._bind = bind
        self._app = application(registry=registry, readiness=readiness, routes=routes)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """``http://HOST:PORT`` with the real port. Known once started."""
        if self._socket is None:
            raise EngineError("the HTTP server has no address before start()")
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Bind (BindError if that cannot be) and serve; answers requests when this returns."""
        self._socket = _listen(self._bind)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        config = uvicorn.Config(
            self._app,
            http=Protocol,
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = self._server = uvicorn.Server(config)
        sockets = [self._socket]
        self._thread = threading.Thread(target=lambda: server.run(sockets=sockets), name="vad-http", daemon=True)
        self._thread.start()
        self._wait_until_started()

    def stop(self) -> None:
        """Finish the requests under way, for a second at most, and release the port. May be called twice."""
        if self._server is None or self._thread is None or self._socket is None:
            return
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._socket.close()
        self._server = self._thread = self._socket = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_started(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        for _ in range(round(START_TIMEOUT_S / 0.01)):
            if self._server.started:
                return
            self._thread.join(0.01)
            if not self._thread.is_alive():
                break
        self.stop()
        raise EngineError(f"the HTTP server on {self._bind} did not start")


def application(*, registry: CollectorRegistry, readiness: Readiness, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The routes as an ASGI application. Every error is answered as problem JSON (RFC 9457)."""

    def metrics(request: Request) -> Response:
        page, content_type = encode(registry, request.headers.get("accept", ""))
        return Response(page, headers={"content-type": content_type, "cache-control": "no-store"})

    def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    def readyz(_: Request) -> Response:
        checks = dict(readiness())
        ready = all(checks.values())
        body = {"status": "ready" if ready else "not ready", "checks": checks}
        return JSONResponse(body, status_code=200 if ready else 503, headers={"cache-control": "no-store"})

    return Starlette(
        routes=[Route("/metrics", metrics), Route("/livez", livez), Route("/readyz", readyz), *routes],
        exception_handlers=HANDLERS,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Answers without an end are cut off when the server stops, which uvicorn takes for errors."""
    is_cut_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not is_cut_off and "timeout graceful shutdown exceeded" not in record.getMessage()


def _listen(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=128)
    except (OSError, ValueError, OverflowError) as exc:
        raise BindError(
            f"http.bind: {_why(exc)}; got {bind}, allowed: HOST:PORT with an address of this machine and a free port "
            "(port 0 takes any)"
        ) from None


def _why(error: Exception) -> str:
    """The system's own words, without the address that Python adds to them."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)
