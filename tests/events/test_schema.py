"""The wire: what is written is CloudEvents, what is read is typed or refused."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import jsonschema
import msgspec
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.factory import ANOMALY, CAMERA, WALL_S, anomaly, frame_score
from vad import __version__
from vad.errors import WireError
from vad.events import (
    AnomalyMessage,
    CameraMessage,
    HeartbeatMessage,
    OtherMessage,
    decode,
    describe,
    encode,
    json_schema,
)
from vad.events.messages import durable_message, heartbeat_message, rfc3339, score_message
from vad.events.schema import MAX_BODY_BYTES, MAX_REGIONS, Message, topic_of
from vad.types import (
    CameraEvent,
    EngineEvent,
    EngineState,
    EventType,
    HealthIssue,
    JournalEvent,
    JournalState,
    Region,
    Stage,
)

EPOCH = "0123456789abcdef0123456789abcdef"
EVERY_KIND: list[Message] = [
    *(durable_message(anomaly(type=kind, close_reason="calm"), epoch=EPOCH, sequence=7) for kind in EventType),
    durable_message(CAMERA, epoch=EPOCH, sequence=8),
    durable_message(CameraEvent("cam1", 2, HealthIssue.LIGHT_JUMP, WALL_S), epoch=EPOCH, sequence=9),
    score_message(frame_score(), id="s-1"),
    score_message(frame_score(threshold=math.inf), id="s-2"),
    durable_message(JournalEvent(JournalState.REPLACED, WALL_S, "it was gone", EPOCH, 9), epoch=EPOCH, sequence=1),
    durable_message(
        JournalEvent(JournalState.OVERFLOWED, WALL_S, lost=3, since_wall_s=WALL_S - 9, until_wall_s=WALL_S - 1),
        epoch=EPOCH,
        sequence=2,
    ),
    durable_message(EngineEvent(EngineState.OVERLOADED, WALL_S, 0.64, "busy"), epoch=EPOCH, sequence=3),
    heartbeat_message(epoch=EPOCH, last_sequence=0, wall_s=WALL_S, id="s-3", first_sequence=1, replay_port=5591),
]
every_kind = pytest.mark.parametrize("message", EVERY_KIND, ids=lambda m: m.type)


def cloud_event(body: bytes) -> CloudEvent:
    event = JSONFormat().read(CloudEvent, body)
    assert isinstance(event, CloudEvent)
    return event


@every_kind
def test_every_body_is_read_back_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message


@every_kind
def test_every_body_is_a_cloud_event_for_the_cloudevents_package(message: Message) -> None:
    event = cloud_event(encode(message))  # its constructor validates
    assert event.get_id() == message.id
    assert event.get_type() == message.type
    assert event.get_datacontenttype() == "application/json"
    time = event.get_time()
    assert time is not None
    assert time.timestamp() == WALL_S


@every_kind
def test_every_body_fits_exactly_one_branch_of_the_json_schema(message: Message) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(encode(message)), schema, format_checker=jsonschema.FormatChecker())


@every_kind
def test_every_message_can_be_told_in_one_line(message: Message) -> None:
    line = describe(message)
    assert message.time in line
    assert "\n" not in line


def test_a_line_holds_nothing_that_steers_a_terminal() -> None:
    event = CameraEvent("cam1", 1, "backoff", WALL_S, code="broken", detail="\x1b[2Jgone\r\nsecond line")
    assert describe(durable_message(event, epoch=EPOCH, sequence=1)).endswith("backoff  broken  [2Jgone  second line")


def test_json_schema_refuses_a_body_without_a_required_attribute() -> None:
    body = json.loads(encode(EVERY_KIND[0]))
    del body["sequence"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, json_schema())


def test_a_durable_event_carries_epoch_sequence_and_an_id_made_of_both() -> None:
    message = durable_message(ANOMALY, epoch=EPOCH, sequence=42)
    body = json.loads(encode(message))
    assert body["id"] == f"{EPOCH}-42"
    assert (body["epoch"], body["sequence"]) == (EPOCH, 42)
    assert body["source"] == "/vad/cameras/cam1"
    assert body["subject"] == "cam1"
    assert body["time"] == "2023-11-14T22:13:20.250Z"
    assert body["type"] == "io.vad.anomaly.opened"
    assert body["data"]["reasons"] == ["speed", "direction"]
    assert body["data"]["regions"] == [{"x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4, "score": 6.0}]


def test_a_region_tells_its_track_where_it_has_one() -> None:
    regions = (Region(0.1, 0.2, 0.3, 0.4, 6.0, 17), Region(0.5, 0.2, 0.6, 0.4, 5.0))
    message = durable_message(anomaly(regions=regions), epoch=EPOCH, sequence=1)
    body = json.loads(encode(message))
    jsonschema.validate(body, json_schema())
    told = body["data"]["regions"]
    assert (told[0]["track"], "track" in told[1]) == (17, False)
    assert decode(encode(message)) == message


def test_a_reader_that_knows_no_tracks_and_an_event_without_any_are_read() -> None:
    class OldRegion(msgspec.Struct):
        x0: float
        y0: float
        x1: float
        y1: float
        score: float

    new = encode(durable_message(anomaly(regions=(Region(0.1, 0.2, 0.3, 0.4, 6.0, 17),)), epoch=EPOCH, sequence=1))
    told = json.dumps(json.loads(new)["data"]["regions"])
    assert msgspec.json.decode(told, type=list[OldRegion])[0].score == 6.0
    before = decode(new.replace(b',"track":17', b""))
    assert isinstance(before, AnomalyMessage)
    assert [region.track for region in before.data.regions] == [None]
    null = decode(new.replace(b'"track":17', b'"track":null'))
    assert null == before


def test_topics_end_in_a_slash_and_name_the_camera() -> None:
    topics = [topic_of(message) for message in EVERY_KIND]
    assert topics[0] == "vad/1/event/cam1/"
    assert topics[3] == topics[4] == "vad/1/health/cam1/"
    assert topics[5] == "vad/1/score/cam1/"
    assert topics[7] == topics[8] == "vad/1/health/_journal/"
    assert topics[9] == "vad/1/health/_engine/"
    assert topics[10] == "vad/1/heartbeat/"


def test_a_cold_camera_has_no_threshold_on_the_wire() -> None:
    body = json.loads(encode(score_message(frame_score(threshold=math.inf), id="s")))
    assert body["data"]["threshold"] is None
    assert "sequence" not in body


def test_the_heartbeat_names_the_version_of_the_engine() -> None:
    body = json.loads(encode(EVERY_KIND[-1]))
    assert body["data"] == {
        "epoch": EPOCH,
        "last_sequence": 0,
        "version": __version__,
        "first_sequence": 1,
        "replay_port": 5591,
    }


def test_the_heartbeat_of_an_engine_without_replay_is_read() -> None:
    body = json.loads(encode(EVERY_KIND[-1]))
    del body["data"]["first_sequence"], body["data"]["replay_port"]
    message = decode(json.dumps(body).encode())
    assert isinstance(message, HeartbeatMessage)
    assert message.data.replay_port is None


def test_of_too_many_regions_the_strongest_are_kept_in_their_order() -> None:
    regions = tuple(Region(0.0, 0.0, 0.5, 0.5, float(i % 100)) for i in range(1000))
    message = durable_message(anomaly(regions=regions), epoch=EPOCH, sequence=1)
    assert isinstance(message, AnomalyMessage)
    scores = [region.score for region in message.data.regions]
    assert len(scores) == MAX_REGIONS
    assert min(scores) >= 93.0
    assert scores[:3] == [93.0, 94.0, 95.0]
    assert len(encode(message)) <= MAX_BODY_BYTES


def test_a_long_detail_is_cut_and_never_breaks_the_limit() -> None:
    event = CameraEvent("cam1", 1, "backoff", WALL_S, detail="\x01" * 100_000)  # six bytes each in JSON
    assert len(encode(durable_message(event, epoch=EPOCH, sequence=1))) <= MAX_BODY_BYTES


def test_a_body_that_would_be_too_big_is_refused() -> None:
    message = durable_message(anomaly(incident="x" * MAX_BODY_BYTES), epoch=EPOCH, sequence=1)
    with pytest.raises(WireError, match="allowed: 65535"):
        encode(message)


def test_an_infinite_score_is_told_as_the_largest_and_no_number_is_refused() -> None:
    message = durable_message(anomaly(score=math.inf, p_value=0.0), epoch=EPOCH, sequence=1)
    assert isinstance(message, AnomalyMessage)
    assert message.data.score == 308.0
    with pytest.raises(WireError, match="peak_score is nan"):
        durable_message(anomaly(peak_score=math.nan), epoch=EPOCH, sequence=1)


@pytest.mark.parametrize("camera", ["", "a/b", "cam 1", "cam1/", "a\x00b", "-cam", "x" * 65])
def test_a_camera_that_would_break_a_topic_is_refused(camera: str) -> None:
    with pytest.raises(WireError, match="cannot stand in a topic"):
        durable_message(anomaly(camera=camera), epoch=EPOCH, sequence=1)


@pytest.mark.parametrize("wall_s", [math.nan, math.inf, 1e20, -1e20])
def test_a_time_that_is_none_is_refused(wall_s: float) -> None:
    with pytest.raises(WireError):
        rfc3339(wall_s)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"type": 1}',
        b'{"type": "io.vad.anomaly.opened"}',
        b'{"type": "io.vad.heartbeat", "data": {}}',
        b"\xff\xfe",
        b'{"type": "\xff"}',
        b'{"type": "x", "deep": ' + b"[" * 60_000,
        b'{"type": "io.vad.score", "data": ' + b'{"a":' * 10_000,
        b" " * (MAX_BODY_BYTES + 1),
    ],
)
def test_malformed_bodies_are_refused_with_a_typed_error(body: bytes) -> None:
    with pytest.raises(WireError):
        decode(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sequence", 0), ("sequence", "1"), ("epoch", "XYZ"), ("specversion", "0.3"), ("id", ""), ("data", None)],
)
def test_a_wrong_attribute_is_refused(name: str, value: Any) -> None:
    body = json.loads(encode(EVERY_KIND[0]))
    with pytest.raises(WireError):
        decode(json.dumps({**body, name: value}).encode())


def test_unknown_fields_and_words_of_a_newer_engine_are_taken_as_they_come() -> None:
    body = json.loads(encode(EVERY_KIND[0]))
    body["traceparent"] = "00-1"
    body["data"] |= {"stage": "dreaming", "reasons": ["smell"], "colour": "red"}
    message = decode(json.dumps(body).encode())
    assert isinstance(message, AnomalyMessage)
    assert message.data.stage == "dreaming"
    assert message.data.reasons == ["smell"]


def test_an_unknown_type_keeps_its_place_in_the_sequence() -> None:
    body = json.loads(encode(EVERY_KIND[0])) | {"type": "io.vad.weather.rain"}
    message = decode(json.dumps(body).encode())
    assert isinstance(message, OtherMessage)
    assert message.sequence == 7


def test_words_on_the_wire_compare_equal_to_the_enums() -> None:
    message = decode(encode(EVERY_KIND[0]))
    assert isinstance(message, AnomalyMessage)
    assert message.data.stage == Stage.CALIBRATED
    assert message.type == EventType.OPENED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
known_keys = st.sampled_from(sorted({key for m in EVERY_KIND for key in json.loads(encode(m))}))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(EVERY_KIND), st.dictionaries(known_keys, json_values, max_size=3))
def test_a_body_with_anything_in_its_attributes_is_read_or_refused(message: Message, changes: dict[str, Any]) -> None:
    body = json.dumps(json.loads(encode(message)) | changes).encode()
    with contextlib.suppress(WireError):
        decode(body)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 600), st.sampled_from(EVERY_KIND))
def test_a_damaged_body_is_read_or_refused(noise: bytes, at: int, message: Message) -> None:
    body = encode(message)
    for damaged in (noise, body[:at] + noise, body[:at] + noise + body[at + len(noise) :]):
        with contextlib.suppress(WireError):
            decode(damaged)


@settings(max_examples=200, deadline=None)
@given(
    numbers=st.tuples(*[st.floats(allow_nan=False)] * 6),
    incident=st.text(max_size=100),
    state=st.sampled_from(["up", "frozen", "recovered"]),
    detail=st.text(),
)
def test_what_can_be_written_can_be_read(numbers: tuple[float, ...], incident: str, state: str, detail: str) -> None:
    score, threshold, p_value, peak, x0, pts_s = numbers
    region = Region(x0, 0.0, 1.0, 1.0, peak)
    opened = anomaly(incident=incident, score=score, threshold=threshold, p_value=p_value, peak_score=peak, pts_s=pts_s)
    for event in (opened, anomaly(regions=(region,)), CameraEvent("cam1", 1, state, WALL_S, detail=detail)):
        try:
            message = durable_message(event, epoch=EPOCH, sequence=1)
            body = encode(message)
        except WireError:
            continue
        assert decode(body) == message
        assert isinstance(message, AnomalyMessage | CameraMessage)
