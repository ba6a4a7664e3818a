"""In front of API and console: who asks, how often, from where; and what every answer says to browsers.

Without tokens the two answer on a loopback bind alone, and only to a loopback ``Host``: a page of another site that has
had its own name point to this machine (DNS rebinding) gets nothing. Headers that a proxy may set are not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from prometheus_client import Counter
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vad.config import HttpSettings
from vad.errors import TokenFileError
from vad.service.api.body import whole_body
from vad.service.api.door import LOCAL, Busy, Caller, Door
from vad.service.api.limits import Buckets, peer_key
from vad.service.api.problems import Problem, of_vad, problem_response

COOKIE = "vad_session"
API_PREFIX = "/api/"
OPEN_PATHS = ("/login", "/logout", "/static/", "/favicon.ico")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BURST_S = 2.0
FAILURES_PER_S, FAILURES_AT_ONCE = 0.1, 10

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
API_HEADERS = {"cache-control": "no-store", "content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
PAGE_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
}


class Gate:
    """An ASGI application around another: lets a request through with its ``Caller``, or answers it itself."""

    def __init__(self, app: ASGIApp, *, settings: HttpSettings, door: Door, answered: Counter) -> None:
        self._app, self._settings, self._door, self._answered = app, settings, door, answered
        self._clock = door.clock
        self._rate = Buckets(rate_per_s=settings.rate_per_s, burst=settings.rate_per_s * BURST_S)
        self._failures = Buckets(rate_per_s=FAILURES_PER_S, burst=FAILURES_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        told: dict[str, str] = {}
        send = self._told(send, request, told)
        try:
            caller = await self._admit(request, told)
            scope.setdefault("state", {})["caller"] = caller
            if request.method not in SAFE_METHODS:
                receive = await whole_body(request)
        except ClientDisconnect:
            return
        except HTTPException as problem:
            await self._refused(request, problem)(scope, receive, send)
            return
        except TokenFileError as exc:
            await of_vad(request, exc)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, request: Request, told: dict[str, str]) -> Caller | None:
        """Who asks; None for the few paths that are open to all. Raises Problem."""
        peer = peer_key(request.client.host if request.client else "")
        if not self._door.needs_token:
            self._check_local(request)
            self._check_rate(peer, told)
            _check_same_site(request, must_say=False)
            return LOCAL
        caller = await self._identify(request, peer)
        self._check_rate(caller.token_id or peer if caller else peer, told)
        if caller is None and not _is_open(request.url.path):
            raise Problem(
                401,
                "no token was shown; allowed: `Authorization: Bearer TOKEN`, or the session that /login opens",
                kind="no-token",
                what="authorization",
                got="nothing",
                headers={"WWW-Authenticate": 'Bearer realm="vad"'},
            )
        return caller

    async def _identify(self, request: Request, peer: str) -> Caller | None:
        given = request.headers.get("authorization")
        if given is not None:
            scheme, _, secret = given.partition(" ")
            if scheme.lower() != "bearer":
                raise _bad_token("the scheme is not Bearer")
            return await self.prove(secret.strip(), peer)
        cookie = request.cookies.get(COOKIE)
        caller = None if cookie is None else self._door.of_session(cookie)
        _check_same_site(request, must_say=caller is not None)
        return caller

    async def prove(self, secret: str, peer: str) -> Caller:
        """Whose token it is. Raises Problem: 401, 429 after too many that were none, 503 while too many are checked."""
        caller = self._door.known(secret)
        if caller is not None:
            return caller
        now_s = self._clock.monotonic_s()
        if self._failures.level(peer, now_s=now_s) < 1.0:
            raise _too_often("too many bad tokens from this address", self._failures.wait_s(peer, now_s=now_s))
        try:
            caller = await self._door.check(secret)
        except Busy:
            raise Problem(503, "too many tokens are being checked", kind="busy", headers={"Retry-After": "1"}) from None
        if caller is None:
            self._failures.take(peer, now_s=self._clock.monotonic_s())
            raise _bad_token("it is none, or good no more")
        return caller

    def _check_local(self, request: Request) -> None:
        if not self._settings.is_loopback:
            raise Problem(
                403,
                f"API and console need tokens where others reach them; http.bind is {self._settings.bind}",
                kind="tokens-needed",
                what="http.tokens",
                got="nothing",
                allowed="`vad tokens new NAME --role admin --file tokens.jsonl` and `http: {tokens: tokens.jsonl}` in "
                "the site file, or `http: {bind: 127.0.0.1:8590}`",
            )
        host = request.headers.get("host", "")
        if not _is_loopback_host(host):
            raise Problem(
                403,
                "without tokens only this machine is answered, under a name of its own",
                kind="not-local",
                what="host",
                got=host[:80],
                allowed="localhost, 127.0.0.1 or [::1]; or tokens: `vad tokens new`",
            )

    def _check_rate(self, key: str, told: dict[str, str]) -> None:
        now_s, limit = self._clock.monotonic_s(), self._rate
        taken = limit.take(key, now_s=now_s)
        left = int(limit.level(key, now_s=now_s))
        told["ratelimit-policy"] = f'"requests";q={int(limit.burst)};w={max(1, round(limit.burst / limit.rate_per_s))}'
        told["ratelimit"] = f'"requests";r={left};t={limit.wait_s(key, now_s=now_s)}'
        if not taken:
            raise _too_often("too many requests", limit.wait_s(key, now_s=now_s))

    def _told(self, send: Send, request: Request, told: Mapping[str, str]) -> Send:
        """Answers are counted, and say what the application has not said itself."""
        of_kind = API_HEADERS if request.url.path.startswith(API_PREFIX) else PAGE_HEADERS

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered.labels(code=message["status"]).inc()
                headers = MutableHeaders(scope=message)
                for name, value in {**ALWAYS, **of_kind, **told}.items():
                    headers.setdefault(name, value)
            await send(message)

        return sending

    def _refused(self, request: Request, problem: HTTPException) -> Response:
        """A person at a browser is sent to the login; everything else gets the problem."""
        path = request.url.path
        if problem.status_code == 401 and request.method == "GET" and not path.startswith(API_PREFIX):
            return RedirectResponse(f"/login?next={quote(path, safe='/')}", status_code=303)
        return problem_response(request, problem)


def same_host(request: Request, url: str) -> bool:
    """Whether a URL (an Origin) is of the host that this request was sent to."""
    try:
        return urlsplit(url).netloc.lower() == request.headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _check_same_site(request: Request, *, must_say: bool) -> None:
    """What a browser sends by itself must come from our own pages. ``must_say``: who does not say so is no browser."""
    if request.method in SAFE_METHODS:
        return
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is None and site is None:
        fine = not must_say
    else:
        fine = (origin is None or same_host(request, origin)) and site in (None, "same-origin", "none")
    if not fine:
        raise Problem(
            403,
            "the request comes from a page of another site",
            kind="cross-site",
            what="origin",
            got=(origin or site or "nothing")[:80],
            allowed="a page of this host, or `Authorization: Bearer TOKEN`",
        )


def _is_open(path: str) -> bool:
    return any(path.startswith(p) if p.endswith("/") else path == p for p in OPEN_PATHS)


def _is_loopback_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bad_token(why: str) -> Problem:
    return Problem(
        401,
        f"the token is refused: {why}",
        kind="bad-token",
        what="authorization",
        allowed="Bearer vad_ID_SECRET of a token that is good",
        headers={"WWW-Authenticate": 'Bearer realm="vad", error="invalid_token"'},
    )


def _too_often(detail: str, wait_s: int) -> Problem:
    headers = {"Retry-After": str(wait_s)}
    return Problem(429, f"{detail}; try again in {wait_s} s", kind="too-often", retry_s=wait_s, headers=headers)
