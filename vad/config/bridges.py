"""Bridges: where else events go, each one way, each with what it takes to get in there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, SecretStr, Tag, field_validator, model_validator

from vad.config.camera import CameraId, redact_url
from vad.config.section import Section

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
TOPIC = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"
SUBJECT = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
_PORTS = {"mqtt": 1883, "mqtts": 8883, "nats": 4222, "tls": 4222}


def _address(url: str, schemes: tuple[str, ...]) -> str:
    """SCHEME://HOST[:PORT], without credentials: these have keys of their own."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # whose text may quote a password
        raise ValueError("its host or port cannot be read; allowed: SCHEME://HOST:PORT") from None
    if parts.scheme not in schemes or not host:
        raise ValueError(f"{redact_url(url)!r} is not an address; allowed: {' or '.join(schemes)}://HOST:PORT")
    if "@" in parts.netloc:
        raise ValueError("holds credentials; allowed: username and password (or password_file) beside the url")
    return url


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    return parts.hostname, parts.port or _PORTS[parts.scheme]


class _Bridge(Section):
    """What every bridge has: where it goes, a choice of events, and how patient it is."""

    url: str
    name: str | None = Field(default=None, pattern=NAME, description="for metrics and its cursor; default: the type")
    cameras: list[CameraId] | None = Field(default=None, description="only these; none = all")
    types: list[str] | None = Field(default=None, description="only these and those below: io.vad.anomaly; none = all")
    timeout_s: float = Field(default=10.0, ge=0.1, le=300.0, description="for one attempt to deliver")
    retry_min_s: float = Field(default=0.5, gt=0.0, le=60.0, description="first wait after a failure; doubles")
    retry_max_s: float = Field(default=60.0, gt=0.0, le=3600.0, description="longest wait after a failure")
    give_up_after_s: float = Field(
        default=86_400.0, ge=1.0, description="an event refused for that long goes to the dead letters; silence never"
    )
    ca_file: Path | None = Field(default=None, description="trusted certificates (PEM) instead of the system's")

    @model_validator(mode="after")
    def _waits_in_order_and_files_there(self) -> Self:
        if self.retry_max_s < self.retry_min_s:
            raise ValueError(f"retry_max_s {self.retry_max_s} is below retry_min_s {self.retry_min_s}")
        for name in type(self).model_fields:
            path = getattr(self, name)
            if not name.endswith("_file") or path is None:
                continue
            if getattr(self, name.removesuffix("_file"), None) is not None:
                raise ValueError(f"{name.removesuffix('_file')} and {name} are both set; allowed: one of them")
            if not os.path.isfile(path):
                raise ValueError(f"{name} {str(path)!r} is not a file that can be read")
        return self

    @property
    def is_encrypted(self) -> bool:
        return urlsplit(self.url).scheme in ("mqtts", "https", "tls")

    def secret(self, name: str) -> str | None:
        """The secret ``name``, or the content of ``name_file`` as it is now. Never log it."""
        value, path = getattr(self, name), getattr(self, f"{name}_file")
        if path is not None:
            return str(path.read_text(encoding="utf-8").strip())
        return None if value is None else str(value.get_secret_value())


class MqttBridge(_Bridge):
    """MQTT 5, QoS 1, with Home Assistant's discovery."""

    type: Literal["mqtt"]
    url: str = Field(description="mqtt://HOST:1883, or mqtts://HOST:8883 for TLS")
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = Field(default=None, description="a file that holds the password alone")
    topic: str = Field(default="vad", pattern=TOPIC, description="what every topic begins with; one engine, one topic")
    discovery: str = Field(
        default="homeassistant", pattern=f"^$|{TOPIC}", description="Home Assistant's discovery topic; empty = none"
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        return _address(url, ("mqtt", "mqtts"))

    @property
    def host_and_port(self) -> tuple[str, int]:
        return _host_and_port(self.url)


class WebhookBridge(_Bridge):
    """An HTTP POST for each event, signed as https://www.standardwebhooks.com specifies."""

    type: Literal["webhook"]
    url: str = Field(description="http(s)://HOST/PATH")
    secret_key: SecretStr | None = Field(default=None, description="signs each event; whsec_BASE64, or any text")
    secret_key_file: Path | None = Field(default=None, description="a file that holds the secret key alone")

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        return _address(url, ("http", "https"))

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if self.secret_key is None and self.secret_key_file is None:
            raise ValueError("has no secret_key: who receives could not tell our events from anybody's")
        return self


class NatsBridge(_Bridge):
    """NATS JetStream, each event once by its id."""

    type: Literal["nats"]
    url: str = Field(description="nats://HOST:4222, or tls://HOST:4222")
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = Field(default=None, description="a file that holds the password alone")
    token: SecretStr | None = None
    token_file: Path | None = Field(default=None, description="a file that holds the token alone")
    stream: str = Field(default="VAD", pattern=NAME, description="made when it is not there")
    subject: str = Field(default="vad", pattern=SUBJECT, description="what every subject begins with")
    duplicate_window_s: float = Field(
        default=3600.0, ge=1.0, le=604_800.0, description="of a stream made here: how long it knows an event again"
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        return _address(url, ("nats", "tls"))


BridgeSettings: TypeAlias = MqttBridge | WebhookBridge | NatsBridge


def _type_of(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return kind if isinstance(kind, str) else None


AnyBridge: TypeAlias = Annotated[
    Annotated[MqttBridge, Tag("mqtt")] | Annotated[WebhookBridge, Tag("webhook")] | Annotated[NatsBridge, Tag("nats")],
    Discriminator(
        _type_of,
        custom_error_type="bridge_type",
        custom_error_message="no known type; allowed: a mapping with type: mqtt, webhook or nats",
    ),
]


def bridge_name(settings: BridgeSettings) -> str:
    return settings.name or settings.type


def check_names(bridges: list[BridgeSettings], *, cameras: set[str]) -> list[BridgeSettings]:
    """Each has a name of its own, and asks for cameras that there are. Raises ValueError."""
    names = [bridge_name(bridge) for bridge in bridges]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands twice; give each bridge a `name` of its own")
    for name, bridge in zip(names, bridges, strict=True):
        unknown = sorted(set(bridge.cameras or ()) - cameras)
        if unknown:
            raise ValueError(f"{name}: no camera named {', '.join(unknown)}")
    return bridges
