from __future__ import annotations

import pytest

from tests.video.relabelling import filtered, rotated
from vad.config import CameraConfig
from vad.errors import StreamError
from vad.types import WallSource
from vad.video.probe import probe


def test_probe_describes_a_file(clip_h264):
    report = probe(CameraConfig(url=str(clip_h264)))
    assert (report.codec, report.width, report.height, report.pixel_format) == ("h264", 640, 360, "yuv420p")
    assert (report.live, report.transport, report.wall_source) == (False, "file", WallSource.FILE)
    assert report.measured_fps == pytest.approx(25)
    assert report.announced_fps == pytest.approx(25)
    assert (report.key_frame_interval_frames, report.key_frame_interval_s) == (25, pytest.approx(1.0))
    assert report.bitrate_bps is not None
    assert report.bitrate_bps > 1000
    assert report.round_trip_s is None
    assert report.geometry.pool == 4


def test_probe_says_how_a_picture_is_seen_and_how_tall_people_must_be(clip_h264, video_file, tmp_path):
    lines = probe(CameraConfig(url=str(clip_h264))).lines()
    assert "picture     640x360 as seen: not turned, square pixels, progressive" in lines
    tall = "seen from a height of 40 px analysed 160 px wide, 30 px analysed 240 px wide, 20 px analysed 320 px wide"
    assert f"people      {tall}" in lines
    plain = video_file("plain.mp4", width=704, height=480, frames=5)
    path = filtered(plain, tmp_path / "squeezed.mp4", "h264_metadata=sample_aspect_ratio=40/33")
    lines = probe(CameraConfig(url=str(rotated(path, 90)), rotate=180)).lines()
    assert "picture     480x853 as seen: turned by 270 degrees clockwise, pixel aspect 40:33, progressive" in lines


def test_probe_says_when_no_second_key_frame_came(video_file):
    report = probe(CameraConfig(url=str(video_file("long.mp4", frames=60, key_every=250))))
    assert report.key_frame_interval_frames is None
    assert any("no second one within 2.4 s" in line for line in report.lines())


def test_probe_measures_what_the_announced_rate_hides(video_file):
    report = probe(CameraConfig(url=str(video_file("slow.mkv", frames=20, pts=lambda index: index * 5))))
    assert report.measured_fps == pytest.approx(5)


@pytest.mark.rtsp
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_probe_describes_a_camera_without_its_password(rtsp_server, clip_hevc, transport):
    server = rtsp_server({"cam": clip_hevc}, user="user", password="s3cret")
    url = server.url("cam", user="user", password="s3cret")
    report = probe(CameraConfig(url=url, transport=transport), duration_s=3.0)
    assert (report.codec, report.live, report.transport, report.container) == ("hevc", True, transport, "rtsp")
    assert report.measured_fps == pytest.approx(25, rel=0.03)
    assert report.key_frame_interval_frames == 25
    assert report.round_trip_s is not None
    assert report.round_trip_s < 1
    text = "\n".join(report.lines())
    assert "s3cret" not in text
    assert f"rtsp://127.0.0.1:{server.port}/cam (live, rtsp over {transport})" in text


def test_probe_says_why_not(tmp_path):
    with pytest.raises(StreamError, match="no such file") as caught:
        probe(CameraConfig(url=str(tmp_path / "nothing.mp4")))
    assert caught.value.code == "not_found"
