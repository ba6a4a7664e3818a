"""Pictures that are not what they seem: turned, squeezed, woven of two, mislabelled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import vad
from tests.rtsp.control import RtspServer
from tests.rtsp.footage import START, Footage
from tests.video.clips import VideoFile, pictures, write_annexb
from tests.video.reading import read
from tests.video.relabelling import filtered, rotated
from vad.config import CameraConfig, ScoringSettings
from vad.types import Frame, HealthIssue, Stage
from vad.video.probe import probe
from vad.video.synthetic import Scene, encode


def difference(frame: Frame, truth: NDArray[np.uint8]) -> float:
    """Mean, on the part of the grid that shows the source."""
    valid = frame.luma[: frame.geometry.valid_height, : frame.geometry.valid_width]
    assert valid.shape == truth.shape
    return float(np.abs(valid.astype(int) - truth.astype(int)).mean())


# rotation


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_picture_that_is_to_be_shown_turned_is_analysed_turned(video_file: VideoFile, clockwise: int) -> None:
    path = rotated(video_file("turned.mp4", width=320, height=180, frames=10), clockwise)
    outcome = read(path, analysis_fps=60, model_width=320)
    assert (outcome.code, outcome.decoded) == ("ended", 10)
    for frame, truth in zip(outcome.frames, pictures(10, width=320, height=180), strict=True):
        assert difference(frame, np.rot90(truth, -clockwise // 90)) < 6


def test_a_picture_that_is_to_be_shown_as_it_is_is_left_so(video_file: VideoFile) -> None:
    path = rotated(video_file("upright.mp4", width=320, height=180, frames=10), 0)
    outcome = read(path, analysis_fps=60, model_width=320)
    for frame, truth in zip(outcome.frames, pictures(10, width=320, height=180), strict=True):
        assert difference(frame, truth) < 6


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_camera_that_hangs_sideways_can_be_set_upright(video_file: VideoFile, clockwise: int) -> None:
    path = video_file("sideways.mp4", width=320, height=180, frames=10)
    outcome = read(path, analysis_fps=60, model_width=320, rotate=clockwise)
    for frame, truth in zip(outcome.frames, pictures(10, width=320, height=180), strict=True):
        assert difference(frame, np.rot90(truth, -clockwise // 90)) < 6


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_what_is_turned_upright_is_bit_for_bit_what_hangs_upright(tmp_path: Path, clockwise: int) -> None:
    for name, turn in (("upright", 0), ("sideways", clockwise)):
        (tmp_path / name).mkdir()
        for index, picture in enumerate(pictures(5, width=333, height=187)):
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), np.rot90(picture, turn // 90))
    upright, sideways = (
        read(tmp_path / name, analysis_fps=60, rotate=turn) for name, turn in (("upright", 0), ("sideways", clockwise))
    )
    assert len(upright.frames) == 5
    for one, other in zip(upright.frames, sideways.frames, strict=True):
        np.testing.assert_array_equal(one.luma, other.luma)


# sample aspect ratio


@pytest.mark.parametrize(
    ("width", "height", "ratio", "shown"),
    [(704, 480, "40/33", 16 / 9), (480, 540, "2/1", 16 / 9), (352, 576, "24/11", 4 / 3)],
)
def test_pixels_that_are_not_square_are_analysed_as_shown(
    tmp_path: Path, video_file: VideoFile, width: int, height: int, ratio: str, shown: float
) -> None:
    plain = video_file("plain.mp4", width=width, height=height, frames=5)
    path = filtered(plain, tmp_path / "squeezed.mp4", f"h264_metadata=sample_aspect_ratio={ratio}")
    grid = read(path).reader.info.geometry
    assert grid.valid_width / grid.valid_height == pytest.approx(shown, rel=0.05)


def test_the_aspect_that_only_the_container_says_is_followed(tmp_path: Path, video_file: VideoFile) -> None:
    plain = video_file("plain.mp4", width=160, height=180, frames=5)
    squeezed = filtered(plain, tmp_path / "squeezed.mp4", "h264_metadata=sample_aspect_ratio=2/1")
    path = filtered(squeezed, tmp_path / "container.mp4", "h264_metadata=sample_aspect_ratio=1/1")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio) == (2, 1)
    outcome = read(path)
    assert (outcome.code, outcome.reader.info.pixel_aspect) == ("ended", (2, 1))


def test_an_aspect_that_changes_under_way_begins_a_new_run(tmp_path: Path, video_file: VideoFile) -> None:
    parts = []
    for number, aspect in enumerate(("40/33", "10/11")):
        plain = video_file(
            f"{number}.ts", width=704, height=480, frames=25, pts=lambda index, begin=25 * number: begin + index
        )
        parts.append(filtered(plain, tmp_path / f"said{number}.ts", f"h264_metadata=sample_aspect_ratio={aspect}"))
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    first = read(path, analysis_fps=60)
    assert (first.code, len(first.frames), first.frames[0].geometry.source_width) == ("format_changed", 25, 853)
    assert "pixel aspect 40:33 to h264 704x480, pixel aspect 10:11" in str(first.error)
    second = read(path, analysis_fps=60, run=1, continues=first.reader)
    assert (second.code, len(second.frames), second.frames[0].geometry.source_height) == ("ended", 25, 528)


@pytest.mark.parametrize("aspect", ["40/33", "1/1"])
def test_a_decoder_that_takes_over_keeps_the_aspect(tmp_path: Path, video_file: VideoFile, aspect: str) -> None:
    options = {"x264-params": "bframes=0:threads=1:keyint=5:min-keyint=5:scenecut=0:open-gop=0"}
    plain = video_file("plain.mp4", width=704, height=480, frames=40, key_every=5, options=options)
    path = filtered(plain, tmp_path / "squeezed.mp4", f"h264_metadata=sample_aspect_ratio={aspect}")
    asked = iter([False] * 3)
    outcome = read(path, analysis_fps=60, is_behind=lambda: next(asked, True))
    assert (outcome.code, len(outcome.frames)) == ("ended", 40)
    assert outcome.reader.counts.unfiltered_frames > 0


@pytest.mark.rtsp
def test_a_camera_says_in_its_stream_how_its_pictures_are_seen(
    tmp_path: Path, video_file: VideoFile, rtsp_server: Callable[..., RtspServer]
) -> None:
    plain = video_file("plain.mp4", width=320, height=360, frames=50)
    filters = "h264_metadata=sample_aspect_ratio=2/1:display_orientation=insert:rotate=270"  # counter-clockwise
    server = rtsp_server({"cam": filtered(plain, tmp_path / "said.mp4", filters)})
    outcome = read(server.url("cam"), analysis_fps=60, at_most=20, realtime=True)
    info = outcome.reader.info
    assert (info.orientation, info.pixel_aspect) == ((90, False), (2, 1))
    assert (info.geometry.source_width, info.geometry.source_height) == (360, 640)
    assert len({frame.run for frame in outcome.frames}) == 1
    assert len(outcome.frames) >= 20


# interlace

WEAVE = "sliced-threads=0:threads=1:bframes=0:interlaced=1:tff=1"


def woven(index: int, *, width: int, height: int) -> NDArray[np.uint8]:
    """A bright bar that moves 8 px sideways from one field to the next. All lines of a field are the same."""
    picture = np.full((height, width), 60, dtype=np.uint8)
    for field in (0, 1):
        at = 20 + 8 * (2 * index + field)
        picture[field::2, at : at + 24] = 200
    return picture


def interlaced(video_file: VideoFile, *, width: int, height: int) -> Path:
    options = {"preset": "medium", "x264-params": WEAVE}
    return video_file(
        "woven.mp4",
        width=width,
        height=height,
        frames=6,
        options=options,
        luma=lambda index: woven(index, width=width, height=height),
    )


def combing(frame: Frame) -> int:
    """The most by which two lines of the model's picture differ, where all should be the same."""
    valid = frame.luma[: frame.geometry.valid_height, : frame.geometry.valid_width].astype(int)
    return int(np.abs(np.diff(valid, axis=0)).max())


