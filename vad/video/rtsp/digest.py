"""How a camera is shown that the password is known: Basic (RFC 7617), Digest (RFC 7616, RFC 2617 and RFC 2069).

Each algorithm is tried once in a connection: cameras lock an account after a few wrong passwords.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

SUPPORTED = "Basic, Digest with MD5 or SHA-256"
MOST_NONCES = 2
"""How often one request may be made again because the camera has a new nonce."""

_HASHES: dict[str, Callable[[bytes], hashlib._Hash]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_STRENGTH = ("SHA-256", "SHA-256-SESS", "MD5", "MD5-SESS")
_SESSION = "-SESS"
_PART = re.compile(r'([A-Za-z0-9_.+-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*)))?')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that the camera offers. Names of parameters are in lower case."""

    scheme: str  # in lower case
    parameters: dict[str, str]

    @property
    def algorithm(self) -> str:
        """Of a digest, in upper case."""
        return self.parameters.get("algorithm", "MD5").upper()

    @property
    def is_supported(self) -> bool:
        if self.scheme == "basic":
            return True
        qops = [qop.strip().lower() for qop in self.parameters.get("qop", "auth").split(",")]
        is_known = self.algorithm in _STRENGTH and "nonce" in self.parameters
        return self.scheme == "digest" and is_known and "auth" in qops

    @property
    def is_stale(self) -> bool:
        """The password was right, only the nonce too old."""
        return self.parameters.get("stale", "").lower() == "true"

    def __str__(self) -> str:
        if self.scheme != "digest":
            return self.scheme.capitalize()
        qop = self.parameters.get("qop")
        return f"Digest with {self.algorithm}" + (f" (qop {qop})" if qop and not self.is_supported else "")


def challenges(values: Iterable[str]) -> list[Challenge]:
    """All that some WWW-Authenticate headers offer; one header may hold several (RFC 9110 section 11.6.1)."""
    found: list[Challenge] = []
    for value in values:
        for part in _PART.finditer(value):
            name, quoted, bare = part.groups()
            if quoted is None and bare is None:
                found.append(Challenge(name.lower(), {}))
            elif found:
                text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
                found[-1].parameters.setdefault(name.lower(), text)
    return found


@dataclass(slots=True)
class Authenticator:
    """One connection's. ``take`` what the camera offers with a 401, then ask for each request's ``authorization``."""

    user: str | None
    password: str = field(default="", repr=False)
    _chosen: Challenge | None = field(default=None, init=False)
    _tried: set[str] = field(default_factory=set, init=False)  # what was shown to the camera at least once
    _accepted: str | None = field(default=None, init=False)
    _nonces: int = field(default=0, init=False)  # new ones since the last request that was accepted
    _count: int = field(default=0, init=False)  # uses of the nonce

    @property
    def kind(self) -> str | None:
        """What the camera is shown, for people."""
        return str(self._chosen) if self._chosen else None

    def take(self, offered: list[Challenge]) -> bool:
        """A request was refused with these: is there anything that it may be tried with again?"""
        if self.user is None:
            return False
        again = next((challenge for challenge in offered if self._is_of_the_chosen(challenge)), None)
        if again is not None and (again.is_stale or str(again) == self._accepted) and self._nonces < MOST_NONCES:
            self._nonces += 1
            self._choose(again)
            return True
        ways = [challenge for challenge in offered if challenge.is_supported and str(challenge) not in self._tried]
        digests = [challenge for challenge in ways if challenge.scheme == "digest"]
        if digests:
            self._choose(min(digests, key=lambda challenge: _STRENGTH.index(challenge.algorithm)))
            return True
        if ways and not any(challenge.scheme == "digest" and challenge.is_supported for challenge in offered):
            self._choose(ways[0])  # Basic, which shows the password, only where no digest is taken
            return True
        return False

    def accepted(self) -> None:
        """The last request was not refused."""
        self._nonces = 0
        if self._chosen is not None:
            self._accepted = str(self._chosen)

    def why_not(self, offered: list[Challenge]) -> str:
        """What to tell people once ``take`` has returned False."""
        if self._tried:
            return f"user name or password refused (401, {self.kind})"
        if self.user is None:
            return "wants a user name and a password (401), and none are given"
        if not offered:
            return "refuses (401) and does not say what it wants"
        wanted = " or ".join(dict.fromkeys(map(str, offered)))
        return f"wants {wanted}, which is not supported; allowed: {SUPPORTED}"

    def authorization(self, method: str, url: str, *, cnonce: str | None = None) -> str | None:
        """The header's value; None before anything was asked for."""
        challenge, user = self._chosen, self.user
        if challenge is None or user is None:
            return None
        self._tried.add(str(challenge))
        if challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{user}:{self.password}".encode()).decode()
        self._count += 1
        cnonce = cnonce or os.urandom(12).hex()
        return "Digest " + _digest(challenge, user, self.password, method, url, count=self._count, cnonce=cnonce)

    def _is_of_the_chosen(self, challenge: Challenge) -> bool:
        return self._chosen is not None and str(challenge) == str(self._chosen)

    def _choose(self, challenge: Challenge) -> None:
        self._chosen, self._count = challenge, 0


def _digest(challenge: Challenge, user: str, password: str, method: str, url: str, *, count: int, cnonce: str) -> str:
    """RFC 7616 section 3.4; without qop the older rules of RFC 2069."""
    given = challenge.parameters
    make = _HASHES[challenge.algorithm.removesuffix(_SESSION)]

    def hashed(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    realm, nonce = given.get("realm", ""), given["nonce"]
    secret = hashed(user, realm, password)
    if challenge.algorithm.endswith(_SESSION):
        secret = hashed(secret, nonce, cnonce)
    asked = hashed(method, url)
    fields = {"username": _quoted(user), "realm": _quoted(realm), "nonce": _quoted(nonce), "uri": _quoted(url)}
    if "algorithm" in given:
        fields["algorithm"] = given["algorithm"]
    if "qop" in given:
        number = f"{count:08x}"
        fields |= {"qop": "auth", "nc": number, "cnonce": _quoted(cnonce)}
        fields["response"] = _quoted(hashed(secret, nonce, number, cnonce, "auth", asked))
    else:
        if challenge.algorithm.endswith(_SESSION):
            fields["cnonce"] = _quoted(cnonce)
        fields["response"] = _quoted(hashed(secret, nonce, asked))
    if "opaque" in given:
        fields["opaque"] = _quoted(given["opaque"])
    return ", ".join(f"{name}={value}" for name, value in fields.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
