"""The bus: where events are published, and to whom."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from vad.config.section import Section

DEFAULT_BUS = "tcp://127.0.0.1:5590"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name other than localhost may be anybody's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class KeySettings(Section):
    """Who may listen, by CURVE keys; ``vad keys new NAME`` makes them. Everything on the bus is then encrypted."""

    server_secret_file: Path = Field(description="server.key_secret, readable by the engine alone (0600)")
    clients_dir: Path = Field(description="a folder of public keys, NAME.key: whose may connect; read again on change")

    @model_validator(mode="after")
    def _are_there(self) -> Self:
        if not os.path.isfile(self.server_secret_file):  # Path.is_file raises
            raise ValueError(f"server_secret_file {str(self.server_secret_file)!r} is not a file; see `vad keys new`")
        if not os.path.isdir(self.clients_dir):
            raise ValueError(f"clients_dir {str(self.clients_dir)!r} is not a folder; see `vad keys new`")
        return self


class BusSettings(Section):
    """ZeroMQ. Without keys only loopback may be bound, unless ``allow_plain_beyond_loopback`` says otherwise."""

    keys: KeySettings | None = None
    allow_plain_beyond_loopback: bool = Field(
        default=False, description="without keys, let whoever reaches the address read every event, unencrypted"
    )
    bind: str = Field(default=DEFAULT_BUS, description="where events are published")
    replay_bind: str = Field(default="", description="where missed events are asked for; empty = the port after bind's")
    heartbeat_s: float = Field(default=1.0, ge=0.1, le=60.0)
    high_water_mark: int = Field(default=10_000, ge=10, le=10_000_000, description="messages kept for a slow reader")
    linger_s: float = Field(default=1.0, ge=0.0, le=30.0, description="how long a stop waits for slow subscribers")
    max_connections: int = Field(default=1_000, ge=1, le=100_000, description="at a time, to each of the two addresses")
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
        host = match[1].strip("[]")
        plain_is_fine = info.data.get("allow_plain_beyond_loopback", True)  # or is itself at fault
        if info.data.get("keys", True) is None and not plain_is_fine and not is_loopback(host):
            raise ValueError(
                f"{host} would show events to the network unencrypted; allowed: 127.0.0.1, ::1 or localhost, others "
                "with `keys` (see `vad keys new`) or with `allow_plain_beyond_loopback: true`"
            )
        return bind

    @property
    def is_plain_beyond_loopback(self) -> bool:
        """Whoever reaches the address reads every event: said so in the site file, and worth saying again."""
        hosts = [address.rpartition(":")[0].removeprefix("tcp://") for address in (self.bind, self.replay_address)]
        return self.keys is None and not all(is_loopback(host.strip("[]")) for host in hosts)

    @property
    def replay_address(self) -> str:
        """Where missed events are asked for: ``replay_bind``, or beside ``bind``."""
        host, _, port = self.bind.rpartition(":")
        if self.replay_bind or port == "*":
            return self.replay_bind or self.bind
        return f"{host}:{int(port) % 65535 + 1}"
