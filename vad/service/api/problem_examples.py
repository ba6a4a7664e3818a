"""For each status an answer that bears it, for the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

CAMERA, EVENT = "/api/v1/cameras/gate", "/api/v1/events/0d9f1c52"
CAMERAS = "/api/v1/cameras"


def _problem(status: int, kind: str, detail: str, instance: str, **more: Any) -> dict[str, Any]:
    return {
        "type": f"urn:vad:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        **more,
    }


NO_CAMERA = _problem(
    404,
    "no-camera",
    "no camera has the id 'gate'",
    CAMERA,
    what="camera",
    got="gate",
    allowed="an id that /api/v1/cameras lists",
)

_ALL = (
    _problem(
        400,
        "not-json",
        "the body is not JSON: Expecting value: line 1 column 7 (char 6)",
        CAMERAS,
        what="body",
        allowed="JSON",
    ),
    _problem(
        401,
        "bad-token",
        "the token is refused: it is none, or good no more",
        CAMERAS,
        what="authorization",
        allowed="Bearer vad_ID_SECRET of a token that is good",
    ),
    _problem(
        403,
        "role",
        "judging incidents needs the role operator; got viewer",
        f"{EVENT}/verdict",
        what="role",
        got="viewer",
        allowed="operator, admin",
    ),
    _problem(
        404,
        "no-event",
        "no event and no incident has the id '0d9f1c52', or it is forgotten",
        EVENT,
        what="id",
        got="0d9f1c52",
        allowed="an id that /api/v1/events or /api/v1/incidents lists",
    ),
    _problem(408, "slow-body", "the body did not arrive within 10 s", CAMERAS),
    _problem(
        409,
        "camera-exists",
        "a camera has the id 'gate' already; allowed: an id of its own, or replacing that camera",
        CAMERAS,
        what="id",
        got="gate",
    ),
    _problem(
        410,
        "cursor-gone",
        "the journal has begun a new epoch since: what the cursor points into is kept no more",
        "/api/v1/events",
        what="cursor",
        got="4920f8f86a444cb19a11ef766bd986b7-17",
        allowed="no cursor: the newest page",
    ),
    _problem(
        413,
        "too-large",
        "the body is too large; got 70000 bytes, allowed: 65536",
        CAMERAS,
        what="body",
        got="70000 bytes",
        allowed="65536 bytes",
    ),
    _problem(
        415,
        "content-type",
        "the body's content type is 'text/plain'; allowed: application/json",
        CAMERAS,
        what="content-type",
        got="text/plain",
        allowed="application/json",
    ),
    _problem(
        416,
        "range",
        "the file is 10240 bytes long",
        f"{EVENT}/evidence/clip.mp4",
        what="range",
        allowed="bytes 0 to 10239",
    ),
    _problem(
        422,
        "invalid",
        "query.limit: Input should be greater than or equal to 1",
        "/api/v1/events",
        what="query.limit",
        got="0",
        allowed="at least 1",
        faults=[
            {
                "what": "query.limit",
                "message": "Input should be greater than or equal to 1",
                "got": "0",
                "allowed": "at least 1",
            }
        ],
    ),
    _problem(429, "too-often", "too many requests; try again in 2 s", CAMERAS, retry_s=2),
    _problem(500, "", "the engine's HTTP server has a defect; its log says more", CAMERAS),
    _problem(503, "journal", "the journal cannot be read now", "/api/v1/events"),
    _problem(507, "disk-full", "no room on the disk: nothing was written", f"{EVENT}/verdict"),
)
PROBLEMS = {problem["status"]: problem for problem in _ALL}
"""By status."""
