"""``/events``: the journal in pages, one event with all that belongs to it, and events as they happen."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from vad.errors import JournalError
from vad.events.archive import Wanted
from vad.events.journal import StoredEvent
from vad.service.api import examples
from vad.service.api.evidence import links_of
from vad.service.api.incidents import find, row_of
from vad.service.api.models_events import EventDetails, Events, VerdictGiven
from vad.service.api.openapi import problems
from vad.service.api.paging import beyond, cursor_after
from vad.service.api.pushing import PushedResponse
from vad.service.api.requests import (
    EVENT_PATTERN,
    CameraQuery,
    CursorQuery,
    EventPath,
    Order,
    ReasonQuery,
    SinceQuery,
    TypeQuery,
    UntilQuery,
)
from vad.service.api.state import AppState, Caller, State, caller_of
from vad.service.api.tail import Lost, Place

router = APIRouter(tags=["events"])

HEARTBEAT_S = 10.0
CHECK_S = 2.0
"""How often a stream asks whether its reader may still listen."""
RETRY_MS = 2_000


@router.get("/events", summary="Events, in pages", response_model=Events, responses=problems(410, 422))
def events(
    state: State,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: CursorQuery = None,
    order: Annotated[Order, Query(description="desc: newest first")] = "desc",
    camera: CameraQuery = None,
    type: TypeQuery = None,
    reason: ReasonQuery = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
) -> Response:
    """Pages neither repeat nor skip anything while events are appended. `since` and `until` are about `wall_s`."""
    newest_first = order == "desc"
    with state.readers.lend() as archive:
        wanted = Wanted(
            limit=limit,
            newest_first=newest_first,
            beyond=beyond(archive, cursor, newest_first=newest_first),
            camera=camera,
            type=type,
            reason=reason,
            since_wall_s=since,
            until_wall_s=until,
        )
        found = archive.events(wanted)
    following = cursor_after(found[-1].epoch, found[-1].sequence) if len(found) == limit else None
    return _json(b'{"events":%s,"next":%s}' % (_list(found), json.dumps(following).encode()))


@router.get(
    "/events/stream",
    summary="Events as they happen",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `id` is an event's id, `data` the event. `event: lost` tells of events "
            "that are kept no more, with `epoch`, `first` and `last` (or null).",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": examples.STREAM}},
        },
        **problems(422),
    },
)
async def stream(
    request: Request,
    state: State,
    camera: CameraQuery = None,
    type: TypeQuery = None,
    after: Annotated[str | None, Query(pattern=EVENT_PATTERN, description="go on after this event's id")] = None,
    last_event_id: Annotated[
        str | None, Header(pattern=EVENT_PATTERN, description="what an EventSource sends; goes before `after`")
    ] = None,
) -> Response:
    """Begins with what happens next, or after the event named. A reader that falls behind loses nothing, one that
    takes nothing is disconnected and can go on where it was."""
    chunks = _chunks(state, caller_of(request), last_event_id or after, camera=camera, type=type)
    return PushedResponse(chunks, media_type="text/event-stream", places=state.listeners)


@router.get(
    "/events/{id}", summary="One event, with its incident", response_model=EventDetails, responses=problems(404, 422)
)
def event(id: EventPath, state: State) -> Response:
    """By an event's id or an incident's: the incident with all its events, what is kept of it, what was said of it."""
    with state.readers.lend() as archive:
        incident, one = find(archive, id)
        found = archive.events_of(incident) if incident is not None else []
    told: dict[str, Any] = {"incident": None, "evidence": None, "verdict": None}
    if incident is not None:
        said = state.verdicts.of([incident.incident])
        links = links_of(state.engine.evidence.get(incident.incident))
        told["incident"] = row_of(state, incident, said).model_dump(mode="json")
        told["evidence"] = None if links is None else links.model_dump()
        told["verdict"] = VerdictGiven.of(said[incident.incident]).model_dump(mode="json") if said else None
    elif one is not None:
        found = [one]
    rest = json.dumps(told, separators=(",", ":")).encode()
    return _json(b'{"events":%s,%s' % (_list(found), rest[1:]))


async def _chunks(
    state: AppState, caller: Caller, after: str | None, *, camera: str | None, type: str | None
) -> AsyncIterator[bytes]:
    place = await state.tail.start()
    try:
        if after is not None:
            epoch, _, number = after.rpartition("-")
            place = Place(epoch, int(number))
        yield b"retry: %d\n\n" % RETRY_MS
        silent_s = 0.0
        while True:
            try:
                news = await state.tail.after(place, timeout_s=CHECK_S)
            except JournalError:
                await asyncio.sleep(CHECK_S)
                continue
            if not state.door.admits(caller):
                return
            place = news.place
            chunk = _lost(news.lost) + b"".join(_event(one) for one in news.events if _fits(one, camera, type))
            silent_s = 0.0 if chunk else silent_s + CHECK_S
            if not chunk and silent_s >= HEARTBEAT_S:
                chunk, silent_s = b": still here\n\n", 0.0
            if chunk:
                yield chunk
    finally:
        state.tail.stop()


def _event(event: StoredEvent) -> bytes:
    return b"id: %s-%d\ndata: %s\n\n" % (event.epoch.encode(), event.sequence, event.body)


def _lost(lost: Lost | None) -> bytes:
    if lost is None:
        return b""
    told = {"epoch": lost.epoch, "first": lost.first, "last": lost.last}
    return b"event: lost\ndata: %s\n\n" % json.dumps(told).encode()


def _fits(event: StoredEvent, camera: str | None, type: str | None) -> bool:
    if camera is not None and not event.topic.endswith(f"/{camera}/"):
        return False
    return type is None or re.search(rb'"type":"%s"' % re.escape(type.encode()), event.body) is not None


def _list(events: Sequence[StoredEvent]) -> bytes:
    """Bodies are JSON already."""
    return b"[%s]" % b",".join(event.body for event in events)


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
