"""The bus: where events are published, and to whom."""

from __future__ import annotations

import re

from pydantic import Field, ValidationInfo, field_validator

from vad.config.section import Section

DEFAULT_BUS = "tcp://127.0.0.1:5590"


def _refuse_beyond_loopback(host: str, *, what: str) -> None:
    if host not in ("localhost", "::1") and not host.startswith("127."):
        raise ValueError(f"{host} would show {what} to the network unencrypted; allowed: 127.0.0.1, ::1 or localhost")


class BusSettings(Section):
    """ZeroMQ. Without keys only loopback may be bound."""

    bind: str = Field(default=DEFAULT_BUS, description="where events are published")
    replay_bind: str = Field(default="", description="where missed events are asked for; empty = the port after bind's")
    heartbeat_s: float = Field(default=1.0, ge=0.1, le=60.0)
    high_water_mark: int = Field(default=10_000, ge=10, le=10_000_000, description="messages kept for a slow reader")
    linger_s: float = Field(default=1.0, ge=0.0, le=30.0, description="how long a stop waits for slow subscribers")
    scores: bool = Field(default=True, description="publish vad/1/score/<camera>/ for each scored frame")

    @field_validator("bind", "replay_bind")
    @classmethod
    def _loopback_tcp(cls, bind: str, info: ValidationInfo) -> str:
        if not bind and info.field_name == "replay_bind":
            return bind
        match = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:]+\]|[^:/\s]+):(\d{1,5}|\*)", bind)
        if match is None:
            raise ValueError(f"{bind!r} is not an address; allowed: tcp://HOST:PORT")
        if match[2] != "*" and not 0 < int(match[2]) < 65536:
            raise ValueError(f"port {match[2]} is not a port; allowed: 1 to 65535, or *")
        _refuse_beyond_loopback(match[1].strip("[]"), what="events")
        return bind

    @property
    def replay_address(self) -> str:
        """Where missed events are asked for: ``replay_bind``, or beside ``bind``."""
        host, _, port = self.bind.rpartition(":")
        if self.replay_bind or port == "*":
            return self.replay_bind or self.bind
        return f"{host}:{int(port) % 65535 + 1}"
