"""What a process of readers may say of a run; anything else is refused before the engine uses any of it.

A decoder that a hostile stream has taken over may say anything on its session's socket. Numbers must be finite and
within bounds that no camera reaches, frames must be counted one by one, and every picture must have the size that the
run's first frame had. Whoever meets a ``NotAReader`` ends the session and trusts the process no further.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

import av
import numpy as np

from vad.errors import StreamCode, StreamError
from vad.pipeline.readers.messages import Batch, Seen, SentFrame, TapeFormat
from vad.types import Geometry
from vad.video.description import MOST_GRID_PX, MOST_SIDE_PX
from vad.video.items import Counts, Passed, StreamInfo
from vad.video.luma import geometry_of
from vad.video.overlay import Picture, scaled_size
from vad.video.reader import CONTINUABLE
from vad.video.samples import EVERY_S, WIDTH, Rhythm, Sample, is_jpeg_of
from vad.video.spec import ReadSpec
from vad.video.tape import TapedPacket
from vad.video.view import Orientation

MOST_ASPECT_SIDE = (1 << 31) - 1
"""Of a pixel's width and height: FFmpeg's numbers."""
MOST_PTS_S = 1e10
MOST_STAMP_S = 1e13
"""Of a packet's own time, which may begin anywhere. In FFmpeg's ticks twice as much is still a number of 64 bits."""
MOST_WALL_S = 253_370_764_800.0
"""The year 9999, the last that a date can name."""
SLACK_S = 1.0
"""How far an arrival may lie outside the time in which it must, for the rounding of clocks."""
LEAST_FPS, MOST_FPS = 1e-6, 1e12
MOST_RATIO = 1e6
MOST_COUNT = 1 << 53
MOST_PASSED = 1_000_000
"""Frames that one batch says were not analysed."""
MOST_EXTRA_S, MOST_EXTRA_OF_FILE_S = 3600.0, 1e7
"""How much longer than ``read_timeout_s`` a frame may take: a recording may have one in weeks, a camera has not."""
MOST_TIMES, BURST_FRAMES = 20.0, 1000
"""As many times as fast as time a stream may be that is read in real time, and how many frames it may be ahead."""
IDLE_EVERY_S, BURST_IDLE = 0.3, 16
"""Twice as often as a process tells of a run that gives no frame, and how many such batches may be there too soon."""
MOST_EXTRADATA_BYTES = 1 << 20
MOST_JPEG_HEAD_BYTES = 1 << 16
MOST_TEXT_CHARS, MOST_WHY_CHARS = 2000, 300

_NAME = re.compile(r"[ -~]{0,128}")
_DECODERS = ("cpu", "cuda")
_ROTATIONS = (0, 90, 180, 270)
_NEVER_SAID = StreamCode.READER_DIED
"""The engine's own word for a process that is no more."""


class NotAReader(ValueError):
    """A process said what no reader says. The text says what, got, allowed; it is one short line that can be shown."""

    def __init__(self, what: str) -> None:
        super().__init__(printable(what, most=MOST_WHY_CHARS))


