"""Looking around in a journal: pages of events and of incidents, newest or oldest first, by camera, type and time.

A page continues at a sequence, so that it neither repeats nor skips anything while events are appended or forgotten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vad.events.journal import JournalReader, StoredEvent
from vad.events.journal_file import sqlite_errors

NO_VERDICT = "none"
"""Asks for incidents that nobody has judged."""

MOST_OF_AN_INCIDENT = 1_000
"""Events of one incident that are given at most, the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events or incidents, and from where on. Times are the events' own, ``until_wall_s`` excluded.

    ``beyond`` is the sequence after which (``newest_first``: before which) the page begins; None for the very first.
    ``type`` is of events alone, ``verdict`` of incidents alone: a word, or NO_VERDICT.
    """

    limit: int
    newest_first: bool = True
    beyond: int | None = None
    camera: str | None = None
    type: str | None = None
    reason: str | None = None
    since_wall_s: float | None = None
    until_wall_s: float | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as its newest event tells it. ``sequence`` is of the event that opened it.

    ``region`` is its strongest box, (x0, y0, x1, y1) in fractions of the picture. ``closed_wall_s`` is None while open.
    """

    epoch: str
    sequence: int
    last_sequence: int
    incident: str
    camera: str
    opened_wall_s: float
    closed_wall_s: float | None
    close_reason: str | None
    peak_score: float
    threshold: float
    reasons: tuple[str, ...]
    stage: str
    region: tuple[float, float, float, float] | None

    @property
    def event_id(self) -> str:
        """Of the event that opened it."""
        return f"{self.epoch}-{self.sequence}"


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The newest event of a camera's incidents."""

    id: str
    type: str
    wall_s: float
    reasons: tuple[str, ...]


class Archive(JournalReader):
    """A reader of a journal that an engine of this version has opened. Used by one thread at a time.

    ``verdicts`` is the file of them, for pages by verdict.
    """

    def __init__(self, path: str | Path, *, verdicts: Path | None = None) -> None:
        super().__init__(path)
        if verdicts is not None:
            with sqlite_errors(verdicts):
                self._db.execute("ATTACH DATABASE ? AS said", (f"{verdicts.absolute().as_uri()}?mode=ro",))

    def events(self, wanted: Wanted) -> list[StoredEvent]:
        """A page of events that fit. An event's reasons are those of its incident so far."""
        where, values = _where(wanted, table="listing")
        if wanted.type is not None:
            where, values = f"{where} AND type = ?", [*values, wanted.type]
        query = f"""SELECT json_array(events.sequence, topic, CAST(body AS TEXT)) AS row FROM
            (SELECT sequence FROM listing WHERE {where} ORDER BY sequence {_order(wanted)} LIMIT ?) AS page
            JOIN events ON events.sequence = page.sequence ORDER BY page.sequence {_order(wanted)}"""
        rows = self._rows(query, (*values, wanted.limit))
        return [StoredEvent(self.epoch, sequence, topic, body.encode()) for sequence, topic, body in rows]

    def incidents(self, wanted: Wanted) -> list[Incident]:
        """A page of incidents that fit."""
        where, values = _where_incidents(wanted)
        query = f"{_SELECT} WHERE {where} ORDER BY sequence {_order(wanted)} LIMIT ?"
        return [self._incident(row) for row in self._rows(query, (*values, wanted.limit))]

    def open_incidents(self, *, limit: int) -> list[Incident]:
        """Those that are open now, newest first."""
        query = f"{_SELECT} WHERE is_open ORDER BY sequence DESC LIMIT ?"
        return [self._incident(row) for row in self._rows(query, (limit,))]

    def last_incidents(self, cameras: Iterable[str]) -> dict[str, Incident]:
        """Each camera's newest incident; cameras that never had one are left out."""
        query = f"""{_SELECT} WHERE sequence IN (SELECT
            (SELECT sequence FROM incidents WHERE camera = asked.value ORDER BY sequence DESC LIMIT 1)
            FROM json_each(?) AS asked)"""
        rows = self._rows(query, (json.dumps(list(cameras)),))
        return {found.camera: found for found in map(self._incident, rows)}

    def incidents_by_step(self, wanted: Wanted, *, step_s: float) -> dict[int, int]:
        """How many incidents that fit were opened in each ``step_s`` of UTC: {wall_s // step_s: count}."""
        where, values = _where_incidents(wanted)
        query = f"SELECT CAST(wall_s / ? AS INTEGER) AS step, count(*) FROM incidents WHERE {where} GROUP BY step"
        with sqlite_errors(self.path):
            return dict(self._db.execute(query, (step_s, *values)).fetchall())

    def incident(self, incident: str) -> Incident | None:
        rows = self._rows(f"{_SELECT} WHERE incident = ?", (incident,))
        return self._incident(rows[0]) if rows else None

    def event(self, sequence: int) -> StoredEvent | None:
        query = "SELECT sequence, topic, body FROM events WHERE sequence = ?"
        with sqlite_errors(self.path):
            row = self._db.execute(query, (sequence,)).fetchone()
        return None if row is None else StoredEvent(self.epoch, *row)

    def events_of(self, incident: Incident) -> list[StoredEvent]:
        """The events of an incident that are kept, in order, MOST_OF_AN_INCIDENT at most."""
        query = """SELECT events.sequence, topic, body FROM listing JOIN events ON events.sequence = listing.sequence
            WHERE listing.camera = ? AND listing.sequence BETWEEN ? AND ? AND incident = ?
            ORDER BY listing.sequence LIMIT ?"""
        values = (incident.camera, incident.sequence, incident.last_sequence, incident.incident, MOST_OF_AN_INCIDENT)
        with sqlite_errors(self.path):
            return [StoredEvent(self.epoch, *row) for row in self._db.execute(query, values)]

    def last_events(self, cameras: Iterable[str]) -> dict[str, LastEvent]:
        """The newest event of each camera's newest incident; cameras that never had one are left out."""
        newest = "SELECT last_sequence FROM incidents WHERE camera = asked.value ORDER BY sequence DESC LIMIT 1"
        query = f"""SELECT json_array(asked.value, sequence, listing.type, {_exactly("wall_s")}, json(reasons)) AS row
            FROM json_each(?) AS asked JOIN listing ON sequence = ({newest})"""
        return {
            camera: LastEvent(f"{self.epoch}-{sequence}", kind, float(wall_s), tuple(reasons))
            for camera, sequence, kind, wall_s, reasons in self._rows(query, (json.dumps(list(cameras)),))
        }

    def _rows(self, query: str, values: Sequence[Any]) -> list[list[Any]]:
        """What ``query`` selects as ``row``, a JSON array for each, in its order; all of them in one step.

        Python's ``sqlite3`` lets the other threads in at each row and then waits for its turn: with an engine at
        work, fifty rows one by one take longer than all the rest of an answer.
        """
        with sqlite_errors(self.path):
            (found,) = self._db.execute(f"SELECT json_group_array(json(row)) FROM ({query})", values).fetchone()
        rows: list[list[Any]] = json.loads(found)
        return rows

    def _incident(self, row: Sequence[Any]) -> Incident:
        sequence, last, incident, camera, wall_s, last_wall_s, is_open, close_reason, *rest = row
        peak, threshold, reasons, stage, region = rest
        return Incident(
            epoch=self.epoch,
            sequence=sequence,
            last_sequence=last,
            incident=incident,
            camera=camera,
            opened_wall_s=float(wall_s),
            closed_wall_s=None if is_open else float(last_wall_s),
            close_reason=close_reason,
            peak_score=float(peak),
            threshold=float(threshold),
            reasons=tuple(reasons),
            stage=stage,
            region=None if region is None else tuple(region),
        )


