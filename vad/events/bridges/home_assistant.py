"""What Home Assistant is told: three sensors a camera by MQTT discovery, and their states as events change them.

A sensor is on while the camera has an open incident (``anomaly``), while its stream is up (``stream``), while its
picture is frozen, covered, defocused or otherwise not to be trusted (``picture``).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vad import __version__
from vad.events.schema import AnomalyMessage, CameraMessage, Message
from vad.types import PICTURE_STATES, CameraState, EventType

ON, OFF = "ON", "OFF"
SENSORS = {
    "anomaly": {"name": "Anomaly", "device_class": "problem"},
    "stream": {"name": "Stream", "device_class": "connectivity", "entity_category": "diagnostic"},
    "picture": {"name": "Picture", "device_class": "problem", "entity_category": "diagnostic"},
}
_STREAM_STATES = frozenset(state.value for state in CameraState)


@dataclass(slots=True)
class SensorStates:
    """What each camera's sensors show. ``apply`` may see the same events again: it ends where it was."""

    _open: dict[str, set[str]] = field(default_factory=dict)  # incidents by camera
    _shown: dict[tuple[str, str], str] = field(default_factory=dict)

    def apply(self, message: Message) -> Iterator[tuple[str, str, str]]:
        """Camera, sensor and state of each sensor that this event is about."""
        if isinstance(message, AnomalyMessage):
            incidents = self._open.setdefault(message.camera, set())
            if message.type == EventType.CLOSED:
                incidents.discard(message.data.incident)
            else:
                incidents.add(message.data.incident)
            yield self._show(message.camera, "anomaly", on=bool(incidents))
        elif isinstance(message, CameraMessage) and message.data.state in _STREAM_STATES:
            if message.data.state == CameraState.CONNECTING:  # what was open when an engine was killed is over
                self._open.pop(message.camera, None)
            yield self._show(message.camera, "anomaly", on=bool(self._open.get(message.camera)))
            yield self._show(message.camera, "stream", on=message.data.state == CameraState.UP)
        elif isinstance(message, CameraMessage) and message.data.state in PICTURE_STATES:
            yield self._show(message.camera, "picture", on=message.data.state != "recovered")

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """All that is known, for a broker that has forgotten."""
        for (camera, sensor), state in self._shown.items():
            yield camera, sensor, state

    def _show(self, camera: str, sensor: str, *, on: bool) -> tuple[str, str, str]:
        self._shown[camera, sensor] = ON if on else OFF
        return camera, sensor, self._shown[camera, sensor]


def state_topic(prefix: str, camera: str, sensor: str) -> str:
    return f"{prefix}/camera/{camera}/{sensor}"


def status_topic(prefix: str) -> str:
    """``online`` or, also by the connection's will, ``offline``."""
    return f"{prefix}/status"


def discovery(camera: str, *, prefix: str, discovery_prefix: str) -> Iterator[tuple[str, bytes]]:
    """Topic and retained content that make the camera's sensors known."""
    node = _word(f"{prefix}_{camera}")
    device = {"identifiers": [node], "name": camera, "manufacturer": "vad", "sw_version": __version__}
    for sensor, texts in SENSORS.items():
        config: dict[str, Any] = {
            **texts,
            "unique_id": f"{node}_{sensor}",
            "state_topic": state_topic(prefix, camera, sensor),
            "payload_on": ON,
            "payload_off": OFF,
            "availability_topic": status_topic(prefix),
            "payload_available": "online",
            "payload_not_available": "offline",
            "qos": 1,
            "device": device,
            "origin": {"name": "vad", "sw_version": __version__},
        }
        if sensor == "anomaly":
            config["json_attributes_topic"] = f"{prefix}/event/{camera}"
            config["json_attributes_template"] = "{{ value_json.data | tojson }}"
        yield f"{discovery_prefix}/binary_sensor/{node}/{sensor}/config", json.dumps(config).encode()


def _word(text: str) -> str:
    """Letters, digits, ``_`` and ``-`` alone, as discovery wants it; different for different texts."""
    word = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    return word if word == text else f"{word}_{zlib.crc32(text.encode()):08x}"
