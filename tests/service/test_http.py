"""The HTTP server over real connections."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vad.errors import BindError, EngineError
from vad.service.http import HttpServer

CHECKS = {"model": True, "bus": True}


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("vad_frames_scored", "Frames scored.", ["camera"], registry=registry).labels(camera="cam1").inc(3)
    return registry


@pytest.fixture
def checks() -> dict[str, bool]:
    return dict(CHECKS)


@pytest.fixture
def server(registry: CollectorRegistry, checks: dict[str, bool]) -> Iterator[HttpServer]:
    def broken(_: Request) -> PlainTextResponse:
        raise RuntimeError("a secret of the inside")

    routes = [Route("/broken", broken)]
    with HttpServer("127.0.0.1:0", registry=registry, readiness=lambda: checks, routes=routes) as server:
        yield server


def get(server: HttpServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(server.address + path, headers=headers, timeout=20.0)


def test_metrics_are_given_in_the_classic_format(server: HttpServer) -> None:
    response = get(server, "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in parse_prometheus(response.text)}
    assert "vad_frames_scored" in names


def test_metrics_are_given_as_openmetrics_to_who_asks_for_it(server: HttpServer) -> None:
    response = get(server, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(response.text)}
    assert families["vad_frames_scored"].samples[0].value == 3.0


def test_livez_answers_as_long_as_the_process_serves(server: HttpServer, checks: dict[str, bool]) -> None:
    checks["model"] = False
    assert get(server, "/livez").json() == {"status": "ok"}


def test_readyz_names_each_check_and_is_503_when_one_fails(server: HttpServer, checks: dict[str, bool]) -> None:
    response = get(server, "/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": {"model": True, "bus": True}}
    checks["bus"] = False
    response = get(server, "/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "checks": {"model": True, "bus": False}}


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/livez", 405), ("GET", "/broken", 500)]
)
def test_errors_are_answered_as_problem_json_without_internals(
    server: HttpServer, method: str, path: str, status: int
) -> None:
    response = httpx.request(method, server.address + path, timeout=20.0)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["instance"]) == (status, path)
    assert "secret" not in response.text
    assert "server" not in response.headers


def test_a_taken_port_is_refused_before_anything_is_served(server: HttpServer, registry: CollectorRegistry) -> None:
    bind = server.address.removeprefix("http://")
    second = HttpServer(bind, registry=registry, readiness=dict)
    with pytest.raises(BindError, match=f"http.bind: Address already in use; got {bind}, allowed: "):
        second.start()
    assert get(server, "/livez").status_code == 200


@pytest.mark.parametrize("bind", ["192.0.2.1:80", "127.0.0.1:99999", "nothing.invalid:80", "127.0.0.1"])
def test_an_address_that_cannot_be_bound_is_refused(registry: CollectorRegistry, bind: str) -> None:
    with pytest.raises(BindError, match=r"http\.bind"):
        HttpServer(bind, registry=registry, readiness=dict).start()


def test_stop_releases_the_port_and_may_be_called_twice(registry: CollectorRegistry) -> None:
    server = HttpServer("127.0.0.1:0", registry=registry, readiness=dict)
    with pytest.raises(EngineError, match="before start"):
        server.address  # noqa: B018 the property raises
    server.start()
    address = server.address
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address + "/livez", timeout=5.0)
    with HttpServer(address.removeprefix("http://"), registry=registry, readiness=dict) as again:
        assert again.address == address


def test_requests_leave_no_trace_in_the_log(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        get(server, "/livez?token=abc")
    assert "livez" not in "".join(r.getMessage() for r in caplog.records if not r.name.startswith("http"))
