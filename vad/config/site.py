"""A whole site file: reading it, and every fault of it at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from vad.config.bridges import AnyBridge, BridgeSettings, check_names
from vad.config.bus import BusSettings
from vad.config.camera import CameraConfig, CameraId, CameraSettings, redact_url
from vad.config.engine import ModelSettings, ScoringSettings
from vad.config.evidence import EvidenceSettings
from vad.config.readers import ReaderSettings
from vad.config.section import Section
from vad.config.service import HttpSettings, LogSettings, StorageSettings
from vad.errors import ConfigError, Fault
from vad.site_yaml import fill_variables, read_yaml


class SiteConfig(Section):
    """A whole site file."""

    version: Literal[1] = 1
    cameras: dict[CameraId, CameraConfig] = Field(
        max_length=10_000, description="at least 1, unless some were added at run time"
    )
    defaults: CameraSettings = CameraSettings()
    readers: ReaderSettings = ReaderSettings()
    model: ModelSettings = ModelSettings()
    scoring: ScoringSettings = ScoringSettings()
    bus: BusSettings = BusSettings()
    bridges: list[AnyBridge] = Field(default=[], max_length=32, description="where else events go")
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    storage: StorageSettings = StorageSettings()
    evidence: EvidenceSettings = EvidenceSettings()

    @field_validator("bridges")
    @classmethod
    def _bridges_of_their_own(cls, bridges: list[BridgeSettings], info: ValidationInfo) -> list[BridgeSettings]:
        return check_names(bridges, cameras=set(info.data["cameras"])) if "cameras" in info.data else bridges

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
        raise ConfigError(source, _unique(faults + faults_of(exc))) from None
    if not site.cameras and not os.path.exists(site.storage.cameras_file):
        faults.append(Fault("cameras", "holds none; allowed: at least 1, unless some were added at run time"))
    if faults:
        raise ConfigError(source, _unique(faults))
    return site


def faults_of(error: ValidationError) -> list[Fault]:
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
    secret = any(word in str(part).lower() for part in item["loc"] for word in ("password", "secret", "token", "url"))
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
