"""Who is let in: tokens against their file, and browsers' sessions."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from argon2.exceptions import InvalidHashError, VerificationError

from vad.clock import Clock
from vad.errors import TokenFileError
from vad.service.tokens import HASHER, TOKEN, Role, Token, file_state, load_tokens

CHECK_FILE_S = 0.5
SESSION_S = 12 * 3600.0
MOST_SESSIONS = 1_000
MOST_KNOWN = 10_000
AT_ONCE = 2
MOST_WAITING = 16

log = structlog.get_logger(__name__)


class Busy(Exception):
    """So many secrets wait to be checked that another one must come back later."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``token_id`` is None where no token is needed (this machine's loopback alone)."""

    name: str
    role: Role
    token_id: str | None = None


LOCAL = Caller("local", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class _Session:
    token_id: str
    hash: str
    until_s: float


class Door:
    """Knows the tokens of a file, as they are now. Used by the server's event loop; ``admits`` by any thread.

    Making it reads the file and raises TokenFileError. Where the file cannot be used later on, nobody is let in and
    TokenFileError is raised. A secret is checked by argon2 once and then known by its keyed hash.
    """

    def __init__(self, path: Path | None, *, clock: Clock) -> None:
        self._path = path
        self.clock = clock
        self._tokens: dict[str, Token] = {} if path is None else load_tokens(path)
        self._fault: TokenFileError | None = None
        self._state = None if path is None else file_state(path)
        self._checked_s = clock.monotonic_s()
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[str, str]] = OrderedDict()  # keyed hash of a secret: id, its hash
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._dummy = HASHER.hash(secrets.token_hex(24))
        self._limiter: CapacityLimiter | None = None
        self._waiting = 0

    @property
    def needs_token(self) -> bool:
        return self._path is not None

    def known(self, secret: str) -> Caller | None:
        """Whose secret this is, if it was checked before. Costs no argon2."""
        found = self._known.get(self._digest(secret))
        return None if found is None else self._caller(*found)

    async def check(self, secret: str) -> Caller | None:
        """Whose secret this is. Takes argon2's time for every secret that has the form of one. Raises Busy."""
        match = TOKEN.fullmatch(secret)
        if match is None:
            return None
        token = self._good(match[1])
        hashed = self._dummy if token is None else token.hash
        if not await self._verify(hashed, match[2]) or token is None:
            return None
        self._remember(self._known, self._digest(secret), (token.id, token.hash), MOST_KNOWN)
        return self._caller(token.id, token.hash)

    def open_session(self, caller: Caller) -> str:
        """A secret for a browser that has shown a token."""
        assert caller.token_id is not None
        secret = secrets.token_urlsafe(32)
        hashed = self._tokens[caller.token_id].hash
        session = _Session(caller.token_id, hashed, self.clock.monotonic_s() + SESSION_S)
        self._remember(self._sessions, self._digest(secret), session, MOST_SESSIONS)
        return secret

    def of_session(self, secret: str) -> Caller | None:
        session = self._sessions.get(self._digest(secret))
        if session is None or session.until_s < self.clock.monotonic_s():
            return None
        return self._caller(session.token_id, session.hash)

    def end_session(self, secret: str) -> None:
        self._sessions.pop(self._digest(secret), None)

    def admits(self, caller: Caller) -> bool:
        """Whether somebody let in before is welcome still: what runs for long asks now and then."""
        if caller.token_id is None:
            return not self.needs_token
        try:
            return self._good(caller.token_id) is not None
        except TokenFileError:
            return False

    def _good(self, id: str) -> Token | None:
        self._refresh()
        token = self._tokens.get(id)
        return None if token is None or token.revoked is not None else token

    def _caller(self, id: str, hashed: str) -> Caller | None:
        token = self._good(id)
        return None if token is None or token.hash != hashed else Caller(token.name, token.role, token.id)

    def _refresh(self) -> None:
        """Read the file again if it has changed. Raises TokenFileError while it cannot be used."""
        now_s = self.clock.monotonic_s()
        if self._path is not None and now_s - self._checked_s >= CHECK_FILE_S:
            self._checked_s = now_s
            state = file_state(self._path)
            if state != self._state:
                self._state = state
                try:
                    self._tokens, self._fault = load_tokens(self._path), None
                    log.info("tokens.read", tokens=len(self._tokens))
                except TokenFileError as exc:
                    self._fault = exc
                    log.error("tokens.refused", detail=str(exc))
        if self._fault is not None:
            raise self._fault

    async def _verify(self, hashed: str, secret: str) -> bool:
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._limiter = self._limiter or CapacityLimiter(AT_ONCE)
        self._waiting += 1
        try:
            return await anyio.to_thread.run_sync(_is_secret_of, hashed, secret, limiter=self._limiter)
        finally:
            self._waiting -= 1

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _remember(self, where: OrderedDict[bytes, Any], key: bytes, what: object, most: int) -> None:
        where[key] = what
        while len(where) > most:
            where.popitem(last=False)


def _is_secret_of(hashed: str, secret: str) -> bool:
    try:
        return HASHER.verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False
