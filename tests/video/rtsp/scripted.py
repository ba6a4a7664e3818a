"""A camera that answers each request with the bytes it is told to: what no real one says, and hostile ones do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Answers = Callable[[str, int], bytes | None]
"""From a request's head and its number in the connection; None hangs up."""


class ScriptedCamera:
    """Use as ``with ScriptedCamera(answers) as camera: read(camera.url)``; ``heads`` has all requests so far."""

    def __init__(self, answers: Answers, *, tls: ssl.SSLContext | None = None) -> None:
        self._answers, self._tls = answers, tls
        self.heads: list[str] = []
        self.connections = 0

    @property
    def url(self) -> str:
        scheme = "rtsps" if self._tls else "rtsp"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/cam"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            number, data = 0, b""
            while piece := connection.recv(4096):
                data += piece
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    self.heads.append(head.decode("latin1"))
                    answer = self._answers(head.decode("latin1"), number)
                    if answer is None:
                        return
                    number += 1
                    connection.sendall(answer)


def ok(head: str, *, headers: str = "", body: str = "", status: str = "200 OK") -> bytes:
    """An answer to that request."""
    number = next(line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("cseq"))
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{headers}{length}\r\n{body}".encode()
