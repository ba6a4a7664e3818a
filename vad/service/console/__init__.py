"""The console: server-rendered pages over the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from vad.service.api.state import AppState


def console_routes(state: AppState) -> list[BaseRoute]:
    """The pages and static files. Behind the gate: whoever arrives here (but at /login, /static) may see the site."""
    return []
