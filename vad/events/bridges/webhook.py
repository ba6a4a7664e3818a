"""Webhook: an HTTP POST for each event, its body the event, signed as https://www.standardwebhooks.com specifies.

``webhook-id`` is the event's id, the same at each attempt; ``webhook-signature`` is ``v1,`` and the base64 of
HMAC-SHA256 over ``<webhook-id>.<webhook-timestamp>.<body>``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import httpx

from vad import __version__
from vad.clock import SystemClock
from vad.errors import BridgeError, EventRefused

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.config import WebhookBridge as WebhookSettings
    from vad.events.journal import StoredEvent

NEVER = frozenset({400, 413, 415, 422})
"""Answers that are about the event itself; any other refusal may be mended on the other side."""

MAX_ANSWER_BYTES = 65_536


class WebhookBridge:
    """``timeout_s`` is for the whole exchange, however slowly the other side answers."""

    def __init__(self, settings: WebhookSettings, *, cameras: Sequence[str] = (), clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock: Clock = clock or SystemClock()
        self._runner: asyncio.Runner | None = None
        self._client: httpx.AsyncClient | None = None
        self._key = b""

    def open(self) -> None:
        self.close()
        try:
            self._key = signing_key(self._settings.secret("secret_key") or "")
            verify = ssl.create_default_context(cafile=self._settings.ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise BridgeError(f"webhook: {exc.strerror or exc}") from None
        self._runner = asyncio.Runner()
        headers = {"user-agent": f"vad/{__version__}", "content-type": "application/cloudevents+json; charset=UTF-8"}
        limits = httpx.Limits(max_connections=1)
        self._client = httpx.AsyncClient(
            headers=headers, verify=verify, timeout=None, limits=limits, follow_redirects=False, trust_env=False
        )

    def send(self, events: Sequence[StoredEvent]) -> Iterator[StoredEvent]:
        assert self._runner is not None
        for event in events:
            self._runner.run(self._post(event))
            yield event

    def idle(self, timeout_s: float) -> None:
        assert self._runner is not None
        self._runner.run(asyncio.sleep(timeout_s))

    def close(self) -> None:
        if self._runner is None:
            return
        runner, client, self._runner, self._client = self._runner, self._client, None, None
        if client is not None:
            runner.run(client.aclose())
        runner.close()

    async def _post(self, event: StoredEvent) -> None:
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                status, wait = await self._exchange(event)
        except TimeoutError:
            raise BridgeError(f"webhook: no answer within {timeout_s:g} s") from None
        except httpx.HTTPError as exc:
            raise BridgeError(f"webhook: {type(exc).__name__}: {exc}") from None
        if status in NEVER:
            raise EventRefused(f"webhook: the answer is {status}")
        if not 200 <= status < 300:
            raise BridgeError(f"webhook: the answer is {status}", answered=True, wait_s=wait)

    async def _exchange(self, event: StoredEvent) -> tuple[int, float | None]:
        """Status, and the seconds of Retry-After. The answer's body is read so that the connection can be kept."""
        assert self._client is not None
        request_id, at = f"{event.epoch}-{event.sequence}", str(int(self._clock.wall_s()))
        headers = {
            "webhook-id": request_id,
            "webhook-timestamp": at,
            "webhook-signature": signature(self._key, request_id=request_id, timestamp=at, body=event.body),
        }
        async with self._client.stream("POST", self._settings.url, content=event.body, headers=headers) as answer:
            read = 0
            async for part in answer.aiter_raw():
                read += len(part)
                if read > MAX_ANSWER_BYTES:
                    break
            wait = answer.headers.get("retry-after", "")
            return answer.status_code, float(wait) if wait.isdecimal() else None


def signing_key(secret: str) -> bytes:
    """The bytes that sign: of ``whsec_BASE64`` what it encodes, of any other text its UTF-8. Raises BridgeError."""
    if not secret:
        raise BridgeError("webhook: the secret key is empty")
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise BridgeError("webhook: what follows whsec_ in the secret key is not base64") from None


def signature(key: bytes, *, request_id: str, timestamp: str, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    digest = hmac.new(key, f"{request_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
