"""The journal as a file: opening and recognising it, and setting aside what is not a whole journal.

Everything here raises ``sqlite3.Error``, to be translated by ``sqlite_errors``, unless a docstring says JournalError.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vad.errors import JournalDamaged, JournalError
from vad.events import journal_listing
from vad.events.journal_rows import (
    APPLICATION_ID,
    FORMAT,
    STATES,
    Row,
    begin_epoch,
    epoch,
    last_sequence,
    pragma,
    transaction,
)
from vad.events.lock import Mark

WAL_BYTES = 16 * 2**20
# What SQLite says when the content is wrong; everything else (busy, no permission, no room) is about the machine.
_CONTENT_ERRORS = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's errors into JournalError, JournalDamaged where the content is wrong."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        kind = JournalDamaged if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else JournalError
        raise kind(f"{path}: {exc}") from exc


def open_for_writing(
    path: Path, *, wall_s: float, first: Callable[[str], Row | None] | None = None
) -> sqlite3.Connection:
    """The journal, made with a new epoch when the file is new. Every commit is on the disk when it returns.

    ``first`` makes the first event of a new epoch, or None; it is there as soon as the epoch is.
    """
    db = _connect(path, mode="rwc")
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; an older one keeps its size
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if _is_blank(db):
            begin_epoch(db, wall_s=wall_s, first=first)
            _sync_directory(path.parent)
        with transaction(db):
            for statement in STATES:
                db.execute(statement)
        journal_listing.prepare(db, last=last_sequence(db))
    except BaseException:
        db.close()
        raise
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A whole journal, read only. Raises JournalError when none is there or it is not one."""
    if not path.is_file():
        raise JournalError(f"{path}: no journal is there")
    with sqlite_errors(path):
        db = _connect(path, mode="ro")
        try:
            kind, version = pragma(db, "application_id"), pragma(db, "user_version")
            if (kind, version) != (APPLICATION_ID, FORMAT):
                raise JournalError(
                    f"{path} is not a journal; got application id {kind:#x}, format {version}; "
                    f"allowed: {APPLICATION_ID:#x}, {FORMAT}"
                )
        except BaseException:
            db.close()
            raise
    return db


def fault(path: Path, *, mark: Mark | None) -> str | None:
    """What is wrong with the content, None if it is whole, new or absent. Reads all of it.

    ``mark`` is the last sequence known to have been given: a journal of that epoch that ends before it is torn.

    Raises JournalError for a journal of a newer version, which is not wrong but not ours to touch.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(_connect(path, mode="rw")) as db:
            return None if _is_blank(db) else _content_fault(db, path, mark)
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode & 0xFF in _CONTENT_ERRORS:
            return str(exc)
        raise


def set_aside(path: Path, *, wall_s: float) -> Path:
    """Rename the file and what belongs to it, so that a person can look; returns the new name."""
    stamp = datetime.fromtimestamp(wall_s, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)


def _is_blank(db: sqlite3.Connection) -> bool:
    """True for a new file, also one whose creation was cut short before its first commit."""
    return pragma(db, "application_id") == 0 and db.execute("SELECT 1 FROM sqlite_schema").fetchone() is None


def _content_fault(db: sqlite3.Connection, path: Path, mark: Mark | None) -> str | None:
    if (kind := pragma(db, "application_id")) != APPLICATION_ID:
        return f"a foreign database, application id {kind:#x}"
    if (version := pragma(db, "user_version")) > FORMAT:
        raise JournalError(f"{path} was written by a newer version; got format {version}, allowed: {FORMAT}")
    check = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if check != "ok":
        return check
    if db.execute("SELECT 1 FROM meta WHERE key = 'epoch'").fetchone() is None:
        return "no epoch"
    given = last_sequence(db)
    count, first, last = db.execute("SELECT count(*), min(sequence), max(sequence) FROM events").fetchone()
    if count and (count != last - first + 1 or last != given):
        return f"{count} events from sequence {first} to {last}, the counter at {given}"
    if mark is not None and mark.epoch == epoch(db) and given < mark.sequence:
        return f"it ends at sequence {given}, {mark.sequence} was given"
    return None


def _sync_directory(directory: Path) -> None:
    """A new file survives a power loss only when its directory is on the disk too."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
