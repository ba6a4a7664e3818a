"""The site file: the only home of defaults, units and bounds. Unknown keys are refused.

``load_config`` reads YAML, fills ``${VAR}`` from the environment, and raises one ``ConfigError`` that lists every fault
with its path. ``SiteConfig.model_validate`` does the same for a mapping made in Python.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vad.errors import ConfigError, Fault
from vad.site_yaml import fill_variables, read_yaml

CAMERA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DEFAULT_BUS = "tcp://127.0.0.1:5590"
SCHEMES = ("rtsp", "rtsps", "http", "https", "file", "v4l2")
_USERINFO = re.compile(r":/{1,2}.*@")
_BARE_USERINFO = re.compile(r"^[^/@:\s]+:[^/].*@")  # of a URL whose scheme was forgotten
_VALUE = re.compile(r"([/?&][^=&#/?]+=)[^&#]*")  # cameras take user= and password= in the path too


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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_yes_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic takes true for 1, and YAML takes yes, no, on and off for true and false."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError(f"got {str(value).lower()} (YAML reads yes, no, on, off so too); quote it if it is text")
        return value


class Polygon(_Section):
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


class CameraSettings(_Section):
    """What may be set once under ``defaults`` and again for each camera."""

    analysis_fps: float = Field(default=8.0, gt=0.0, le=60.0, description="frames analysed per second")
    read_timeout_s: float = Field(default=10.0, ge=0.5, le=300.0, description="silence after which a stream is stalled")
    false_alarms_per_day: float = Field(default=2.0, gt=0.0, le=1440.0, description="the false-alarm budget")
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="how RTSP carries the video")
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
    masks: list[Polygon] = Field(default=[], description="areas never looked at (blackened before anything else)")
    zones: list[Polygon] = Field(default=[], description="only areas judged; empty = the whole picture")

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        if not url.strip():
            raise ValueError("the URL is empty")
        if _BARE_USERINFO.match(url) and "://" not in url:
            raise ValueError("has a user name but no scheme; allowed: rtsp://USER:PASSWORD@HOST/..., or a path (./...)")
        scheme = url.split("://", 1)[0].lower() if "://" in url else "file"
        if scheme not in SCHEMES:
            raise ValueError(f"scheme {redact_url(scheme)!r} is not known; allowed: {', '.join(SCHEMES)}, or a path")
        if scheme in ("rtsp", "rtsps", "http", "https"):
            try:
                parts = urlsplit(url)
                host, _ = parts.hostname, parts.port
            except ValueError:  # whose text may quote the password
                raise ValueError(
                    f"{redact_url(url)}: host or port cannot be read; allowed: SCHEME://USER:PASSWORD@HOST:PORT/..., "
                    "with %2F for a / in the password"
                ) from None
            if not host:
                raise ValueError(f"{redact_url(url)} names no host")
        return url

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both set; allowed: one of them")
        if self.password_file is not None and not os.path.isfile(self.password_file):  # Path.is_file raises
            raise ValueError(f"password_file {str(self.password_file)!r} is not a file that can be read")
        return self

    @property
    def is_file(self) -> bool:
        """A recording or a folder of frames: it has an end, and nothing is lost by reading it slowly."""
        return "://" not in self.url or self.url.lower().startswith("file://")

    def url_with_credentials(self) -> str:
        """The URL that FFmpeg opens. Secret: never log it; use ``redact_url`` for that."""
        password = self.password.get_secret_value() if self.password else None
        if self.password_file is not None:
            password = self.password_file.read_text(encoding="utf-8").strip()
        if self.username is None and password is None:
            return self.url
        parts = urlsplit(self.url)
        user = quote(self.username if self.username is not None else (parts.username or ""), safe="")
        host = parts.netloc.rsplit("@", 1)[-1]
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password or '', safe='')}@{host}"))


class ModelSettings(_Section):
    """The network and where it runs."""

    weights: str = Field(default="base", description="a bundled name (base) or a path to a .safetensors file")
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$", description="auto, cpu, cuda or cuda:N"
    )
    clip_length: int = Field(default=4, ge=1, le=64, description="frames handed over at a time, per camera")
    waiting_clips: int = Field(default=6, ge=1, le=256, description="clips that may wait, per camera, before one drops")
    max_batch: int = Field(default=32, ge=1, le=512, description="cameras that share one call of the network")
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of the network")


class ScoringSettings(_Section):
    """Calibration, threshold and incidents. Times are media seconds."""

    warming_after_s: float = Field(default=20.0, ge=1.0, le=86400.0, description="learning only, before that")
    calibrated_after_s: float = Field(default=180.0, ge=2.0, le=604800.0, description="normal footage seen by then")
    smoothing_s: float = Field(default=0.4, ge=0.0, le=10.0, description="time constant of the causal smoothing")
    open_after_s: float = Field(default=0.3, ge=0.0, le=60.0, description="anomalous that long before it opens")
    close_after_s: float = Field(default=2.0, ge=0.1, le=600.0, description="calm that long before it closes")
    hysteresis: float = Field(default=0.7, gt=0.0, le=1.0, description="calm = below this share of the threshold")
    update_every_s: float = Field(default=5.0, ge=0.5, le=600.0, description="at most one update event in that time")
    longest_incident_s: float = Field(default=600.0, ge=5.0, le=86400.0, description="closed after that, in any case")

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        if self.calibrated_after_s < self.warming_after_s:
            raise ValueError(
                f"calibrated_after_s {self.calibrated_after_s} is below warming_after_s {self.warming_after_s}; "
                "allowed: at least warming_after_s"
            )
        return self


def _refuse_beyond_loopback(host: str, *, what: str) -> None:
    if host not in ("localhost", "::1") and not host.startswith("127."):
        raise ValueError(f"{host} would show {what} to the network unencrypted; allowed: 127.0.0.1, ::1 or localhost")


class BusSettings(_Section):
    """ZeroMQ. Without keys only loopback may be bound."""

    bind: str = Field(default=DEFAULT_BUS, description="where events are published")
    heartbeat_s: float = Field(default=1.0, ge=0.1, le=60.0)
    high_water_mark: int = Field(default=10_000, ge=10, le=10_000_000, description="messages kept for a slow reader")
    linger_s: float = Field(default=1.0, ge=0.0, le=30.0, description="how long a stop waits for slow subscribers")
    scores: bool = Field(default=True, description="publish vad/1/score/<camera>/ for each scored frame")

    @field_validator("bind")
    @classmethod
    def _loopback_tcp(cls, bind: str) -> str:
        match = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:]+\]|[^:/\s]+):(\d{1,5}|\*)", bind)
        if match is None:
            raise ValueError(f"{bind!r} is not an address; allowed: tcp://HOST:PORT")
        if match[2] != "*" and not 0 < int(match[2]) < 65536:
            raise ValueError(f"port {match[2]} is not a port; allowed: 1 to 65535, or *")
        _refuse_beyond_loopback(match[1].strip("[]"), what="events")
        return bind


class HttpSettings(_Section):
    """``/metrics``, ``/livez``, ``/readyz``."""

    bind: str = Field(default="127.0.0.1:8590", description="HOST:PORT, or an empty string for no HTTP")

    @field_validator("bind")
    @classmethod
    def _host_and_port(cls, bind: str) -> str:
        if not bind:
            return bind
        host, _, port = bind.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) < 65536:
            raise ValueError(f"{bind!r} is not an address; allowed: HOST:PORT with a port from 0 (any free) to 65535")
        return bind


class LogSettings(_Section):
    """Human lines on a terminal, JSON otherwise, unless ``format`` says which."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "human", "json"] = "auto"


