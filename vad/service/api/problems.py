"""Errors as problem JSON (RFC 9457): what, got, allowed; never a secret, never the inside."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from vad.config import redact_url
from vad.errors import (
    CameraExists,
    CameraNotFound,
    CommandRefused,
    ConfigError,
    JournalError,
    OverlayError,
    TokenFileError,
    VadError,
    VerdictError,
)

MEDIA_TYPE = "application/problem+json"
MAX_GOT_CHARS = 200
MAX_FAULTS = 20
RETRY_S = 5
SECRET_WORDS = ("password", "secret", "token", "url", "authorization", "cookie", "username")

log = structlog.get_logger(__name__)


class Problem(HTTPException):
    """Raised by a route: a status with words for the caller. ``kind`` is the end of the problem's type."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        what: str | None = None,
        got: object = None,
        allowed: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, headers=headers)
        told = {"what": what, "got": got, "allowed": allowed}
        self.kind, self.more = kind, {k: v for k, v in told.items() if v is not None} | more


def problem_response(request: Request, problem: HTTPException) -> Response:
    """Any HTTPException, ours or Starlette's, as problem JSON."""
    status = problem.status_code
    title = HTTPStatus(status).phrase
    kind, more = (problem.kind, problem.more) if isinstance(problem, Problem) else ("", {})
    body: dict[str, Any] = {
        "type": f"urn:vad:problem:{kind}" if kind else "about:blank",
        "title": title,
        "status": status,
        "detail": problem.detail or title,
        "instance": request.url.path,
    }
    if status == 404 and not more:
        body |= {"what": "path", "got": _shown(request.url.path), "allowed": "see /api/v1/openapi.json"}
    headers = dict(problem.headers or {})
    if status == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
        body |= {"what": "method", "got": request.method, "allowed": headers["Allow"]}
    content = _finite(body | more)
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def _methods(request: Request) -> set[str]:
    """Of all routes of that path; Starlette tells those of the first one alone."""
    scope = {**request.scope, "path_params": {}}
    routes = getattr(request.app.state, "routes", request.app.routes)
    matching = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    methods = {method for route in matching for method in getattr(route, "methods", None) or ()}
    return methods | {"HEAD"} if "GET" in methods else methods


def invalid(request: Request, error: Exception) -> Response:
    """What the request said does not fit: each fault, and the first one in the problem's own words."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(item) for item in error.errors()[:MAX_FAULTS]]
    first = faults[0]
    detail = f"{first['what']}: {first['message']}"
    return problem_response(
        request,
        Problem(422, detail, kind="invalid", **{k: v for k, v in first.items() if k != "message"}, faults=faults),
    )


def unforeseen(request: Request, error: Exception) -> Response:
    """A defect of ours: it goes to the log, not to whoever asked."""
    log.error("http.defect", path=request.url.path, error=type(error).__name__, exc_info=error)
    return problem_response(request, Problem(500, "the engine's HTTP server has a defect; its log says more"))


def of_vad(request: Request, error: Exception) -> Response:
    """The engine's own errors; what is not foreseen here is a defect."""
    match error:
        case CameraNotFound():
            return problem_response(request, no_camera(error.camera))
        case CameraExists():
            problem = Problem(409, str(error), kind="camera-exists", what="id", got=error.camera)
        case ConfigError():
            faults = [{"what": f.path, "message": f.message, "allowed": "see message"} for f in error.faults]
            first = error.faults[0]
            problem = Problem(422, str(first), kind="invalid", what=first.path or "body", faults=faults)
        case VerdictError(is_full=True):
            problem = _later(507, "no room on the disk: nothing was written", kind="disk-full")
        case OverlayError() | VerdictError():
            problem = _later(503, f"{_kept(error)} cannot be kept now: nothing was changed", kind="not-kept")
        case CommandRefused():
            problem = _later(503, str(error), kind="refused")
        case JournalError():
            problem = _later(503, "the journal cannot be read now", kind="journal")
        case TokenFileError():
            problem = _later(503, "the file of tokens cannot be used now: nobody is let in", kind="tokens")
        case _ if type(error) is VadError:  # the engine has not started yet
            problem = _later(503, str(error), kind="not-now")
        case _:
            return unforeseen(request, error)
    if problem.status_code >= 500:
        log.warning("http.refused", path=request.url.path, status=problem.status_code, detail=str(error))
    return problem_response(request, problem)


def no_camera(camera: str) -> Problem:
    return Problem(
        404,
        f"no camera has the id {camera!r}",
        kind="no-camera",
        what="camera",
        got=_shown(camera),
        allowed="an id that /api/v1/cameras lists",
    )


def no_event(id: str) -> Problem:
    return Problem(
        404,
        f"no event and no incident has the id {id!r}, or it is forgotten",
        kind="no-event",
        what="id",
        got=_shown(id),
        allowed="an id that /api/v1/events or /api/v1/incidents lists",
    )


HANDLERS: dict[Any, Any] = {
    RequestValidationError: invalid,
    HTTPException: problem_response,
    VadError: of_vad,
    Exception: unforeseen,
}


def _later(status: int, detail: str, *, kind: str) -> Problem:
    return Problem(status, detail, kind=kind, headers={"Retry-After": str(RETRY_S)})


def _kept(error: VadError) -> str:
    return "the verdict" if isinstance(error, VerdictError) else "the change"


def _fault(item: Mapping[str, Any]) -> dict[str, Any]:
    """One of pydantic's errors: where, what was there (unless it may be secret), what may be there."""
    path = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    context = item.get("ctx") or {}
    fault: dict[str, Any] = {"what": path, "message": message}
    if item["type"] == "missing":
        fault["got"] = "nothing"
    elif "input" in item and not any(word in path.lower() for word in SECRET_WORDS):
        fault["got"] = _shown(item["input"])
    if item["type"] == "extra_forbidden":
        fault |= {"message": "is not known here", "allowed": "see /api/v1/openapi.json"}
    else:
        fault["allowed"] = _allowed(message, context)
    return fault


def _allowed(message: str, context: Mapping[str, Any]) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "pattern": "matching"}
    words |= {"min_length": "length at least", "max_length": "length at most", "expected": "one of"}
    parts = [f"{word} {context[key]}" for key, word in words.items() if key in context]
    return ", ".join(parts) or message.partition("; allowed: ")[2] or message


def _shown(value: object) -> str:
    """The value as JSON, short, without credentials and without anything that cannot be written."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"
    text = value if isinstance(value, str) else json.dumps(value, default=lambda other: type(other).__name__)
    text = text.encode("utf-8", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: 4 * MAX_GOT_CHARS])
    return redact_url(text)[:MAX_GOT_CHARS]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
