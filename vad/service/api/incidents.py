"""``/incidents``, ``/events/{id}`` and verdicts: what was raised, one row each, and what people said of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from vad.events.archive import Archive, Incident, Wanted
from vad.events.journal import StoredEvent
from vad.events.schema import AnomalyMessage, decode
from vad.events.verdicts import Verdict
from vad.service.api.body import StrictRoute
from vad.service.api.models_events import IncidentRow, Incidents, VerdictGiven
from vad.service.api.openapi import problems
from vad.service.api.paging import beyond, cursor_after
from vad.service.api.problems import Problem, no_event
from vad.service.api.requests import (
    CameraQuery,
    CursorQuery,
    EventPath,
    ReasonQuery,
    SinceQuery,
    UntilQuery,
    VerdictBody,
)
from vad.service.api.state import AppState, Caller, Role, State, needs
from vad.service.place import place

router = APIRouter(tags=["incidents"], route_class=StrictRoute)

Operator = Annotated[Caller, Depends(needs(Role.OPERATOR, "judging incidents"))]
VerdictQuery = Annotated[
    Literal["true", "false", "expected", "none"] | None, Query(description="judged so alone; none: not judged yet")
]


@router.get("/incidents", summary="Incidents, newest first", responses=problems(410, 422))
def incidents(
    state: State,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: CursorQuery = None,
    camera: CameraQuery = None,
    verdict: VerdictQuery = None,
    reason: ReasonQuery = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
) -> Incidents:
    """One row for each incident, as its newest event tells it. `since` and `until` are about when it was opened."""
    with state.readers.lend() as archive:
        wanted = Wanted(
            limit=limit,
            beyond=beyond(archive, cursor, newest_first=True),
            camera=camera,
            reason=reason,
            since_wall_s=since,
            until_wall_s=until,
            verdict=verdict,
        )
        found = archive.incidents(wanted)
    said = state.verdicts.of(incident.incident for incident in found)
    following = cursor_after(found[-1].epoch, found[-1].sequence) if len(found) == limit else None
    return Incidents(incidents=[row_of(state, incident, said) for incident in found], next=following)


@router.put("/events/{id}/verdict", summary="Say what an incident was", responses=problems(404, 422, 507))
def judge(id: EventPath, body: VerdictBody, state: State, caller: Operator) -> VerdictGiven:
    """The last word counts. `who` is the name of the token."""
    incident = _incident(state, id)
    before = state.verdicts.get(incident.incident)
    given = Verdict(
        incident=incident.incident,
        verdict=body.verdict,
        note=body.note,
        who=caller.name,
        given_wall_s=state.clock.wall_s(),
        camera=incident.camera,
        opened_wall_s=incident.opened_wall_s,
        peak_score=incident.peak_score,
        threshold=incident.threshold,
        reasons=incident.reasons,
        stage=incident.stage,
    )
    state.verdicts.give(given)
    if before is None or before.verdict is not body.verdict:
        state.said.labels(camera=incident.camera, verdict=body.verdict.value).inc()
    return VerdictGiven.of(given)


@router.post("/events/{id}/verdict", summary="Say what an incident was (as PUT)", responses=problems(404, 422, 507))
def judge_too(id: EventPath, body: VerdictBody, state: State, caller: Operator) -> VerdictGiven:
    """For clients that cannot PUT."""
    return judge(id, body, state, caller)


@router.delete(
    "/events/{id}/verdict", summary="Take a verdict back", status_code=204, responses=problems(404, 422, 507)
)
def take_back(id: EventPath, state: State, caller: Operator) -> Response:
    incident = _incident(state, id)
    if not state.verdicts.take_back(incident.incident):
        raise Problem(404, "nobody has said anything of that incident", kind="no-verdict", what="id", got=id)
    return Response(status_code=204)


def row_of(state: AppState, incident: Incident, said: Mapping[str, Verdict]) -> IncidentRow:
    word = said.get(incident.incident)
    return IncidentRow.of(
        incident,
        place=place_of(incident),
        verdict=word.verdict if word else None,
        has_evidence=state.engine.evidence.get(incident.incident) is not None,
    )


def place_of(incident: Incident) -> str:
    """The strongest box in words; empty when there is none."""
    if incident.region is None:
        return ""
    x0, y0, x1, y1 = incident.region
    return place([SimpleNamespace(x0=x0, y0=y0, x1=x1, y1=y1, score=0.0)])


def find(archive: Archive, id: str) -> tuple[Incident | None, StoredEvent | None]:
    """What an id means: an incident, and the event if it is an event's. Raises Problem 404."""
    incident = archive.incident(id)
    if incident is not None:
        return incident, None
    epoch, _, number = id.rpartition("-")
    event = archive.event(int(number)) if epoch == archive.epoch and number.isdecimal() and len(number) <= 10 else None
    if event is None:
        raise no_event(id)
    message = decode(event.body)
    if isinstance(message, AnomalyMessage):
        return archive.incident(message.data.incident), event
    return None, event


def _incident(state: AppState, id: str) -> Incident:
    with state.readers.lend() as archive:
        incident, _ = find(archive, id)
    if incident is None:
        raise Problem(
            404,
            "that event belongs to no incident: it tells of a camera or of the journal",
            kind="no-incident",
            what="id",
            got=id,
            allowed="an incident's id, or of one of its events",
        )
    return incident
