"""What is in a journal file: its tables, its epoch, its events. Everything here raises ``sqlite3.Error``."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

APPLICATION_ID = 0x76616401  # "vad" and 1: how SQLite and file(1) know the file
FORMAT = 1
VACUUM_PAGES = 1_000


TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        stored_wall_s REAL NOT NULL,
        topic TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)

STATES = (
    """CREATE TABLE IF NOT EXISTS states (
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        topic TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (camera, kind)
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS states_in_order ON states (sequence)",
    "DELETE FROM states",  # of an earlier engine; what holds now, the cameras will say
)
"""The last event of each camera's stream and of its picture, of the engine that writes now. Not in older files."""

Row: TypeAlias = tuple[int, str, bytes]  # sequence, topic, body


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # on a full disk SQLite may have rolled back by itself
            db.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")  # nothing was written


def begin_epoch(db: sqlite3.Connection, *, wall_s: float, first: Callable[[str], Row | None] | None) -> None:
    """Tables, epoch and first event in one transaction: a journal without an epoch is never seen."""
    epoch = uuid.uuid4().hex
    with transaction(db):
        for statement in TABLES:
            db.execute(statement)
        rows = [("epoch", epoch), ("created_wall_s", str(wall_s))]
        db.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", rows)
        row = first(epoch) if first else None
        if row is not None:
            insert(db, [row], wall_s=wall_s)


def epoch(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the journal holds no epoch")
    return str(row[0])


def last_sequence(db: sqlite3.Connection) -> int:
    """The last sequence ever given, also when its row is gone."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def first_sequence(db: sqlite3.Connection) -> int:
    """The oldest that is still there; the one after the last when none is."""
    row = db.execute("SELECT min(sequence) FROM events").fetchone()
    return last_sequence(db) + 1 if row[0] is None else int(row[0])


def insert(db: sqlite3.Connection, rows: Sequence[Row], *, wall_s: float) -> None:
    db.executemany(
        "INSERT INTO events (sequence, stored_wall_s, topic, body) VALUES (?, ?, ?, ?)",
        [(sequence, wall_s, topic, body) for sequence, topic, body in rows],
    )


def replace_states(db: sqlite3.Connection, rows: Sequence[tuple[str, str, int, str, bytes]]) -> None:
    db.executemany("INSERT OR REPLACE INTO states (camera, kind, sequence, topic, body) VALUES (?, ?, ?, ?, ?)", rows)


def read(db: sqlite3.Connection, *, after: int, limit: int, max_bytes: int) -> list[Row]:
    """Events after a sequence, in order: at most ``limit``, and no more once they are ``max_bytes`` long."""
    query = "SELECT sequence, topic, body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
    return _page(db.execute(query, (after, limit)), max_bytes)


def read_states(db: sqlite3.Connection, *, after: int, limit: int, max_bytes: int) -> list[Row]:
    """Like ``read``, of the last events of each camera."""
    query = "SELECT sequence, topic, body FROM states WHERE sequence > ? ORDER BY sequence LIMIT ?"
    try:
        return _page(db.execute(query, (after, limit)), max_bytes)
    except sqlite3.OperationalError:
        if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'states'").fetchone() is None:
            return []  # no engine of this version has written it yet
        raise


def used_bytes(db: sqlite3.Connection) -> int:
    """What the content takes of the file; the rest of it is room that will be used again."""
    return (pragma(db, "page_count") - pragma(db, "freelist_count")) * pragma(db, "page_size")


def forget(db: sqlite3.Connection, *, before_wall_s: float, max_bytes: int, limit: int) -> int:
    """Delete at most ``limit`` of the oldest events, those too old and then those too many; how many.

    Always from the old end, also where the clock went back, so that what is left has no hole. Room comes back to the
    file system bit by bit once a quarter of the file is unused.
    """
    used = used_bytes(db)
    kept = db.execute("SELECT max(sequence) - min(sequence) + 1 FROM events").fetchone()[0] or 1
    size = used / kept  # of an event with all that is listed of it
    last, freed = 0, 0.0
    oldest = "SELECT sequence, stored_wall_s FROM events ORDER BY sequence LIMIT ?"
    for sequence, stored_wall_s in db.execute(oldest, (limit,)).fetchall():
        if stored_wall_s >= before_wall_s and freed >= used - max_bytes:
            break
        last, freed = sequence, freed + size
    deleted = 0
    if last:
        with transaction(db):
            deleted = db.execute("DELETE FROM events WHERE sequence <= ?", (last,)).rowcount
    if pragma(db, "freelist_count") > max(pragma(db, "page_count") // 4, VACUUM_PAGES):
        db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
    return deleted


def pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _page(rows: Iterator[Row], max_bytes: int) -> list[Row]:
    page, size = [], 0
    for row in rows:
        page.append(row)
        size += len(row[2])
        if size >= max_bytes:
            break
    return page
