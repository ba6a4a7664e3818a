"""A process that says what no reader says ends its session, and nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from tests.pipeline.readers.telling import (
    FORMAT,
    GRID,
    INFO,
    JPEG,
    RUN,
    SAMPLE,
    described,
    first,
    framed,
    hear,
    message,
    sent,
)
from vad.errors import StreamCode
from vad.pipeline.readers.checks import printable
from vad.pipeline.readers.messages import MOST_PACKETS, MOST_UNASKED_BYTES, Batch
from vad.types import Frame, Geometry
from vad.video.items import Counts, Passed
from vad.video.samples import Rhythm, is_jpeg_of
from vad.video.tape import TapedPacket
from vad.video.view import Orientation

NO_NUMBERS = (math.nan, math.inf, -math.inf)


def refused(*told: object) -> str:
    """How the session ended, which must be ``broken`` for what was said."""
    error = hear(*told).error
    assert error is not None
    assert error.code is StreamCode.BROKEN
    assert "cam: its reader process said what no reader says: " in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert error.__context__ is None  # it would keep what was said, which may be large
    return str(error)


def test_what_a_reader_says_is_taken() -> None:
    more = [sent(index) for index in range(1, 5)]
    heard = hear(first(), Batch(frames=more, counts=first().counts, end=("ended", "cam: the end\nof it")))
    frames = [item for item in heard.items if isinstance(item, Frame)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert heard.items[0] == Passed(2, 1)
    assert heard.error is not None
    assert (heard.error.code, str(heard.error)) == (StreamCode.ENDED, "cam: the end�of it")
    assert heard.tape.excerpt(0.0, 1.0).packets == (b"key", b"other")
    assert heard.tape.samples.usual(GRID, run=RUN, before_s=9.0, masks=()).shape == (180, 320, 3)
    assert (heard.reader.info, heard.reader.counts) == (INFO, first().counts)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("pts_s", lambda value: first(frames=[sent(pts_s=value)])),
        ("wall_s", lambda value: first(frames=[sent(wall_s=value)])),
        ("arrived_s", lambda value: first(frames=[sent(arrived_s=value)])),
        ("measured_fps", lambda value: first(counts=Counts(measured_fps=value))),
        ("extra_timeout_s", lambda value: first(counts=Counts(extra_timeout_s=value))),
        ("clock_skew_s", lambda value: first(counts=Counts(clock_skew_s=value))),
        ("clock_ratio", lambda value: first(counts=Counts(clock_ratio=value))),
        ("announced_fps", lambda value: described(announced_fps=value)),
        ("frames per second of the tape", lambda value: first(format=msgspec.structs.replace(FORMAT, fps=value))),
        ("the time of a packet", lambda value: first(packets=[TapedPacket(b"key", value, True)])),
        ("the origin of the packets", lambda value: first(origin_s=value)),
        ("the packet to go on from", lambda value: first(goes_on_at_s=value)),
        ("pts_s of a sample", lambda value: first(samples=[replace(SAMPLE, pts_s=value)])),
        ("due_s of the next sample", lambda value: first(rhythm=Rhythm(RUN, value, 1.0))),
        ("gap_s of the samples", lambda value: first(rhythm=Rhythm(RUN, 1.0, value))),
    ],
)
def test_every_number_is_one(name: str, make: Callable[[float], Batch], value: float) -> None:
    assert f"{name} {value}; allowed: " in refused(make(value))


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (first(frames=[sent(pts_s=-0.1)]), "pts_s -0.1; allowed: 0.0 to 10000000000.0"),
        (first(frames=[sent(pts_s=1e11)]), "pts_s 100000000000.0; allowed: 0.0"),
        (first(frames=[sent(wall_s=-1.0)]), "wall_s -1.0; allowed: 0.0"),
        (first(frames=[sent(wall_s=3e11)]), "wall_s 300000000000.0; allowed: 0.0 to 253370764800.0"),
        (first(frames=[sent(arrived_s=1e9 + time.monotonic())]), "arrived_s"),
        (first(frames=[sent(arrived_s=-5.0)]), "arrived_s -5.0; allowed: "),
        (first(counts=Counts(measured_fps=-1.0)), "measured_fps -1.0"),
        (first(counts=Counts(extra_timeout_s=1e6)), "extra_timeout_s 1000000.0; allowed: 0.0 to 3600.0"),
        (first(counts=Counts(clock_skew_s=1e14)), "clock_skew_s 1"),
        (first(counts=Counts(clock_ratio=1e7)), "clock_ratio 10000000.0"),
        (first(counts=Counts(corrupt_packets=-1)), "corrupt_packets -1; allowed: 0 to "),
        (first(counts=Counts(spared_frames=1 << 63)), "spared_frames 9223372036854775808"),
        (described(announced_fps=0.0), "announced_fps 0.0; allowed: 1e-06 to"),
        (described(orientation=Orientation(45)), "pictures turned by 45 degrees; allowed: (0, 90, 180, 270)"),
        (described(pixel_aspect=(1, 0)), "a side of a pixel 0; allowed: 1 to"),
        (first(format=msgspec.structs.replace(FORMAT, orientation=Orientation(-90))), "pictures turned by -90 degrees"),
        (first(packets=[TapedPacket(b"key", 1e15, True)]), "the time of a packet 1"),
        (first(origin_s=-1e15), "the origin of the packets -1"),
        (first(goes_on_at_s=1e15), "the packet to go on from 1"),
        (first(rhythm=Rhythm(RUN, 1.0, 21.0)), "gap_s of the samples 21.0; allowed: 0.0 to 20.0"),
        (first(passed=Passed(-1)), "frames passed -1"),
        (first(passed=Passed(1, overrun=2)), "frames overrun 2; allowed: 0 to 1"),
        (first(passed=Passed(1 << 40)), "frames passed 1099511627776; allowed: 0 to 1000000"),
    ],
)
def test_every_number_is_within_what_a_camera_reaches(batch: Batch, text: str) -> None:
    assert text in refused(batch)


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([sent(2)], "index 2; allowed: 1"),
        ([sent(0)], "index 0; allowed: 1"),
        ([sent(1), sent(1, pts_s=0.3)], "index 1; allowed: 2"),
        ([sent(1), sent(3)], "index 3; allowed: 2"),
        ([sent(-1)], "index -1; allowed: 1"),
        ([sent(1, pts_s=0.0)], "pts_s 0.0; allowed: more than 0.0, of the frame before"),
        ([sent(1, pts_s=5.0), sent(2, pts_s=4.0)], "pts_s 4.0; allowed: more than 5.0"),
        ([sent(index) for index in range(1, 6)], "frames of a batch 5; allowed: 0 to 4"),
    ],
)
def test_frames_are_counted_one_by_one_over_the_whole_run_and_rise_in_time(frames: list[Any], text: str) -> None:
    assert text in refused(first(), Batch(frames=frames, counts=first().counts))


def test_no_stream_is_many_times_as_fast_as_time() -> None:
    frames = [sent(index) for index in range(1, 4001)]
    told = [Batch(frames=frames[at : at + 4], counts=first().counts) for at in range(0, len(frames), 4)]
    assert "frames so far " in refused(first(), *told)


def test_a_run_that_gives_no_frame_is_not_told_of_all_the_time() -> None:
    assert "batches without a frame " in refused(first(), *[Batch(counts=first().counts)] * 1000)


def test_counts_never_fall() -> None:
    fewer = first().counts._replace(corrupt_packets=0)
    assert "corrupt_packets 0; allowed: 1 to " in refused(first(), Batch(counts=fewer))


WIDER = replace(GRID, width=GRID.width + 8)
TINY = Geometry(8, 8, 1, 8, 8)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ([described(geometry=WIDER)], "geometry Geometry"),
        ([described(geometry=replace(GRID, pool=0))], "geometry Geometry"),
        ([described(width=1280)], "geometry Geometry"),
        ([described(width=0)], "the width of the source 0; allowed: 1 to 16384"),
        ([described(height=100_000)], "the height of the source 100000"),
        (
            [described(width=239, height=16_000, geometry=Geometry(239, 16_000, 1, 240, 16_000))],
            "pixels of the model's grid 3840000; allowed: 1 to 524288",
        ),
        ([first(frames=[sent(geometry=WIDER)])], "geometry of a frame Geometry"),
        ([first(frames=[sent(geometry=TINY, luma=bytearray(64))])], "geometry of a frame Geometry"),
        ([first(frames=[sent(luma=bytearray(5))])], "bytes of luma 5; allowed: 15360"),
        ([first(frames=[sent(luma=bytearray())])], "bytes of luma 0; allowed: 15360"),
        ([first(samples=[replace(SAMPLE, geometry=TINY)])], "geometry of a sample Geometry"),
        ([first(format=msgspec.structs.replace(FORMAT, geometry=TINY))], "geometry of the tape Geometry"),
        ([first(info=None, format=None)], "geometry of a frame before the stream was described"),
        ([first(info=None, frames=[], samples=[])], "a tape's format before the stream was described"),
        ([first(info=None, format=None, frames=[])], "geometry of a sample before the stream was described"),
        ([first(), Batch(info=replace(INFO, live=False), counts=first().counts)], "the stream StreamInfo"),
        ([first(), Batch(info=replace(INFO, codec="hevc"), counts=first().counts)], "the stream StreamInfo"),
    ],
)
def test_the_geometry_is_the_runs_whatever_it_is_said_of(told: list[Batch], text: str) -> None:
    assert text in refused(*told)


def test_only_the_decoder_may_change() -> None:
    heard = hear(first(), Batch(info=replace(INFO, decoder="cuda"), counts=first().counts))
    assert heard.reader.info.decoder == "cuda"
    assert "has ended" in str(heard.error)


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (described(codec="h264\n"), r"what a stream is is 'h264\n'; allowed: up to 128 printable"),
        (described(container="x" * 129), "what a stream is is 'xxxx"),
        (described(pixel_format="\x1b[31m"), r"what a stream is is '\x1b[31m'"),
        (described(profile="Höchst"), "what a stream is is 'Höchst'"),
        (described(decoder="gpu"), "decoder 'gpu'; allowed: cpu or cuda"),
        (first(format=msgspec.structs.replace(FORMAT, codec="hevc")), "codec of the tape 'hevc'; allowed: 'h264'"),
        (first(format=msgspec.structs.replace(FORMAT, container="folder")), "container of the tape 'folder'"),
        (
            first(info=replace(INFO, codec="aac"), format=msgspec.structs.replace(FORMAT, codec="aac")),
            "a tape of 'aac, yuv420p', which is audio",
        ),
        (
            first(info=replace(INFO, codec="none"), format=msgspec.structs.replace(FORMAT, codec="none")),
            "a tape of 'none, yuv420p', which is nothing that FFmpeg knows",
        ),
        (
            first(info=replace(INFO, pixel_format="red"), format=msgspec.structs.replace(FORMAT, pixel_format="red")),
            "a tape of 'h264, red', which is nothing that FFmpeg knows",
        ),
        (
            first(format=msgspec.structs.replace(FORMAT, extradata=bytes(2 << 20))),
            "bytes of extradata 2097152; allowed: 0 to 1048576",
        ),
    ],
)
def test_words_are_short_printable_and_of_what_ffmpeg_knows(batch: Batch, text: str) -> None:
    assert text in refused(batch)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ([first(end=("nonsense", ""))], "the end of a run by 'nonsense'; allowed: auth_failed, "),
        ([first(end=("reader_died", ""))], "the end of a run by 'reader_died'"),
        ([Batch(end=("format_changed", ""))], "by format_changed before its first frame"),
        ([Batch(end=("pts_jump", ""))], "by pts_jump before its first frame"),
    ],
)
def test_a_run_ends_as_runs_do(told: list[Batch], text: str) -> None:
    assert text in refused(*told)


def test_the_text_of_an_end_is_cut_and_made_printable() -> None:
    error = hear(first(end=("timeout", "cam: \x1b[2J\x00" + "x" * 5000))).error
    assert error is not None
    assert str(error).startswith("cam: �[2J�xxx")
    assert len(str(error)) == 2000


BOMB = cv2.imencode(".png", np.zeros((180, 320, 3), np.uint8))[1].tobytes()
LARGER = cv2.imencode(".jpg", np.zeros((360, 640, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (replace(SAMPLE, run=RUN - 1), "run of a sample 2; allowed: 3"),
        (replace(SAMPLE, jpeg=b""), "bytes of a sample 0; allowed: 1 to "),
        (replace(SAMPLE, jpeg=bytes(1 << 20)), "bytes of a sample 1048576"),
        (replace(SAMPLE, jpeg=b"\xff\xd8"), "allowed: a JPEG of 320x180"),
        (replace(SAMPLE, jpeg=BOMB), "allowed: a JPEG of 320x180"),
        (replace(SAMPLE, jpeg=LARGER), "allowed: a JPEG of 320x180"),
        (replace(SAMPLE, jpeg=JPEG[:200]), "allowed: a JPEG of 320x180"),
    ],
)
def test_samples_are_small_pictures_of_the_run(sample: Any, text: str) -> None:
    assert text in refused(first(samples=[sample]))


def test_a_jpeg_of_another_size_behind_a_marker_is_not_decoded() -> None:
    """What stands before the size is what our own encoder writes, or else another reader of it might see another."""
    assert is_jpeg_of(JPEG, width=320, height=180)
    comment = b"\xff\xfe\x00\x04hi"
    assert not is_jpeg_of(JPEG[:2] + comment + JPEG[2:], width=320, height=180)
    progressive = cv2.imencode(".jpg", np.zeros((180, 320, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    assert not is_jpeg_of(progressive.tobytes(), width=320, height=180)


def test_the_next_sample_is_of_this_run() -> None:
    assert "run of the next sample 2; allowed: 3" in refused(first(rhythm=Rhythm(RUN - 1, 1.0, 1.0)))


def test_packets_hold_something() -> None:
    assert "a packet of 0 bytes" in refused(first(packets=[TapedPacket(b"", 0.0, True)]))


MANY = b"\x95\xa5Batch\x91\x00\x90\x90\xdd\x00\x10\x00\x00" + b"\x93\xc4\x01\x00\xc0\xc2" * (1 << 20)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"\xff\xff\xff\xff", f"a message of 4294967299 bytes; allowed: {MOST_UNASKED_BYTES}"),
        ((MOST_UNASKED_BYTES - 3).to_bytes(4, "big"), f"a message of {MOST_UNASKED_BYTES + 1} bytes"),
        (framed(b""), "truncated"),
        (framed(b"\xc1"), "malformed"),
        (framed(b"\x80"), "Expected `array`"),
        (framed(b"\x91\xa6Opener"), "Invalid value 'Opener'"),
        (framed(b"\x92\xa5Batch" + b"\x91" * 100_000), "no message of a reader"),
        (framed(b"\xdc\xff\xff\xa5Batch" + b"\x91" * 100_000), "no message of a reader"),
        (framed(b"\x9d\xa5Batch" + msgspec.msgpack.encode(Batch())[7:] + b"\x91" * 9000), "no message of a reader"),
        (framed(MANY), f"Expected `array` of length <= {MOST_PACKETS}"),
        (message(["Batch", [0], [], b"\xff\x00" * 3]), "Expected"),
        (message(["Batch", [0], [], [], [], None, None, None, None, [], None, ["ended", 5]]), "Expected `str`"),
    ],
)
def test_what_is_no_message_ends_the_session(said: bytes, text: str) -> None:
    assert text in refused(said)


def test_a_text_is_shown_in_one_line() -> None:
    assert printable("a\tb\u2028c\x7f", most=10) == "a�b�c�"
    assert printable("x" * 11, most=10) == "x" * 9 + "…"