def printable(text: str, *, most: int) -> str:
    """At most that many characters of it, in one line, control characters replaced."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(character if character.isprintable() else "�" for character in cut)


def ending(end: tuple[str, str]) -> StreamError:
    """What ended a run, from the ``end`` of a batch that has passed ``RunChecks``."""
    code, text = end
    return StreamError(StreamCode(code), printable(text, most=MOST_TEXT_CHARS))


def picture_of(seen: Seen, *, most_width: int | None) -> Picture | None:
    """The picture of an answer, or None where it holds none. Raises NotAReader."""
    if not seen.pixels and seen.width == seen.height == 0:
        return None
    _within("the width of a picture", seen.width, 1, min(most_width or MOST_SIDE_PX, MOST_SIDE_PX))
    _within("the height of a picture", seen.height, 1, MOST_SIDE_PX)
    _same("bytes of a picture", len(seen.pixels), seen.height * seen.width * 3)
    return np.frombuffer(seen.pixels, np.uint8).reshape(seen.height, seen.width, 3)


class RunChecks:
    """Those of one run: ``check`` is given each batch in turn.

    ``opened_s`` is the monotonic time at which the session was opened: nothing of it has arrived before.
    """

    def __init__(self, spec: ReadSpec, *, run: int, opened_s: float) -> None:
        self._spec, self._run, self._opened_s = spec, run, opened_s
        self._info: StreamInfo | None = None
        self._counts = Counts()
        self._began_s = time.monotonic()
        self._frames = self._idle_batches = 0
        self._pts_s = -1.0  # of the last frame

    def check(self, batch: Batch) -> None:
        """Raises NotAReader, after which no batch of the session may be used."""
        self._check_counts(batch.counts)
        if batch.info is not None:
            self._check_info(batch.info)
        if batch.format is not None:
            self._check_format(batch.format)
        _check_passed(batch.passed)
        self._check_frames(batch.frames)
        self._check_pace(has_frames=bool(batch.frames))
        _check_packets(batch.packets)
        _stamp("the origin of the packets", batch.origin_s)
        _stamp("the packet to go on from", batch.goes_on_at_s)
        for sample in batch.samples:
            self._check_sample(sample)
        if batch.rhythm is not None:
            self._check_rhythm(batch.rhythm)
        if batch.end is not None:
            self._check_end(batch.end[0])

    def _check_counts(self, counts: Counts) -> None:
        for name in ("corrupt_packets", "spared_frames", "unfiltered_frames", "outlier_stamps"):
            _within(name, getattr(counts, name), getattr(self._counts, name), MOST_COUNT)
        most_extra_s = MOST_EXTRA_S if self._spec.config.is_network else MOST_EXTRA_OF_FILE_S
        _within("extra_timeout_s", counts.extra_timeout_s, 0.0, most_extra_s)
        _maybe_within("measured_fps", counts.measured_fps, 0.0, MOST_FPS)
        _maybe_within("clock_skew_s", counts.clock_skew_s, -MOST_STAMP_S, MOST_STAMP_S)
        _maybe_within("clock_ratio", counts.clock_ratio, -MOST_RATIO, MOST_RATIO)
        self._counts = counts

    def _check_info(self, info: StreamInfo) -> None:
        for what in (info.codec, info.profile or "", info.container, info.pixel_format):
            _name("what a stream is", what)
        if info.decoder not in _DECODERS:
            raise NotAReader(f"decoder {_shown(info.decoder)}; allowed: {' or '.join(_DECODERS)}")
        _maybe_within("announced_fps", info.announced_fps, LEAST_FPS, MOST_FPS)
        _within("the width of the source", info.width, 1, MOST_SIDE_PX)
        _within("the height of the source", info.height, 1, MOST_SIDE_PX)
        _check_orientation(info.orientation)
        for side in info.pixel_aspect:
            _within("a side of a pixel", side, 1, MOST_ASPECT_SIDE)
        grid = geometry_of(info.view, model_width=self._spec.model_width)
        _same("geometry", info.geometry, grid)
        _within("pixels of the model's grid", grid.width * grid.height, 1, MOST_GRID_PX)
        if self._info is not None:  # another may decode it from now on
            _same("the stream", replace(info, decoder=self._info.decoder), self._info)
        self._info = info

    def _check_format(self, shape: TapeFormat) -> None:
        info = self._known("a tape's format")
        for name in ("codec", "container", "pixel_format", "geometry"):
            _same(f"{name} of the tape", getattr(shape, name), getattr(info, name))
        _within("frames per second of the tape", shape.fps, LEAST_FPS, MOST_FPS)
        _within("bytes of extradata", len(shape.extradata), 0, MOST_EXTRADATA_BYTES)
        _check_orientation(shape.orientation)
        _check_ffmpeg_knows(shape)

    def _check_frames(self, frames: Sequence[SentFrame]) -> None:
        _within("frames of a batch", len(frames), 0, self._spec.clip_length)
        latest_s = time.monotonic() + SLACK_S
        for frame in frames:
            _same("index", frame.index, self._frames)
            _within("pts_s", frame.pts_s, 0.0, MOST_PTS_S)
            if frame.pts_s <= self._pts_s:
                raise NotAReader(f"pts_s {frame.pts_s}; allowed: more than {self._pts_s}, of the frame before")
            _within("wall_s", frame.wall_s, 0.0, MOST_WALL_S)
            _within("arrived_s", frame.arrived_s, self._opened_s - SLACK_S, latest_s)
            grid = self._check_grid("geometry of a frame", frame.geometry)
            _same("bytes of luma", len(frame.luma), grid.height * grid.width)
            self._frames, self._pts_s = self._frames + 1, frame.pts_s

    def _check_pace(self, *, has_frames: bool) -> None:
        """What comes faster than any stream would keep the engine busy, though each batch of it is sound."""
        passed_s = time.monotonic() - self._began_s
        if not has_frames:
            self._idle_batches += 1
            _within("batches without a frame", self._idle_batches, 0, BURST_IDLE + int(passed_s / IDLE_EVERY_S))
        config = self._spec.config
        if config.realtime:
            most = BURST_FRAMES + int(MOST_TIMES * config.analysis_fps * passed_s)
            _within("frames so far", self._frames, 0, most)

    def _check_sample(self, sample: Sample) -> None:
        _same("run of a sample", sample.run, self._run)
        _within("pts_s of a sample", sample.pts_s, 0.0, MOST_PTS_S)
        grid = self._check_grid("geometry of a sample", sample.geometry)
        width, height = scaled_size(grid.source_width, grid.source_height, most_width=WIDTH)
        _within("bytes of a sample", len(sample.jpeg), 1, 3 * width * height + MOST_JPEG_HEAD_BYTES)
        if not is_jpeg_of(sample.jpeg, width=width, height=height):
            raise NotAReader(f"a sample that is no such picture; allowed: a JPEG of {width}x{height}")

    def _check_rhythm(self, rhythm: Rhythm) -> None:
        _same("run of the next sample", rhythm.run, self._run)
        _within("due_s of the next sample", rhythm.due_s, 0.0, 2.0 * MOST_PTS_S)
        _within("gap_s of the samples", rhythm.gap_s, 0.0, EVERY_S)

    def _check_end(self, code: str) -> None:
        if code not in StreamCode.__members__.values() or code == _NEVER_SAID:
            allowed = ", ".join(known for known in StreamCode if known != _NEVER_SAID)
            raise NotAReader(f"the end of a run by {_shown(code)}; allowed: {allowed}")
        if code in CONTINUABLE and not self._frames:
            raise NotAReader(f"the end of a run by {code} before its first frame; allowed: after one")

    def _check_grid(self, what: str, grid: Geometry) -> Geometry:
        _same(what, grid, self._known(what).geometry)
        return grid

    def _known(self, what: str) -> StreamInfo:
        if self._info is None:
            raise NotAReader(f"{what} before the stream was described; allowed: after it")
        return self._info


def _check_orientation(orientation: Orientation) -> None:
    if orientation.rotation not in _ROTATIONS:
        raise NotAReader(f"pictures turned by {orientation.rotation} degrees; allowed: {_ROTATIONS}")


def _check_passed(passed: Passed) -> None:
    _within("frames passed", passed.frames, 0, MOST_PASSED)
    _within("frames overrun", passed.overrun, 0, passed.frames)


def _check_packets(packets: Sequence[TapedPacket]) -> None:
    for packet in packets:
        _stamp("the time of a packet", packet.at_s)
        if not packet.data:
            raise NotAReader("a packet of 0 bytes; allowed: at least 1")


def _check_ffmpeg_knows(shape: TapeFormat) -> None:
    """The engine decodes clips of it."""
    try:
        kind: str = av.Codec(shape.codec, "r").type
        av.VideoFormat(shape.pixel_format)
    except ValueError:
        kind = "nothing that FFmpeg knows"
    if kind != "video":
        got = f"{shape.codec}, {shape.pixel_format}"
        raise NotAReader(f"a tape of {_shown(got)}, which is {kind}; allowed: a codec and a pixel format of video")


def _within(what: str, got: float, least: float, most: float) -> None:
    if not least <= got <= most:  # nor does a number that is none lie between two others
        raise NotAReader(f"{what} {_shown(got)}; allowed: {least} to {most}")


def _maybe_within(what: str, got: float | None, least: float, most: float) -> None:
    if got is not None:
        _within(what, got, least, most)


def _stamp(what: str, got: float | None) -> None:
    _maybe_within(what, got, -MOST_STAMP_S, MOST_STAMP_S)


def _same(what: str, got: object, allowed: object) -> None:
    if got != allowed:
        raise NotAReader(f"{what} {_shown(got)}; allowed: {_shown(allowed)}")


def _name(what: str, got: str) -> None:
    if not _NAME.fullmatch(got):
        raise NotAReader(f"{what} is {_shown(got)}; allowed: up to 128 printable characters of ASCII")


def _shown(value: object) -> str:
    value = value[:MOST_WHY_CHARS] if isinstance(value, str) else value
    return printable(repr(value), most=MOST_WHY_CHARS // 3)