class StorageSettings(_Section):
    """Where the journal and the calibrations are kept."""

    dir: Path = Field(default=Path("vad-data"), description="created when missing")


class SiteConfig(_Section):
    """A whole site file."""

    version: Literal[1] = 1
    cameras: dict[CameraId, CameraConfig] = Field(min_length=1, max_length=10_000)
    defaults: CameraSettings = CameraSettings()
    model: ModelSettings = ModelSettings()
    scoring: ScoringSettings = ScoringSettings()
    bus: BusSettings = BusSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    storage: StorageSettings = StorageSettings()

    @model_validator(mode="before")
    @classmethod
    def _defaults_under_each_camera(cls, data: Any) -> Any:
        """A camera takes from ``defaults`` whatever it does not set itself."""
        if not isinstance(data, Mapping):
            return data
        defaults, cameras = data.get("defaults"), data.get("cameras")
        if not isinstance(defaults, Mapping) or not isinstance(cameras, Mapping):
            return data
        known = {k: v for k, v in defaults.items() if k in CameraSettings.model_fields}
        merged = {k: {**known, **v} if isinstance(v, Mapping) else v for k, v in cameras.items()}
        return {**data, "cameras": merged}


def redact_url(url: str) -> str:
    """The URL without credentials and without ``key=value`` values: what logs, errors and events may show.

    Everything up to the last ``@`` goes: passwords hold ``@`` and ``/`` although they should be escaped.
    """
    return _VALUE.sub(r"\1***", _BARE_USERINFO.sub("", _USERINFO.sub("://", url)))


