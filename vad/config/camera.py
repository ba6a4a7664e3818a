"""Cameras: where their video is, what of it is looked at, how many false alarms each may raise."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, Strict, field_validator, model_validator

from vad.config.section import Section

CAMERA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
NETWORK_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""Schemes of cameras on the network, and their ports where the URL names none."""
SCHEMES = (*NETWORK_PORTS, "file", "v4l2")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,31}")
_VALUE = re.compile(r"([/?&#][^=&#/?]+=)[^&#]*")  # cameras take user= and password= in the path too
_HALF = re.compile(r"[\ud800-\udfff]")  # of a character, which JSON may hold and UTF-8 may not
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ENDS_HOST, _AROUND_HOST = "/?#", "[]"
"""Characters that cannot stand in a password as they are: they would end what is before the path, or enclose a host."""


def _camera_id(name: str) -> str:
    if not CAMERA_ID.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a camera id; allowed: 1 to 64 of letters, digits, '_', '.', '-', "
            "the first a letter or digit"
        )
    return name


CameraId = Annotated[str, AfterValidator(_camera_id)]
Coordinate = Annotated[float, Strict()]
Point = Annotated[tuple[Coordinate, Coordinate], Field(description="x, y as fractions of the picture, origin top left")]


MODEL_WIDTHS = (160, 240, 320)
"""Widths of the picture that is analysed, about as many px: the source is pooled by a whole number."""

PANORAMA_WIDTHS = (320, 480, 640)
"""The same for ``auto`` of a panorama (``vad.types.Geometry.is_panorama``)."""

ModelWidth = Literal["auto", 160, 240, 320]
"""``auto`` begins at the weights' own width and goes to that at which the people seen are large enough."""


Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise."""


class Polygon(Section):
    """An area of the picture: at least three corners, each in fractions of width and height."""

    points: list[Point] = Field(min_length=3, max_length=64)
    name: str = Field(default="", max_length=64)

    @field_validator("points")
    @classmethod
    def _inside_and_not_flat(cls, points: list[Point]) -> list[Point]:
        outside = [p for p in points if not (0.0 <= p[0] <= 1.0 and 0.0 <= p[1] <= 1.0)]
        if outside:
            raise ValueError(f"corners outside the picture: {outside}; allowed: 0.0 to 1.0 in both directions")
        closed = zip(points, points[1:] + points[:1], strict=True)
        if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in closed)) < 1e-6:
            raise ValueError("the corners enclose no area; allowed: a polygon with an inside")
        return points


class CameraSettings(Section):
    """What may be set once under ``defaults`` and again for each camera."""

    analysis_fps: float = Field(default=8.0, gt=0.0, le=60.0, description="frames analysed per second")
    model_width: ModelWidth = Field(
        default="auto",
        description="about how many px wide the picture is analysed: a wider one shows smaller people and costs more; "
        "auto begins at 160, of a panorama at 320, and goes to the width at which the people seen are large enough",
    )
    read_timeout_s: float = Field(default=10.0, ge=0.5, le=300.0, description="silence after which a stream is stalled")
    clock_tolerance_s: float = Field(
        default=5.0,
        ge=0.1,
        le=86400.0,
        description="how far a camera's time of day may be from this machine's to be believed; else arrival counts",
    )
    false_alarms_per_day: float = Field(default=2.0, gt=0.0, le=1440.0, description="the false-alarm budget")
    priority: int = Field(
        default=5, ge=0, le=9, description="on an overloaded machine cameras of a higher one keep their rate longer"
    )
    max_pixels: int = Field(
        default=36_000_000,
        ge=10_000,
        le=400_000_000,
        description="in a picture of a camera on the network; larger ones are refused, since they take memory",
    )
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="how RTSP carries the video")
    decoder: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="who decodes: the GPU (cuda), the CPU, or the GPU where the network runs on one"
    )
    realtime: bool = Field(default=True, description="pace a file by its own time stamps, as a camera would")
    loop: bool = Field(default=False, description="play a file again from the start when it ends")
    backoff_min_s: float = Field(default=0.5, gt=0.0, le=60.0, description="first wait before a reconnect")
    backoff_max_s: float = Field(default=30.0, gt=0.0, le=3600.0, description="longest wait before a reconnect")

    @model_validator(mode="after")
    def _backoff_in_order(self) -> Self:
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError(
                f"backoff_max_s {self.backoff_max_s} is below backoff_min_s {self.backoff_min_s}; "
                "allowed: at least backoff_min_s"
            )
        return self


class CameraConfig(CameraSettings):
    """One camera. Credentials belong in ``username`` and ``password`` (or ``*_file``), or in the URL."""

    url: str = Field(description="rtsp(s)://, http(s)://, file://, v4l2:///dev/video0, or a path")
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = Field(default=None, description="a file that holds the password alone")
    rotate: Rotation = Field(
        default=0,
        description="degrees clockwise by which the picture is turned to be upright, beyond what the stream itself "
        "says; masks and zones are of the picture as it is seen then",
    )
    masks: list[Polygon] = Field(default=[], description="areas never looked at (blackened before anything else)")
    zones: list[Polygon] = Field(default=[], description="only areas judged; empty = the whole picture")
    calibration: Path | None = Field(
        default=None,
        description="what is normal here, from vad calibrate; used until the camera has learnt more itself",
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        if not url.strip():
            raise ValueError("the URL is empty")
        if "://" not in url and _end_of_bare_userinfo(url):
            raise ValueError("has a user name but no scheme; allowed: rtsp://USER:PASSWORD@HOST/..., or a path (./...)")
        scheme = url.split("://", 1)[0].lower() if "://" in url else "file"
        if scheme not in SCHEMES:
            got = repr(scheme) if _SCHEME.fullmatch(scheme) else "of other characters"  # those of a password, perhaps
            raise ValueError(f"scheme {got} is not known; allowed: {', '.join(SCHEMES)}, or a path")
        if scheme in NETWORK_PORTS:
            _check_network_url(url)
        return url

    @field_validator("username", "password")
    @classmethod
    def _is_text(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and _HALF.search(text):
            raise ValueError("holds half a character, a surrogate without the other; allowed: text")
        return value

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both set; allowed: one of them")
        if self.password_file is not None and not os.path.isfile(self.password_file):  # Path.is_file raises
            raise ValueError(f"password_file {str(self.password_file)!r} is not a file that can be read")
        return self

    @model_validator(mode="after")
    def _calibration_is_there(self) -> Self:
        if self.calibration is not None and not os.path.isfile(self.calibration):
            raise ValueError(f"calibration {str(self.calibration)!r} is not a file; allowed: one from vad calibrate")
        return self

    @property
    def is_file(self) -> bool:
        """A recording or a folder of frames: it has an end, and nothing is lost by reading it slowly."""
        return "://" not in self.url or self.url.lower().startswith("file://")

    def local_paths(self) -> list[str]:
        """Of a source on this machine: the path that the URL may mean, with and without its ``?fps=``."""
        _, separator, rest = self.url.partition("://")
        path = unquote(rest) if separator else self.url
        return [path, path.rpartition("?")[0] or path]

    @property
    def is_network(self) -> bool:
        """A camera that is reached over the network, and may send anything."""
        scheme, separator, _ = self.url.partition("://")
        return bool(separator) and scheme.lower() in NETWORK_PORTS

    def with_password_read(self) -> Self:
        """The same with ``password_file`` read. Raises OSError and UnicodeDecodeError."""
        if self.password_file is None:
            return self
        password = SecretStr(self.password_file.read_text(encoding="utf-8").strip())
        return self.model_copy(update={"password": password, "password_file": None})

    def url_with_credentials(self) -> str:
        """The URL that FFmpeg opens. Secret: never log it; use ``redact_url`` for that.

        Raises OSError and UnicodeDecodeError, of ``password_file``.
        """
        secret = self.with_password_read().password
        password = secret.get_secret_value() if secret else None
        if not self.is_network or (self.username is None and password is None):
            return self.url
        parts = urlsplit(self.url)
        user = self.username if self.username is not None else unquote(parts.username or "")
        host = parts.netloc.rsplit("@", 1)[-1]
        return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password or '', safe='')}@{host}"))

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The URL may hold a password."""
        for name, value in super().__repr_args__():
            yield name, redact_url(value) if name == "url" else value


