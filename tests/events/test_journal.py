"""The journal: real files, real kills."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.events.factory import CAMERA, anomalies, anomaly
from vad.clock import ManualClock
from vad.errors import JournalError, WireError
from vad.events import Journal, JournalMessage, JournalReader, decode, read_journal
from vad.events.journal_rows import FORMAT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "events.sqlite"


def test_append_numbers_events_from_one_without_a_hole(path: Path) -> None:
    with Journal(path) as journal:
        first = journal.append([*anomalies(3), CAMERA])
        second = journal.append(anomalies(2))
        assert [s.sequence for s in first + second] == [1, 2, 3, 4, 5, 6]
        assert {s.epoch for s in first + second} == {journal.epoch}
        assert first[3].topic == "vad/1/health/cam1/"
        assert journal.last_sequence == 6
        assert journal.append([]) == []


def test_what_is_stored_is_what_will_be_sent(path: Path) -> None:
    with Journal(path) as journal:
        stored = journal.append(anomalies(5))
        assert journal.read(0) == stored
        assert journal.read(2, limit=2) == stored[2:4]
        assert journal.read(5) == []
        message = decode(stored[0].body)
        assert message.id == f"{journal.epoch}-1"


def test_epoch_and_sequence_go_on_when_the_journal_is_opened_again(path: Path) -> None:
    epochs, sequences = set(), []
    for _ in range(3):
        with Journal(path) as journal:
            epochs.add(journal.epoch)
            sequences += [s.sequence for s in journal.append(anomalies(4))]
    assert len(epochs) == 1
    assert sequences == list(range(1, 13))


def test_the_sequence_goes_on_after_all_old_rows_are_gone(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(4))
    db = sqlite3.connect(path)
    db.execute("DELETE FROM events")
    db.commit()
    db.close()
    with Journal(path) as journal:
        assert journal.set_aside is None
        assert journal.append(anomalies(1))[0].sequence == 5


def test_a_new_journal_begins_a_new_epoch(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.sqlite") as a, Journal(tmp_path / "b.sqlite") as b:
        assert a.epoch != b.epoch
        assert len(a.epoch) == 32


def test_a_second_writer_is_refused_and_the_first_goes_on(path: Path) -> None:
    with Journal(path) as journal:
        with pytest.raises(JournalError, match=f"another engine \\(process {os.getpid()}\\)"):
            Journal(path)
        assert journal.append(anomalies(1))[0].sequence == 1
    with Journal(path) as again:
        assert again.last_sequence == 1


def test_a_second_writer_in_another_process_is_refused(path: Path) -> None:
    code = "import sys; from vad.events import Journal; Journal(sys.argv[1])"
    with Journal(path):
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "JournalError" in done.stderr


def test_a_call_with_one_bad_event_writes_nothing(path: Path) -> None:
    with Journal(path) as journal:
        with pytest.raises(WireError):
            journal.append([*anomalies(2), anomaly(score=float("nan"))])
        assert journal.read(0) == []
        assert journal.append(anomalies(1))[0].sequence == 1


def test_a_full_journal_refuses_and_takes_the_same_events_when_there_is_room(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(1))
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        events = anomalies(200)
        with pytest.raises(JournalError, match="full"):
            journal.append(events)
        assert journal.last_sequence == 1
        journal._db.execute("PRAGMA max_page_count = 100000")
        assert [s.sequence for s in journal.append(events)] == list(range(2, 202))


def test_each_commit_is_on_the_disk_when_append_returns(path: Path) -> None:
    with Journal(path) as journal:
        assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL: power loss too, not only a kill


def test_readers_see_each_commit_at_once_while_the_writer_goes_on(path: Path) -> None:
    with Journal(path) as journal, journal.reader() as reader:
        assert reader.last_sequence == 0
        for _ in range(3):
            stored = journal.append(anomalies(2))
            assert reader.read(stored[0].sequence - 1) == stored
        assert (reader.epoch, reader.last_sequence) == (journal.epoch, 6)


def test_a_journal_is_read_page_by_page_also_when_no_engine_runs(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(2_500))
    assert [s.sequence for s in read_journal(path, after=3)] == list(range(4, 2_501))


def test_reading_where_no_journal_is_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal is there"):
        JournalReader(tmp_path / "none.sqlite")
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(JournalError, match="is not a journal"):
        JournalReader(other)


def text_file(path: Path) -> None:
    path.write_text("this is not a database, it is a shopping list\n" * 100)


def foreign_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE shopping (item)")
    db.commit()
    db.close()


def torn_in_the_middle(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(500))
    with path.open("r+b") as file:
        file.seek(40_000)
        file.write(os.urandom(30_000))


def cut_short(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(500))
    os.truncate(path, path.stat().st_size // 2)


def with_a_hole(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(9))
    db = sqlite3.connect(path)
    db.execute("DELETE FROM events WHERE sequence = 5")
    db.commit()
    db.close()


def without_its_epoch(path: Path) -> None:
    with Journal(path):
        pass
    db = sqlite3.connect(path)
    db.execute("DELETE FROM meta")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "damage", [text_file, foreign_database, torn_in_the_middle, cut_short, with_a_hole, without_its_epoch]
)
def test_what_is_not_a_whole_journal_is_set_aside_and_a_new_epoch_begins(path: Path, damage: object) -> None:
    path.parent.mkdir()
    assert callable(damage)
    damage(path)
    content = path.read_bytes()
    with Journal(path, clock=ManualClock()) as journal:
        assert journal.set_aside == path.with_name("events.sqlite.corrupt-20231114T221320Z")
        assert journal.set_aside.read_bytes() == content
        (told,) = [decode(stored.body) for stored in journal.read(0)]
        assert isinstance(told, JournalMessage)
        assert (told.type, told.sequence, told.epoch) == ("io.vad.journal.replaced", 1, journal.epoch)
        assert "kept as events.sqlite.corrupt-20231114T221320Z: " in told.data.detail
        assert journal.append(anomalies(1))[0].sequence == 2
    with Journal(path) as journal:
        assert journal.set_aside is None
        assert journal.last_sequence == 2


@pytest.mark.parametrize("keep", [0.0, 0.5], ids=["gone", "damaged in the middle"])
def test_a_write_ahead_log_that_lost_events_is_found_out_and_no_sequence_is_given_twice(
    path: Path, keep: float
) -> None:
    code = WRITER_ONCE.format(count=50)
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=Path(__file__).parents[2])
    wal = path.with_name(path.name + "-wal")
    at = int(wal.stat().st_size * keep)
    os.truncate(wal, at) if keep == 0.0 else wal.write_bytes(
        wal.read_bytes()[:at] + os.urandom(wal.stat().st_size - at)
    )
    with JournalReader(path) as reader:
        epoch = reader.epoch
    with Journal(path) as journal:
        assert journal.set_aside is not None
        told = decode(journal.read(0)[0].body)
        assert isinstance(told, JournalMessage)
        assert (told.data.previous_epoch, told.data.previous_sequence) == (epoch, 50)
        assert journal.append(anomalies(1))[0].sequence == 2


def test_a_journal_that_is_gone_is_said_to_be_in_the_first_event_of_the_next(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(7))
        epoch = journal.epoch
    path.unlink()
    with Journal(path) as journal:
        told = decode(journal.read(0)[0].body)
    assert isinstance(told, JournalMessage)
    assert (told.data.state, told.data.previous_epoch, told.data.previous_sequence) == ("replaced", epoch, 7)


def test_a_reader_of_a_journal_without_its_epoch_says_so(path: Path) -> None:
    without_its_epoch(path)
    with pytest.raises(JournalError, match="holds no epoch"):
        JournalReader(path)


def test_setting_aside_never_overwrites_what_was_set_aside_before(path: Path) -> None:
    path.parent.mkdir()
    clock = ManualClock()
    names = set()
    for _ in range(3):
        text_file(path)
        with Journal(path, clock=clock) as journal:
            names.add(journal.set_aside)
    assert len(names) == 3
    assert all(name is not None and name.exists() for name in names)


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(anomalies(1))
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    db.close()
    for _ in range(2):  # refused, and the lock let go
        with pytest.raises(JournalError, match="newer version"):
            Journal(path)
    assert [p.name for p in path.parent.iterdir() if "corrupt" in p.name] == []


def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "file" / "events.sqlite")


WRITER_ONCE = """
import os, sys
from tests.events.factory import anomalies
from vad.events import Journal

