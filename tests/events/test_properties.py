"""Journal, paging, retention and the order of what is heard: for any history, what must hold holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.events.factory import anomalies
from vad.clock import ManualClock
from vad.config import BusSettings
from vad.errors import EventsLost
from vad.events import AnomalyMessage, Journal, JournalReader, ReplayServer, encode
from vad.events.following import Following
from vad.events.messages import durable_message, heartbeat_message
from vad.events.requests import MAX_PAGE_EVENTS, PAGE_BYTES, ReplayHead, ReplayRequest, decode_reply, encode_request
from vad.events.schema import MAX_BODY_BYTES

EPOCHS = ["a" * 32, "b" * 32, "c" * 32]


class JournalMachine(RuleBasedStateMachine):
    """A journal that is written, shortened, closed and left behind; and the plain list that it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "events.sqlite"
        self.clock = ManualClock()
        self.journal = Journal(self.path, clock=self.clock)
        self.epoch = self.journal.epoch
        self.stored_s: dict[int, float] = {}  # by sequence, of those that are kept
        self.last = 0

    @rule(count=st.integers(1, 40), seconds=st.floats(0.0, 100.0))
    def append(self, count: int, seconds: float) -> None:
        self.clock.advance(seconds)
        stored = self.journal.append(anomalies(count))
        assert [s.sequence for s in stored] == list(range(self.last + 1, self.last + count + 1))
        self.stored_s |= {s.sequence: self.clock.wall_s() for s in stored}
        self.last += count

    @rule(older_than_s=st.floats(0.0, 500.0))
    def forget_the_old(self, older_than_s: float) -> None:
        before_s = self.clock.wall_s() - older_than_s
        forgotten = self.journal.forget(older_than_s=older_than_s, max_bytes=2**40)
        gone = [sequence for sequence, at_s in self.stored_s.items() if at_s < before_s]
        assert forgotten == len(gone)
        for sequence in gone:
            del self.stored_s[sequence]

    @rule(share=st.floats(0.0, 1.0))
    def forget_for_size(self, share: float) -> None:
        forgotten = self.journal.forget(older_than_s=1e9, max_bytes=int(self.journal.used_bytes * share))
        for sequence in sorted(self.stored_s)[:forgotten]:
            del self.stored_s[sequence]

    @rule()
    def open_again(self) -> None:
        self.journal.close()
        self.journal = Journal(self.path, clock=self.clock)

    @rule()
    def leave_and_open_again(self) -> None:
        """As a kill would: nothing is closed but the lock, which dies with its process."""
        self.journal._lock.close()
        left, self.journal = self.journal, Journal(self.path, clock=self.clock)
        left._db.close()

    @rule(after=st.integers(0, 400), limit=st.integers(0, 50), max_bytes=st.integers(1, 20_000))
    def read_a_page(self, after: int, limit: int, max_bytes: int) -> None:
        with JournalReader(self.path) as reader:
            page = reader.page(after, limit=limit, max_bytes=max_bytes)
        expected = [sequence for sequence in sorted(self.stored_s) if sequence > after][:limit]
        got = [event.sequence for event in page.events]
        assert got == expected[: len(got)]
        if len(got) < len(expected):
            assert sum(len(event.body) for event in page.events) >= max_bytes
        assert sum(len(event.body) for event in page.events[:-1]) < max_bytes
        assert page.last == self.last

    @invariant()
    def what_is_kept_is_the_newest_without_a_hole(self) -> None:
        kept = [stored.sequence for stored in self.journal.read(0, limit=10_000)]
        assert kept == sorted(self.stored_s)
        assert kept == list(range(self.journal.first_sequence, self.last + 1))
        assert (self.journal.epoch, self.journal.last_sequence) == (self.epoch, self.last)
        assert self.journal.set_aside is None

    @precondition(lambda self: self.last > 300)
    @rule()
    def stop_growing(self) -> None:
        self.forget_for_size(0.1)

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@contextmanager
def replaying(count: int, forgotten: int) -> Iterator[ReplayServer]:
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "events.sqlite") as journal:
        journal.append(anomalies(count))
        journal._db.execute("DELETE FROM events WHERE sequence <= ?", (forgotten,))
        with ReplayServer(BusSettings(bind="tcp://127.0.0.1:*"), journal=journal) as server:
            yield server


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_walking_the_pages_gives_each_event_of_the_range_once_and_names_what_is_lost(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 900), "count")
    forgotten = data.draw(st.integers(0, count), "forgotten")
    begin = data.draw(st.integers(0, count + 5), "after")
    until = data.draw(st.none() | st.integers(0, count + 5), "until")
    limit = data.draw(st.integers(1, 700) | st.just(2**50), "limit")
    with replaying(count, forgotten) as server:
        had: list[int] = []
        lost: list[int] = []
        after, token, more = begin, None, True
        while more:
            request = ReplayRequest(after=after, until=until, limit=limit, received=token)
            first, *rest = server.answer(b"me", [encode_request(request)])
            head = decode_reply(first)
            assert isinstance(head, ReplayHead)
            assert (head.first_sequence, head.last_sequence) == (forgotten + 1, count)
            bodies = rest[0].split(b"\n") if head.count else []
            assert len(bodies) == head.count <= min(limit, MAX_PAGE_EVENTS)
            assert len(rest[0]) < PAGE_BYTES + MAX_BODY_BYTES
            assert server.unread_bytes > 0
            had += range(head.begin, head.begin + head.count)
            lost += range(head.lost[0], head.lost[1] + 1) if head.lost else []
            after, token, more = head.begin + head.count - 1, head.token, head.more
            assert not (more and not head.count), "a page without events that promises more"
    end = count if until is None else min(until, count)
    assert had == [n for n in range(begin + 1, end + 1) if n > forgotten]
    assert lost == [n for n in range(begin + 1, end + 1) if n <= forgotten]


