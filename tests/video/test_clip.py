"""Clips cut from a tape: as they were where that can be, masked where they must be."""

from __future__ import annotations

import io
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.rtsp.control import RtspServer
from tests.video.clips import VideoFile, pictures
from tests.video.taping import LEFT_HALF, boxes_of, pictures_of, tape_of
from vad.config import Polygon
from vad.video.clip import Clip, make_clip, picture_at
from vad.video.luma import geometry, visible
from vad.video.privacy import hidden

BLACK = 24  # luma at most, after a lossy codec


def clip_of(path: object, from_s: float = 1.0, to_s: float = 3.0, **settings: object) -> Clip:
    tape, _ = tape_of(path, **settings)  # type: ignore[arg-type]
    excerpt = tape.excerpt(from_s, to_s)
    assert excerpt is not None
    clip = make_clip(excerpt, masks=())
    assert clip is not None
    return clip


def check(clip: Clip, frames: int) -> list[np.ndarray]:
    """It is what it says it is, by FFmpeg's word; its pictures."""
    with av.open(io.BytesIO(clip.data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == (clip.codec, clip.width, clip.height)
        assert container.duration / av.time_base == pytest.approx(clip.duration_s, abs=0.021)
        assert stream.start_time == 0
    boxes = boxes_of(clip.data)
    assert boxes.index("moov") < boxes.index("mdat")
    shown = pictures_of(io.BytesIO(clip.data))
    assert len(shown) == frames
    return shown


@pytest.mark.parametrize("bframes", [0, 3])
def test_h264_is_kept_bit_for_bit(video_file: VideoFile, bframes: int) -> None:
    path = video_file("a.mp4", options={"x264-params": f"bframes={bframes}:threads=1"})
    clip = clip_of(path, 1.5, 2.96)
    assert not clip.reencoded
    assert clip.start_s == pytest.approx(1.0)
    shown = check(clip, 50)
    for mine, original in zip(shown, pictures_of(str(path))[25:75], strict=True):
        assert np.array_equal(mine, original)


@pytest.mark.rtsp
def test_a_cameras_h264_is_kept_bit_for_bit(clip_h264: Path, rtsp_server: object) -> None:
    server: RtspServer = rtsp_server({"cam": clip_h264})  # type: ignore[operator]
    tape, _ = tape_of(server.url("cam"), frames=90)
    excerpt = tape.excerpt(0.5, 2.0)
    assert excerpt is not None
    clip = make_clip(excerpt, masks=())
    assert clip is not None
    assert not clip.reencoded
    shown = pictures_of(io.BytesIO(clip.data))
    assert len(shown) == len(excerpt.packets) > 25
    originals = {picture.tobytes() for picture in pictures_of(str(clip_h264))}
    assert {picture.tobytes() for picture in shown} <= originals


def test_h264_in_a_transport_stream_brings_its_own_parameter_sets(video_file: VideoFile) -> None:
    path = video_file("a.ts", container="mpegts")
    clip = clip_of(path, 1.5, 2.9)
    assert not clip.reencoded
    shown = check(clip, 48)
    assert np.array_equal(shown[0], pictures_of(str(path))[25])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("hevc.mp4", {"codec": "libx265"}),
        ("mpeg4.mp4", {"codec": "mpeg4"}),
        ("mjpeg.avi", {"codec": "mjpeg"}),
        ("full.mp4", {"codec": "libx264", "pixel_format": "yuv444p"}),
        ("deep.mp4", {"codec": "libx265", "pixel_format": "yuv420p10le"}),
    ],
)
def test_what_a_browser_does_not_play_is_encoded_anew(video_file: VideoFile, name: str, settings: dict) -> None:
    path = video_file(name, frames=75, **settings)
    clip = clip_of(path, 1.0, 2.0)
    assert clip.reencoded
    assert clip.codec == "h264"
    assert clip.start_s == pytest.approx(1.0, abs=0.041)
    shown = check(clip, 26)
    with av.open(str(path)) as container:
        original = list(container.decode(video=0))[25].to_ndarray(format="gray").astype(int)  # full range
    assert np.abs((shown[0].astype(int) - 16) * 255 / 219 - original).mean() < 5.0


