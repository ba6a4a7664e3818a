"""Request bodies: whole, within a bound and a time, before anything looks at them; JSON as strict as it should be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive

from vad.service.api.problems import Problem

MAX_BODY_BYTES = 65_536
BODY_TIMEOUT_S = 10.0
MAX_DEPTH = 32
MAX_DIGITS = 400
"""Of a number: a double has at most 309 before its point."""


async def whole_body(request: Request) -> Receive:
    """Read the body, then give it as often as it is asked for. Raises Problem 408 or 413."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise _too_large(length)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await _read(request)
    except TimeoutError:
        raise Problem(
            408,
            f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s",
            kind="slow-body",
            headers={"connection": "close"},
        ) from None
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await request.receive()  # until the client goes
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _read(request: Request) -> bytes:
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large(f"more than {MAX_BODY_BYTES}")
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(got: str) -> Problem:
    return Problem(
        413,
        f"the body is too large; got {got} bytes, allowed: {MAX_BODY_BYTES}",
        kind="too-large",
        what="body",
        got=f"{got} bytes",
        allowed=f"{MAX_BODY_BYTES} bytes",
        headers={"connection": "close"},
    )


class StrictRequest(Request):
    """A request whose JSON holds nothing that JSON does not know, or that nobody could mean."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            text = body.decode("utf-8")
            if _depth(text) > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
            value = json.loads(text, parse_constant=_no_constant, parse_int=_short(int), parse_float=_short(_number))
        except (ValueError, RecursionError) as exc:
            raise Problem(400, f"the body is not JSON: {exc}", kind="not-json", what="body", allowed="JSON") from None
        _check_text(value)
        return value


class StrictRoute(APIRoute):
    """A route that takes bodies as JSON alone, strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is not None:
                _check_type(request)
                request = StrictRequest(request.scope, request.receive)
            return await handle(request)

        return strict


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(
            415,
            f"the body's content type is {kind[:80]!r}; allowed: application/json",
            kind="content-type",
            what="content-type",
            got=kind[:80],
            allowed="application/json",
        )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _short(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        if len(text) > MAX_DIGITS:
            raise ValueError(f"a number of {len(text)} characters; allowed: {MAX_DIGITS}")
        return read(text)

    return checked


def _number(text: str) -> float:
    if abs(value := float(text)) == float("inf"):
        raise ValueError(f"{text[:40]} is larger than any number that can be kept")
    return value


def _depth(text: str) -> int:
    """How deep brackets are nested, those inside strings left out."""
    deepest = depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _check_text(value: Any) -> None:
    """No NUL and no half of a surrogate pair in any text, nor in a name."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise Problem(
                422, "a text holds a NUL or half a surrogate pair", kind="text", what="body", allowed="text in Unicode"
            )
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_text(name)
            _check_text(each)
    elif isinstance(value, list):
        for each in value:
            _check_text(each)
