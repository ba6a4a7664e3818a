"""What callers send that nobody should: each is answered by a problem that says what, got, allowed; none by a 500."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.events.factory import anomaly
from tests.pipeline.sites import make_site
from tests.service.serving import Service, serve
from vad.errors import VerdictError
from vad.pipeline.engine import Engine
from vad.service.api.app import http_routes
from vad.service.api.state import AppState
from vad.service.http import HttpServer

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Iterator[Service]:
    storage = tmp_path_factory.mktemp("storage")
    events = [anomaly(incident="i1")]
    with serve(storage, {"cam1": {"url": str(footage), "loop": True}}, events=events) as service:
        yield service


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"verdict": NaN}', 400),
        (b'{"verdict": -Infinity}', 400),
        (b'{"verdict": 1e999}', 400),
        (b'{"verdict": ' + b"9" * 5000 + b"}", 400),
        (b"[" * 30_000, 400),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
        (b'{"verdict": "true", "note": "\\u0000"}', 422),
        (b'{"verdict": "true", "note": "\\ud800"}', 422),
        (b'{"verdict": "true", "\\udfff": 1}', 422),
        (b'{"verdict": "true", "note": 5}', 422),
        (b'{"verdict": "true", "note": "' + b"x" * 2001 + b'"}', 422),
        (b'{"verdict": true}', 422),
        (b'{"verdict": "maybe"}', 422),
        (b'{"verdict": "true", "more": 1}', 422),
        (b"[]", 422),
        (b"null", 422),
        (b" " * 65_537, 413),
    ],
    ids=range(20),
)
def test_bodies_that_are_none(api: httpx.Client, body: bytes, status: int) -> None:
    response = api.put("events/i1/verdict", content=body, headers=JSON)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["what"].startswith("body")
    assert problem["allowed"]


def test_a_body_without_a_length_is_bounded_too(api: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 4096

    response = api.put("events/i1/verdict", content=chunks(), headers=JSON)
    assert response.status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_bodies_of_another_type(api: httpx.Client, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    response = api.put("events/i1/verdict", content=b'{"verdict": "true"}', headers=headers)
    assert response.status_code == 415
    assert response.json()["allowed"] == "application/json"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=99999999999999999999999999999999",
        "limit=x",
        "limit=1.5",
        "cursor=x",
        "order=up",
        "camera=%00",
        "camera=..%2f",
        "camera=%ff",
        "type=%27%20OR%201",
        "since=nan",
        "since=inf",
        "since=-1",
        "since=1e300",
        "until=x",
    ],
)
def test_parameters_that_do_not_fit(api: httpx.Client, query: str) -> None:
    response = api.get(f"events?{query}")
    assert response.status_code == 422
    problem = response.json()
    assert problem["what"] == f"query.{query.split('=')[0]}"
    assert {"got", "allowed", "faults"} <= set(problem)


@pytest.mark.parametrize(
    "settings",
    [
        {"false_alarms_per_day": 0},
        {"false_alarms_per_day": True},
        {"false_alarms_per_day": "5"},
        {"false_alarms_per_day": None},
        {"masks": [{"points": [[0, 0], [1, 1]]}]},
        {"masks": [{"points": [[0, 0], [2, 0], [2, 2]]}]},
        {"masks": [{"points": [[0, 0], [0, 0], [0, 0]]}]},
        {"masks": [{"points": [[0, 0], [1, 0], [1, 1]], "colour": "red"}]},
        {"transport": "pigeon"},
        {"model_width": 200},
        {"model_width": "160"},
        {"backoff_min_s": 30, "backoff_max_s": 1},
        {"password_file": "/etc/passwd"},
        {"calibration": "/etc/passwd"},
        {"id": "other"},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_change_nothing(
    service: Service, api: httpx.Client, settings: dict[str, object]
) -> None:
    before = service.engine.cameras()["cam1"]
    response = api.patch("cameras/cam1", json=settings)
    assert response.status_code == 422, response.text
    assert response.json()["what"].startswith("body")
    assert service.engine.cameras()["cam1"] == before


@pytest.mark.parametrize(
    "url",
    [
        "ftp://eve:hunter2@host/",
        "rtsp://eve:hunter2@[/",
        "eve:hunter2@host",
        "rtsp://",
        "   ",
        "",
    ],
)
def test_what_may_be_secret_is_never_told_back(api: httpx.Client, url: str) -> None:
    body = {"id": "x", "url": url, "password": {"hunter2": "hunter2"}, "token": "hunter2"}
    for sent in (body, {**body, "password": "hunter2"}, {"id": "x", "url": url}):
        response = api.post("cameras", json=sent)
        assert response.status_code == 422, response.text
        assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "status", "GET, HEAD"),
        ("DELETE", "cameras", "GET, HEAD, POST"),
        ("PUT", "cameras/cam1", "DELETE, GET, HEAD, PATCH"),
        ("HEAD", "cameras/cam1/arm", "POST"),
        ("POST", "openapi.json", "GET, HEAD"),
    ],
)
def test_methods_that_a_path_does_not_know(api: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = api.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert method == "HEAD" or response.json()["allowed"] == allowed


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v2/status", "/api", "/nothing", "/api/v1/status/", "//api/v1/status"]
)
def test_paths_that_are_none(service: Service, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        response = httpx.request(method, service.address + path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


def test_what_is_no_http_is_answered_by_a_problem_too(service: Service) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    for junk in (
        b"\x16\x03\x01\x02\x00 hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nx\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(junk)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == 400


def test_a_body_that_never_comes_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vad.service.api.body.BODY_TIMEOUT_S", 0.3)
    host, port = service.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"PUT /api/v1/events/i1/verdict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        started_s = time.monotonic()
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started_s < 15.0


def test_a_defect_is_told_without_its_inside(
    service: Service, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    with monkeypatch.context() as defective:
        defective.setattr(type(service.engine), "readiness", broken)
        response = api.get("status")
    assert response.status_code == 500
    assert response.json()["status"] == 500
    assert "secret" not in response.text
    assert api.get("status").status_code == 200


def test_before_the_engine_has_started_the_answer_is_not_now(tmp_path: Path, footage: Path) -> None:
    engine = Engine(make_site(tmp_path, {"cam1": {"url": str(footage)}}))
    with closing(AppState(engine)) as state:
        routes = http_routes(state)
        with HttpServer("127.0.0.1:0", registry=engine.registry, readiness=engine.readiness, routes=routes) as server:
            for path in (
                "cameras",
                "cameras/cam1/snapshot",
                "cameras/cam1/live",
                "events",
                "incidents",
                "events/stream",
            ):
                response = httpx.get(f"{server.address}/api/v1/{path}", timeout=20.0)
                assert response.status_code == 503, (path, response.text)
                assert response.headers["retry-after"]
                assert response.headers["content-type"] == "application/problem+json"
            assert httpx.get(f"{server.address}/api/v1/status").json()["is_ready"] is False


def test_a_full_disk_is_told_and_nothing_is_said_of_the_incident(
    service: Service, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise VerdictError("verdicts.sqlite: database or disk is full", is_full=True)

    with monkeypatch.context() as disk:
        disk.setattr(service.state.verdicts, "give", full)
        response = api.put("events/i1/verdict", json={"verdict": "true"})
    assert (response.status_code, response.json()["type"]) == (507, "urn:vad:problem:disk-full")
    assert response.headers["retry-after"]
    assert api.get("events/i1").json()["verdict"] is None
