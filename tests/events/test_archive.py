"""Looking around in a journal: real files, also those that an older version wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.events.factory import CAMERA, WALL_S, anomalies, anomaly
from vad.clock import ManualClock
from vad.events import Journal, decode
from vad.events.archive import Archive, Wanted
from vad.types import AnomalyEvent, CameraEvent, EventType, Reason, Region

TABLES = ("listing", "incidents")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal(path) as journal:
        yield journal


def whole(incident: str, *, camera: str = "cam1", at_s: float = 0.0, peak: float = 9.0) -> list[AnomalyEvent]:
    """An incident from its opening to its end, four seconds."""
    common = {"camera": camera, "incident": incident, "started_wall_s": WALL_S + at_s}
    corner, middle = (Region(0.0, 0.0, 0.1, 0.1, 6.0),), (Region(0.4, 0.4, 0.6, 0.6, peak),)
    return [
        anomaly(**common, wall_s=WALL_S + at_s + 1.0, peak_score=6.0, regions=corner),
        anomaly(**common, type=EventType.UPDATED, wall_s=WALL_S + at_s + 2.0, peak_score=peak, regions=middle),
        anomaly(
            **common,
            type=EventType.CLOSED,
            wall_s=WALL_S + at_s + 4.0,
            peak_score=peak,
            regions=middle,
            reasons=(Reason.DIRECTION,),
            close_reason="calm",
        ),
    ]


def without_listing(path: Path) -> None:
    """As a version that knew of no listing would have left the file."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "DROP TRIGGER forget_listed; DROP TABLE listing; DROP TABLE incidents;"
            "DELETE FROM meta WHERE key = 'listed_to_sequence'"
        )


def sequences(archive: Archive, **wanted: object) -> list[int]:
    return [event.sequence for event in archive.events(Wanted(**{"limit": 100, **wanted}))]  # type: ignore[arg-type]


def test_an_incident_is_one_row_that_tells_what_its_newest_event_tells(journal: Journal) -> None:
    opened, updated, closed = whole("a")
    journal.append([opened])
    with Archive(journal.path) as archive:
        row = archive.incident("a")
        assert row is not None
        assert (row.closed_wall_s, row.peak_score, row.region) == (None, 6.0, (0.0, 0.0, 0.1, 0.1))
        assert row.event_id == f"{journal.epoch}-1"
        journal.append([CAMERA, updated, closed])
        row = archive.incident("a")
        assert row is not None
        assert (row.sequence, row.last_sequence) == (1, 4)
        assert (row.opened_wall_s, row.closed_wall_s, row.close_reason) == (WALL_S, WALL_S + 4.0, "calm")
        assert (row.peak_score, row.region, row.reasons) == (9.0, (0.4, 0.4, 0.6, 0.6), ("direction",))
        assert [decode(event.body).type for event in archive.events_of(row)] == list(EventType)
        assert archive.incident("b") is None


def test_pages_hold_what_fits_and_nothing_else(journal: Journal) -> None:
    journal.append([*whole("a"), CAMERA, *whole("b", camera="cam2", at_s=100.0)])
    with Archive(journal.path) as archive:
        assert sequences(archive) == [7, 6, 5, 4, 3, 2, 1]
        assert sequences(archive, newest_first=False, beyond=2, limit=3) == [3, 4, 5]
        assert sequences(archive, camera="cam1") == [4, 3, 2, 1]
        assert sequences(archive, type="io.vad.anomaly.opened") == [5, 1]
        assert sequences(archive, reason="speed", camera="cam2") == [6, 5]
        assert sequences(archive, since_wall_s=WALL_S + 2.0, until_wall_s=WALL_S + 102.0) == [5, 3, 2]
        assert sequences(archive, since_wall_s=WALL_S + 1e6) == []
        page = archive.incidents(Wanted(limit=10))
        assert [row.incident for row in page] == ["b", "a"]
        assert [row.incident for row in archive.incidents(Wanted(limit=10, camera="cam1"))] == ["a"]


def test_paging_gives_everything_once_while_events_are_appended(journal: Journal) -> None:
    journal.append(anomalies(50))
    seen: list[int] = []
    beyond = None
    with Archive(journal.path) as archive:
        while page := sequences(archive, limit=7, beyond=beyond):
            seen += page
            beyond = page[-1]
            journal.append([CAMERA])
    assert seen == list(range(50, 0, -1))


