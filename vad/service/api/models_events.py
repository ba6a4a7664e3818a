"""What the API answers about events, incidents and what was said of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from vad.events.archive import Incident
from vad.events.verdicts import Verdict, Word
from vad.service.api.models import Finite, Model

AnyEvent = Annotated[dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/Event"})]


class Events(Model):
    """A page of events."""

    events: list[AnyEvent]
    next: str | None
    """The `cursor` of the next page; null when this is the last."""


class IncidentRow(Model):
    """One incident, as its newest event tells it."""

    incident: str
    camera: str
    state: Literal["open", "closed"]
    opened_wall_s: float
    closed_wall_s: float | None
    close_reason: str | None
    peak_score: Finite
    threshold: Finite
    reasons: list[str]
    """Strongest first."""
    stage: str
    place: str
    """Where in the picture, in words; empty when nowhere in particular."""
    region: tuple[float, float, float, float] | None
    """The strongest box: x0, y0, x1, y1 in fractions of the picture."""
    verdict: Word | None
    has_evidence: bool
    event_id: str
    """Of the event that opened it."""

    @classmethod
    def of(cls, incident: Incident, *, place: str, verdict: Word | None, has_evidence: bool) -> IncidentRow:
        return cls(
            incident=incident.incident,
            camera=incident.camera,
            state="open" if incident.closed_wall_s is None else "closed",
            opened_wall_s=incident.opened_wall_s,
            closed_wall_s=incident.closed_wall_s,
            close_reason=incident.close_reason,
            peak_score=incident.peak_score,
            threshold=incident.threshold,
            reasons=list(incident.reasons),
            stage=incident.stage,
            place=place,
            region=incident.region,
            verdict=verdict,
            has_evidence=has_evidence,
            event_id=incident.event_id,
        )


class Incidents(Model):
    """A page of incidents, newest first."""

    incidents: list[IncidentRow]
    next: str | None
    """The `cursor` of the next page; null when this is the last."""


class EvidenceLinks(Model):
    """Where the files are that are kept of an incident; null for those that there are not."""

    clip: str | None
    seen: str | None
    expected: str | None
    details: str


class VerdictGiven(Model):
    """What somebody said of an incident."""

    incident: str
    verdict: Word
    note: str
    who: str
    given_wall_s: float

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictGiven:
        return cls(
            incident=verdict.incident,
            verdict=verdict.verdict,
            note=verdict.note,
            who=verdict.who,
            given_wall_s=verdict.given_wall_s,
        )


class EventDetails(Model):
    """An incident with its events, or one event that belongs to no incident."""

    incident: IncidentRow | None
    events: Annotated[list[AnyEvent], Field(description="in order, 1000 at most")]
    evidence: EvidenceLinks | None
    verdict: VerdictGiven | None
