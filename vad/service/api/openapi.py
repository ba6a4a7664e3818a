"""The OpenAPI document: what FastAPI gathers, with our problems, security and events put in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from vad import __version__
from vad.events.schema import AnomalyMessage, CameraMessage, EngineMessage, JournalMessage, OtherMessage
from vad.service.api import examples
from vad.service.api.problem_examples import NO_CAMERA, PROBLEMS
from vad.service.api.problems import MEDIA_TYPE

DESCRIPTION = """What the engine sees, raised and keeps, and how to tell it what to do.

Every error is problem JSON (RFC 9457) with `what`, `got` and `allowed`. Numbers that are not finite are null. Times
ending in `wall_s` are seconds since 1970, UTC. A viewer may GET; an operator also judges incidents, arms, pauses, and
sets masks, zones and sensitivity; an admin also adds, removes and moves cameras."""

ALWAYS = (401, 403, 429, 500, 503)
WORDS = {
    400: "The body is not JSON, or the request is no HTTP.",
    401: "No token, or one that is not good (any more).",
    403: "The caller's role does not suffice, or the request comes from elsewhere.",
    404: "There is none of that id.",
    406: "Not in a form that was asked for.",
    408: "The body did not arrive in time.",
    409: "There is one of that id already.",
    410: "The cursor points to where nothing is kept any more: begin anew.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    416: "No such range.",
    422: "A parameter or the body does not fit.",
    429: "Too many requests, or too many tokens that were none: `Retry-After`.",
    500: "A defect of the server.",
    503: "Not now: `Retry-After`.",
    507: "No room on the disk: nothing was written.",
}
OF_BODIES = (400, 408, 413, 415)

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error, as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "`urn:vad:problem:KIND`, or `about:blank`"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "the path that was asked for"},
        "what": {"type": "string", "description": "what is wrong: a parameter, a field, a header"},
        "got": {"description": "what was there; left out where it may be secret"},
        "allowed": {"type": "string", "description": "what may be there"},
        "faults": {
            "type": "array",
            "description": "every fault of an invalid request",
            "items": {
                "type": "object",
                "required": ["what", "message"],
                "properties": {
                    "what": {"type": "string"},
                    "message": {"type": "string"},
                    "got": {"type": "string"},
                    "allowed": {"type": "string"},
                },
            },
        },
        "retry_s": {"type": "integer", "description": "seconds to wait"},
    },
    "example": NO_CAMERA,
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`vad_ID_SECRET`, made by `vad tokens new`"},
    "session": {"type": "apiKey", "in": "cookie", "name": "vad_session", "description": "what /login opens"},
}
EVENTS = (AnomalyMessage, CameraMessage, JournalMessage, EngineMessage, OtherMessage)
EVENT = "Event"
METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's ``responses``: what it may answer besides what every route may."""
    return {status: {"description": WORDS[status]} for status in statuses}


def document(app: FastAPI) -> dict[str, Any]:
    """Made once, when it is first asked for."""
    if app.openapi_schema is None:
        made = get_openapi(title="vad", version=__version__, description=DESCRIPTION, routes=app.routes)
        made["servers"] = [{"url": "/api/v1"}]
        made["security"] = [{name: []} for name in SECURITY]
        components = made.setdefault("components", {})
        components["securitySchemes"] = SECURITY
        schemas = components.setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = PROBLEM
        schemas |= _events()
        for name, example in examples.OF_SCHEMAS.items():
            schemas[name]["example"] = example
        for path in made["paths"].values():
            for operation in (each for method, each in path.items() if method in METHODS):
                _complete(operation)
        app.openapi_schema = made
    return app.openapi_schema


def _complete(operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    statuses: Iterable[int] = ALWAYS
    if "requestBody" in operation:
        statuses = (*statuses, *OF_BODIES)
    for status in statuses:
        responses.setdefault(str(status), {"description": WORDS[status]})
    for status, response in ((int(status), response) for status, response in responses.items()):
        if status >= 400:
            is_camera = status == 404 and "cameras" in operation.get("tags", ())
            example = NO_CAMERA if is_camera else PROBLEMS[status]
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
        if status in (429, 503, 507):
            response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    operation["responses"] = dict(sorted(responses.items()))


def _events() -> dict[str, Any]:
    """The durable events of ``docs/wire.md``."""
    references, definitions = msgspec.json.schema_components(EVENTS, ref_template="#/components/schemas/{name}")
    return {
        **definitions,
        EVENT: {"title": EVENT, "description": "CloudEvents 1.0, as on the bus", "anyOf": references},
    }