@pytest.mark.parametrize("width", [640, 320, 480, 160])  # 4, 2, 3 lines become one, or each stands for itself
def test_two_woven_fields_do_not_comb(video_file: VideoFile, width: int) -> None:
    path = interlaced(video_file, width=width, height=width * 3 // 4)
    outcome = read(path, analysis_fps=60)
    assert len(outcome.frames) == 6
    assert max(map(combing, outcome.frames)) < 20


def test_a_stream_that_mixes_interlaced_pictures_with_others_changes_once(
    tmp_path: Path, video_file: VideoFile
) -> None:
    parts = []
    for number in range(4):
        options = {"preset": "medium", "x264-params": WEAVE} if number % 2 else {}
        parts.append(
            video_file(
                f"{number}.ts",
                width=480,
                height=360,
                frames=25,
                options=options,
                pts=lambda index, begin=25 * number: begin + index,
            )
        )
    path = tmp_path / "mixed.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    first = read(path, analysis_fps=60)
    assert (first.code, len(first.frames)) == ("format_changed", 25)
    second = read(path, analysis_fps=60, run=1, continues=first.reader)
    assert (second.code, len(second.frames)) == ("ended", 75)
    assert first.frames[0].geometry == second.frames[0].geometry  # what was learnt stays of use


def test_probe_says_that_a_picture_is_interlaced(video_file: VideoFile) -> None:
    lines = probe(CameraConfig(url=str(interlaced(video_file, width=640, height=480)))).lines()
    assert any("interlaced" in line for line in lines)


def test_probe_says_interlaced_of_no_other_picture(clip_h264: Path) -> None:
    assert not any("interlaced" in line for line in probe(CameraConfig(url=str(clip_h264))).lines())


# range

FULL, LIMITED = "h264_metadata=video_full_range_flag=1", "h264_metadata=video_full_range_flag=0"


@pytest.mark.parametrize("flag", [FULL, LIMITED])
def test_luma_is_read_as_its_range_is_labelled(tmp_path: Path, video_file: VideoFile, flag: str) -> None:
    plain = video_file("full.mp4", width=320, height=180, frames=10, pixel_format="yuvj420p")
    outcome = read(filtered(plain, tmp_path / "labelled.mp4", flag), analysis_fps=60, model_width=320)
    assert (outcome.code, outcome.decoded) == ("ended", 10)
    for frame, truth in zip(outcome.frames, pictures(10, width=320, height=180), strict=True):
        shown = truth if flag == FULL else np.clip((truth.astype(float) - 16) * 255 / 219, 0, 255).astype(np.uint8)
        assert difference(frame, shown) < 6


def test_a_label_of_the_range_that_changes_under_way_is_followed_in_the_same_run(tmp_path: Path) -> None:
    plain = write_annexb(tmp_path / "plain.h264", frames=50, pixel_format="yuvj420p")
    parts = [filtered(plain, tmp_path / f"{place}.h264", flag) for place, flag in enumerate((FULL, LIMITED))]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts * 2))
    outcome = read(path, analysis_fps=60, model_width=320)
    assert (outcome.code, outcome.decoded, outcome.corrupt_packets) == ("ended", 200, 0)
    means = [float(frame.luma[:192].mean()) for frame in outcome.frames]
    for full, limited in ((means[:50], means[50:100]), (means[100:150], means[150:])):
        for a, b in zip(full, limited, strict=True):
            assert b == pytest.approx((a - 16) * 255 / 219, abs=2)


