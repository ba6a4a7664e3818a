"""What people said of incidents: one verdict each, kept apart from the journal, which forgets.

A verdict keeps what it was said of (camera, time, score, reasons), so that thresholds can be adapted by it long after
the journal and the evidence are gone.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from vad.errors import VerdictError
from vad.events.journal_file import set_aside
from vad.events.journal_rows import pragma, transaction

VERDICTS_NAME = "verdicts.sqlite"
"""The file's name inside the storage directory."""

APPLICATION_ID = 0x76616402
FORMAT = 1
MAX_NOTE_CHARS = 2_000
_FULL = frozenset({sqlite3.SQLITE_FULL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_TABLES = (
    """CREATE TABLE verdicts (
        incident TEXT PRIMARY KEY,
        verdict TEXT NOT NULL,
        note TEXT NOT NULL,
        who TEXT NOT NULL,
        given_wall_s REAL NOT NULL,
        camera TEXT NOT NULL,
        opened_wall_s REAL NOT NULL,
        peak_score REAL NOT NULL,
        threshold REAL NOT NULL,
        reasons TEXT NOT NULL,
        stage TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX verdicts_by_word ON verdicts (verdict)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)
_COLUMNS = "incident, verdict, note, who, given_wall_s, camera, opened_wall_s, peak_score, threshold, reasons, stage"

log = logging.getLogger(__name__)


class Word(StrEnum):
    """What an incident was."""

    TRUE = "true"  # worth looking at
    FALSE = "false"  # a false alarm
    EXPECTED = "expected"  # unusual, but known: a delivery, a drill


@dataclass(frozen=True, slots=True)
class Verdict:
    """Somebody's word on an incident, and what the incident was. ``who`` is the name of a token."""

    incident: str
    verdict: Word
    note: str
    who: str
    given_wall_s: float
    camera: str
    opened_wall_s: float
    peak_score: float
    threshold: float
    reasons: tuple[str, ...]
    stage: str


class Verdicts:
    """The store of verdicts. May be used from any thread. Raises VerdictError when the disk takes or gives nothing.

    A damaged file is set aside under another name and a new one begun.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise VerdictError(f"{self.path.parent}: {exc.strerror}; allowed: a folder that can be made") from None
        with _errors(self.path):
            try:
                self._db = _open(self.path)
            except sqlite3.DatabaseError as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                aside = set_aside(self.path, wall_s=time.time())
                log.warning("%s is damaged (%s): kept as %s, a new one begins", self.path, exc, aside)
                self._db = _open(self.path)

    def give(self, verdict: Verdict) -> None:
        """Keep it instead of what was said of that incident before; on the disk when this returns."""
        values = (
            verdict.incident,
            verdict.verdict.value,
            verdict.note,
            verdict.who,
            verdict.given_wall_s,
            verdict.camera,
            verdict.opened_wall_s,
            verdict.peak_score,
            verdict.threshold,
            json.dumps(verdict.reasons),
            verdict.stage,
        )
        marks = ", ".join("?" for _ in values)
        with self._lock, _errors(self.path), transaction(self._db):
            self._db.execute(f"INSERT OR REPLACE INTO verdicts ({_COLUMNS}) VALUES ({marks})", values)

    def take_back(self, incident: str) -> bool:
        """Forget what was said of an incident; False when nothing was."""
        with self._lock, _errors(self.path), transaction(self._db):
            return self._db.execute("DELETE FROM verdicts WHERE incident = ?", (incident,)).rowcount > 0

    def get(self, incident: str) -> Verdict | None:
        return self.of([incident]).get(incident)

    def of(self, incidents: Iterable[str]) -> dict[str, Verdict]:
        """What was said of these incidents; those of which nothing was said are left out."""
        query = f"SELECT {_COLUMNS} FROM verdicts WHERE incident IN (SELECT value FROM json_each(?))"
        with self._lock, _errors(self.path):
            rows = self._db.execute(query, (json.dumps(list(incidents)),)).fetchall()
        return {row[0]: _verdict(row) for row in rows}

    def counts(self) -> dict[tuple[str, Word], int]:
        """How many stand, by camera and word."""
        query = "SELECT camera, verdict, count(*) FROM verdicts GROUP BY camera, verdict"
        with self._lock, _errors(self.path):
            return {(camera, Word(word)): count for camera, word, count in self._db.execute(query)}

    def close(self) -> None:
        self._db.close()


def _verdict(row: tuple[Any, ...]) -> Verdict:
    incident, word, note, who, given_wall_s, camera, opened_wall_s, peak, threshold, reasons, stage = row
    return Verdict(
        incident=incident,
        verdict=Word(word),
        note=note,
        who=who,
        given_wall_s=given_wall_s,
        camera=camera,
        opened_wall_s=opened_wall_s,
        peak_score=peak,
        threshold=threshold,
        reasons=tuple(json.loads(reasons)),
        stage=stage,
    )


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if pragma(db, "application_id") == 0 and db.execute("SELECT 1 FROM sqlite_schema").fetchone() is None:
            with transaction(db):
                for statement in _TABLES:
                    db.execute(statement)
        kind, version = pragma(db, "application_id"), pragma(db, "user_version")
        if (kind, version) != (APPLICATION_ID, FORMAT):
            raise VerdictError(
                f"{path} holds no verdicts; got application id {kind:#x}, format {version}; "
                f"allowed: {APPLICATION_ID:#x}, {FORMAT}"
            )
        with closing(db.execute("PRAGMA quick_check(1)")) as check:
            if (found := check.fetchone()[0]) != "ok":
                error = sqlite3.DatabaseError(found)
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        is_full = getattr(exc, "sqlite_errorcode", 0) & 0xFF in _FULL
        raise VerdictError(f"{path}: {exc}", is_full=is_full) from exc
