"""Reader on HTTP: motion JPEG as cameras send it, recordings, and what can go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest

from tests.video.clips import pictures
from tests.video.reading import read
from vad.types import WallSource
from vad.video.clip import decoded, make_clip
from vad.video.luma import warm_luma
from vad.video.tape import Tape

FPS = 12.5


class Camera(BaseHTTPRequestHandler):
    """``/mjpeg`` for ever, ``/freeze`` twenty pictures and then silence, ``/password`` only with ``user:right``."""

    def do_GET(self) -> None:
        if self.path == "/password" and self.headers.get("Authorization") != "Basic dXNlcjpyaWdodA==":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif self.path in ("/mjpeg", "/freeze", "/password"):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            self.play(20 if self.path == "/freeze" else 500)
        else:
            self.send_error(404)

    def play(self, count: int) -> None:
        began_s = time.monotonic()
        for index, picture in enumerate(pictures(count, width=320, height=240)):
            time.sleep(max(0.0, began_s + index / FPS - time.monotonic()))
            data = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            try:
                self.wfile.write(head + data + b"\r\n")
            except OSError:
                return
        self.server.over.wait(20)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


def serve(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    server.daemon_threads = True
    server.over = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.over.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture
def camera() -> Iterator[str]:
    yield from serve(Camera)


def test_motion_jpeg_is_timed_by_its_arrival_and_not_by_an_invented_rate(camera):
    outcome = read(f"http://{camera}/mjpeg", at_most=30, read_timeout_s=5)
    assert outcome.error is None
    assert outcome.decoded == 30
    info = outcome.reader.info
    assert (info.codec, info.width, info.height, info.live) == ("mjpeg", 320, 240, True)
    assert outcome.reader.counts.measured_fps == pytest.approx(FPS, rel=0.25)
    assert 1.2 < outcome.frames[-1].pts_s < 4.0
    assert outcome.frames[-1].wall_source is WallSource.ARRIVAL


def test_motion_jpeg_is_taped_by_its_arrival(camera):
    warm_luma()  # as the engine does: what is compiled while the first frame waits makes the next ones come at once
    tape = Tape(run=0, seconds=60.0, max_bytes=1 << 24)
    outcome = read(f"http://{camera}/mjpeg", at_most=30, read_timeout_s=5, analysis_fps=60, tape=tape)
    excerpt = tape.excerpt(0.5, 99.0)
    clip = make_clip(excerpt, masks=())
    assert clip.reencoded
    last_s = outcome.frames[-1].pts_s
    assert clip.start_s == pytest.approx(0.5, abs=0.15)
    assert clip.start_s + clip.duration_s == pytest.approx(last_s, abs=0.25)
    times_s = [time_s for time_s, _ in decoded(tape.excerpt(0.0, 99.0))]
    assert times_s == pytest.approx([frame.pts_s for frame in outcome.frames][: len(times_s)], abs=1e-3)


def test_motion_jpeg_that_falls_silent_times_out(camera):
    outcome = read(f"http://{camera}/freeze", read_timeout_s=1)
    assert outcome.code == "timeout"
    assert outcome.decoded >= 19
    assert outcome.duration_s < 20 / FPS + 1 + 3


def test_password_and_path_decide(camera):
    assert read(f"http://{camera}/password").code == "auth_failed"
    wrong = read(f"http://user:s3cret@{camera}/password")
    assert wrong.code == "auth_failed"
    assert "s3cret" not in str(wrong.error)
    assert read(f"http://user:right@{camera}/password", at_most=3).decoded == 3
    assert read(f"http://{camera}/nothing?token=s3cret").code == "not_found"
    assert "s3cret" not in str(read(f"http://{camera}/nothing?token=s3cret").error)


def test_recording_over_http_is_read_like_a_file(video_file):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    path = video_file("clip.mkv")
    for address in serve(partial(Quiet, directory=path.parent)):
        outcome = read(f"http://{address}/{path.name}")
        assert (outcome.code, outcome.decoded) == ("ended", 100)
        assert outcome.duration_s < 4  # as fast as possible: it lasts four seconds
        assert outcome.frames[0].wall_source is WallSource.FILE


def test_unknown_host_is_not_found_and_says_why():
    outcome = read("http://camera.invalid/mjpeg")
    assert outcome.code == "not_found"
    assert "host name cannot be resolved" in str(outcome.error)
