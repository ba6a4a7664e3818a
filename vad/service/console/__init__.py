"""The console: server-rendered pages over the HTTP API, with a little JavaScript that keeps them current.

A page is a template given what the engine and its journal say at that moment; its script asks ``/console/fleet`` and
``/api/v1`` for what has changed. Everything that changes something goes through ``/api/v1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from vad.service.api.state import AppState


def console_routes(state: AppState) -> list[BaseRoute]:
    """The pages and static files. Behind the gate: whoever arrives here (but at /login, /static) may see the site."""
    from vad.service.console.pages import Pages  # it needs the API's models, and these are imported after the API

    return Pages(state).routes()
