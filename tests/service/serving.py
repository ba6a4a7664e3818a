"""A real engine on a synthetic camera with its HTTP server, for tests of API and console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.pipeline.sites import make_site
from vad.config import HttpSettings
from vad.events.journal import JOURNAL_NAME, Journal
from vad.pipeline.engine import Engine
from vad.service.api.app import http_routes
from vad.service.api.state import AppState
from vad.service.http import HttpServer
from vad.service.tokens import ROLES, new_token
from vad.types import RaisedEvent


@dataclass(frozen=True, slots=True)
class Service:
    """What runs, and how to talk to it. ``tokens`` by role, empty without a file of them."""

    engine: Engine
    state: AppState
    address: str
    tokens: dict[str, str]

    def client(self, role: str | None = None, **headers: str) -> httpx.Client:
        """For ``/api/v1`` alone."""
        if role is not None:
            headers["authorization"] = f"Bearer {self.tokens[role]}"
        return httpx.Client(base_url=f"{self.address}/api/v1/", headers=headers, timeout=60.0)


def make_tokens(path: Path) -> dict[str, str]:
    """One of each role, named after it."""
    return {role: new_token(path, role, role)[1] for role in ROLES}


@contextmanager
def serve(
    storage: Path,
    cameras: dict[str, dict[str, Any]],
    *,
    events: Sequence[RaisedEvent] = (),
    with_tokens: bool = False,
    bind: str = "127.0.0.1:0",
    **http: Any,
) -> Iterator[Service]:
    """An engine and its server on any free port. ``events`` are in its journal already."""
    if events:
        with Journal(storage / JOURNAL_NAME) as journal:
            journal.append(events)
    tokens_path = storage / "tokens.jsonl"
    tokens = make_tokens(tokens_path) if with_tokens else {}
    settings = HttpSettings(**{"bind": bind, "tokens": tokens_path if with_tokens else None, **http})
    engine = Engine(make_site(storage, cameras))
    with closing(AppState(engine, settings=settings)) as state:
        server = HttpServer(bind, registry=engine.registry, readiness=engine.readiness, routes=http_routes(state))
        with engine, server:
            yield Service(engine, state, server.address, tokens)
