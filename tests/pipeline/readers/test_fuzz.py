"""Whatever a process of readers says, its reader gives frames of one run that are true to their form, or a StreamError.

``tests/fuzzing.py`` says how to look longer.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing import looks_at
from tests.pipeline.readers.telling import GRID, INFO, JPEG, RUN, SPEC, Heard, first, framed, hear, sent
from tests.video.clips import write_video
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.pipeline.readers import remote
from vad.pipeline.readers.messages import Batch, Inbox, Seen, SentFrame, TapeFormat
from vad.pipeline.readers.processes import ReaderProcesses
from vad.types import ClockFault, Frame, Geometry, WallSource
from vad.video.items import Counts, Passed, StreamInfo
from vad.video.samples import Rhythm, Sample, Samples
from vad.video.spec import ReadEnv
from vad.video.tape import Tape, TapedPacket
from vad.video.view import AS_CODED, Orientation

BYTES = st.binary(max_size=40)
WHOLE = st.one_of(st.integers(-2, 12), st.integers(-(2**63), 2**64 - 1))
NUMBER = st.one_of(st.floats(), st.floats(0.0, 3.0), st.integers(-(2**63), 2**64 - 1).map(float))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), WHOLE, NUMBER, st.text(max_size=20), BYTES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.one_of(st.text(max_size=8), WHOLE), inner, max_size=4)
    ),
    max_leaves=20,
)


def mostly(right: object, wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The right value more often than not, so that what comes after it is looked at too."""
    return st.one_of(st.just(right), st.just(right), st.just(right), wrong)


ORIENTATION = mostly(AS_CODED, st.builds(Orientation, st.one_of(st.sampled_from((90, 180, 270)), WHOLE), st.booleans()))
GEOMETRY = mostly(
    GRID, st.builds(Geometry, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, st.sampled_from((0, 90)), st.booleans(), WHOLE, WHOLE)
)
TEXT = st.text(max_size=30)
FRAME = st.builds(
    lambda index, **changes: msgspec.structs.replace(sent(max(0, min(index, 99))), index=index, **changes),
    st.one_of(st.integers(0, 4), WHOLE),
    pts_s=st.one_of(st.floats(0.0, 9.0), NUMBER),
    wall_s=mostly(1.8e9, NUMBER),
    arrived_s=mostly(1.0, NUMBER),
    wall_source=st.sampled_from(WallSource),
    geometry=GEOMETRY,
    luma=mostly(bytearray(GRID.height * GRID.width), BYTES.map(bytearray)),
)
INFO_SAID = mostly(
    INFO,
    st.builds(
        StreamInfo,
        TEXT,
        TEXT,
        TEXT,
        WHOLE,
        WHOLE,
        TEXT,
        TEXT,
        st.one_of(st.none(), NUMBER),
        st.booleans(),
        GEOMETRY,
        ORIENTATION,
        st.tuples(WHOLE, WHOLE),
        st.booleans(),
    ),
)
BATCH = st.builds(
    Batch,
    passed=mostly(Passed(1), st.builds(Passed, WHOLE, WHOLE)),
    frames=st.lists(FRAME, max_size=3),
    counts=st.builds(
        Counts,
        mostly(25.0, NUMBER),
        st.integers(0, 3),
        mostly(0, WHOLE),
        mostly(0, WHOLE),
        mostly(0.0, NUMBER),
        mostly(0, WHOLE),
        st.one_of(st.none(), st.sampled_from(ClockFault)),
        mostly(None, NUMBER),
        mostly(None, NUMBER),
    ),
    packets=st.lists(st.builds(TapedPacket, BYTES, mostly(None, NUMBER), st.booleans()), max_size=4),
    origin_s=mostly(None, NUMBER),
    info=st.one_of(st.none(), INFO_SAID),
    format=st.one_of(
        st.none(),
        st.builds(TapeFormat, mostly("h264", TEXT), BYTES, TEXT, TEXT, NUMBER, st.booleans(), GEOMETRY, ORIENTATION),
    ),
    goes_on_at_s=mostly(None, NUMBER),
    samples=st.lists(st.builds(Sample, mostly(RUN, WHOLE), NUMBER, GEOMETRY, mostly(JPEG, BYTES)), max_size=2),
    rhythm=st.one_of(st.none(), st.builds(Rhythm, mostly(RUN, WHOLE), NUMBER, NUMBER)),
    end=st.one_of(st.none(), st.none(), st.tuples(mostly("ended", TEXT), TEXT)),
)
SEEN = st.builds(Seen, st.integers(0, 4), WHOLE, WHOLE, BYTES)


