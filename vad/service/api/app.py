"""The API as an ASGI application, and the routes of API and console for the HTTP server."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount

from vad import __version__
from vad.service.api import cameras, status
from vad.service.api.state import AppState
from vad.service.console import console_routes

PREFIX = "/api/v1"


def http_routes(state: AppState) -> list[BaseRoute]:
    """What the HTTP server mounts beside ``/metrics``: the API under ``/api/v1`` and the console."""
    return [Mount(PREFIX, api(state)), *console_routes(state)]


def api(state: AppState) -> FastAPI:
    app = FastAPI(title="vad", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.vad = state
    for router in (status.router, cameras.router):
        app.include_router(router)
    return app
