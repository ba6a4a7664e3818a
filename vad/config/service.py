"""What surrounds the engine: HTTP, the log, the folder it keeps things in."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from vad.config.camera import CameraConfig
from vad.config.section import Section


class HttpSettings(Section):
    """``/metrics``, ``/livez``, ``/readyz``, the API under ``/api/v1`` and the console."""

    bind: str = Field(default="127.0.0.1:8590", description="HOST:PORT, or an empty string for no HTTP")
    tokens: Path | None = Field(
        default=None,
        description="who may use API and console, from vad tokens new; without it only this machine, over loopback",
    )
    rate_per_s: float = Field(default=200.0, gt=0.0, le=100_000.0, description="requests a second of one token or peer")
    live_streams: int = Field(default=16, ge=1, le=1000, description="live pictures (MJPEG) sent at a time")
    allow_local_sources: Path | None = Field(
        default=None,
        description="a folder: cameras that are added over the API may be recordings in it; without, they are on the "
        "network (rtsp, rtsps, http, https)",
    )
    event_streams: int = Field(default=200, ge=1, le=10_000, description="readers of server-sent events at a time")

    @field_validator("bind")
    @classmethod
    def _host_and_port(cls, bind: str) -> str:
        if not bind:
            return bind
        host, _, port = bind.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) < 65536:
            raise ValueError(f"{bind!r} is not an address; allowed: HOST:PORT with a port from 0 (any free) to 65535")
        return bind

    def allows(self, camera: CameraConfig) -> bool:
        """Whether a camera with that source may be added over the API."""
        if camera.is_network:
            return True
        folder = self.allow_local_sources
        return folder is not None and all(
            Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)) for path in camera.local_paths()
        )

    @property
    def is_loopback(self) -> bool:
        """Bound where only this machine reaches it."""
        host = self.bind.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class LogSettings(Section):
    """Human lines on a terminal, JSON otherwise, unless ``format`` says which."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "human", "json"] = "auto"


class StorageSettings(Section):
    """Where the journal, the calibrations and what was changed at run time are kept, and how much of the journal."""

    dir: Path = Field(default=Path("vad-data"), description="created when missing")
    journal_days: float = Field(default=30.0, gt=0.0, le=36_500.0, description="older events are forgotten")
    journal_mib: int = Field(default=1024, ge=1, le=1_048_576, description="beyond it the oldest events are forgotten")
    waiting_events: int = Field(
        default=10_000, ge=100, le=1_000_000, description="kept in memory while the disk takes none; then the oldest go"
    )

    @property
    def cameras_file(self) -> Path:
        """What was changed of the cameras at run time, over what the site file says."""
        return self.dir / "cameras.json"
