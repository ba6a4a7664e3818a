"""Starts, stops, kills and freezes the RTSP server of ``server.py`` from any Python."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

PYTHON = "/usr/bin/python3"
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)
PACKAGES_MISSING = 3  # as in server.py, which this Python cannot import
_SERVER = Path(__file__).with_name("server.py")


@functools.cache
def why_unavailable() -> str | None:
    """None when the server can run here, otherwise what to install. A defect of the server raises instead."""
    try:
        done = subprocess.run([PYTHON, _SERVER, "--check"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as exc:
        return f"{PYTHON}: {exc}"
    if done.returncode == 0:
        return None
    if done.returncode != PACKAGES_MISSING:
        raise RuntimeError(f"{_SERVER.name} --check failed:\n{done.stderr}")
    reason = done.stderr.strip()
    return f"GStreamer's RTSP server cannot run ({reason}); on Debian: apt-get install {PACKAGES}"


class RtspServer:
    """One server process. ``mounts`` play for ever, ``once`` play through and end; values are one file or several.

    The port is picked at the first start and kept, so that a server killed and started again is found where it was.
    """

    def __init__(
        self,
        mounts: dict[str, Path | list[Path]] | None = None,
        *,
        once: dict[str, Path | list[Path]] | None = None,
        user: str | None = None,
        password: str = "",
        digest: bool = False,
    ) -> None:
        self.port = 0
        self._user, self._password = user, password
        self._arguments = [
            argument
            for option, plays in (("--mount", mounts or {}), ("--once", once or {}))
            for name, files in plays.items()
            for argument in (option, f"{name}={','.join(map(str, files if isinstance(files, list) else [files]))}")
        ]
        if user is not None:
            self._arguments += ["--user", f"{user}:{password}"]
        if digest:
            self._arguments.append("--digest")
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Returns once the server listens."""
        command = [PYTHON, str(_SERVER), "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the RTSP server ended at once with code {self._process.wait()}")
        self.port = json.loads(line)["port"]
        return self

    def url(self, mount: str, *, user: str | None = None, password: str | None = None) -> str:
        """The mount's URL, with credentials only where they are given here."""
        login = f"{quote(user, safe='')}:{quote(password or '', safe='')}@" if user is not None else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/{mount}"

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """The process stands still: connections stay open and say nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the RTSP server is not running")
        return self._process.pid

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # a frozen process would not see a polite signal
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.kill()
