"""Who is let in: tokens, roles, sessions, loopback, rates. Against a real server, with real argon2."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.events.factory import anomaly
from tests.pipeline.sites import wait_for
from tests.service.serving import Service, serve
from vad.errors import TokenFileError
from vad.service.tokens import new_token, revoke_token

DEAD = {"url": "rtsp://127.0.0.1:9/none"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    with serve(tmp_path, {"cam1": DEAD}, events=[anomaly(incident="i1")], with_tokens=True) as service:
        yield service


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Service]:
    with serve(tmp_path, {"cam1": DEAD}, events=[anomaly(incident="i1")]) as service:
        yield service


def kind(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["type"]).removeprefix("urn:vad:problem:")


def get(service: Service, path: str = "/api/v1/status", **headers: str) -> httpx.Response:
    return httpx.get(service.address + path, headers=headers, timeout=30.0)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def login(service: Service, token: str) -> httpx.Client:
    """A browser with a session."""
    browser = httpx.Client(base_url=service.address, timeout=30.0)
    answer = browser.post("/login", data={"token": token, "next": "/health"}, headers={"origin": service.address})
    assert (answer.status_code, answer.headers["location"]) == (303, "/health")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("vad_session=", "httponly", "samesite=strict", "path=/"))
    assert token not in cookie
    return browser


# ---- tokens ----


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer x",
        "Basic dXNlcjpwYXNz",
        f"Bearer vad_{'0' * 8}_{'0' * 48}",
        f"Bearer vad_{'0' * 8}_{'é' * 10}".encode().decode("latin-1"),
    ],
)
def test_what_is_no_token_is_refused(guarded: Service, given: str) -> None:
    response = httpx.get(f"{guarded.address}/api/v1/status", headers={"authorization": given.encode("latin-1")})
    assert kind(response, 401) == "bad-token"
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert kind(get(guarded), 401) == "no-token"


def test_a_right_id_with_a_wrong_secret_is_refused(guarded: Service) -> None:
    token = guarded.tokens["admin"]
    assert kind(get(guarded, **bearer(token[:-1] + ("0" if token[-1] != "0" else "1"))), 401) == "bad-token"
    assert get(guarded, **bearer(token)).status_code == 200


def test_the_second_request_costs_no_argon2(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200

    def expensive(*_: object) -> bool:
        raise AssertionError("checked again")

    monkeypatch.setattr("vad.service.api.door._is_secret_of", expensive)
    assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200


def test_an_unknown_id_costs_what_a_wrong_secret_costs(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    monkeypatch.setattr("vad.service.api.door._is_secret_of", lambda hashed, _: bool(checked.append(hashed)))
    get(guarded, **bearer(f"vad_{'0' * 8}_{'0' * 48}"))
    get(guarded, **bearer(guarded.tokens["viewer"][:-4] + "0000"))
    assert [hashed[:30] for hashed in checked] == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_each_role_may_what_it_should_and_no_more(guarded: Service, role: str) -> None:
    rank = ["viewer", "operator", "admin"].index(role)
    with guarded.client(role) as api:
        asked = {
            0: [
                ("GET", "status", None),
                ("GET", "cameras", None),
                ("GET", "incidents", None),
                ("GET", "events/i1", None),
            ],
            1: [
                ("PUT", "events/i1/verdict", {"verdict": "true"}),
                ("DELETE", "events/i1/verdict", None),
                ("POST", "cameras/cam1/disarm", None),
                ("POST", "cameras/cam1/arm", None),
                ("PATCH", "cameras/cam1", {"false_alarms_per_day": 3, "masks": [], "zones": []}),
            ],
            2: [
                ("PATCH", "cameras/cam1", {"analysis_fps": 5}),
                ("PATCH", "cameras/cam1", {"url": "rtsp://127.0.0.1:9/other", "masks": []}),
                ("POST", "cameras", {"id": "two", **DEAD}),
                ("DELETE", "cameras/two", None),
            ],
        }
        for needed, requests in asked.items():
            for method, path, body in requests:
                response = api.request(method, path, json=body)
                if rank >= needed:
                    assert response.status_code in (200, 201, 204), (method, path, response.text)
                else:
                    assert kind(response, 403) == "role"
                    assert response.json()["got"] == role


def test_a_token_made_or_revoked_meanwhile_counts_within_a_second(guarded: Service, tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    _, late = new_token(path, "late", "viewer")
    wait_for(lambda: get(guarded, **bearer(late)).status_code == 200, timeout_s=10)
    browser = login(guarded, late)
    assert browser.get("/api/v1/status").status_code == 200
    revoke_token(path, "late")
    revoked_s = time.monotonic()
    wait_for(lambda: get(guarded, **bearer(late)).status_code == 401, timeout_s=10)
    assert time.monotonic() - revoked_s < 5.0
    assert browser.get("/api/v1/status").status_code == 401


def test_nobody_is_let_in_while_others_can_read_the_tokens(guarded: Service, tmp_path: Path) -> None:
    assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200
    (tmp_path / "tokens.jsonl").chmod(0o644)
    wait_for(lambda: get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 503, timeout_s=10)
    response = get(guarded, **bearer(guarded.tokens["viewer"]))
    assert kind(response, 503) == "tokens"
    assert str(tmp_path) not in response.text
    (tmp_path / "tokens.jsonl").chmod(0o600)
    wait_for(lambda: get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200, timeout_s=10)


def test_a_site_whose_tokens_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    new_token(path, "a", "viewer")
    path.chmod(0o640)
    with pytest.raises(TokenFileError, match="chmod 600"), serve(tmp_path / "x", {"cam1": DEAD}, tokens=path):
        pass


def test_failed_attempts_are_limited_and_lock_out_nobody_who_is_known(guarded: Service) -> None:
    assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200
    statuses = []
    for number in range(14):
        response = get(guarded, **bearer(f"vad_{number:08x}_{'0' * 48}"))
        statuses.append(response.status_code)
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert int(response.headers["retry-after"]) >= 1
    assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200


def test_many_unknown_secrets_at_once_never_hold_up_those_who_are_known(guarded: Service) -> None:
    assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200

    def guess(number: int) -> int:
        return get(guarded, **bearer(f"vad_{number:08x}_{'0' * 48}")).status_code

    with ThreadPoolExecutor(24) as pool:
        guesses = [pool.submit(guess, number) for number in range(40)]
        assert get(guarded, **bearer(guarded.tokens["viewer"])).status_code == 200
        assert {guess.result() for guess in guesses} <= {401, 429, 503}


# ---- browsers ----


def test_a_session_is_a_browser_s_token(guarded: Service) -> None:
    browser = login(guarded, guarded.tokens["operator"])
    ours = {"origin": guarded.address}
    assert browser.get("/api/v1/status").status_code == 200
    assert browser.put("/api/v1/events/i1/verdict", json={"verdict": "true"}, headers=ours).json()["who"] == "operator"
    assert kind(browser.delete("/api/v1/cameras/cam1", headers=ours), 403) == "role"
    assert browser.post("/logout", headers=ours).status_code == 204
    browser.cookies.clear()
    assert browser.get("/api/v1/status").status_code == 401


def test_a_session_that_was_ended_is_worth_nothing_any_more(guarded: Service) -> None:
    browser = login(guarded, guarded.tokens["viewer"])
    stolen = dict(browser.cookies)
    browser.post("/logout", headers={"origin": guarded.address})
    assert httpx.get(f"{guarded.address}/api/v1/status", cookies=stolen).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_another_site_cannot_act_through_a_browser(guarded: Service, headers: dict[str, str]) -> None:
    browser = login(guarded, guarded.tokens["admin"])
    response = browser.put("/api/v1/events/i1/verdict", json={"verdict": "true"}, headers=headers)
    assert kind(response, 403) == "cross-site"


def test_a_bad_token_at_the_login_is_said_and_opens_nothing(guarded: Service) -> None:
    with httpx.Client(base_url=guarded.address) as browser:
        answer = browser.post("/login", data={"token": "vad_x", "next": "/events"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?error=bad-token&next=/events")
        assert "set-cookie" not in answer.headers
        assert kind(browser.post("/login", json={"token": "vad_x"}), 401) == "bad-token"
        assert kind(browser.post("/login", content=b"\xff"), 400) == "no-login"
        assert kind(browser.post("/login", content=b'{"token": 5}'), 400) == "no-login"


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "/a\r\nb: c", ""]
)
def test_the_login_leads_to_no_other_site(guarded: Service, next: str) -> None:
    with httpx.Client(base_url=guarded.address) as browser:
        answer = browser.post("/login", data={"token": guarded.tokens["viewer"], "next": next})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_pages_send_a_stranger_to_the_login(guarded: Service) -> None:
    answer = get(guarded, "/events")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/events")
    for path in ("/metrics", "/livez", "/readyz"):
        assert get(guarded, path).status_code == 200


# ---- without tokens ----


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "", "[::"]
)
def test_without_tokens_only_a_local_name_is_answered(local: Service, host: str) -> None:
    assert kind(get(local, host=host), 403) == "not-local"
    assert get(local, "/livez", host=host).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8590", "127.0.0.1:1", "127.8.8.8", "[::1]:8590"])
def test_a_local_name_is_answered(local: Service, host: str) -> None:
    assert get(local, host=host).status_code == 200


def test_without_tokens_another_site_cannot_act_either(local: Service) -> None:
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert kind(httpx.post(f"{local.address}/api/v1/cameras/cam1/pause", headers=headers), 403) == "cross-site"
    same = {"origin": local.address, "sec-fetch-site": "same-origin"}
    assert httpx.post(f"{local.address}/api/v1/cameras/cam1/arm", headers=same).status_code == 200


def test_bound_elsewhere_without_tokens_api_and_console_are_shut_and_say_how_to_open_them(tmp_path: Path) -> None:
    with serve(tmp_path, {"cam1": DEAD}, bind="0.0.0.0:0") as service:
        address = service.address.replace("0.0.0.0", "127.0.0.1")
        for path in ("/api/v1/status", "/", "/api/v1/cameras/cam1/snapshot"):
            response = httpx.get(address + path)
            assert kind(response, 403) == "tokens-needed"
            assert "vad tokens new" in response.json()["allowed"]
        for path in ("/metrics", "/livez", "/readyz"):
            assert httpx.get(address + path).status_code == 200


# ---- rates ----


def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    with serve(tmp_path, {"cam1": DEAD}, with_tokens=True, rate_per_s=2.0) as service:
        with service.client("viewer") as api:
            answers = [api.get("status") for _ in range(8)]
        with service.client("admin") as other:
            assert other.get("status").status_code == 200
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=4;w=2'
    assert answers[0].status_code == 200
    assert kind(answers[-1], 429) == "too-often"
    assert int(answers[-1].headers["retry-after"]) == answers[-1].json()["retry_s"] >= 1


def test_what_a_proxy_may_say_is_not_believed(guarded: Service) -> None:
    claims = {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "localhost", "forwarded": "for=127.0.0.1"}
    assert get(guarded, **claims).status_code == 401
