"""The API as an ASGI application, and the routes of API and console for the HTTP server."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from vad import __version__
from vad.service.api import cameras, events, evidence, incidents, pictures, status
from vad.service.api.gate import Gate
from vad.service.api.openapi import document
from vad.service.api.problems import HANDLERS
from vad.service.api.session import session_routes
from vad.service.api.state import AppState
from vad.service.console import console_routes

PREFIX = "/api/v1"


def http_routes(state: AppState) -> list[BaseRoute]:
    """What the HTTP server mounts beside ``/metrics``: the API under ``/api/v1`` and the console, behind the gate."""
    inside = Starlette(exception_handlers=HANDLERS)
    inside.state.vad = state
    gate = Gate(inside, settings=state.settings, door=state.door, answered=state.answered)
    inside.router.routes += [Mount(PREFIX, Headed(api(state))), *session_routes(state, gate), *console_routes(state)]
    return [Mount("", gate)]


def api(state: AppState) -> FastAPI:
    """The API alone, without the gate. ``/openapi.json`` is its document; there is no page for it."""
    app = FastAPI(
        title="vad",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers=HANDLERS,
        redirect_slashes=False,
    )
    app.state.vad = state
    routers = [module.router for module in (status, cameras, pictures, events, incidents, evidence)]
    for router in routers:
        app.include_router(router)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(_: Request) -> Response:
        return JSONResponse(document(app))

    app.state.routes = [*(route for router in routers for route in router.routes), app.routes[-1]]
    return app


class Headed:
    """HEAD is answered as GET is; the server leaves the body out. ``wants_body`` tells those who would make a long one.

    FastAPI does not do so by itself, and routes that name HEAD would be told of twice in the document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", "wants_body": False}
        await self._app(scope, receive, send)