def _exactly(column: str) -> str:
    """A number as text that gives the very same double again; within JSON, SQLite would round it to 15 digits."""
    return f"printf('%!.17g', {column})"


_SELECT = f"""SELECT json_array(sequence, last_sequence, incident, camera, {_exactly("wall_s")},
    {_exactly("last_wall_s")}, is_open, close_reason, {_exactly("peak_score")}, {_exactly("threshold")}, json(reasons),
    stage, json(region)) AS row FROM incidents"""


def _where_incidents(wanted: Wanted) -> tuple[str, list[Any]]:
    where, values = _where(wanted, table="incidents")
    if wanted.verdict is None:
        return where, values
    if wanted.verdict == NO_VERDICT:
        return f"{where} AND incident NOT IN (SELECT incident FROM said.verdicts)", values
    return f"{where} AND incident IN (SELECT incident FROM said.verdicts WHERE verdict = ?)", [*values, wanted.verdict]


def _where(wanted: Wanted, *, table: str) -> tuple[str, list[Any]]:
    """A condition on the table and its values.

    Bounds in time also bound the sequence, found through the index on time: what lies beyond is never looked at.
    """
    terms: list[tuple[Any, ...]] = []
    if wanted.beyond is not None:
        terms.append((f"sequence {'<' if wanted.newest_first else '>'} ?", wanted.beyond))
    if wanted.camera is not None:
        terms.append(("camera = ?", wanted.camera))
    if wanted.reason is not None:
        terms.append(("instr(reasons, ?)", json.dumps(wanted.reason)))
    if wanted.since_wall_s is not None or wanted.until_wall_s is not None:
        since = -math.inf if wanted.since_wall_s is None else wanted.since_wall_s
        until = math.inf if wanted.until_wall_s is None else wanted.until_wall_s
        within = f"FROM {table} INDEXED BY {table}_at WHERE wall_s >= ? AND wall_s < ?"
        terms.append(("wall_s >= ? AND wall_s < ?", since, until))
        terms.append((f"sequence >= (SELECT min(sequence) {within})", since, until))
        terms.append((f"sequence <= (SELECT max(sequence) {within})", since, until))
    return " AND ".join(["1", *(term[0] for term in terms)]), [value for term in terms for value in term[1:]]


def _order(wanted: Wanted) -> str:
    return "DESC" if wanted.newest_first else "ASC"