def load_config(path: str | Path) -> SiteConfig:
    """Read a site file. Raises ConfigError with every fault at once: YAML, ``${VAR}``, keys, types, bounds."""
    source = redact_url(str(path))  # a URL given by mistake may hold a password
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(source, [Fault("", f"cannot be read: {why}")]) from None
    faults: list[Fault] = []
    data = read_yaml(text, source=source, faults=faults)
    if not isinstance(data, dict):
        got = "nothing" if data is None else type(data).__name__
        raise ConfigError(source, [Fault("", f"holds {got}; allowed: a mapping with `cameras:`")])
    return _validated(data, source, faults)


def make_config(data: Mapping[str, Any], *, source: str) -> SiteConfig:
    """A site from a mapping made in Python, ``${VAR}`` filled; ``source`` names it in the ConfigError."""
    return _validated(dict(data), source, [])


def _validated(data: dict[str, Any], source: str, faults: list[Fault]) -> SiteConfig:
    """The site, or a ConfigError with ``faults`` and all that validation adds to them."""
    data = fill_variables(data, faults=faults)
    try:
        site = SiteConfig.model_validate(data)
    except ValidationError as exc:
        raise ConfigError(source, _unique(faults + _faults(exc))) from None
    if faults:
        raise ConfigError(source, _unique(faults))
    return site


def _faults(error: ValidationError) -> list[Fault]:
    """Pydantic's errors as faults: dotted path, and a message that never repeats a secret's value."""
    return [
        Fault(".".join(str(part) for part in item["loc"] if part != "[key]"), _message(dict(item)))
        for item in error.errors()
    ]


def _message(item: dict[str, Any]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return "unknown key; see `vad schema config` for those allowed"
    if item["type"] == "missing":
        return "is missing"
    secret = any(word in str(part).lower() for part in item["loc"] for word in ("password", "secret", "url"))
    if item["type"] == "value_error" or secret or isinstance(item.get("input"), dict | list):
        return message
    return f"{message}; got {redact_url(repr(item['input']))}"


def _unique(faults: list[Fault]) -> list[Fault]:
    """Without repeats: a fault in ``defaults`` shows once more under every camera that inherits it."""
    seen: dict[Fault, None] = {}
    inherited = {(f.path.removeprefix("defaults."), f.message) for f in faults if f.path.startswith("defaults.")}
    for fault in faults:
        tail = (fault.path.split(".", 2)[-1], fault.message)
        if fault.path.startswith("cameras.") and tail in inherited:
            continue
        seen[fault] = None
    return list(seen)
