"""Answers without an end: pushed as things happen, bounded in number, to readers that read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import suppress

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vad.errors import VadError
from vad.service.api.problems import Problem

log = structlog.get_logger(__name__)

SEND_TIMEOUT_S = 15.0
"""A reader that takes nothing for so long is gone, or as good as that."""


class Places:
    """How many readers there are, out of how many there may be. Used by one event loop."""

    def __init__(self, most: int, *, what: str) -> None:
        self._most, self._what = most, what
        self.taken = 0

    def take(self) -> None:
        """Raises Problem 503 when there is no place left."""
        if self.taken >= self._most:
            raise Problem(
                503,
                f"all {self._most} {self._what} are taken",
                kind="no-place",
                allowed=f"{self._most} at a time",
                headers={"Retry-After": "5"},
            )
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1


class PushedResponse(Response):
    """Sends what ``chunks`` gives until it ends, the reader goes, or the reader takes nothing for SEND_TIMEOUT_S.

    Memory is one chunk and what the transport holds: the next chunk is made once the last has been taken.
    """

    def __init__(self, chunks: AsyncIterator[bytes], *, media_type: str, places: Places) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._chunks, self._places = chunks, places
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("wants_body", True):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        self._places.take()
        pusher = asyncio.create_task(self._push(send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({pusher, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pusher, leaving):
                task.cancel()
            results = await asyncio.gather(pusher, leaving, return_exceptions=True)
            self._places.leave()
        fault = results[0]
        if isinstance(fault, VadError) and self._has_begun:
            log.warning("http.stream_ended", path=scope["path"], detail=str(fault))
        elif isinstance(fault, Exception) and not isinstance(fault, TimeoutError | OSError):
            raise fault

    async def _push(self, send: Send) -> None:
        """What goes wrong before the first chunk can still be answered with a problem."""
        async with contextlib.aclosing(self._chunks) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if not self._has_begun:
                    self._has_begun = True
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not self._has_begun:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with suppress(TimeoutError):
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
