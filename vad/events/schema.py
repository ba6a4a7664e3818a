"""The wire: what a message on the bus looks like, as ``docs/wire.md`` specifies it.

A message is two frames, ``[topic, body]``. The body is a CloudEvents 1.0 event in JSON, never longer than
``MAX_BODY_BYTES``. Readers ignore fields they do not know and take words they do not know (a reason, a state) as they
come, so that an old reader survives a newer engine; hence words are ``str`` here, and compare equal to the enums of
``vad.types``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from vad.errors import WireError
from vad.types import EngineState, EventType, JournalState, Reason, Stage, WallSource

MAX_BODY_BYTES = 65_535
"""A body is shorter than 64 KiB, always."""

MAX_REGIONS = 64
"""Boxes in one message; of more than that the highest scores are kept."""

EVENT_TOPIC, HEALTH_TOPIC, SCORE_TOPIC = "vad/1/event/", "vad/1/health/", "vad/1/score/"
HEARTBEAT_TOPIC = "vad/1/heartbeat/"
JOURNAL_TOPIC = f"{HEALTH_TOPIC}_journal/"  # no camera's name begins with an underscore
ENGINE_TOPIC = f"{HEALTH_TOPIC}_engine/"

ANOMALY_TYPE: Final = "io.vad.anomaly"
CAMERA_TYPE: Final = "io.vad.camera"
JOURNAL_TYPE: Final = "io.vad.journal"
ENGINE_TYPE: Final = "io.vad.engine"
SCORE_TYPE: Final = "io.vad.score"
HEARTBEAT_TYPE: Final = "io.vad.heartbeat"

SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"

Epoch: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f-]{8,36}$", description="which journal counted the sequence")]
Sequence: TypeAlias = Annotated[int, Meta(ge=1, description="contiguous from 1 in each epoch")]
StageWord: TypeAlias = Annotated[str, Meta(examples=list(Stage))]


class RegionData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A box in fractions of the source picture, origin top left, half-open, with the peak score inside it.

    ``track`` is the object that covers it, in this run alone; absent where none does.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    track: Annotated[int, Meta(ge=1)] | None = None


class AnomalyData(msgspec.Struct, frozen=True, kw_only=True):
    """A step in the life of one incident; fields as in ``vad.types.AnomalyEvent``."""

    incident: str
    run: int
    pts_s: float
    wall_s: float
    wall_source: Annotated[str, Meta(examples=list(WallSource))]
    started_pts_s: float
    started_wall_s: float
    score: float
    threshold: float
    p_value: Annotated[float, Meta(ge=0.0, le=1.0)]
    peak_score: float
    peak_pts_s: float
    stage: StageWord
    reasons: list[Annotated[str, Meta(examples=list(Reason))]]
    regions: Annotated[list[RegionData], Meta(max_length=MAX_REGIONS)]
    frames: int
    close_reason: str | None = None


class CameraData(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a camera's stream or picture; fields as in ``vad.types.CameraEvent``."""

    state: str
    run: int
    wall_s: float
    code: str | None = None
    detail: str = ""


