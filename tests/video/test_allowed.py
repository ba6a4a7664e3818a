"""What a camera sends may lead nowhere else: no redirect, no playlist, no text."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.video.reading import read
from tests.video.test_reader_http import serve

HIT: list[str] = []
PLAYLISTS = {
    "/hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}/segment.ts\n#EXT-X-ENDLIST\n",
    "/concat": "ffconcat version 1.0\nfile '{other}/a.ts'\n",
    "/concat-file": "ffconcat version 1.0\nfile 'file:///etc/passwd'\n",
    "/sdp": "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "/dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{other}/d.mp4</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "/text": "nothing to be seen here\n" * 500,
    "/ansi": "\x1b[31mred\x1b[0m\n" * 500,
}


class Other(BaseHTTPRequestHandler):
    """Somebody whom no camera has to call."""

    def do_GET(self) -> None:
        HIT.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


class Hostile(Other):
    """Sends its viewers to ``other``."""

    other = ""

    def do_GET(self) -> None:
        if self.path in ("/redirect", "/redirect-file"):
            self.send_response(302)
            self.send_header("Location", f"{self.other}/next" if self.path == "/redirect" else "file:///etc/passwd")
            self.end_headers()
            return
        body = PLAYLISTS[self.path].replace("{other}", self.other).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def other() -> Iterator[str]:
    HIT.clear()
    yield from serve(Other)


@pytest.fixture
def hostile(other: str) -> Iterator[str]:
    yield from serve(type("Sender", (Hostile,), {"other": f"http://{other}"}))


@pytest.mark.parametrize("path", [*PLAYLISTS, "/redirect", "/redirect-file"])
def test_nobody_else_is_called_and_no_file_is_opened(hostile: str, path: str) -> None:
    outcome = read(f"http://{hostile}{path}", read_timeout_s=3, at_most=3)
    assert outcome.code == "broken"
    assert outcome.decoded == 0
    assert HIT == []


@pytest.mark.parametrize("path", ["/concat", "/sdp"])
def test_a_playlist_is_refused_with_what_is_allowed(hostile: str, path: str) -> None:
    outcome = read(f"http://{hostile}{path}", read_timeout_s=3)
    assert "sends a format that is not taken from a camera (a playlist, perhaps); allowed: mpjpeg," in str(
        outcome.error
    )