def check_promise(heard: Heard) -> None:
    """What the engine may rely on, whatever was said."""
    frames = [item for item in heard.items if isinstance(item, Frame)]
    assert [frame.index for frame in frames] == list(range(len(frames)))
    times_s = [frame.pts_s for frame in frames]
    assert times_s == sorted(set(times_s))
    for frame in frames:
        assert (frame.camera, frame.run, frame.geometry) == ("cam", RUN, heard.reader.info.geometry)
        assert frame.luma.shape == (frame.geometry.height, frame.geometry.width)
        assert frame.luma.dtype == np.uint8
        assert all(map(math.isfinite, (frame.pts_s, frame.wall_s, frame.arrived_s)))
    for item in heard.items:
        if isinstance(item, Passed):
            assert 0 <= item.overrun <= item.frames
    assert heard.error is not None
    assert heard.error.code in StreamCode
    assert heard.error.code is not StreamCode.READER_DIED
    assert str(heard.error).isprintable()
    assert len(str(heard.error)) <= 2000
    check_kept(heard)


def check_kept(heard: Heard) -> None:
    """What was taken from it to be looked at later can be."""
    counts = heard.reader.counts
    assert all(value is None or isinstance(value, str) or math.isfinite(value) for value in counts)
    excerpt = heard.tape.excerpt(0.0, 1e9)
    if excerpt is not None:
        assert all(map(math.isfinite, excerpt.times_s))
        assert math.isfinite(excerpt.interval_s)
    usual = heard.tape.samples.usual(GRID, run=RUN, before_s=1.0, masks=())
    assert usual is None or usual.shape == (180, 320, 3)
    assert heard.tape.look(most_width=160) is None


@looks_at(300)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes(data: bytes, is_framed: bool) -> None:
    check_promise(hear(first(), framed(data) if is_framed else data))


@looks_at(500)
@given(st.lists(st.one_of(VALUES, st.builds(lambda *rest: ["Batch", *rest], VALUES, VALUES, VALUES)), max_size=4))
def test_any_values(values: list[Any]) -> None:
    check_promise(hear(*values))


@looks_at(200)
@given(st.lists(st.tuples(st.integers(0, 11), VALUES), min_size=1, max_size=3))
def test_a_batch_with_any_value_in_any_place(changes: list[tuple[int, Any]]) -> None:
    batch = msgspec.msgpack.decode(msgspec.msgpack.encode(first()))
    for place, value in changes:
        batch[place % len(batch)] = value
    check_promise(hear(batch, first()))


@looks_at(500)
@given(st.booleans(), st.lists(st.one_of(BATCH, BATCH, BATCH, SEEN), max_size=5))
def test_batches_of_the_right_form_with_any_content(begins_well: bool, told: list[Batch | Seen]) -> None:
    check_promise(hear(*([first()] if begins_well else []), *told))


def test_the_fuzzer_fills_every_field() -> None:
    """A field that is new to the messages is to be fuzzed and checked too."""
    known = {
        Batch: 11,
        SentFrame: 7,
        TapeFormat: 8,
        Seen: 4,
    }
    for kind, count in known.items():
        assert len(kind.__struct_fields__) == count, f"{kind.__name__}: look at checks.py and at the strategies here"
    assert [len(kind._fields) for kind in (Counts, Passed, TapedPacket, Rhythm)] == [9, 2, 3, 3]
    assert [len(fields(kind)) for kind in (StreamInfo, Sample, Geometry)] == [13, 4, 9]


