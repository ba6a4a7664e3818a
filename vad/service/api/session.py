"""``POST /login`` and ``/logout``: a browser shows a token once and has a session from then on."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from vad.service.api.door import SESSION_S, Caller
from vad.service.api.gate import COOKIE, Gate
from vad.service.api.limits import peer_key
from vad.service.api.problems import Problem
from vad.service.api.state import AppState

FORM = "application/x-www-form-urlencoded"


def session_routes(state: AppState, gate: Gate) -> list[BaseRoute]:
    """A form is answered by going on to ``next``, or back to /login with ``?error=``; JSON by JSON."""

    async def login(request: Request) -> Response:
        is_form = request.headers.get("content-type", "").startswith(FORM)
        fields = _form(await request.body()) if is_form else _json(await request.body())
        onward = _own_path(fields.get("next", "/"))
        if not state.door.needs_token:
            return RedirectResponse(onward, status_code=303) if is_form else Response(status_code=204)
        peer = peer_key(request.client.host if request.client else "")
        try:
            caller = await gate.prove(fields.get("token", "").strip(), peer)
        except Problem as problem:
            if not is_form:
                raise
            return RedirectResponse(f"/login?error={problem.kind}&next={quote(onward, safe='/')}", status_code=303)
        response = RedirectResponse(onward, status_code=303) if is_form else JSONResponse(_told(caller))
        response.set_cookie(
            COOKIE, state.door.open_session(caller), max_age=int(SESSION_S), path="/", httponly=True, samesite="strict"
        )
        response.headers["cache-control"] = "no-store"
        return response

    async def logout(request: Request) -> Response:
        state.door.end_session(request.cookies.get(COOKIE, ""))
        is_form = request.headers.get("content-type", "").startswith(FORM)
        response = RedirectResponse("/login", status_code=303) if is_form else Response(status_code=204)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    return [Route("/login", login, methods=["POST"]), Route("/logout", logout, methods=["POST"])]


def _told(caller: Caller) -> dict[str, str]:
    return {"name": caller.name, "role": caller.role.name.lower()}


def _form(body: bytes) -> dict[str, str]:
    try:
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=8).items()}
    except ValueError:
        raise _unreadable() from None


def _json(body: bytes) -> dict[str, str]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise _unreadable()
    return fields


def _unreadable() -> Problem:
    return Problem(
        400, "the body is no login", kind="no-login", what="body", allowed='a form with token, or {"token": "vad_..."}'
    )


def _own_path(path: str) -> str:
    """A path of this server; nothing that a browser could take for another one."""
    is_own = path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path
    return path if is_own and path.isascii() else "/"
