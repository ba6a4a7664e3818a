"""MQTT 5: each event with QoS 1, and what Home Assistant needs to find and follow the cameras.

Topics: ``<topic>/event/<camera>`` and ``<topic>/health/<camera>`` with the event as its body, ``<topic>/status``
(``online``, or ``offline`` by the connection's will), and the sensors of ``home_assistant``, retained.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from vad.errors import BridgeError, EventRefused, WireError
from vad.events.bridges.home_assistant import SensorStates, discovery, state_topic, status_topic
from vad.events.schema import CameraMessage, decode

if TYPE_CHECKING:
    from vad.config import MqttBridge as MqttSettings
    from vad.events.journal import StoredEvent

KEEP_ALIVE_S = 30
REFUSED = 0x80
"""Reason codes from here on say no."""
NEVER = frozenset({0x90, 0x99})
"""Topic name invalid, payload format invalid: about the event itself."""


NO_ANSWER = "no answer to the greeting"


class MqttBridge:
    """Drives the client's socket itself: the library's loops start a thread or know no descriptor above 1,023."""

    def __init__(self, settings: MqttSettings, *, cameras: Sequence[str] = ()) -> None:
        self._settings = settings
        self._cameras = list(cameras)  # with those that events were about since
        self._states = SensorStates()
        self._client: PahoClient | None = None
        self._fault: str | None = "not connected"
        self._answers: dict[int, int] = {}  # message id to reason code
        self._properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        self._properties.ContentType = "application/cloudevents+json; charset=UTF-8"

    def open(self) -> None:
        self.close()
        self._client = client = self._new_client()
        self._answers.clear()
        self._fault = NO_ANSWER
        host, port = self._settings.host_and_port
        try:
            client.connect(host, port, keepalive=KEEP_ALIVE_S, clean_start=True)
        except (OSError, ssl.SSLError, ValueError) as exc:
            raise BridgeError(f"mqtt: {exc}") from None
        deadline_s = time.monotonic() + self._settings.timeout_s
        while self._fault == NO_ANSWER and (left_s := deadline_s - time.monotonic()) > 0.0:
            self._step(left_s)
        self._check()
        self._introduce()

    def send(self, events: Sequence[StoredEvent]) -> Iterator[StoredEvent]:
        deadline_s = time.monotonic() + self._settings.timeout_s
        sent = [self._publish_event(event) for event in events]
        for event, messages in zip(events, sent, strict=True):
            self._wait_for(messages, deadline_s=deadline_s)
            yield event

    def idle(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0.0:
            self._step(left_s)
            self._check()

    def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if self._fault is None:  # the will is not sent after a proper good-bye
            client.publish(status_topic(self._settings.topic), b"offline", qos=0, retain=True)
        client.disconnect()
        self._fault = "closed"

    def _introduce(self) -> None:
        """What a broker keeps for whoever comes later, and may have forgotten."""
        prefix, discovery_prefix = self._settings.topic, self._settings.discovery
        for camera in self._cameras if discovery_prefix else ():
            self._wait_for(self._introduce_camera(camera))
        for state in self._states.shown():
            self._wait_for([self._publish_state(*state)])
        self._wait_for([self._publish(status_topic(prefix), b"online", retain=True)])

    def _introduce_camera(self, camera: str) -> list[int]:
        told = discovery(camera, prefix=self._settings.topic, discovery_prefix=self._settings.discovery)
        return [self._publish(topic, config, retain=True) for topic, config in told]

    def _new_client(self) -> PahoClient:
        """Of a fixed name: a broker that still has our last connection ends it, will and all, before it takes this."""
        settings = self._settings
        name = f"vad-{settings.topic.replace('/', '-')}-{settings.name or settings.type}"
        client = PahoClient(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
        client.connect_timeout = settings.timeout_s
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.will_set(status_topic(settings.topic), b"offline", qos=1, retain=True)
        password = settings.secret("password")
        if settings.username is not None or password is not None:
            client.username_pw_set(settings.username or "", password)
        if settings.is_encrypted:
            client.tls_set_context(ssl.create_default_context(cafile=settings.ca_file))
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._fault = None if reason.value < REFUSED else f"the broker refuses: {reason}"

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._fault = self._fault or f"the connection ended: {reason}"

    def _on_publish(self, client: Any, data: Any, message: int, reason: Any, properties: Any) -> None:
        self._answers[message] = reason.value

    def _publish_event(self, event: StoredEvent) -> list[int]:
        """The event, then what it changes of the sensors; their message ids."""
        topic = f"{self._settings.topic}/{'/'.join(event.topic.split('/')[2:4])}"
        sent = [self._publish(topic, event.body, properties=self._properties)]
        if not self._settings.discovery:
            return sent
        try:
            message = decode(event.body)
        except WireError:  # goes out as it is; no sensor is about it
            return sent
        if isinstance(message, CameraMessage) and message.camera not in self._cameras:  # added while the engine runs
            self._cameras.append(message.camera)
            sent += self._introduce_camera(message.camera)
        return sent + [self._publish_state(*state) for state in self._states.apply(message)]

    def _publish_state(self, camera: str, sensor: str, state: str) -> int:
        return self._publish(state_topic(self._settings.topic, camera, sensor), state.encode(), retain=True)

    def _publish(self, topic: str, body: bytes, *, retain: bool = False, properties: Properties | None = None) -> int:
        if self._client is None:
            raise BridgeError("mqtt: not connected")
        try:
            return self._client.publish(topic, body, qos=1, retain=retain, properties=properties).mid
        except (OSError, ValueError, RuntimeError) as exc:
            raise BridgeError(f"mqtt: {exc}") from None

    def _wait_for(self, messages: Sequence[int], *, deadline_s: float | None = None) -> None:
        """Until the broker has answered for each of the messages. Raises at the first no, and after ``timeout_s``."""
        deadline_s = deadline_s or time.monotonic() + self._settings.timeout_s
        for message in messages:
            while message not in self._answers:
                self._check()
                left_s = deadline_s - time.monotonic()
                if left_s <= 0.0:
                    raise BridgeError(f"mqtt: no answer within {self._settings.timeout_s:g} s")
                self._step(left_s)
            code = self._answers.pop(message)
            if code in NEVER:
                raise EventRefused(f"mqtt: the broker refuses the message, reason {code:#x}")
            if code >= REFUSED:
                raise BridgeError(f"mqtt: the broker refuses the message, reason {code:#x}", answered=True)

    def _check(self) -> None:
        if self._fault is not None:
            raise BridgeError(f"mqtt: {self._fault}", answered="refuses" in self._fault)

    def _step(self, timeout_s: float) -> None:
        """Read and write what the socket takes, for that long at most."""
        client = self._client
        socket = client.socket() if client is not None else None
        if client is None or socket is None:
            self._fault = self._fault or "the connection ended"
            return
        poll = select.poll()
        poll.register(socket, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        pending = getattr(socket, "pending", lambda: 0)()  # of TLS, which has read ahead
        for _, state in [(0, select.POLLIN)] if pending else poll.poll(max(0.0, min(timeout_s, 1.0)) * 1000):
            if state & (select.POLLIN | select.POLLERR | select.POLLHUP):
                client.loop_read()
            if state & select.POLLOUT:
                client.loop_write()
        client.loop_misc()