def test_a_label_of_the_range_that_flips_is_a_jump_of_the_light_and_no_anomaly(tmp_path: Path) -> None:
    """As with cameras that switch between day and night. Each five seconds, once the camera is calibrated."""
    plain = tmp_path / "plain.h264"
    encode(Scene(seed=3, fps=12.5), plain, seconds=50.0)  # 25 s, since the file says no rate and 25 is assumed
    full, limited = (
        Footage.read(filtered(plain, tmp_path / f"{place}.h264", flag)) for place, flag in enumerate((FULL, LIMITED))
    )
    units: list[bytes] = []
    flips_s: list[float] = []
    part = full
    for index, picture in enumerate(full.pictures):
        is_key = any(full.kind(unit) == "sps" for unit in picture)
        wanted = limited if index // 125 in (2, 4) else full
        if is_key and part is not wanted:
            part = wanted
            flips_s.append(index / 25)
        units += part.pictures[index]
    path = tmp_path / "flips.h264"
    path.write_bytes(b"".join(START + unit for unit in units))
    scores = list(vad.scan(path, scoring=ScoringSettings(warming_after_s=2.0, calibrated_after_s=4.0)))
    jumps_s = [
        after.pts_s
        for before, after in pairwise(scores)
        if after.health is HealthIssue.LIGHT_JUMP and before.health is not HealthIssue.LIGHT_JUMP
    ]
    assert len(flips_s) == 3
    assert jumps_s == pytest.approx(flips_s, abs=0.5)
    assert not any(event.type is vad.EventType.OPENED for score in scores for event in score.events)
    judged_s = [score.pts_s for score in scores if score.health is None and score.stage is not Stage.COLD]
    for flip_s in flips_s:
        assert any(flip_s < at_s < flip_s + 4.0 for at_s in judged_s)


