"""``/events/{id}/evidence``: the files that are kept of an incident."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from vad.pipeline.evidence_store import EvidenceFiles
from vad.service.api import examples
from vad.service.api.incidents import find
from vad.service.api.models_events import EvidenceLinks
from vad.service.api.openapi import problems
from vad.service.api.problems import Problem
from vad.service.api.requests import EventPath
from vad.service.api.state import State

router = APIRouter(tags=["incidents"])


class Part(StrEnum):
    """The files, by the names under which they are given."""

    CLIP = "clip.mp4"
    SEEN = "seen.jpg"
    EXPECTED = "expected.jpg"
    DETAILS = "evidence.json"


TYPES = {Part.CLIP: "video/mp4", Part.SEEN: "image/jpeg", Part.EXPECTED: "image/jpeg", Part.DETAILS: "application/json"}
CONTENT = {
    "video/mp4": {"schema": {"type": "string", "format": "binary"}},
    "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
    "application/json": {"schema": {"type": "object"}, "example": examples.KEPT},
}


def links_of(files: EvidenceFiles | None) -> EvidenceLinks | None:
    """Where an incident's files are; None for those that there are not."""
    if files is None:
        return None
    base = f"/api/v1/events/{files.incident}/evidence"
    paths = _paths(files)
    return EvidenceLinks(
        clip=f"{base}/{Part.CLIP}" if paths[Part.CLIP] else None,
        seen=f"{base}/{Part.SEEN}" if paths[Part.SEEN] else None,
        expected=f"{base}/{Part.EXPECTED}" if paths[Part.EXPECTED] else None,
        details=f"{base}/{Part.DETAILS}",
    )


@router.get(
    "/events/{id}/evidence/{part}",
    summary="A file that is kept of an incident",
    response_class=Response,
    responses={
        200: {"description": "The whole file.", "content": CONTENT},
        206: {"description": "The range that was asked for.", "content": CONTENT},
        **problems(404, 416, 422),
    },
)
def evidence(id: EventPath, part: Annotated[Part, PathParameter(description="which file")], state: State) -> Response:
    """The clip answers to `Range`."""
    files = state.engine.evidence.get(id)
    if files is None:
        with state.readers.lend() as archive:
            incident, _ = find(archive, id)
        files = None if incident is None else state.engine.evidence.get(incident.incident)
    path = None if files is None else _paths(files)[part]
    if files is None or path is None:
        raise _nothing(part)
    return KeptFile(path, part=part, incident=files.incident)


class KeptFile(FileResponse):
    """A file that may be gone before it is opened. Ranges that are none are not asked for, as RFC 9110 has it."""

    def __init__(self, path: Path, *, part: Part, incident: str) -> None:
        super().__init__(
            path, media_type=TYPES[part], filename=f"{incident}-{part.value}", content_disposition_type="inline"
        )
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        unsatisfiable = False

        async def watching(message: Message) -> None:
            nonlocal unsatisfiable
            if message["type"] == "http.response.start" and message["status"] == 416:
                unsatisfiable = True
            if not unsatisfiable:
                await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _is_range(value)]
        try:
            method = "GET" if scope.get("wants_body", True) else "HEAD"
            await super().__call__({**scope, "headers": headers, "method": method}, receive, watching)
        except (FileNotFoundError, RuntimeError):
            raise _nothing(self._part) from None
        if unsatisfiable:
            size = self.headers["content-length"]
            raise Problem(
                416,
                f"the file is {size} bytes long",
                kind="range",
                what="range",
                allowed=f"bytes 0 to {int(size) - 1}",
                headers={"Content-Range": f"bytes */{size}"},
            )


def _is_range(value: bytes) -> bool:
    """One or several of ``first-last``, ``first-`` or ``-length``, each in order."""
    unit, _, spec = value.partition(b"=")
    for one in spec.split(b","):
        first, dash, last = one.strip().partition(b"-")
        if not dash or not (first or last) or not all(not n or (n.isdigit() and len(n) < 19) for n in (first, last)):
            return False
        if first and last and int(first) > int(last):
            return False
    return unit.strip().lower() == b"bytes"


def _paths(files: EvidenceFiles) -> dict[Part, Path | None]:
    return {Part.CLIP: files.clip, Part.SEEN: files.seen, Part.EXPECTED: files.expected, Part.DETAILS: files.details}


def _nothing(part: Part) -> Problem:
    return Problem(
        404,
        "nothing (more) is kept of that incident under this name",
        kind="no-evidence",
        what="part",
        got=part.value,
        allowed="what /api/v1/events/{id} names under evidence",
    )
