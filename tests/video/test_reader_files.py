"""Reader on recordings: files and folders."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.video.clips import pictures
from tests.video.reading import read
from vad.clock import ManualClock
from vad.config import CameraConfig
from vad.errors import StreamError
from vad.types import WallSource
from vad.video.reader import Reader
from vad.video.spec import ReadEnv, ReadSpec


def assert_time_rises(frames):
    stamps = [f.pts_s for f in frames]
    assert stamps == sorted(set(stamps))
    assert [f.index for f in frames] == list(range(len(frames)))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("h264.mp4", {"codec": "libx264"}),
        ("bframes.mp4", {"codec": "libx264", "options": {"preset": "medium", "x264-params": "bframes=3:threads=1"}}),
        ("hevc.mp4", {"codec": "libx265"}),
        ("mjpeg.avi", {"codec": "mjpeg"}),
        ("h264.avi", {"codec": "libx264"}),
        ("h264.mkv", {"codec": "libx264"}),
        ("h264.ts", {"codec": "libx264"}),
        ("raw.h264", {"codec": "libx264"}),
        ("raw.mjpeg", {"codec": "mjpeg"}),
        ("high10.mp4", {"codec": "libx265", "pixel_format": "yuv420p10le"}),
    ],
)
def test_file_is_read_whole_and_ends(video_file, name, settings):
    path = video_file(name, width=320, height=180, frames=50, **settings)
    outcome = read(path, analysis_fps=60, model_width=320)
    assert outcome.code == "ended"
    assert (outcome.decoded, outcome.corrupt_packets) == (50, 0)
    assert len(outcome.frames) == 50
    assert_time_rises(outcome.frames)
    assert outcome.frames[-1].pts_s == pytest.approx(49 / 25, abs=0.002)
    assert outcome.reader is not None
    assert outcome.reader.counts.measured_fps == pytest.approx(25, rel=0.01)
    for frame, truth in zip(outcome.frames, pictures(50, width=320, height=180), strict=True):
        assert frame.luma.shape == (184, 320)
        assert np.abs(frame.luma[:180].astype(int) - truth).mean() < 6


def test_frames_carry_what_they_promise(clip_h264):
    clock = ManualClock(monotonic_s=50.0, wall_s=1_700_000_000.0)
    outcome = read(clip_h264, clock=clock, run=7)
    frame = outcome.frames[3]
    assert (frame.camera, frame.run, frame.index) == ("cam1", 7, 3)
    assert frame.wall_source is WallSource.FILE
    assert frame.wall_s == pytest.approx(1_700_000_000.0 + frame.pts_s)
    assert (frame.geometry.source_width, frame.geometry.pool, frame.luma.shape) == (640, 4, (96, 160))
    assert frame.luma.dtype == np.uint8


def test_info_describes_the_stream(clip_hevc):
    info = read(clip_hevc).reader.info
    assert (info.codec, info.width, info.height, info.live) == ("hevc", 640, 360, False)
    assert info.announced_fps == 25.0


@pytest.mark.parametrize(("analysis_fps", "expected"), [(8, 32), (5, 20), (12.5, 50), (60, 100)])
def test_analysis_rate_is_kept_and_every_decoded_frame_reported(clip_h264, analysis_fps, expected):
    outcome = read(clip_h264, analysis_fps=analysis_fps)
    assert (outcome.decoded, len(outcome.frames)) == (100, expected)


def test_frame_rate_is_measured_and_not_the_announced_one(video_file):
    path = video_file("slow.mkv", frames=40, pts=lambda index: index * 5)  # announces 25, gives 5
    outcome = read(path, analysis_fps=4)
    assert outcome.reader is not None
    assert outcome.reader.counts.measured_fps == pytest.approx(5)
    assert len(outcome.frames) == 32


def test_realtime_file_is_paced_by_its_own_stamps(clip_h264):
    clock = ManualClock()
    outcome = read(clip_h264, clock=clock, realtime=True)
    assert clock.monotonic_s() == pytest.approx(99 / 25)
    assert all(f.arrived_s == pytest.approx(f.pts_s) for f in outcome.frames)


def test_file_as_fast_as_possible_never_waits(clip_h264):
    clock = ManualClock()
    read(clip_h264, clock=clock)
    assert clock.monotonic_s() == 0.0


def test_stop_ends_a_paced_file_within_its_wait(video_file):
    path = video_file("still.mkv", frames=20, pts=lambda index: index * 100)  # a frame every four seconds
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    outcome = read(path, realtime=True, stop=stop)
    assert outcome.error is None
    assert outcome.duration_s < 3


def test_masks_are_black_in_frames(clip_h264):
    half = {"points": [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]}
    outcome = read(clip_h264, masks=[half])
    assert all(not frame.luma[:, :80].any() and frame.luma[:, 84:].any() for frame in outcome.frames)


def test_corrupt_packets_are_counted_and_skipped(tmp_path, video_file):
    path = video_file("whole.ts", frames=100)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(len(data) * 2 // 5, len(data) * 3 // 5, 200):
        data[at] ^= 0xFF
    broken = tmp_path / "broken.ts"
    broken.write_bytes(data)
    outcome = read(broken, analysis_fps=60)
    assert outcome.code == "ended"
    assert outcome.corrupt_packets > 0
    assert 50 <= outcome.decoded < 100
    assert_time_rises(outcome.frames)


def test_corrupt_packets_inside_an_intact_container_are_counted_and_skipped(tmp_path, video_file):
    path = video_file("whole.mp4", frames=100, key_every=10)
    with av.open(str(path)) as container:
        spots = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None][40:60:4]
    data = bytearray(path.read_bytes())
    for position, size in spots:
        data[position + 4 : position + size] = b"\xff" * (size - 4)
    path.write_bytes(data)
    outcome = read(path, analysis_fps=60)
    assert outcome.code == "ended"
    assert outcome.corrupt_packets >= 3
    assert 70 <= outcome.decoded <= 97


def test_file_of_nothing_but_damage_is_broken_not_ended(tmp_path, video_file):
    path = video_file("whole.mp4", frames=10)
    with av.open(str(path)) as container:
        spots = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None]
    data = bytearray(path.read_bytes())
    for position, size in spots:
        data[position + 4 : position + size] = b"\xff" * (size - 4)
    path.write_bytes(data)
    outcome = read(path)
    assert outcome.code == "broken"
    assert "without a single good frame" in str(outcome.error)


def test_truncated_file_gives_what_it_holds(tmp_path, video_file):
    path = video_file("whole.ts", frames=100)
    half = tmp_path / "half.ts"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    outcome = read(half)
    assert outcome.code == "ended"
    assert 30 < outcome.decoded < 70


def test_resolution_change_ends_the_run_and_the_next_goes_on_with_that_frame(tmp_path, video_file):
    small = video_file("small.ts", width=320, height=180, frames=25)
    large = video_file("large.ts", width=640, height=360, frames=30, pts=lambda index: 25 + index)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    first = read(both, analysis_fps=60)
    assert first.code == "format_changed"
    assert "h264 320x180 to h264 640x360" in str(first.error)
    assert first.decoded == 25
    second = read(both, analysis_fps=60, run=1, continues=first.reader)
    assert second.code == "ended"
    assert second.decoded + second.corrupt_packets == 30
    assert second.decoded >= 29
    assert (second.frames[0].run, second.frames[0].index, second.frames[0].pts_s) == (1, 0, 0.0)
    assert second.frames[0].geometry.source_width == 640


@pytest.mark.parametrize(("before", "after"), [("libx264", "libx265"), ("libx265", "libx264")])
def test_codec_change_ends_the_run_and_the_next_goes_on(tmp_path, video_file, before, after):
    first_half = video_file("before.ts", codec=before, frames=25)
    second_half = video_file("after.ts", codec=after, frames=50, pts=lambda index: 25 + index)
    both = tmp_path / "both.ts"
    both.write_bytes(first_half.read_bytes() + second_half.read_bytes())
    first = read(both, analysis_fps=60)
    assert first.code == "format_changed"
    assert first.decoded >= 23
    second = read(both, analysis_fps=60, run=1, continues=first.reader)
    assert second.code == "ended"
    assert second.decoded >= 25  # all from the second key frame on
    assert first.corrupt_packets + second.corrupt_packets <= 27
    assert second.reader.info.codec == {"libx264": "h264", "libx265": "hevc"}[after]


def test_a_stretch_of_rubbish_in_a_transport_stream_is_skipped(tmp_path, video_file):
    first = video_file("first.ts", frames=25).read_bytes()
    rest = video_file("second.ts", frames=25, pts=lambda index: 25 + index).read_bytes()
    path = tmp_path / "rubbish.ts"
    path.write_bytes(first + bytes(300_000) + rest)
    outcome = read(path, analysis_fps=60)
    assert outcome.code == "ended"
    assert outcome.decoded >= 45
    assert outcome.corrupt_packets > 0


@pytest.mark.parametrize("jump", [200, -20])
def test_jump_in_media_time_ends_the_run_and_the_next_goes_on_with_that_frame(tmp_path, video_file, jump):
    path = video_file("first.ts", frames=25)
    rest = video_file("second.ts", frames=25, pts=lambda index: 25 + jump + index)
    both = tmp_path / "both.ts"
    both.write_bytes(path.read_bytes() + rest.read_bytes())
    first = read(both, analysis_fps=60)
    assert first.code == "pts_jump"
    second = read(both, analysis_fps=60, run=1, continues=first.reader)
    assert second.code == "ended"
    assert first.decoded + second.decoded + first.corrupt_packets + second.corrupt_packets == 50
    assert second.frames[0].pts_s == 0.0


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("/nowhere/clip.mp4", "not_found", "no such file"),
        ("file:///nowhere/clip.mp4", "not_found", "no such file"),
        ("v4l2:///dev/video-not-there", "not_found", "no such file or device"),
    ],
)
def test_missing_things_are_not_found(url, code, words):
    outcome = read(url)
    assert outcome.code == code
    assert words in str(outcome.error)


def test_file_that_is_no_video_is_broken(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("not a video\n" * 100)
    outcome = read(path)
    assert outcome.code == "broken"
    assert "not a video" in str(outcome.error)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    outcome = read(path)
    assert outcome.code == "no_video"
    assert "holds audio; needed: video" in str(outcome.error)


def test_names_with_colons_percents_and_spaces_are_paths(tmp_path, clip_h264):
    path = tmp_path / "a:b %d 100%.mp4"
    path.write_bytes(clip_h264.read_bytes())
    assert read(path).decoded == 100
    assert read(path.as_uri()).decoded == 100


@pytest.fixture
def picture_folder(tmp_path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, picture in enumerate(pictures(12, width=160, height=96)):
        name = f"frame{index + 1}" + (".png" if index % 2 else ".jpg")
        cv2.imwrite(str(folder / name), np.full_like(picture, 20 * index))
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_folder_plays_its_pictures_in_natural_order_at_ten_frames_a_second(picture_folder):
    outcome = read(picture_folder, analysis_fps=60)
    assert (outcome.code, outcome.decoded) == ("ended", 12)
    assert [round(f.luma.mean() / 20) for f in outcome.frames] == list(range(12))
    assert outcome.frames[-1].pts_s == pytest.approx(1.1)


@pytest.mark.parametrize("form", ["{}?fps=25", "file://{}?fps=25"])
def test_folder_rate_is_given_in_the_url(picture_folder, form):
    outcome = read(form.format(picture_folder), analysis_fps=60)
    assert outcome.frames[-1].pts_s == pytest.approx(11 / 25)


def test_folder_with_damaged_pictures_counts_them(picture_folder):
    (picture_folder / "frame3.jpg").write_bytes(b"")
    (picture_folder / "frame4.png").write_bytes(b"\x89PNG but no more")
    outcome = read(picture_folder, analysis_fps=60)
    assert (outcome.code, outcome.decoded, outcome.corrupt_packets) == ("ended", 10, 2)


def test_folder_whose_pictures_vanish_is_a_fault_of_the_stream(picture_folder):
    config = CameraConfig(url=str(picture_folder), realtime=False, analysis_fps=60)
    reader = Reader(ReadSpec("cam1", config, 160), run=0, env=ReadEnv())
    with reader:
        items = iter(reader)
        next(items)
        for path in picture_folder.glob("*.png"):
            path.unlink()
        with pytest.raises(StreamError, match="No such file") as caught:
            list(items)
    assert caught.value.code == "not_found"


def test_folder_without_pictures_is_no_video(tmp_path):
    assert read(tmp_path).code == "no_video"


@pytest.mark.parametrize("name", ["car-detection.mp4", "one-by-one-person-detection.mp4"])
def test_real_footage_decodes(shared_data, name):
    outcome = read(shared_data / "streams" / name, at_most=100)
    assert outcome.error is None
    assert (outcome.decoded, outcome.corrupt_packets) == (100, 0)
    assert all(10 < frame.luma.mean() < 245 for frame in outcome.frames)
