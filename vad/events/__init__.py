"""Events: the journal, the bus and its subscribers. Importing this needs pyzmq and msgspec alone."""

from __future__ import annotations

from vad.errors import BindError, EventsLost, JournalError, ReplayError, WireError
from vad.events.bus import Publisher
from vad.events.client import Subscriber
from vad.events.journal import Journal, JournalReader, StoredEvent, read_journal
from vad.events.json_schema import json_schema
from vad.events.replay import ReplayServer
from vad.events.schema import (
    AnomalyData,
    AnomalyMessage,
    CameraData,
    CameraMessage,
    EngineData,
    EngineMessage,
    HeartbeatMessage,
    JournalData,
    JournalMessage,
    Message,
    OtherMessage,
    RegionData,
    ScoreData,
    ScoreMessage,
    decode,
    describe,
    encode,
)

__all__ = [
    "AnomalyData",
    "AnomalyMessage",
    "BindError",
    "CameraData",
    "CameraMessage",
    "EngineData",
    "EngineMessage",
    "EventsLost",
    "HeartbeatMessage",
    "Journal",
    "JournalData",
    "JournalError",
    "JournalMessage",
    "JournalReader",
    "Message",
    "OtherMessage",
    "Publisher",
    "RegionData",
    "ReplayError",
    "ReplayServer",
    "ScoreData",
    "ScoreMessage",
    "StoredEvent",
    "Subscriber",
    "WireError",
    "decode",
    "describe",
    "encode",
    "json_schema",
    "read_journal",
]