def _check_network_url(url: str) -> None:
    """Raises ValueError where its host cannot be read, or is not the one that was meant."""
    shown = redact_url(url)
    if _NO_TEXT.search(url):
        raise ValueError(f"{_NO_TEXT.sub('�', shown)}: holds a control character, or half a one; allowed: %-escapes")
    unescaped = _unescaped_in_userinfo(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # whose text may quote the password
        raise ValueError(f"{shown}: host or port cannot be read; {_allowed(unescaped)}") from None
    if not host:
        raise ValueError(f"{shown} names no host")
    if "@" not in parts.netloc and unescaped[:1] in ("?", "#"):  # what is before it looks like HOST:PORT
        raise ValueError(f"{shown}: what is before the {unescaped[0]} would be the host; {_allowed(unescaped)}")


def _allowed(unescaped: str) -> str:
    """How a URL is written, with the escapes of these characters."""
    escapes = " and ".join(f"{quote(character, safe='')} for a {character}" for character in unescaped)
    return "allowed: SCHEME://USER:PASSWORD@HOST:PORT/..." + (f", with {escapes} in the password" if escapes else "")


def _unescaped_in_userinfo(url: str) -> str:
    """The characters before the last ``@`` that cannot stand there as they are, each once, in their order."""
    userinfo, _, _ = url.partition("://")[2].rpartition("@")
    return "".join(dict.fromkeys(character for character in userinfo if character in _ENDS_HOST + _AROUND_HOST))


def _end_of_bare_userinfo(url: str) -> int:
    """Where the host begins in a URL whose scheme was forgotten, USER:PASSWORD@HOST; 0 in anything else."""
    user, colon, _ = url.partition(":")
    end = url.rfind("@") + 1
    return end if user and colon and "/" not in user and end > len(user) else 0


def redact_url(url: str) -> str:
    """The URL without credentials and without ``key=value`` values: what logs, errors and events may show.

    Everything up to the last ``@`` goes: passwords hold ``@`` and ``/`` although they should be escaped.
    """
    begin, end = url.find(":/"), url.rfind("@")
    if begin != url.find(":") and (bare_end := _end_of_bare_userinfo(url)):
        url = url[bare_end:]
    elif 0 <= begin < end:
        url = f"{url[:begin]}://{url[end + 1 :]}"
    return _VALUE.sub(r"\1***", url)
