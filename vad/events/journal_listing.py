"""What is in a journal, by camera, type, time and incident: two tables beside its events, for whoever looks around.

They are derived from the events, written in the same transaction and forgotten with them, so that a page of a listing
costs the page and not the journal. A journal that an older version wrote gets them when it is opened for writing.
Everything here raises ``sqlite3.Error``.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from vad.errors import WireError
from vad.events.journal_rows import transaction
from vad.events.schema import (
    AnomalyMessage,
    DurableMessage,
    HeartbeatMessage,
    OtherMessage,
    ScoreMessage,
    decode,
)
from vad.types import EventType

TABLES = (
    """CREATE TABLE IF NOT EXISTS listing (
        sequence INTEGER PRIMARY KEY,
        camera TEXT NOT NULL,
        type TEXT NOT NULL,
        wall_s REAL NOT NULL,
        incident TEXT,
        reasons TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS listing_of_camera ON listing (camera)",  # SQLite adds the sequence
    "CREATE INDEX IF NOT EXISTS listing_of_type ON listing (type)",
    "CREATE INDEX IF NOT EXISTS listing_at ON listing (wall_s)",
    """CREATE TABLE IF NOT EXISTS incidents (
        sequence INTEGER PRIMARY KEY,
        incident TEXT NOT NULL UNIQUE,
        camera TEXT NOT NULL,
        last_sequence INTEGER NOT NULL,
        wall_s REAL NOT NULL,
        last_wall_s REAL NOT NULL,
        is_open INTEGER NOT NULL,
        close_reason TEXT,
        peak_score REAL NOT NULL,
        threshold REAL NOT NULL,
        reasons TEXT NOT NULL,
        stage TEXT NOT NULL,
        region TEXT
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS incidents_of_camera ON incidents (camera)",
    "CREATE INDEX IF NOT EXISTS incidents_at ON incidents (wall_s)",
    "CREATE INDEX IF NOT EXISTS incidents_last ON incidents (last_sequence)",
    "CREATE INDEX IF NOT EXISTS incidents_open ON incidents (sequence) WHERE is_open",
    """CREATE TRIGGER IF NOT EXISTS forget_listed AFTER DELETE ON events BEGIN
        DELETE FROM listing WHERE sequence = OLD.sequence;
        DELETE FROM incidents WHERE last_sequence = OLD.sequence;
    END""",  # a trigger, so that an older version forgets them too
)
"""``incidents.sequence`` and ``wall_s`` are of the event that opened it. ``reasons`` and ``region`` are JSON."""

LISTED_TO = "listed_to_sequence"
"""The key in ``meta``: up to where the listing goes. An older version that wrote on has left it behind."""

BATCH = 5_000
MANY = 50_000

_UPSERT = """
    INSERT INTO incidents (sequence, incident, camera, last_sequence, wall_s, last_wall_s, is_open, close_reason,
        peak_score, threshold, reasons, stage, region)
    VALUES (:sequence, :incident, :camera, :sequence, :wall_s, :last_wall_s, :is_open, :close_reason, :peak_score,
        :threshold, :reasons, :stage, :region)
    ON CONFLICT (incident) DO UPDATE SET last_sequence = :sequence, last_wall_s = :last_wall_s, is_open = :is_open,
        close_reason = :close_reason, peak_score = max(peak_score, :peak_score), reasons = :reasons, stage = :stage,
        threshold = CASE WHEN :peak_score > peak_score THEN :threshold ELSE threshold END,
        region = CASE WHEN :peak_score >= peak_score OR region IS NULL THEN coalesce(:region, region) ELSE region END
"""

log = logging.getLogger(__name__)


def prepare(db: sqlite3.Connection, *, last: int) -> None:
    """Make the tables where they are not, and list what is not listed yet, up to ``last``.

    Incidents that an engine left open, because it was killed, are over.
    """
    with transaction(db):
        for statement in TABLES:
            db.execute(statement)
    listed = _listed_to(db)
    if last - listed > MANY:
        log.warning("the journal's listing is made up: %d events; once, for a minute at most", last - listed)
    while rows := _unlisted(db, after=listed):
        with transaction(db):
            add(db, (_message(*row) for row in rows))
            listed = rows[-1][0]
    with transaction(db):
        db.execute("UPDATE incidents SET is_open = 0, close_reason = 'engine_ended' WHERE is_open")


def add(db: sqlite3.Connection, messages: Iterable[DurableMessage]) -> None:
    """List messages, in order, inside the caller's transaction."""
    rows: list[tuple[int, str, str, float, str | None, str]] = []
    incidents: list[dict[str, Any]] = []
    for message in messages:
        incident, reasons = None, "[]"
        if isinstance(message, AnomalyMessage):
            incidents.append(_incident(message))
            incident, reasons = message.data.incident, incidents[-1]["reasons"]
        rows.append((message.sequence, message.camera, message.type, _wall_s(message), incident, reasons))
    if rows:
        db.executemany("INSERT OR REPLACE INTO listing VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.executemany(_UPSERT, incidents)
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (LISTED_TO, str(rows[-1][0])))


def _listed_to(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (LISTED_TO,)).fetchone()
    return 0 if row is None else int(row[0])


def _unlisted(db: sqlite3.Connection, *, after: int) -> list[tuple[int, float, bytes]]:
    query = "SELECT sequence, stored_wall_s, body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
    return db.execute(query, (after, BATCH)).fetchall()


def _message(sequence: int, stored_wall_s: float, body: bytes) -> DurableMessage:
    """The event as a message, also one whose body says nothing any more: it has a place in the order all the same."""
    try:
        message = decode(body)
        if isinstance(message, ScoreMessage | HeartbeatMessage):
            raise WireError(f"{message.type} is not a durable event")
        return message
    except WireError as exc:
        log.warning("event %d of the journal cannot be listed: %s", sequence, exc)
        time = datetime.fromtimestamp(stored_wall_s).astimezone().isoformat()
        return OtherMessage(
            specversion="1.0",
            id=str(sequence),
            source="/vad",
            time=time,
            datacontenttype="application/json",
            type="unknown",
            epoch="00000000",
            sequence=sequence,
        )


def _wall_s(message: DurableMessage) -> float:
    if isinstance(message, OtherMessage):
        try:
            return datetime.fromisoformat(message.time).timestamp()
        except ValueError:
            return 0.0
    return message.data.wall_s


def _incident(message: AnomalyMessage) -> dict[str, Any]:
    data = message.data
    best = max(data.regions, key=lambda region: region.score, default=None)
    return {
        "sequence": message.sequence,
        "incident": data.incident,
        "camera": message.camera,
        "wall_s": data.started_wall_s,
        "last_wall_s": data.wall_s,
        "is_open": int(message.type != EventType.CLOSED),
        "close_reason": data.close_reason,
        "peak_score": data.peak_score,
        "threshold": data.threshold,
        "reasons": json.dumps(data.reasons, separators=(",", ":")),
        "stage": data.stage,
        "region": None if best is None else json.dumps([best.x0, best.y0, best.x1, best.y1]),
    }
