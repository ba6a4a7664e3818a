"""Incidents as the pages list them: filters, the timeline by the hour, pages, neighbours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from vad.events.archive import Archive, Incident, Wanted
from vad.service.console.words import VERDICTS

PAGE_ROWS = 50
HOUR_S = 3600.0
VERDICTS_WANTED = ("none", *VERDICTS)
SPANS_HOURS = {"day": 24, "week": 168}
TICKS = {"day": 7, "week": 8}
LEAST_HEIGHT = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the reader wants to see, as it stands in the address."""

    camera: str = ""
    reason: str = ""
    verdict: str = ""
    since: float | None = None
    until: float | None = None
    range: str = "day"
    cursor: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """From an address that anyone may have written: what cannot be read is left out."""
        cursor = query.get("cursor", "")
        return cls(
            camera=query.get("camera", "")[:64],
            reason=query.get("reason", "")[:64],
            verdict=query["verdict"] if query.get("verdict") in VERDICTS_WANTED else "",
            since=_number(query.get("since", "")),
            until=_number(query.get("until", "")),
            range=query["range"] if query.get("range") in SPANS_HOURS else "day",
            cursor=int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 12 else None,
        )

    @property
    def is_filtered(self) -> bool:
        return bool(self.camera or self.reason or self.verdict or self.since is not None or self.until is not None)

    def wanted(self, *, limit: int, beyond: int | None = None, newest_first: bool = True) -> Wanted:
        return Wanted(
            limit=limit,
            newest_first=newest_first,
            beyond=beyond,
            camera=self.camera or None,
            reason=self.reason or None,
            since_wall_s=self.since,
            until_wall_s=self.until,
            verdict=self.verdict or None,
        )

    def link(self, **changes: Any) -> str:
        """The list with other filters; from its newest page unless ``cursor`` is given."""
        fields = {**dataclasses.asdict(self), "cursor": None, **changes}
        if fields["range"] == "day":
            fields["range"] = ""
        return f"/events{_search(fields)}"

    @property
    def context(self) -> str:
        """What an incident's page is told, so that its neighbours are those of this list."""
        names = ("camera", "reason", "verdict", "since", "until")
        return _search({name: getattr(self, name) for name in names})


def _search(fields: Mapping[str, Any]) -> str:
    kept = {name: f"{value:g}" if isinstance(value, float) else value for name, value in fields.items() if value}
    for name in ("since", "until"):
        if name in kept:
            kept[name] = str(round(fields[name]))
    return f"?{urlencode(kept)}" if kept else ""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and 0.0 < number < 1e11 else None


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the timeline; ``height`` in hundredths of the highest bar."""

    since: float
    count: int
    height: float
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    bars: list[Bar]
    ticks: list[float]
    counted: int


def timeline(archive: Archive, filters: Filters, *, now_s: float) -> Timeline:
    """Incidents by the hour over the last day or week, whatever hour is chosen within it."""
    hours = SPANS_HOURS[filters.range]
    first = int(now_s // HOUR_S) - hours + 1
    span = dataclasses.replace(filters, since=first * HOUR_S, until=None)
    counts = archive.incidents_by_step(span.wanted(limit=0), step_s=HOUR_S)
    top = max(counts.values(), default=1)
    bars = []
    for hour in range(first, first + hours):
        since, until = hour * HOUR_S, (hour + 1) * HOUR_S
        number = counts.get(hour, 0)
        chosen = filters.since == since and filters.until == until
        href = filters.link(since=None, until=None) if chosen else filters.link(since=since, until=until)
        bars.append(Bar(since, number, max(LEAST_HEIGHT, 100.0 * number / top), href, chosen))
    steps = TICKS[filters.range] - 1
    ticks = [(first + hours * step / steps) * HOUR_S for step in range(steps + 1)]
    return Timeline(bars, ticks, sum(counts.values()))


def neighbours(archive: Archive, incident: Incident, filters: Filters) -> tuple[str | None, str | None]:
    """The incidents right after and right before this one among those that fit: (newer, older)."""
    found = [
        archive.incidents(filters.wanted(limit=1, beyond=incident.sequence, newest_first=newest_first))
        for newest_first in (False, True)
    ]
    newer, older = (page[0].incident if page else None for page in found)
    return newer, older
