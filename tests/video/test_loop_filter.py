"""Decoding without the loop filter while the machine is behind: no frame is lost by it, and only key frames turn it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from av import VideoFrame

from tests.video.clips import VideoFile
from tests.video.reading import read
from tests.video.test_sparing import B_FRAMES, IDR, SLICE, annex_b
from vad.video.decoding import Decoder
from vad.video.references import References

GROUP = 25
"""Pictures from one key frame to the next."""

CLOSED = {
    "libx264": {**B_FRAMES["libx264"], "crf": "35"},
    "libx265": {"preset": "ultrafast", "crf": "35", "x265-params": B_FRAMES["libx265"]["x265-params"] + ":open-gop=0"},
}
OPEN = {
    "libx264": {**CLOSED["libx264"], "x264-params": B_FRAMES["libx264"]["x264-params"] + ":open-gop=1"},
    "libx265": {**CLOSED["libx265"], "x265-params": B_FRAMES["libx265"]["x265-params"] + ":open-gop=1"},
}


def never(group: int) -> bool:
    return False


def every_second(group: int) -> bool:
    return group % 2 == 1


def decode(file: Path, *, is_behind: Callable[[int], bool]) -> tuple[list[VideoFrame], int]:
    """All frames, and how many lacked the filter; ``is_behind`` is asked of each group of pictures, from 0."""
    frames, group = [], -1
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream.codec_context, parallel=False)
        for packet in container.demux(stream):
            group += packet.is_keyframe
            frames += decoder.filter_from(packet, is_filtered=not is_behind(group))
            frames += decoder.decode(packet)
    return frames, decoder.unfiltered_frames


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_the_filter_is_turned_at_key_frames_and_no_frame_is_lost(
    video_file: VideoFile, codec: str, container: str
) -> None:
    file = video_file("b", codec=codec, options=CLOSED[codec], frames=5 * GROUP, container=container, key_every=GROUP)
    expected, none = decode(file, is_behind=never)
    frames, unfiltered = decode(file, is_behind=every_second)
    assert (none, unfiltered) == (0, 2 * GROUP)
    assert [(f.pts, f.time_base) for f in frames] == [(f.pts, f.time_base) for f in expected]
    assert not any(frame.is_corrupt for frame in frames)
    same = [np.array_equal(one.to_ndarray(), other.to_ndarray()) for one, other in zip(frames, expected, strict=True)]
    for group in range(5):
        assert all(same[group * GROUP : (group + 1) * GROUP]) is not every_second(group)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_key_frames_that_later_pictures_look_back_beyond_turn_nothing(video_file: VideoFile, codec: str) -> None:
    """A decoder that began there would lose those pictures."""
    file = video_file("b.mp4", codec=codec, options=OPEN[codec], frames=4 * GROUP, key_every=GROUP)
    frames, unfiltered = decode(file, is_behind=every_second)
    assert (len(frames), unfiltered) == (4 * GROUP, 0)


def test_the_next_decoder_knows_how_far_pictures_are_reordered(video_file: VideoFile) -> None:
    """Not every camera's headers say it; FFmpeg would lose frames until it has seen."""
    file = video_file("b.mp4", options=CLOSED["libx264"], frames=2 * GROUP)
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream.codec_context, parallel=False)
        depth = stream.codec_context.reorder_depth
        decoder.filter_from(next(container.demux(stream)), is_filtered=False)
        assert decoder._context.reorder_depth == depth > 0


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("analysis_fps", [8.0, 25.0])
def test_a_camera_that_is_behind_now_and_then_gives_the_same_frames(
    video_file: VideoFile, codec: str, analysis_fps: float
) -> None:
    file = video_file("b.mp4", codec=codec, options=CLOSED[codec], frames=5 * GROUP, key_every=GROUP)
    expected, group = read(file, analysis_fps=analysis_fps), count()
    outcome = read(file, analysis_fps=analysis_fps, is_behind=lambda: every_second(next(group)))
    assert next(group) == 5
    assert expected.reader.counts.unfiltered_frames == 0
    assert (outcome.decoded, outcome.corrupt_packets, outcome.code) == (expected.decoded, 0, "ended")
    assert outcome.reader.counts.spared_frames == expected.reader.counts.spared_frames
    assert outcome.reader.counts.unfiltered_frames + outcome.reader.counts.spared_frames >= 2 * GROUP
    assert 0 < outcome.reader.counts.unfiltered_frames <= 2 * GROUP
    assert [f.pts_s for f in outcome.frames] == [f.pts_s for f in expected.frames]


def test_a_next_run_of_the_same_stream_counts_its_own(tmp_path: Path, video_file: VideoFile) -> None:
    sizes = [video_file(f"{width}.ts", width=width, options=CLOSED["libx264"], frames=50) for width in (640, 320)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(file.read_bytes() for file in sizes))
    first = read(joined, analysis_fps=25.0, is_behind=lambda: True)
    assert first.code == "format_changed"
    second = read(joined, analysis_fps=25.0, is_behind=lambda: True, continues=first.reader)
    assert (first.decoded, second.decoded) == (50, 50)
    assert first.reader.counts.unfiltered_frames + second.reader.counts.unfiltered_frames == 100
    assert second.reader.counts.unfiltered_frames > 40


def test_other_codecs_have_none_to_turn_off(video_file: VideoFile) -> None:
    outcome = read(video_file("m.avi", codec="mjpeg", frames=20), is_behind=lambda: True)
    assert (outcome.decoded, outcome.reader.counts.unfiltered_frames) == (20, 0)


def test_headers_tell_where_a_decoder_may_begin() -> None:
    h264, hevc = References("h264", None), References("hevc", None)
    assert h264.begin_anew(annex_b(b"\x67\x64", b"\x68\xee", IDR))
    assert not h264.begin_anew(annex_b(b"\x67\x64", b"\x68\xee", SLICE))
    assert hevc.begin_anew(annex_b(b"\x40\x01", b"\x26\x01\xaf"))  # IDR_W_RADL
    assert not hevc.begin_anew(annex_b(b"\x40\x01", b"\x2a\x01\xaf"))  # CRA
    assert not References("mjpeg", None).begin_anew(annex_b(IDR))
