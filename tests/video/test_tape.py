"""The tape: bounded, decodable, in media time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rtsp.control import RtspServer
from tests.video.clips import VideoFile
from tests.video.reading import read
from tests.video.taping import tape_of
from vad.types import Geometry
from vad.video.clip import decoded
from vad.video.tape import PACKET_OVERHEAD_BYTES, Format, Tape, TapedPacket

GRID = Geometry(source_width=64, source_height=48, pool=1, width=64, height=48)
FORMAT = Format("h264", b"", "mp4", "yuv420p", 25.0, True, GRID, ())


def filled(packets: list[TapedPacket], *, seconds: float, max_bytes: int) -> Tape:
    tape = Tape(run=0, seconds=seconds, max_bytes=max_bytes)
    tape.format = FORMAT
    for packet in packets:
        tape._add(packet)
        assert tape.size_bytes <= max_bytes
    return tape


def test_an_excerpt_begins_with_the_key_frame_before_what_was_asked_for(clip_h264: Path) -> None:
    tape, frames = tape_of(clip_h264)
    excerpt = tape.excerpt(1.5, 2.5)
    assert excerpt is not None
    assert excerpt.keys[0]
    assert excerpt.times_s[0] == pytest.approx(1.0)
    assert excerpt.times_s[-1] == pytest.approx(2.48, abs=0.021)
    times_s = [time_s for time_s, _ in decoded(excerpt)]
    analysed_s = [frame.pts_s for frame in frames if 1.0 <= frame.pts_s <= times_s[-1] + 1e-3]
    assert times_s == pytest.approx(analysed_s, abs=1e-3)


def test_pictures_out_of_order_come_out_at_their_media_times(video_file: VideoFile) -> None:
    path = video_file("b.mp4", frames=60, options={"x264-params": "bframes=3:threads=1"})
    tape, frames = tape_of(path)
    excerpt = tape.excerpt(0.0, 99.0)
    assert excerpt is not None
    assert [time_s for time_s, _ in decoded(excerpt)] == pytest.approx([frame.pts_s for frame in frames], abs=1e-3)


def test_only_the_last_seconds_are_kept_by_whole_groups(video_file: VideoFile) -> None:
    tape, _ = tape_of(video_file("a.mp4", frames=250), seconds=3.0)
    assert 3.0 <= tape.seconds <= 4.1
    excerpt = tape.excerpt(0.0, 99.0)
    assert excerpt is not None
    assert excerpt.times_s[0] == pytest.approx(6.0)
    assert len(list(decoded(excerpt))) == 100


def test_a_long_group_is_kept_whole(video_file: VideoFile) -> None:
    tape, _ = tape_of(video_file("long.mp4", frames=400, key_every=250), seconds=3.0)
    excerpt = tape.excerpt(15.0, 99.0)
    assert excerpt is not None
    assert excerpt.times_s[0] == pytest.approx(10.0)
    assert not excerpt.is_cut


def test_of_a_group_that_does_not_fit_the_beginning_is_kept_and_it_is_said(video_file: VideoFile) -> None:
    path = video_file("big.mp4", frames=100, key_every=1000)
    tape, _ = tape_of(path, max_bytes=path.stat().st_size // 2)
    assert tape.size_bytes <= path.stat().st_size // 2
    excerpt = tape.excerpt(0.0, 99.0)
    assert excerpt is not None
    assert excerpt.is_cut
    assert 10 < len(list(decoded(excerpt))) < 100


packets = st.builds(
    TapedPacket, data=st.integers(0, 5_000).map(bytes), at_s=st.just(0.0), is_key=st.booleans()
)  # times are filled in below


@settings(max_examples=200, deadline=None)
@given(made=st.lists(packets, max_size=200), seconds=st.floats(0.1, 10.0), max_bytes=st.integers(1_000, 100_000))
def test_never_more_bytes_than_allowed_and_always_from_a_key_frame(
    made: list[TapedPacket], seconds: float, max_bytes: int
) -> None:
    timed = [packet._replace(at_s=i / 25) for i, packet in enumerate(made)]
    tape = filled(timed, seconds=seconds, max_bytes=max_bytes)
    excerpt = tape.excerpt(0.0, 1e9)
    if excerpt is None:
        fits = [p for p in timed if p.is_key and len(p.data) + PACKET_OVERHEAD_BYTES <= max_bytes]
        assert not fits or tape.size_bytes == 0
        return
    assert excerpt.keys[0]
    assert excerpt.size_bytes <= tape.size_bytes <= max_bytes


def test_what_follows_a_jump_of_the_clock_is_not_part_of_it() -> None:
    times_s = [10.0, 10.04, 10.08, 3.0, 3.04]
    made = [TapedPacket(b"x", at_s, i in (0, 3)) for i, at_s in enumerate(times_s)]
    excerpt = filled(made, seconds=60.0, max_bytes=10_000).excerpt(0.0, 99.0)
    assert excerpt is not None
    assert excerpt.times_s == pytest.approx([0.0, 0.04, 0.08])


def test_packets_without_times_lie_an_interval_apart() -> None:
    made = [TapedPacket(b"x", None, i == 0) for i in range(4)]
    excerpt = filled(made, seconds=60.0, max_bytes=10_000).excerpt(0.0, 99.0)
    assert excerpt is not None
    assert excerpt.times_s == pytest.approx([0.0, 0.04, 0.08, 0.12])
    made[2] = made[2]._replace(at_s=100.0)  # as RTSP's first packets, which come before its clock is known
    excerpt = filled(made, seconds=60.0, max_bytes=10_000).excerpt(0.0, 99.0)
    assert excerpt is not None
    assert [b - a for a, b in zip(excerpt.times_s, excerpt.times_s[1:], strict=False)] == pytest.approx([0.04] * 3)


def test_an_ended_tape_takes_nothing_more(clip_h264: Path) -> None:
    tape, _ = tape_of(clip_h264, frames=30)
    size = tape.size_bytes
    tape.end()
    assert tape.picture is None
    other, _ = tape_of(clip_h264, frames=30)
    assert other.picture is not None
    tape.show(other.picture, pts_s=0.0, at_s=0.0)
    assert tape.picture is None
    assert tape.size_bytes == size > 0


def new_tape(run: int) -> Tape:
    return Tape(run=run, seconds=60.0, max_bytes=1 << 24)


@pytest.mark.parametrize("change", ["resolution", "forth", "back"])
def test_a_run_that_takes_over_an_open_stream_begins_with_the_frame_that_ended_the_one_before(
    change: str, tmp_path: Path, video_file: VideoFile
) -> None:
    size = {"width": 320, "height": 180} if change == "resolution" else {}
    jump = {"resolution": 0, "forth": 200, "back": -20}[change]
    first = video_file("first.ts", frames=25, **size)
    rest = video_file("second.ts", frames=30, pts=lambda index: 25 + jump + index)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + rest.read_bytes())
    before, after = new_tape(0), new_tape(1)
    one = read(both, analysis_fps=60, tape=before)
    two = read(both, analysis_fps=60, run=1, continues=one.reader, tape=after)
    for tape, outcome in ((before, one), (after, two)):
        excerpt = tape.excerpt(0.0, 99.0)
        assert excerpt is not None
        assert excerpt.keys[0]
        shown = list(decoded(excerpt))
        assert [time_s for time_s, _ in shown] == pytest.approx([f.pts_s for f in outcome.frames], abs=1e-3)
        grid = outcome.frames[0].geometry
        assert {(frame.width, frame.height) for _, frame in shown} == {(grid.source_width, grid.source_height)}


def test_a_raw_stream_without_times_is_taped_at_its_announced_rate(video_file: VideoFile) -> None:
    tape, frames = tape_of(video_file("raw.h264", container="h264", frames=50))
    excerpt = tape.excerpt(0.0, 99.0)
    assert excerpt is not None
    assert len(list(decoded(excerpt))) == len(frames) == 50
    assert excerpt.times_s[-1] == pytest.approx(frames[-1].pts_s, abs=0.05)


@pytest.mark.rtsp
@pytest.mark.parametrize("clip", ["clip_h264", "clip_hevc"])
def test_a_camera_is_taped_in_media_time(clip: str, request: pytest.FixtureRequest, rtsp_server: object) -> None:
    server: RtspServer = rtsp_server({"cam": request.getfixturevalue(clip)})  # type: ignore[operator]
    tape, frames = tape_of(server.url("cam"), frames=60)
    excerpt = tape.excerpt(0.0, 99.0)
    assert excerpt is not None
    times_s = [time_s for time_s, _ in decoded(excerpt)]
    assert len(times_s) >= 50
    analysed = {round(frame.pts_s, 3) for frame in frames}
    near = [time_s for time_s in times_s if any(abs(time_s - at_s) < 2e-3 for at_s in analysed)]
    assert len(near) >= len(times_s) - 5  # what was not yet decoded when reading stopped


def test_who_looks_once_in_a_while_does_not_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("vad.video.tape.time.monotonic", lambda: now_s)
    tape = Tape(run=0, seconds=1.0, max_bytes=0)
    for _ in range(5):  # a page that shows many cameras
        tape.look(most_width=None)
        assert not tape.is_watched
        now_s += 2.0
    tape.look(most_width=None)
    now_s += 0.25
    tape.look(most_width=None)
    assert tape.is_watched
    now_s += 1.0
    assert not tape.is_watched
