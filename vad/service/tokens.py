"""The tokens of the HTTP API: a file of names, roles and hashes. A secret is shown once and kept nowhere.

A line of JSON for each token, as ``vad tokens new`` writes it::

    {"id": "5d0c2f9a", "name": "night-shift", "role": "operator", "hash": "$argon2id$...", "made": "2026-01-31T...Z"}

A token reads ``vad_<id>_<secret>``. A revoked one stays in the file with ``revoked``, when. The file is replaced whole
and read anew when it has changed; it is refused while others than its owner may read it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
from argon2 import PasswordHasher

from vad.atomic import replace_file
from vad.errors import TokenFileError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TOKEN = re.compile(r"vad_([0-9a-f]{8})_([0-9a-f]{48})")
MAX_FILE_BYTES = 4 * 2**20

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's first choice for argon2id: 19 MiB, two passes, some 30 ms. Secrets have 192 bits of their own besides."""


class Role(IntEnum):
    """What a caller may do; each may all that the ones before it may."""

    VIEWER = 1  # see everything
    OPERATOR = 2  # judge incidents, arm, pause, draw masks, set the sensitivity
    ADMIN = 3  # add and remove cameras, change where they are


ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file. ``hash`` is argon2id of the secret; ``revoked`` when it was, None while it is good."""

    id: str
    name: str
    role: Role
    hash: str
    made: str
    revoked: str | None = None

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, name={self.name!r}, role={self.role.name.lower()})"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    name: str
    role: str
    hash: str
    made: str
    revoked: str | None = None


_lines = msgspec.json.Decoder(_Line)


def new_token(path: Path, name: str, role: str) -> tuple[Token, str]:
    """Make a token and the file where there is none; the token and what its owner shows. Raises TokenFileError."""
    if not NAME.fullmatch(name):
        raise TokenFileError(
            f"{name!r} is not a name; allowed: 1 to 64 of letters, digits, '_', '.', '-', the first a letter or digit"
        )
    if role not in ROLES:
        raise TokenFileError(f"{role!r} is not a role; allowed: {', '.join(ROLES)}")
    with _locked(path):
        tokens = load_tokens(path) if path.exists() else {}
        if any(token.name == name and token.revoked is None for token in tokens.values()):
            raise TokenFileError(f"{name} has a token already in {path}; allowed: another name, or revoke it first")
        id = secrets.token_hex(4)
        while id in tokens:
            id = secrets.token_hex(4)
        secret = secrets.token_hex(24)
        tokens[id] = Token(id, name, ROLES[role], HASHER.hash(secret), _now())
        _write(path, tokens)
    return tokens[id], f"vad_{id}_{secret}"


def revoke_token(path: Path, name: str) -> Token:
    """Take back a token, by its name or its id. Raises TokenFileError for one that is not good (any more)."""
    with _locked(path):
        tokens = load_tokens(path)
        good = [token for token in tokens.values() if token.revoked is None]
        for token in good:
            if name in (token.name, token.id):
                gone = Token(token.id, token.name, token.role, token.hash, token.made, _now())
                _write(path, {**tokens, token.id: gone})
                return gone
    names = ", ".join(sorted(token.name for token in good))
    raise TokenFileError(f"no token {name!r} in {path}; allowed: {names or 'none, there is no token'}")


def load_tokens(path: Path) -> dict[str, Token]:
    """All tokens of a file by their id. Raises TokenFileError for one that is missing, broken or open to others."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise TokenFileError(f"others can read {path}; make it private: chmod 600 {path}")
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise TokenFileError(f"{path}: no such file; `vad tokens new NAME --file {path}` makes one") from None
    except OSError as exc:
        raise TokenFileError(f"{path} cannot be read: {exc.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise TokenFileError(f"{path} is longer than {MAX_FILE_BYTES} bytes")
    tokens = [_token(line, path, number) for number, line in enumerate(data.splitlines(), start=1) if line.strip()]
    if len({token.id for token in tokens}) != len(tokens):
        raise TokenFileError(f"{path}: two tokens have the same id")
    return {token.id: token for token in tokens}


def file_state(path: Path) -> object:
    """Something that differs once the file has come, gone or changed."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size, stat.st_mode


def _token(line: bytes, path: Path, number: int) -> Token:
    try:
        read = _lines.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise TokenFileError(f"{path}: line {number} is not a token: {exc}") from None
    if read.role not in ROLES:
        raise TokenFileError(f"{path}: line {number}: role {read.role!r}; allowed: {', '.join(ROLES)}")
    if not read.hash.startswith("$argon2id$"):
        raise TokenFileError(f"{path}: line {number}: the hash is none of argon2id")
    return Token(read.id, read.name, ROLES[read.role], read.hash, read.made, read.revoked)


def _write(path: Path, tokens: dict[str, Token]) -> None:
    lines = [json.dumps(_as_line(token), separators=(", ", ": ")) for token in tokens.values()]
    try:
        replace_file(path, "".join(f"{line}\n" for line in lines).encode(), mode=0o600)
    except OSError as exc:
        raise TokenFileError(f"{path} cannot be written: {exc.strerror}") from None


def _as_line(token: Token) -> dict[str, Any]:
    line = {"id": token.id, "name": token.name, "role": token.role.name.lower(), "hash": token.hash, "made": token.made}
    return line if token.revoked is None else {**line, "revoked": token.revoked}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time: two that read, add and write would lose one token."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.parent, os.O_RDONLY)
    except OSError as exc:
        raise TokenFileError(f"{path.parent} cannot be used: {exc.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
