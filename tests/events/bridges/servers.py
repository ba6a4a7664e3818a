"""The real brokers, as Debian packages them; tests are skipped where they are not installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

DEADLINE_S = 20.0
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Server:
    """A broker as a child process, on a port that it keeps over a restart."""

    package: str
    arguments: list[str]
    port: int
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> Server:
        program = shutil.which(self.package, path=SEARCHED)
        if program is None:
            pytest.skip(f"needs {self.package}: apt-get install {self.package}")
        log = (self.folder / f"{self.package}.log").open("ab")
        self._process = subprocess.Popen([program, *self.arguments], stdout=log, stderr=log, cwd=self.folder)
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
                return self
            except OSError:
                assert self._process.poll() is None, (self.folder / f"{self.package}.log").read_text()
                assert time.monotonic() < deadline_s, f"{self.package} does not listen"
                time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Connections stay, nothing is answered any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def mosquitto(folder: Path, *lines: str) -> Server:
    """A broker that keeps what is retained over a restart."""
    port = free_port()
    config = folder / "mosquitto.conf"
    base = [f"listener {port} 127.0.0.1", "persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
    anonymous = [] if any(line.startswith("allow_anonymous") for line in lines) else ["allow_anonymous true"]
    user = ["user root"] if os.geteuid() == 0 else []
    config.write_text("\n".join([*base, *anonymous, *user, *lines]) + "\n")
    return Server("mosquitto", ["-c", str(config)], port, folder).start()


def nats_server(folder: Path, *arguments: str) -> Server:
    port = free_port()
    jetstream = ["-js", "-sd", str(folder / "jetstream"), "-a", "127.0.0.1", "-p", str(port)]
    return Server("nats-server", [*jetstream, *arguments], port, folder).start()
