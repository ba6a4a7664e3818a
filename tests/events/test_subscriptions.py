"""The account of what subscribers ask for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.events.subscriptions import Subscriptions


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=3)), max_size=60), st.integers(0, 20), st.integers(0, 20))
def test_the_account_is_what_is_subscribed_to_now(
    steps: list[tuple[bool, bytes]], topic_bytes: int, subscriptions: int
) -> None:
    account = Subscriptions(max_topic_bytes=topic_bytes, max_subscriptions=subscriptions)
    held: Counter[bytes] = Counter()
    for begins, topic in steps:
        account.hear((b"\x01" if begins else b"\x00") + topic)
        if begins:
            held[topic] += 1
        elif held[topic]:
            held[topic] -= 1
        now = +held
        assert account.are_too_many == (sum(map(len, now)) > topic_bytes or now.total() > subscriptions)
    account.clear()
    assert not account.are_too_many


@given(st.sets(st.binary(max_size=3)), st.binary(max_size=4))
def test_a_topic_is_wanted_when_it_begins_with_what_is_subscribed_to(held: set[bytes], topic: bytes) -> None:
    account = Subscriptions()
    for prefix in held:
        account.hear(b"\x01" + prefix)
    assert account.want(topic) == any(topic.startswith(prefix) for prefix in held)


def test_what_is_no_subscription_is_nothing() -> None:
    account = Subscriptions(max_topic_bytes=0, max_subscriptions=0)
    for message in (b"", b"\x02abc", b"\x00unknown", b"abc"):
        account.hear(message)
    assert not account.are_too_many


@pytest.mark.parametrize(
    ("topic", "counts"),
    [(b"", True), (b"vad/", True), (b"vad/score/", True), (b"vad/score/gate/", True), (b"vad/event/", False)],
)
def test_who_asked_for_more_or_for_less_than_what_is_watched_is_a_watcher(topic: bytes, counts: bool) -> None:
    account = Subscriptions(watched=b"vad/score/")
    for expected in (1, 2):
        account.hear(b"\x01" + topic)
        assert account.watchers == expected * counts
    account.hear(b"\x00" + topic)
    assert account.watchers == counts
    account.hear(b"\x00" + topic)
    account.hear(b"\x00" + topic)  # one too many: nobody's
    assert account.watchers == 0
    account.hear(b"\x01" + topic)
    account.clear()
    assert account.watchers == 0
