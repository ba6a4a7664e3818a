"""The JSON Schema of all that is said on the bus and on the replay: what ``vad schema event`` prints."""

from __future__ import annotations

from typing import Any

import msgspec

from vad.events.requests import DoneRequest, Refusal, ReplayHead, ReplayRequest, SnapshotHead, SnapshotRequest
from vad.events.schema import (
    AnomalyMessage,
    CameraMessage,
    EngineMessage,
    HeartbeatMessage,
    JournalMessage,
    ScoreMessage,
)

_BODIES = (AnomalyMessage, CameraMessage, JournalMessage, EngineMessage, ScoreMessage, HeartbeatMessage)
_REQUESTS = (ReplayRequest, SnapshotRequest, DoneRequest)
_HEADS = (ReplayHead, SnapshotHead, Refusal)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12). It describes a body; ``#/$defs/Request`` and ``#/$defs/Reply`` what the replay says."""
    parts = [*_BODIES, *_REQUESTS, *_HEADS]
    references, definitions = msgspec.json.schema_components(parts, ref_template="#/$defs/{name}")
    by_part = dict(zip(parts, references, strict=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A message body on the vad bus (CloudEvents 1.0 in JSON)",
        "oneOf": [by_part[part] for part in _BODIES],
        "$defs": {
            **definitions,
            "Request": {"title": "What is asked on the replay", "oneOf": [by_part[part] for part in _REQUESTS]},
            "Reply": {"title": "The first frame of an answer", "oneOf": [by_part[part] for part in _HEADS]},
        },
    }
