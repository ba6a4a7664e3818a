"""One engine that watches a synthetic scene over and over, behind its real HTTP server, and a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from tests.pipeline.sites import make_site, wait_for
from tests.service.console.browser import Visitor, launched, why_unavailable
from vad.config import HttpSettings
from vad.pipeline.engine import Engine
from vad.service.api.app import http_routes
from vad.service.api.state import AppState
from vad.service.http import HttpServer
from vad.service.tokens import new_token

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CAMERAS = ("walk", "yard")
ROLES = ("viewer", "operator", "admin")


@dataclass(frozen=True, slots=True)
class Site:
    """``walk`` and ``yard`` show people and a vehicle every twelve seconds, ``gone`` is not there.

    ``address`` asks for no token; ``guarded`` is the same engine behind tokens, one for each role.
    """

    engine: Engine
    address: str
    guarded: str
    tokens: dict[str, str]

    def get(self, path: str) -> Any:
        return httpx.get(self.address + path).raise_for_status().json()

    def closed_incident(self) -> dict[str, Any]:
        """The newest incident that has a clip."""

        def found() -> list[dict[str, Any]]:
            rows = self.get("/api/v1/incidents")["incidents"]
            return [row for row in rows if row["state"] == "closed" and row["has_evidence"]]

        wait_for(lambda: bool(found()), timeout_s=120.0, what="an incident with evidence")
        return found()[0]


def serve(stack: ExitStack, engine: Engine, settings: HttpSettings) -> HttpServer:
    engine.registry = CollectorRegistry()  # each server counts verdicts in one of its own
    state = AppState(engine, settings=settings)
    stack.callback(state.close)
    return stack.enter_context(
        HttpServer(settings.bind, registry=engine.registry, readiness=engine.readiness, routes=http_routes(state))
    )


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Iterator[Site]:
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("console")
    cameras: dict[str, dict[str, Any]] = {name: {"url": str(footage), "loop": True} for name in CAMERAS}
    cameras["gone"] = {"url": "rtsp://user:hunter2@127.0.0.1:9/none", "backoff_max_s": 2}
    tokens = {role: new_token(folder / "tokens.jsonl", role, role)[1] for role in ROLES}
    engine = Engine(make_site(folder / "data", cameras))
    with ExitStack() as stack:
        stack.enter_context(engine)
        local = footage.parent
        address = serve(stack, engine, HttpSettings(bind="127.0.0.1:0", allow_local_sources=local)).address
        settings = HttpSettings(bind="127.0.0.1:0", tokens=folder / "tokens.jsonl", allow_local_sources=local)
        yield Site(engine, address, serve(stack, engine, settings).address, tokens)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if reason := why_unavailable():
        pytest.skip(reason)
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """``visit(address, **settings)``: a visitor. What goes wrong in its pages fails the test."""
    visitors: list[Visitor] = []

    def make(address: str, **settings: Any) -> Visitor:
        visitors.append(Visitor(browser, address, **settings))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.wrong] == []


@pytest.fixture
def visitor(visit: Callable[..., Visitor], site: Site) -> Visitor:
    """On a desktop, in the light, at the engine that asks for no token."""
    return visit(site.address)