# pixel formats


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        ("libx264", "yuv420p10le"),
        ("libx264", "yuv422p"),
        ("libx264", "yuv422p10le"),
        ("libx264", "yuv444p"),
        ("libx264", "yuvj420p"),
        ("libx264", "gray"),
        ("libx265", "yuv420p10le"),
        ("libx265", "yuv422p10le"),
        ("libx265", "yuv444p"),
        ("libx265", "gray"),
    ],
)
def test_luma_is_right_in_every_pixel_format(video_file: VideoFile, codec: str, pixel_format: str) -> None:
    path = video_file("clip.mp4", codec=codec, pixel_format=pixel_format, width=320, height=180, frames=10)
    outcome = read(path, analysis_fps=60, model_width=320)
    assert (outcome.code, outcome.decoded, outcome.corrupt_packets) == ("ended", 10, 0)
    if (codec, pixel_format) != ("libx264", "gray"):  # FFmpeg's decoder adds chroma to H.264 without any
        assert outcome.reader.info.pixel_format == pixel_format
    for frame, truth in zip(outcome.frames, pictures(10, width=320, height=180), strict=True):
        assert difference(frame, truth) < 6


# sizes


@pytest.mark.parametrize(
    ("width", "height"),
    [(2688, 1520), (3072, 2048), (1928, 1086), (1080, 1920), (176, 144), (98, 66)],
)
def test_odd_sizes_are_read_whole(video_file: VideoFile, width: int, height: int) -> None:
    outcome = read(video_file("clip.mp4", width=width, height=height, frames=3), analysis_fps=60)
    assert (outcome.code, outcome.decoded, outcome.corrupt_packets) == ("ended", 3, 0)
    grid = outcome.frames[0].geometry
    assert (grid.source_width, grid.source_height) == (width, height)
    assert (grid.width % 8, grid.height % 8) == (0, 0)
    assert grid.valid_width / grid.valid_height == pytest.approx(width / height, rel=0.02)
    truth = next(pictures(1, width=width, height=height))
    pool, rows, columns = grid.pool, grid.valid_height, grid.valid_width
    pooled = truth[: rows * pool, : columns * pool].reshape(rows, pool, columns, pool).mean(axis=(1, 3))
    assert difference(outcome.frames[0], pooled.astype(np.uint8)) < 6


@pytest.mark.parametrize(
    ("width", "height", "is_small"),
    [(98, 66, True), (128, 96, True), (176, 144, False), (640, 360, False)],
)
def test_probe_says_of_a_picture_that_it_is_too_small_to_judge(
    video_file: VideoFile, width: int, height: int, is_small: bool
) -> None:
    lines = probe(CameraConfig(url=str(video_file("clip.mp4", width=width, height=height, frames=5)))).lines()
    assert any("too small" in line for line in lines) is is_small


# variable rate


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_rate_that_changes_under_way_is_followed(video_file: VideoFile, name: str) -> None:
    """A second at 25 fps, then every twelfth frame only."""

    def place(index: int) -> int:
        return index if index < 25 else 24 + 12 * (index - 24)

    path = video_file(name, width=320, height=180, frames=35, pts=place)
    outcome = read(path, analysis_fps=60)
    assert (outcome.code, outcome.decoded) == ("ended", 35)
    stamps = [frame.pts_s for frame in outcome.frames]
    assert stamps == pytest.approx([place(index) / 25 for index in range(35)], abs=0.002)
    assert all(b > a for a, b in pairwise(stamps))


def test_the_relabelled_clips_say_what_they_shall(tmp_path: Path, video_file: VideoFile) -> None:
    plain = video_file("plain.mp4", width=320, height=180, frames=5)
    squeezed = filtered(plain, tmp_path / "squeezed.mp4", "h264_metadata=sample_aspect_ratio=2/1")
    with av.open(str(squeezed)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    with av.open(str(rotated(plain, 90))) as container:
        assert next(container.decode(video=0)).rotation == -90
    with av.open(str(interlaced(video_file, width=320, height=240))) as container:
        assert next(container.decode(video=0)).interlaced_frame


@pytest.mark.parametrize(("width", "height"), [(64, 16_000), (16_640, 64)])
def test_a_picture_of_a_size_that_none_has_is_damage_to_be_told(tmp_path: Path, width: int, height: int) -> None:
    """A wrong bit in the header of a JPEG is enough. A process of readers that told such a size would be distrusted."""
    path = tmp_path / "long.mjpeg"
    path.write_bytes(cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes() * 3)
    outcome = read(path)
    assert (outcome.code, outcome.decoded) == ("broken", 0)
    assert f"a picture of {width}x{height} px, which no camera makes" in str(outcome.error)
