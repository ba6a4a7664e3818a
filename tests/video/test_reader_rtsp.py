"""Reader against a real RTSP server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import av
import pytest

from tests.video.reading import read
from vad.config import CameraConfig
from vad.errors import StreamError
from vad.types import WallSource
from vad.video.source import open_feed, resolve

pytestmark = pytest.mark.rtsp

PASSWORD = "p@ss:w/r?d%"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_camera_is_read_in_its_own_time(rtsp_server, clip_h264, clip_hevc, transport, codec):
    server = rtsp_server({"cam": clip_h264 if codec == "h264" else clip_hevc})
    outcome = read(server.url("cam"), at_most=50, transport=transport, read_timeout_s=5)
    assert outcome.error is None
    assert (outcome.decoded, outcome.corrupt_packets) == (50, 0)
    assert len(outcome.frames) == 16
    assert outcome.reader is not None
    assert outcome.reader.counts.measured_fps == pytest.approx(25, rel=0.02)
    assert outcome.reader.info.codec == codec
    assert outcome.reader.info.live
    stamps = [frame.pts_s for frame in outcome.frames]
    assert stamps == sorted(set(stamps))
    assert 1.5 < outcome.duration_s < 15


@contextmanager
def without_parameter_sets(server_port: int) -> Iterator[int]:
    """A port behind which the server says of its streams nothing but their codec, as some cameras do."""

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece.replace(b"sprop-", b"xprop-"))
        except OSError:
            pass  # either side has hung up
        target.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", server_port))
            threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
            pass_on(server, client)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_description_without_parameter_sets_is_made_up_for_by_the_first_picture(
    rtsp_server, clip_h264, clip_hevc, codec
):
    server = rtsp_server({"cam": clip_h264 if codec == "h264" else clip_hevc})
    with without_parameter_sets(server.port) as port:
        outcome = read(f"rtsp://127.0.0.1:{port}/cam", at_most=50, read_timeout_s=5)
    assert outcome.error is None
    assert (outcome.decoded, outcome.corrupt_packets) == (50, 0)
    assert (outcome.reader.info.width, outcome.reader.info.codec) == (640, codec)
    assert outcome.reader.counts.measured_fps == pytest.approx(25, rel=0.02)


def test_opening_waits_for_no_whole_picture(rtsp_server, video_file):
    """What is sent meanwhile would all be there at once."""
    server = rtsp_server({"cam": video_file("long.mp4", frames=250, key_every=250)})
    with av.open(server.url("cam"), options={"rtsp_transport": "tcp"}) as first:
        next(first.demux())  # it plays: whoever comes now begins amid ten seconds without a key frame
        time.sleep(0.5)
        began_s = time.monotonic()
        open_feed(resolve(CameraConfig(url=server.url("cam"))), camera="cam1", parallel=False).close()
        assert time.monotonic() - began_s < 1.5


def test_clip_boundary_of_a_looping_camera_is_seamless(rtsp_server, video_file):
    server = rtsp_server({"cam": video_file("short.mp4", frames=25)})
    outcome = read(server.url("cam"), at_most=60, analysis_fps=60, read_timeout_s=5)
    steps = [b.pts_s - a.pts_s for a, b in pairwise(outcome.frames)]
    assert outcome.error is None
    assert all(step == pytest.approx(0.04, abs=0.005) for step in steps)


def test_wall_time_comes_from_the_camera_once_it_sends_reports(rtsp_server, clip_hevc):
    server = rtsp_server({"cam": clip_hevc})
    before_s = time.time()
    outcome = read(server.url("cam"), at_most=150, read_timeout_s=5)  # the first report comes within five seconds
    after_s = time.time()
    last = outcome.frames[-1]
    assert last.wall_source is WallSource.RTCP
    assert before_s - 1 < last.wall_s < after_s + 1
    reported = [f for f in outcome.frames if f.wall_source is WallSource.RTCP]
    for a, b in pairwise(reported):
        assert b.wall_s - a.wall_s == pytest.approx(b.pts_s - a.pts_s, abs=0.05)


@pytest.mark.parametrize("digest", [False, True])
def test_password_decides(rtsp_server, clip_hevc, digest):
    server = rtsp_server({"cam": clip_hevc}, user="op er", password=PASSWORD, digest=digest)
    for refused in (server.url("cam"), server.url("cam", user="op er", password="s3cret")):
        outcome = read(refused)
        assert outcome.code == "auth_failed"
        assert "s3cret" not in str(outcome.error)
        assert "op" not in str(outcome.error).split("127.0.0.1")[0].removeprefix("cam1: rtsp://")
    assert read(server.url("cam", user="op er", password=PASSWORD), at_most=5).decoded == 5
    assert read(server.url("cam"), at_most=5, username="op er", password=PASSWORD).decoded == 5


def test_password_file_that_is_gone_says_so(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3cret")
    config = CameraConfig(url="rtsp://127.0.0.1:1/cam", username="user", password_file=path)
    path.unlink()
    with pytest.raises(StreamError, match="password_file cannot be read") as caught:
        resolve(config)
    assert caught.value.code == "auth_failed"


def test_unknown_stream_is_not_found(rtsp_server, clip_hevc):
    outcome = read(rtsp_server({"cam": clip_hevc}).url("other"))
    assert outcome.code == "not_found"


def test_closed_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = read(f"rtsp://user:s3cret@127.0.0.1:{port}/cam")
    assert outcome.code == "refused"
    assert str(outcome.error).startswith(f"cam1: rtsp://127.0.0.1:{port}/cam: ")


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_server_that_accepts_and_says_nothing_times_out(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://user:s3cret@127.0.0.1:{silent.getsockname()[1]}/cam"
        outcome = read(url, read_timeout_s=1)
    assert outcome.code == "timeout"
    assert "s3cret" not in str(outcome.error)
    assert outcome.duration_s < 3


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_server_frozen_in_mid_stream_times_out(rtsp_server, clip_hevc, transport):
    server = rtsp_server({"cam": clip_hevc})
    threading.Timer(1.5, server.freeze).start()
    outcome = read(server.url("cam"), transport=transport, read_timeout_s=1)
    assert outcome.code == "timeout"
    assert outcome.decoded > 5
    assert outcome.duration_s < 1.5 + 1 + 2


def test_frozen_server_is_read_again_once_it_resumes(rtsp_server, clip_hevc):
    server = rtsp_server({"cam": clip_hevc})
    server.freeze()
    assert read(server.url("cam"), read_timeout_s=1).code == "timeout"
    server.resume()
    assert read(server.url("cam"), at_most=5).decoded == 5


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_killed_server_ends_the_run_and_is_found_again_on_its_port(rtsp_server, clip_hevc, transport):
    server = rtsp_server({"cam": clip_hevc})
    killer = threading.Timer(1.0, server.kill)
    killer.start()
    outcome = read(server.url("cam"), transport=transport, read_timeout_s=2)
    killer.join()
    assert outcome.code in ("ended", "broken", "timeout")
    assert outcome.decoded > 5
    assert read(server.url("cam"), transport=transport, read_timeout_s=2).code == "refused"
    server.start()
    assert read(server.url("cam"), transport=transport, at_most=5).decoded == 5


def test_stream_that_ends_says_so(rtsp_server, video_file):
    server = rtsp_server(once={"clip": video_file("short.mp4", frames=30)})
    outcome = read(server.url("clip"), read_timeout_s=5)
    assert outcome.code == "ended"
    assert outcome.decoded >= 28


def test_resolution_change_in_mid_stream_goes_on_in_a_new_run(rtsp_server, video_file):
    clips = [video_file("small.mp4", width=320, height=240, frames=25), video_file("large.mp4", frames=25)]
    server = rtsp_server({"cam": clips})
    first = read(server.url("cam"), read_timeout_s=5)
    assert first.code == "format_changed"
    second = read(server.url("cam"), run=1, at_most=10, continues=first.reader)
    assert second.error is None
    assert second.reader.info.width == 640
    assert second.frames[0].run == 1


def test_dead_camera_does_not_slow_a_good_one(rtsp_server, clip_hevc):
    """FFmpeg must wait with the GIL released: nine readers that hang cost the tenth nothing."""
    server = rtsp_server({"cam": clip_hevc})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam"
        threads = [threading.Thread(target=read, args=(dead,), kwargs={"read_timeout_s": 3}) for _ in range(9)]
        for thread in threads:
            thread.start()
        outcome = read(server.url("cam"), at_most=50, read_timeout_s=2)
        for thread in threads:
            thread.join()
    assert (outcome.decoded, outcome.corrupt_packets) == (50, 0)
    lags = [f.arrived_s - f.pts_s for f in outcome.frames]
    assert max(lags) - min(lags) < 0.5


def test_nothing_secret_is_printed_even_with_ffmpegs_errors(rtsp_server, clip_hevc, capfd):
    server = rtsp_server({"cam": clip_hevc}, user="user", password="right")
    for mount in ("cam", "other"):
        outcome = read(server.url(mount, user="user", password="s3cret"))
        assert "s3cret" not in repr(outcome)
    out, err = capfd.readouterr()
    assert "s3cret" not in out + err
