"""Where a camera is, and who may be told its password: that host, and no other that it leads to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from vad.config.camera import NETWORK_PORTS


@dataclass(frozen=True, slots=True)
class Address:
    """``url`` is without credentials, and may be shown to the camera; not to people: paths hold passwords, too."""

    url: str = field(repr=False)
    host: str
    port: int
    is_encrypted: bool
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, target: str) -> Self:
        """From a URL with credentials or without. Raises ValueError where it names no host, or another protocol."""
        parts = urlsplit(target)
        scheme = parts.scheme.lower()
        if scheme not in ("rtsp", "rtsps") or not parts.hostname:
            raise ValueError("no URL of a camera that speaks RTSP")
        userinfo, at, netloc = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        url = urlunsplit(parts._replace(netloc=netloc, fragment=""))
        port = parts.port or NETWORK_PORTS[scheme]
        is_encrypted = scheme == "rtsps"
        return cls(url, parts.hostname, port, is_encrypted, unquote(user) if at else None, unquote(password))

    def moved(self, location: str, *, peer: str) -> Address | None:
        """Where a redirection leads, with the same credentials; None where that is another host or less safe.

        ``peer`` is the address that the camera was found at, by which it may call itself.
        """
        try:
            there = Address.of(urljoin(self.url, location))
        except ValueError:
            return None
        is_same = there.host.lower() == self.host.lower() or _plain(there.host) == _plain(peer)
        if not is_same or (self.is_encrypted and not there.is_encrypted):
            return None
        return replace(there, user=self.user, password=self.password)

    @property
    def with_credentials(self) -> str:
        """For FFmpeg alone."""
        if self.user is None:
            return self.url
        parts = urlsplit(self.url)
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def _plain(host: str) -> str:
    """An IPv4 address that is written as one of IPv6 is the same one (RFC 4291 section 2.5.5.2)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower()
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def track_url(base: str, control: str) -> str:
    """The URL of a track: RFC 2326 appendix C.1.1 as cameras and FFmpeg understand it, which append to any base."""
    if "://" in control:
        return control
    if control in ("", "*"):
        return base
    return f"{base.rstrip('/')}/{control.lstrip('/')}"


def usable_base(said: str | None, fallback: str) -> str:
    """What the camera's tracks are relative to, where it says so in a URL that can be one.

    Cameras write ``rtsp://rtsp://...``, leave out ``rtsp://`` or the brackets of IPv6 (go2rtc issues 208 and 1852).
    """
    try:
        parts = urlsplit((said or "").strip())
        is_url = parts.scheme.lower() in ("rtsp", "rtsps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return fallback
    host = parts.netloc.rpartition("@")[2]
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    return parts.geturl() if is_url and not is_bare_ipv6 and not host.endswith(":") else fallback
