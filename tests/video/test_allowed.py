"""What a camera sends may lead nowhere else: no redirect, no playlist, no text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from pathlib import Path

import av
import pytest

from tests.video.clips import pictures
from tests.video.reading import read
from tests.video.test_reader_http import Camera, serve

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


@pytest.fixture
def camera_of_jpegs() -> Iterator[str]:
    yield from serve(Camera)


@pytest.fixture
def recordings(tmp_path: Path) -> Iterator[str]:
    """A server of what is in the folder."""
    yield from serve(partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))


def recorded(path: Path, codec: str, *, width: int = 320, height: int = 192) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures(20, width=width, height=height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(("codec", "name"), [("mpeg2video", "a.ts"), ("mpeg2video", "a.mkv"), ("ffv1", "a.mkv")])
def test_a_codec_that_no_camera_has_is_refused_by_name(recordings: str, tmp_path: Path, codec: str, name: str) -> None:
    recorded(tmp_path / name, codec)
    outcome = read(f"http://{recordings}/{name}", read_timeout_s=5)
    assert outcome.code == "codec_unsupported"
    assert f"sends {codec}, which is not taken from a camera; allowed: h264,hevc,mjpeg" in str(outcome.error)
    assert read(tmp_path / name).decoded == 20  # one's own recordings may be anything


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("libx264", "a.ts"), ("mpeg4", "a.mkv")])
def test_pictures_larger_than_allowed_are_refused(recordings: str, tmp_path: Path, codec: str, name: str) -> None:
    recorded(tmp_path / name, codec)
    url = f"http://{recordings}/{name}"
    outcome = read(url, read_timeout_s=5, max_pixels=61_439)
    assert (outcome.code, outcome.decoded) == ("codec_unsupported", 0)
    assert "those of more than 61439 pixels are (max_pixels)" in str(outcome.error)
    assert read(url, read_timeout_s=5, max_pixels=400_000).decoded == 20


def test_motion_jpeg_larger_than_allowed_is_refused(camera_of_jpegs: str) -> None:
    outcome = read(f"http://{camera_of_jpegs}/mjpeg", read_timeout_s=5, max_pixels=76_799)
    assert (outcome.code, outcome.decoded) == ("codec_unsupported", 0)
