"""What is said on the replay socket: requests and the heads of replies, as ``docs/wire.md`` specifies them."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from vad.errors import WireError
from vad.events.schema import Epoch

MAX_REQUEST_BYTES = 1_024
MAX_PAGE_EVENTS = 2_000
PAGE_BYTES = 256 * 1_024
"""A page ends with the event that reaches this, so that it is shorter than this and one body more."""

_MAX_INTEGER: Final = 2**53  # what every JSON reader takes without loss
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=_MAX_INTEGER)]
Token: TypeAlias = Annotated[str, Meta(max_length=64)]


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="replay"):
    """Events after a sequence, up to another one if ``until`` says so."""

    after: _Count
    epoch: Epoch | None = None
    until: _Count | None = None
    limit: Annotated[int, Meta(ge=1, le=_MAX_INTEGER)] = MAX_PAGE_EVENTS
    received: Token | None = None


class SnapshotRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="snapshot"):
    """The last event of each camera's stream and of its picture, in order of their sequence, those after ``after``."""

    after: _Count = 0
    limit: Annotated[int, Meta(ge=1, le=_MAX_INTEGER)] = MAX_PAGE_EVENTS
    received: Token | None = None


class DoneRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="done"):
    """The last page has been received and nothing more is wanted. Not answered."""

    received: Token


Request: TypeAlias = ReplayRequest | SnapshotRequest | DoneRequest


class _Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op"):
    epoch: Epoch
    first_sequence: Annotated[int, Meta(ge=1, description="the oldest that is kept; last_sequence + 1 if none is")]
    last_sequence: Annotated[int, Meta(ge=0, description="the last that was given")]
    count: Annotated[int, Meta(ge=0, le=MAX_PAGE_EVENTS, description="how many events follow, a line each")]
    more: Annotated[bool, Meta(description="another request brings more")]
    token: Token


class ReplayHead(_Head, frozen=True, kw_only=True, omit_defaults=True, tag="replay"):
    """The first frame of a page. The events that follow it have the sequences ``begin``, ``begin`` + 1, ...

    ``lost`` is the part of what was asked for that is kept no more, first and last included.
    """

    begin: Annotated[int, Meta(ge=1)]
    lost: tuple[int, int] | None = None


class SnapshotHead(_Head, frozen=True, kw_only=True, omit_defaults=True, tag="snapshot"):
    """The first frame of a page of camera states. Ask for more after the sequence of its last event."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag="error"):
    """The only frame of an answer that is none. ``detail`` is for people."""

    error: Annotated[str, Meta(examples=["malformed", "epoch", "unread", "busy", "unavailable"])]
    epoch: Epoch
    detail: str = ""


Head: TypeAlias = ReplayHead | SnapshotHead
Reply: TypeAlias = Head | Refusal

_requests = msgspec.json.Decoder(Request)
_replies = msgspec.json.Decoder(Reply)
_encoder = msgspec.json.Encoder()


def encode_request(request: Request) -> bytes:
    return _encoder.encode(request)


def encode_reply(reply: Reply) -> bytes:
    return _encoder.encode(reply)


def decode_request(body: bytes) -> Request:
    """Raises WireError for anything that is not a request; never another error."""
    if len(body) > MAX_REQUEST_BYTES:
        raise WireError(f"a request of {len(body)} bytes; allowed: {MAX_REQUEST_BYTES}")
    try:
        request: Request = _requests.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise WireError(f"not a request: {exc}") from None
    return request


def decode_reply(body: bytes) -> Reply:
    """Raises WireError for anything that is not the head of a reply; never another error."""
    try:
        reply: Reply = _replies.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise WireError(f"not the head of a reply: {exc}; got {bytes(body[:80])!r}") from None
    return reply
