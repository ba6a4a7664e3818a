"""NATS JetStream: each event stored once in a stream, known again by its id (``Nats-Msg-Id``).

Subjects are ``<subject>.event.<camera>`` and ``<subject>.health.<camera>``, a dot in a camera's name written as ``_``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError, NotFoundError

from vad.errors import BridgeError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.api import PubAck

    from vad.config import NatsBridge as NatsSettings
    from vad.events.journal import StoredEvent

Result = TypeVar("Result")


class NatsBridge:
    """Makes the stream where it is missing, and leaves one that is there as it is."""

    def __init__(self, settings: NatsSettings, *, cameras: Sequence[str] = ()) -> None:
        self._settings = settings
        self._runner: asyncio.Runner | None = None
        self._connection: Client | None = None
        self._stream: JetStreamContext | None = None
        self._last_error = ""

    def open(self) -> None:
        self.close()
        self._last_error = ""
        self._runner = asyncio.Runner()
        self._run(self._connect())

    def send(self, events: Sequence[StoredEvent]) -> Iterator[StoredEvent]:
        for event, outcome in zip(events, self._run(self._publish(events)), strict=True):
            if isinstance(outcome, BaseException):
                with self._translated():
                    raise outcome
            yield event

    def idle(self, timeout_s: float) -> None:
        self._run(asyncio.sleep(timeout_s))
        if self._connection is None or not self._connection.is_connected:
            raise BridgeError("nats: the connection is gone")

    def close(self) -> None:
        if self._runner is None:
            return
        if self._connection is not None:
            with suppress(BridgeError):  # nobody is left to say good-bye to
                self._run(self._connection.close())
        self._runner.close()
        self._runner = self._connection = self._stream = None

    async def _connect(self) -> None:
        settings = self._settings
        self._connection = await nats.connect(
            settings.url,
            name="vad",
            allow_reconnect=False,  # whoever drives the bridge opens it anew, in its own time
            connect_timeout=max(1, round(settings.timeout_s)),
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=self._note_error,  # the library would print it
            user=settings.username,
            password=settings.secret("password"),
            token=settings.secret("token"),
            tls=ssl.create_default_context(cafile=settings.ca_file) if settings.url.startswith("tls:") else None,
        )
        self._stream = self._connection.jetstream(timeout=0.8 * settings.timeout_s)
        try:
            await self._stream.stream_info(settings.stream)
        except NotFoundError:
            window_s = settings.duplicate_window_s
            config = StreamConfig(name=settings.stream, subjects=[f"{settings.subject}.>"], duplicate_window=window_s)
            await self._stream.add_stream(config)

    async def _publish(self, events: Sequence[StoredEvent]) -> list[PubAck | BaseException]:
        """All on their way in order, then the answer to each. (The library's ``publish_async`` loses errors.)"""
        return await asyncio.gather(*(self._publish_one(event) for event in events), return_exceptions=True)

    async def _publish_one(self, event: StoredEvent) -> PubAck:
        assert self._stream is not None
        headers = {"Nats-Msg-Id": f"{event.epoch}-{event.sequence}", "Content-Type": "application/cloudevents+json"}
        subject = subject_of(event.topic, prefix=self._settings.subject)
        return await self._stream.publish(subject, event.body, stream=self._settings.stream, headers=headers)

    async def _note_error(self, error: Exception) -> None:
        """What the library says later is only that no server is left."""
        self._last_error = str(error)

    def _run(self, work: Awaitable[Result]) -> Result:
        """Nothing takes longer than ``timeout_s``."""
        assert self._runner is not None

        async def in_time() -> Result:
            async with asyncio.timeout(self._settings.timeout_s):
                return await work

        with self._translated():
            return self._runner.run(in_time())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the library raises becomes a BridgeError."""
        try:
            yield
        except APIError as exc:
            raise BridgeError(f"nats: {exc.description} (code {exc.code})", answered=True) from None
        except TimeoutError:
            raise BridgeError(
                f"nats: {self._last_error or f'no answer within {self._settings.timeout_s:g} s'}"
            ) from None
        except (NatsError, OSError) as exc:
            raise BridgeError(f"nats: {self._last_error or exc}") from None


def subject_of(topic: str, *, prefix: str) -> str:
    """``vad/1/event/cam1/`` as ``<prefix>.event.cam1``."""
    kind, camera = topic.split("/")[2:4]
    return f"{prefix}.{kind}.{camera.replace('.', '_')}"