def test_a_camera_s_last_event_is_of_its_newest_incident(journal: Journal) -> None:
    quiet = CameraEvent(camera="cam3", run=1, state="up", wall_s=WALL_S)
    journal.append([*whole("a"), *whole("b", camera="cam2"), *whole("c")[:2], quiet])
    with Archive(journal.path) as archive:
        last = archive.last_events(["cam1", "cam2", "cam3", "none"])
    assert {camera: event.id for camera, event in last.items()} == {
        "cam1": f"{journal.epoch}-8",
        "cam2": f"{journal.epoch}-6",
    }
    assert last["cam1"].reasons == ("speed", "direction")


def test_what_is_forgotten_is_listed_no_more(path: Path) -> None:
    clock = ManualClock()
    with Journal(path, clock=clock) as journal:
        journal.append([*whole("a"), *whole("b")[:1]])
        clock.advance(100.0)
        journal.append([*whole("b")[1:], CAMERA])
        assert journal.forget(older_than_s=50.0, max_bytes=2**30) == 4
        with Archive(path) as archive:
            assert sequences(archive) == [7, 6, 5]
            assert [row.incident for row in archive.incidents(Wanted(limit=10))] == ["b"]
            row = archive.incident("b")
            assert row is not None
            assert [event.sequence for event in archive.events_of(row)] == [5, 6]


def test_a_journal_of_an_older_version_is_listed_when_it_is_opened(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([*whole("a"), CAMERA, *whole("b")])
    with Archive(path) as archive:
        before = (sequences(archive), archive.incidents(Wanted(limit=10)))
    without_listing(path)
    with Journal(path), Archive(path) as archive:
        assert (sequences(archive), archive.incidents(Wanted(limit=10))) == before


def test_what_an_older_version_wrote_and_forgot_meanwhile_is_made_up_for(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(whole("a"))
        later = journal.append(whole("b"))
    with closing(sqlite3.connect(path)) as db, db:  # it knows the table of events alone
        db.execute("DELETE FROM listing WHERE sequence > 3")
        db.execute("DELETE FROM incidents WHERE incident = 'b'")
        db.execute("UPDATE meta SET value = '3' WHERE key = 'listed_to_sequence'")
        db.execute("DELETE FROM events WHERE sequence <= 3")
    with Journal(path), Archive(path) as archive:
        assert sequences(archive) == [event.sequence for event in reversed(later)]
        assert [row.incident for row in archive.incidents(Wanted(limit=10))] == ["b"]


def test_an_incident_that_a_killed_engine_left_open_is_over(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(whole("a")[:2])
    with Journal(path), Archive(path) as archive:
        row = archive.incident("a")
    assert row is not None
    assert (row.closed_wall_s, row.close_reason) == (WALL_S + 2.0, "engine_ended")


def test_an_event_that_says_nothing_any_more_keeps_its_place(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([*whole("a"), CAMERA])
    without_listing(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET body = ? WHERE sequence = 2", (b"\x00 no JSON",))
    with Journal(path), Archive(path) as archive:
        assert sequences(archive) == [4, 3, 2, 1]
        assert sequences(archive, type="unknown") == [2]
        assert archive.incident("a") is not None


def test_listing_and_events_are_written_together_or_not_at_all(journal: Journal) -> None:
    journal.append(whole("a"))
    with closing(sqlite3.connect(journal.path)) as db, db:
        db.execute("CREATE TRIGGER no_room BEFORE INSERT ON incidents BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(Exception, match="no room"):
        journal.append([CAMERA, *whole("b")])
    with Archive(journal.path) as archive:
        assert sequences(archive) == [3, 2, 1]
    assert journal.last_sequence == 3


def test_what_is_open_what_was_last_and_how_many_an_hour(journal: Journal) -> None:
    journal.append([*whole("a"), *whole("b", camera="cam2", at_s=3600.0), *whole("c", at_s=3700.0)[:1], CAMERA])
    with Archive(journal.path) as archive:
        assert [row.incident for row in archive.open_incidents(limit=10)] == ["c"]
        last = archive.last_incidents(["cam1", "cam2", "none"])
        assert {camera: row.incident for camera, row in last.items()} == {"cam1": "c", "cam2": "b"}
        hour = int(WALL_S // 3600)
        assert archive.incidents_by_step(Wanted(limit=0), step_s=3600.0) == {hour: 1, hour + 1: 2}
        later = Wanted(limit=0, camera="cam1", since_wall_s=WALL_S + 3600.0)
        assert archive.incidents_by_step(later, step_s=3600.0) == {hour + 1: 1}


def test_a_journal_that_is_too_large_forgets_no_more_than_it_must(tmp_path: Path) -> None:
    with Journal(tmp_path / "events.sqlite") as journal:
        for _ in range(6):
            journal.append(anomalies(1_000))
        while journal.forget(older_than_s=1e9, max_bytes=2**20):
            pass
        assert 0.9 * 2**20 < journal.used_bytes <= 2**20