Journal(sys.argv[1]).close()
journal = Journal(sys.argv[1])
for _ in range({count}):
    journal.append(anomalies(1))
os._exit(0)  # as a kill would: the write-ahead log stays
"""

WRITER = textwrap.dedent(
    """
    import sys
    from tests.events.factory import anomalies
    from vad.events import Journal

    with Journal(sys.argv[1]) as journal:
        size = 1
        while True:
            stored = journal.append(anomalies(size, first=journal.last_sequence + 1))
            print(stored[-1].sequence, flush=True)
            size = size % 7 + 1
    """
)


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(path: Path) -> None:
    root = Path(__file__).parents[2]
    epochs = set()
    before = 0
    for lines in (1, 2, 9, 40, 160):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert writer.stdout is not None
        for _ in range(lines):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]  # a torn last line was not acknowledged
        acknowledged = int(rest[-1]) if rest else acknowledged
        writer.wait()
        writer.stdout.close()
        with Journal(path) as journal:
            epochs.add(journal.epoch)
            assert journal.set_aside is None
            assert journal.last_sequence >= acknowledged > before
            sequences = [s.sequence for s in read_journal(path)]
            assert sequences == list(range(1, journal.last_sequence + 1))
            before = journal.last_sequence
    assert len(epochs) == 1
