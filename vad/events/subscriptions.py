"""What subscribers ask for, added up: ZeroMQ keeps some eighty bytes for each byte of a topic, and sets no limit."""

from __future__ import annotations

from collections import Counter

MAX_TOPIC_BYTES = 2**20
"""Of all different topics together: three for each of 10,000 cameras fit."""

MAX_SUBSCRIPTIONS = 200_000
"""Of all connections together."""


class Subscriptions:
    """Fed with what an XPUB socket (``ZMQ_XPUB_VERBOSER``) says: one byte, 1 or 0, and the topic.

    ``watchers`` counts those who would get some message of a topic that begins with ``watched``.
    """

    def __init__(
        self,
        *,
        watched: bytes = b"",
        max_topic_bytes: int = MAX_TOPIC_BYTES,
        max_subscriptions: int = MAX_SUBSCRIPTIONS,
    ) -> None:
        self._watched = watched
        self.watchers = 0
        self._max_topic_bytes = max_topic_bytes
        self._max_subscriptions = max_subscriptions
        self._topics: Counter[bytes] = Counter()
        self._topic_bytes = 0
        self._total = 0

    @property
    def are_too_many(self) -> bool:
        return self._topic_bytes > self._max_topic_bytes or self._total > self._max_subscriptions

    def hear(self, message: bytes) -> None:
        kind, topic = message[:1], message[1:]
        if kind == b"\x01":
            self._topic_bytes += 0 if topic in self._topics else len(topic)
            self._topics[topic] += 1
            self._total += 1
            self.watchers += self._is_watching(topic)
        elif kind == b"\x00" and topic in self._topics:
            self._topics[topic] -= 1
            self._total -= 1
            self.watchers -= self._is_watching(topic)
            if not self._topics[topic]:
                del self._topics[topic]
                self._topic_bytes -= len(topic)

    def want(self, topic: bytes) -> bool:
        """Would anybody get a message of that topic? Prefixes are what is subscribed to."""
        return any(topic[:length] in self._topics for length in range(len(topic) + 1))

    def clear(self) -> None:
        """Every connection has ended."""
        self._topics.clear()
        self._topic_bytes = self._total = self.watchers = 0

    def _is_watching(self, topic: bytes) -> bool:
        return topic.startswith(self._watched) or self._watched.startswith(topic)