@pytest.fixture(scope="module")
def recording(processes: ReaderProcesses, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What a real process says of a real clip, body by body."""
    said: list[bytes] = []

    class Recorder(Inbox):
        def take(self, **limits: int) -> bytes | None:
            body = super().take(**limits)
            said.extend([body] if body is not None else [])
            return body

    clip = write_video(tmp_path_factory.mktemp("fuzz") / "clip.mp4", frames=60)
    spec = replace(SPEC, config=CameraConfig(url=str(clip), realtime=False))
    tape = Tape(run=RUN, seconds=60.0, max_bytes=1 << 24, samples=Samples())
    with pytest.MonkeyPatch.context() as patched, suppress(StreamError):
        patched.setattr(remote, "Inbox", Recorder)
        with processes.reader(spec, run=RUN, env=ReadEnv(tape=tape)) as reader:
            list(reader)
    return said


def test_the_recording_is_taken_as_it_is(recording: list[bytes]) -> None:
    heard = hear(*map(framed, recording))
    check_promise(heard)
    assert heard.error is not None
    assert heard.error.code is StreamCode.ENDED
    assert sum(isinstance(item, Frame) for item in heard.items) == 20
    assert heard.tape.excerpt(0.0, 9.0) is not None


PLACES = st.lists(st.integers(0, 60), min_size=1, max_size=4)
WHICH = st.integers(0, 60)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), WHICH, PLACES, st.one_of(WHOLE, NUMBER, VALUES)),
        st.tuples(st.just("flip"), WHICH, st.integers(0, 2**16), st.integers(0, 7)),
        st.tuples(st.just("cut"), WHICH, st.integers(0, 2**16)),
        st.tuples(st.just("drop"), WHICH),
        st.tuples(st.just("repeat"), WHICH),
        st.tuples(st.just("swap"), WHICH, WHICH),
    ),
    min_size=1,
    max_size=3,
)


@looks_at(500)
@given(CHANGES)
def test_a_recording_that_was_tampered_with(recording: list[bytes], changes: list[Any]) -> None:
    bodies = list(recording)
    for change in changes:
        tamper(bodies, *change)
    check_promise(hear(*map(framed, bodies)))


def tamper(bodies: list[bytes], what: str, which: int, *how: Any) -> None:
    """Change one of them, or their order."""
    if not bodies:
        return
    at = which % len(bodies)
    body = bodies[at]
    match what:
        case "put":
            bodies[at] = with_value(body, *how)
        case "flip" if body:
            place, bit = how[0] % len(body), how[1]
            bodies[at] = body[:place] + bytes([body[place] ^ (1 << bit)]) + body[place + 1 :]
        case "cut" if body:
            bodies[at] = body[: how[0] % len(body)]
        case "drop":
            del bodies[at]
        case "repeat":
            bodies.insert(at, body)
        case "swap":
            other = how[0] % len(bodies)
            bodies[at], bodies[other] = bodies[other], body


def with_value(body: bytes, places: list[int], value: object) -> bytes:
    """The message with ``value`` where ``places`` lead to, one step inward for each of them."""
    try:
        whole = holder = msgspec.msgpack.decode(body)
    except msgspec.DecodeError:  # it was tampered with before
        return body
    last: Callable[[], object] | None = None
    for place in places:
        if isinstance(holder, dict):
            keys: list[Any] = list(holder)
        else:
            keys = list(range(len(holder))) if isinstance(holder, list) else []
        if not keys:
            break
        key = keys[place % len(keys)]
        last = partial(operator.setitem, holder, key, value)
        holder = holder[key]
    if last is not None:
        last()
    return msgspec.msgpack.encode(whole)
