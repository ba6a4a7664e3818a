"""HTTP/1.1 on one connection: uvicorn's, that also refuses in problem JSON, and whoever is too slow to ask."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT_S = 20.0
"""How long a connection may take to send the head of a request, its first or its next."""

SEND_BUFFER_BYTES = 131_072
"""What the system keeps for one that does not read, twice that on Linux; left to itself it takes megabytes."""


class Protocol(H11Protocol):
    """Made by uvicorn for each connection."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        # asyncio leaves this out for a socket that was made without naming its protocol; a body that goes out after its
        # head would then wait for the other side's delayed acknowledgement, 40 ms
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_head()

    def send_400_response(self, msg: str) -> None:
        problem: dict[str, Any] = {
            "type": "urn:vad:problem:no-http",
            "title": "Bad Request",
            "status": 400,
            "detail": f"this is no HTTP/1.1: {msg}",
            "instance": "",
            "what": "request",
            "allowed": "HTTP/1.1",
        }
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=json.dumps(problem).encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._check_head)

    def _check_head(self) -> None:
        """Close unless a request is being answered. Each answer sets the next deadline."""
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()
