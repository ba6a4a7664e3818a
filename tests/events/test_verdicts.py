"""What people said of incidents: kept, changed, taken back, also over restarts and beside a journal that forgets."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from tests.events.factory import WALL_S, anomaly
from vad.errors import VerdictError
from vad.events import Journal
from vad.events.archive import NO_VERDICT, Archive, Wanted
from vad.events.verdicts import Verdict, Verdicts, Word

VERDICT = Verdict(
    incident="a",
    verdict=Word.FALSE,
    note="a cat",
    who="night shift",
    given_wall_s=WALL_S + 60.0,
    camera="cam1",
    opened_wall_s=WALL_S,
    peak_score=6.5,
    threshold=4.25,
    reasons=("speed", "size"),
    stage="calibrated",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "verdicts.sqlite"


def test_a_verdict_survives_a_restart_with_all_that_it_was_said_of(path: Path) -> None:
    with closing(Verdicts(path)) as verdicts:
        verdicts.give(VERDICT)
    with closing(Verdicts(path)) as verdicts:
        assert verdicts.get("a") == VERDICT
        assert verdicts.get("b") is None
        assert verdicts.of(["a", "b"]) == {"a": VERDICT}


def test_the_last_word_counts_and_can_be_taken_back(path: Path) -> None:
    with closing(Verdicts(path)) as verdicts:
        verdicts.give(VERDICT)
        verdicts.give(dataclasses.replace(VERDICT, verdict=Word.TRUE, note=""))
        assert verdicts.counts() == {("cam1", Word.TRUE): 1}
        assert verdicts.take_back("a")
        assert not verdicts.take_back("a")
        assert verdicts.counts() == {}


def test_incidents_are_listed_by_what_was_said_of_them(path: Path) -> None:
    journal_path = path.parent / "events.sqlite"
    with Journal(journal_path) as journal, closing(Verdicts(path)) as verdicts:
        journal.append([anomaly(incident=name) for name in "abcd"])
        with Archive(journal_path, verdicts=path) as archive:
            verdicts.give(VERDICT)
            verdicts.give(dataclasses.replace(VERDICT, incident="c", verdict=Word.EXPECTED))

            def listed(verdict: str) -> list[str]:
                return [row.incident for row in archive.incidents(Wanted(limit=10, verdict=verdict))]

            assert listed("false") == ["a"]
            assert listed("expected") == ["c"]
            assert listed("true") == []
            assert listed(NO_VERDICT) == ["d", "b"]


def test_a_damaged_file_is_set_aside_and_a_new_one_begins(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"SQLite format 3\x00" + os.urandom(8192))
    with closing(Verdicts(path)) as verdicts:
        verdicts.give(VERDICT)
    assert len(list(path.parent.glob("verdicts.sqlite.corrupt-*"))) == 1


def test_a_foreign_or_newer_file_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(VerdictError, match="holds no verdicts"):
        Verdicts(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VerdictError, match="file"):
        Verdicts(tmp_path / "file" / "verdicts.sqlite")


def test_a_full_disk_is_said_and_leaves_nothing_half_written(path: Path) -> None:
    """In a process of its own whose files may not grow."""
    code = f"""
        import dataclasses, resource, signal
        from tests.events.test_verdicts import VERDICT
        from vad.errors import VerdictError
        from vad.events.verdicts import Verdicts
        verdicts = Verdicts({str(path)!r})
        verdicts.give(VERDICT)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, -1))
        try:
            for number in range(1000):
                verdicts.give(dataclasses.replace(VERDICT, incident=str(number), note="x" * 2000))
        except VerdictError as exc:
            print("refused", number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        assert verdicts.get(str(number)) is None
        verdicts.give(dataclasses.replace(VERDICT, incident="later"))
        print(len(verdicts.of([str(n) for n in range(1000)])))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    refused, kept = run.stdout.split("\n")[:2]
    assert refused == f"refused {kept}"
    with closing(Verdicts(path)) as verdicts:
        assert verdicts.get("later") is not None