class JournalData(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the journal itself; fields as in ``vad.types.JournalEvent``."""

    state: Annotated[str, Meta(examples=list(JournalState))]
    wall_s: float
    detail: str = ""
    previous_epoch: str | None = None
    previous_sequence: int | None = None
    lost: int = 0
    since_wall_s: float | None = None
    until_wall_s: float | None = None


class EngineData(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine as a whole fares; fields as in ``vad.types.EngineEvent``."""

    state: Annotated[str, Meta(examples=list(EngineState))]
    wall_s: float
    share: Annotated[float, Meta(ge=0.0, le=1.0)]
    detail: str = ""


class ScoreData(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement on one frame. ``threshold`` is null while the camera is cold."""

    run: int
    index: int
    pts_s: float
    wall_s: float
    score: float
    threshold: float | None
    stage: StageWord
    health: str | None = None


class HeartbeatData(msgspec.Struct, frozen=True, kw_only=True):
    """How far the stream of durable events has come: ``last_sequence`` is 0 while an epoch has none.

    ``first_sequence`` is the oldest that can be replayed, above ``last_sequence`` when there is none; ``replay_port``
    is where, on the host that publishes. Null from an engine that does not say.
    """

    epoch: Epoch
    last_sequence: Annotated[int, Meta(ge=0)]
    version: str
    first_sequence: Annotated[int, Meta(ge=1)] | None = None
    replay_port: Annotated[int, Meta(ge=1, le=65535)] | None = None


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1)]
    source: Annotated[str, Meta(min_length=1, extra_json_schema={"format": "uri-reference"})]
    time: Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, UTC")]
    datacontenttype: Literal["application/json"]


class _CameraEnvelope(_Envelope, frozen=True, kw_only=True):
    subject: Annotated[str, Meta(min_length=1, description="the camera")]

    @property
    def camera(self) -> str:
        return self.subject


class AnomalyMessage(_CameraEnvelope, frozen=True, kw_only=True):
    """``io.vad.anomaly.opened | updated | closed``: durable."""

    type: Annotated[str, Meta(pattern=r"^io\.vad\.anomaly\.", examples=list(EventType))]
    epoch: Epoch
    sequence: Sequence
    data: AnomalyData


class CameraMessage(_CameraEnvelope, frozen=True, kw_only=True):
    """``io.vad.camera.<state>``: durable."""

    type: Annotated[str, Meta(pattern=r"^io\.vad\.camera\.")]
    epoch: Epoch
    sequence: Sequence
    data: CameraData


class JournalMessage(_Envelope, frozen=True, kw_only=True):
    """``io.vad.journal.<state>``: durable, about no camera and meant for every subscriber."""

    type: Annotated[str, Meta(pattern=r"^io\.vad\.journal\.")]
    epoch: Epoch
    sequence: Sequence
    data: JournalData

    @property
    def camera(self) -> str:
        return ""


class EngineMessage(_Envelope, frozen=True, kw_only=True):
    """``io.vad.engine.<state>``: durable, about no camera and meant for every subscriber."""

    type: Annotated[str, Meta(pattern=r"^io\.vad\.engine\.")]
    epoch: Epoch
    sequence: Sequence
    data: EngineData

    @property
    def camera(self) -> str:
        return ""


class OtherMessage(_Envelope, frozen=True, kw_only=True):
    """A durable event of a type that this version does not know: counted in sequence, its data untyped."""

    type: Annotated[str, Meta(min_length=1)]
    epoch: Epoch
    sequence: Sequence
    subject: str = ""
    data: Any = None

    @property
    def camera(self) -> str:
        return self.subject


class ScoreMessage(_CameraEnvelope, frozen=True, kw_only=True):
    """``io.vad.score``: one a scored frame, sent and forgotten."""

    type: Literal["io.vad.score"]
    data: ScoreData


class HeartbeatMessage(_Envelope, frozen=True, kw_only=True):
    """``io.vad.heartbeat``: sent and forgotten."""

    type: Literal["io.vad.heartbeat"]
    data: HeartbeatData


DurableMessage: TypeAlias = AnomalyMessage | CameraMessage | JournalMessage | EngineMessage | OtherMessage
Message: TypeAlias = DurableMessage | ScoreMessage | HeartbeatMessage

_FAMILIES: tuple[tuple[str, type[Message]], ...] = (
    (ANOMALY_TYPE + ".", AnomalyMessage),
    (CAMERA_TYPE + ".", CameraMessage),
    (JOURNAL_TYPE + ".", JournalMessage),
    (ENGINE_TYPE + ".", EngineMessage),
    (SCORE_TYPE, ScoreMessage),
    (HEARTBEAT_TYPE, HeartbeatMessage),
)


class _TypeOnly(msgspec.Struct, frozen=True):
    type: str


_encoder = msgspec.json.Encoder()
_type_decoder = msgspec.json.Decoder(_TypeOnly)
_decoders: dict[type[Message], msgspec.json.Decoder[Any]] = {
    family: msgspec.json.Decoder(family) for family in (OtherMessage, *(family for _, family in _FAMILIES))
}


_anomalies = _decoders[AnomalyMessage]


def topic_of(message: Message) -> str:
    """The topic on which a message of this kind is published."""
    match message:
        case CameraMessage(subject=camera):
            return f"{HEALTH_TOPIC}{camera}/"
        case ScoreMessage(subject=camera):
            return f"{SCORE_TOPIC}{camera}/"
        case JournalMessage():
            return JOURNAL_TOPIC
        case EngineMessage():
            return ENGINE_TOPIC
        case HeartbeatMessage():
            return HEARTBEAT_TOPIC
        case AnomalyMessage(subject=camera) | OtherMessage(subject=camera):
            return f"{EVENT_TOPIC}{camera}/"


def encode(message: Message) -> bytes:
    """The body. Raises WireError when it would be longer than ``MAX_BODY_BYTES``."""
    try:
        body = _encoder.encode(message)
    except (msgspec.MsgspecError, UnicodeError, OverflowError) as exc:
        raise WireError(f"message {message.id!r} cannot be written as JSON: {exc}") from None
    if len(body) > MAX_BODY_BYTES:
        raise WireError(f"message {message.id!r} is {len(body)} bytes long; allowed: {MAX_BODY_BYTES}")
    return body


def decode(body: bytes) -> Message:
    """A body as a typed message. Raises WireError for anything that is not one; never another error."""
    if len(body) > MAX_BODY_BYTES:
        raise WireError(f"a body of {len(body)} bytes; allowed: {MAX_BODY_BYTES}")
    try:
        anomaly: AnomalyMessage = _anomalies.decode(body)  # as most are, and its type says so
        return anomaly
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        kind = _type_decoder.decode(body).type
        message: Message = _decoders[_family(kind)].decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise WireError(f"not a message of the vad bus: {exc}; got {bytes(body[:80])!r}") from None
    return message


def describe(message: Message) -> str:
    """One line for a person: time, camera, what happened. Nothing in it can steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in _line(message))


def _line(message: Message) -> str:
    at = message.time
    match message:
        case AnomalyMessage(data=data):
            why = ", ".join(data.reasons) or "no reason given"
            end = f", over: {data.close_reason}" if data.close_reason else ""
            step = message.type.rsplit(".", 1)[-1]
            return (
                f"{at}  {message.camera}  {step:<7}  {why}  peak {data.peak_score:.1f} over {data.threshold:.1f}, "
                f"{data.pts_s - data.started_pts_s:.1f} s{end}  [{data.incident}]"
            )
        case CameraMessage(data=data):
            return f"{at}  {message.camera}  {data.state}  {data.code or ''} {data.detail}".rstrip()
        case JournalMessage(data=data):
            lost = f"  {data.lost} events lost" if data.lost else ""
            return f"{at}  journal  {data.state}  {data.detail}{lost}"
        case EngineMessage(data=data):
            return f"{at}  engine  {data.state}  {data.detail}"
        case ScoreMessage(data=data):
            limit = "none yet" if data.threshold is None else f"{data.threshold:.2f}"
            return f"{at}  {message.camera}  score {data.score:.2f}, threshold {limit}  {data.stage}"
        case HeartbeatMessage(data=data):
            return f"{at}  heartbeat {data.last_sequence}"
        case OtherMessage():
            return f"{at}  {message.camera}  {message.type}"


def _family(kind: str) -> type[Message]:
    for prefix, family in _FAMILIES:
        if kind.startswith(prefix):
            return family
    return OtherMessage