def body_of(epoch: str, sequence: int) -> bytes:
    return encode(durable_message(anomalies(1, first=sequence)[0], epoch=epoch, sequence=sequence))


def heartbeat_of(epoch: str, last: int) -> bytes:
    return encode(heartbeat_message(epoch=epoch, last_sequence=last, wall_s=0.0, id="h"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_heard_and_kept_each_event_is_handed_out_once_in_order_or_told_as_lost(
    data: st.DataObject,
) -> None:
    """Live messages are dropped, repeated or swapped at random, the journal forgets, epochs change."""
    following = Following(chosen=lambda message: isinstance(message, AnomalyMessage), since=0)
    expected: list[tuple[str, int]] = []
    for epoch in EPOCHS[: data.draw(st.integers(1, 3), "epochs")]:
        count = data.draw(st.integers(1, 30), "count")
        forgotten = data.draw(st.integers(0, count), "forgotten")
        live = data.draw(st.lists(st.integers(1, count), max_size=40), "heard")
        for sequence in live:
            following.hear(body_of(epoch, sequence))
            if data.draw(st.booleans(), "heartbeat"):
                following.hear(heartbeat_of(epoch, sequence))
        following.hear(heartbeat_of(epoch, count))
        while following.work() or following.gap is not None:
            if following.gap is None:
                continue
            first = max(following.last_sequence + 1, forgotten + 1)
            page = data.draw(st.integers(1, 10), "page")
            if first > count:
                following.lose(until=count)
                following.close_gap()
                continue
            following.fill(first, [body_of(epoch, n) for n in range(first, min(first + page, count + 1))])
            if following.last_sequence >= count:
                following.close_gap()
        expected += [(epoch, sequence) for sequence in range(1, count + 1)]
    told: list[tuple[str, int]] = []
    for item in following.ready:
        if isinstance(item, EventsLost):
            told += [(item.epoch, sequence) for sequence in range(item.first, item.last + 1)]
        else:
            message = item[0]
            assert isinstance(message, AnomalyMessage)
            told.append((message.epoch, message.sequence))
    assert told == expected