def test_odd_sides_are_encoded_anew_too(video_file: VideoFile) -> None:
    path = video_file("odd.mkv", codec="ffv1", pixel_format="yuv444p", width=321, height=181, frames=30)
    clip = clip_of(path, 0.0, 1.0)
    assert (clip.width, clip.height) == (320, 180)
    check(clip, 26)


def test_a_folder_of_pictures_becomes_a_clip(tmp_path: Path) -> None:
    for index, picture in enumerate(pictures(20, width=320, height=180)):
        cv2.imwrite(str(tmp_path / f"{index}.{'png' if index % 2 else 'jpg'}"), picture)
    clip = clip_of(f"file://{tmp_path}?fps=10", 0.0, 1.0)
    assert clip.reencoded
    check(clip, 11)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mjpeg"])
def test_masks_are_black_in_every_picture(video_file: VideoFile, codec: str) -> None:
    path = video_file("m.avi" if codec == "mjpeg" else "m.mp4", codec=codec, frames=50)
    tape, _ = tape_of(path, masks=[LEFT_HALF])
    excerpt = tape.excerpt(0.5, 1.9)
    assert excerpt is not None
    clip = make_clip(excerpt, masks=())  # those in force when it was filmed count in any case
    assert clip is not None
    assert clip.reencoded
    for picture in pictures_of(io.BytesIO(clip.data)):
        assert picture[:, :320].max() <= BLACK
        assert picture[:, 340:].mean() > 60
    seen = picture_at(excerpt, 1.0, masks=(), most_width=320)
    assert seen is not None
    assert seen[:, :160].max() == 0
    assert seen[:, 180:].mean() > 60


def test_a_mask_given_later_is_burnt_in_as_well(clip_h264: Path) -> None:
    tape, _ = tape_of(clip_h264)
    excerpt = tape.excerpt(1.0, 2.0)
    assert excerpt is not None
    clip = make_clip(excerpt, masks=[LEFT_HALF])
    assert clip is not None
    assert all(picture[:, :320].max() <= BLACK for picture in pictures_of(io.BytesIO(clip.data)))


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1920, 1080), (321, 181), (50, 37)])
@pytest.mark.parametrize("scaled", [1.0, 0.4])
def test_at_least_all_that_analysis_hides_is_hidden(width: int, height: int, scaled: float) -> None:
    grid = geometry(width, height, model_width=160)
    mask = Polygon(points=[(0.31, 0.2), (0.77, 0.35), (0.5, 0.9)])
    shown = (max(1, round(width * scaled)), max(1, round(height * scaled)))
    where = hidden([mask], grid, width=shown[0], height=shown[1])
    model = visible([mask], grid)
    assert where is not None
    assert model is not None
    assert where.shape == (shown[1], shown[0])
    for y in range(grid.valid_height):
        for x in range(grid.valid_width):
            if model[y, x] == 0:
                box = [round(v * s) for v, s in ((x * grid.pool, scaled), (y * grid.pool, scaled))]
                assert where[min(box[1], shown[1] - 1), min(box[0], shown[0] - 1)]
    assert not where.all()


def test_the_picture_at_a_time_is_the_one_shown_then(clip_h264: Path) -> None:
    tape, _ = tape_of(clip_h264)
    excerpt = tape.excerpt(1.0, 3.0)
    assert excerpt is not None
    picture = picture_at(excerpt, 2.2, masks=(), most_width=640)
    assert picture is not None
    luma = pictures_of(str(clip_h264))[55]
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    assert np.abs(grey.astype(int) - (luma.astype(int) - 16) * 255 / 219).mean() < 2.0
