from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.reading import read
from vad.video.luma import geometry, luma_plane, pool_luma
from vad.video.references import References
from vad.video.timing import Selector

B_FRAMES = {
    "libx264": {"preset": "veryfast", "x264-params": "sliced-threads=0:threads=1:bframes=3:b-adapt=0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:bframes=4:b-adapt=0:temporal-layers=0"},
}
LAYERED = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:bframes=4:b-adapt=0:temporal-layers=3"}


def analysed_of_all(file: Path, *, analysis_fps: float) -> tuple[int, list[tuple[float, np.ndarray]]]:
    """How many frames there are, and those to be analysed, chosen after every one was decoded."""
    selector, chosen, first_s, last_s, count = Selector(analysis_fps), [], None, 0.0, 0
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            stamp_s, count = float(frame.pts * frame.time_base), count + 1
            first_s = stamp_s if first_s is None else first_s
            pts_s = stamp_s - first_s
            if selector.wants(pts_s, step_s=pts_s - last_s):
                plane, limited = luma_plane(frame)
                grid = geometry(frame.width, frame.height, model_width=160)
                chosen.append((pts_s, pool_luma(plane, grid, limited_range=limited)))
            last_s = pts_s
    return count, chosen


@pytest.mark.parametrize("analysis_fps", [3.0, 8.0, 12.5, 25.0])
@pytest.mark.parametrize(
    ("codec", "options", "container"),
    [
        ("libx264", B_FRAMES["libx264"], "mp4"),
        ("libx264", B_FRAMES["libx264"], "mpegts"),
        ("libx265", B_FRAMES["libx265"], "mp4"),
        ("libx265", LAYERED, "mpegts"),
    ],
)
def test_the_frames_analysed_are_the_same_as_if_all_were_decoded(video_file, codec, options, container, analysis_fps):
    file = video_file("b", codec=codec, options=options, frames=100, container=container)
    count, expected = analysed_of_all(file, analysis_fps=analysis_fps)
    outcome = read(file, analysis_fps=analysis_fps)
    assert (outcome.decoded, len(outcome.frames)) == (count, len(expected))
    for frame, (pts_s, luma) in zip(outcome.frames, expected, strict=True):
        assert frame.pts_s == pytest.approx(pts_s)
        np.testing.assert_array_equal(frame.luma, luma)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_nothing_refers_to_is_not_decoded_when_it_is_not_analysed(video_file, codec):
    file = video_file("b.mp4", codec=codec, options=B_FRAMES[codec], frames=100)
    assert read(file, analysis_fps=3.0).reader.counts.spared_frames > 25
    assert read(file, analysis_fps=25.0).reader.counts.spared_frames == 0


def test_what_others_refer_to_is_decoded(clip_h264):
    outcome = read(clip_h264, analysis_fps=3.0)
    assert (outcome.decoded, outcome.reader.counts.spared_frames) == (100, 0)


def test_the_measured_rate_counts_what_is_not_decoded(video_file):
    file = video_file("b.mp4", options=B_FRAMES["libx264"], frames=100)
    assert read(file, analysis_fps=3.0).reader.counts.measured_fps == pytest.approx(25.0)


@pytest.mark.rtsp
def test_a_camera_with_b_frames_is_analysed_at_its_rate(rtsp_server, video_file):
    file = video_file("b.mp4", options=B_FRAMES["libx264"], frames=100)
    server = rtsp_server({"cam": file})
    outcome = read(server.url("cam"), analysis_fps=5.0, at_most=100)
    assert outcome.reader.counts.spared_frames > 20
    steps_s = np.diff([frame.pts_s for frame in outcome.frames])
    assert 0.1 < steps_s.min() <= steps_s.max() < 0.3
    assert steps_s.mean() == pytest.approx(0.2, abs=0.02)


def avcc(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def annex_b(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


SEI, SLICE, UNREFERRED, IDR = b"\x06\x05\xff", b"\x41\x9a\x24", b"\x01\x9e\x61", b"\x65\x88\x80"
AVCC = b"\x01\x64\x00\x1e\xff\xe1"


@pytest.mark.parametrize(("pack", "configuration"), [(avcc, AVCC), (annex_b, None), (annex_b, b"\0\0\0\1\x67\x64")])
def test_h264_headers_tell_what_nothing_refers_to(pack, configuration):
    references = References("h264", configuration)
    assert references.none_to(pack(SEI, UNREFERRED))
    assert not references.none_to(pack(SEI, SLICE))
    assert not references.none_to(pack(IDR))
    assert not references.none_to(pack(UNREFERRED, SLICE))  # two fields, one of which is referred to
    assert not references.none_to(pack(SEI))  # no picture at all
    assert not references.none_to(b"")


def test_a_lower_hevc_layer_may_serve_the_higher_ones():
    trail_n, higher = b"\x00\x01\x80", b"\x00\x02\x80"
    references = References("hevc", None)
    assert references.none_to(annex_b(trail_n))
    assert references.none_to(annex_b(higher))
    assert not references.none_to(annex_b(trail_n))


def test_other_codecs_leave_nothing_out():
    assert not References("mjpeg", None).none_to(annex_b(UNREFERRED))
