"""The MQTT bridge against Mosquitto: every event, the sensors of Home Assistant, and the will."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.events.bridges.driving import CAMERAS, DEADLINE_S, bridge_settings, running, wait_until
from tests.events.bridges.servers import Server, mosquitto
from tests.events.factory import CAMERA, anomalies, anomaly
from vad.errors import BridgeError
from vad.events import Journal
from vad.events.bridges import make_bridge
from vad.types import CameraEvent, EventType

mqtt = pytest.importorskip("paho.mqtt.client")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "events.sqlite") as journal:
        yield journal


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    broker = mosquitto(tmp_path)
    yield broker
    broker.kill()


class Listener:
    """A subscriber to everything, as Home Assistant would be one."""

    def __init__(self, port: int, topic: str = "#") -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        subscribed = queue.Queue[bool]()
        self.client.on_subscribe = lambda *_: subscribed.put(True)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        subscribed.get(timeout=DEADLINE_S)

    def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """All messages up to the one wanted."""
        heard = []
        while not heard or not wanted(heard[-1]):
            heard.append(self.messages.get(timeout=DEADLINE_S))
        return heard

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listen(broker: Server) -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def make(topic: str = "#") -> Listener:
        listeners.append(Listener(broker.port, topic))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.close()


def settings(broker: Server, **changes: Any) -> Any:
    return bridge_settings(type="mqtt", url=f"mqtt://127.0.0.1:{broker.port}", **changes)


def test_events_arrive_in_order_with_quality_of_service_1(
    broker: Server, listen: Callable[..., Listener], journal: Journal, tmp_path: Path
) -> None:
    listener = listen("vad/event/#")
    with running(settings(broker), journal, tmp_path) as worker:
        stored = journal.append([*anomalies(150), *anomalies(1, camera="cam.2")])
        heard = listener.until(lambda message: message.topic == "vad/event/cam.2")
        wait_until(lambda: worker.status.sequence == 151, what="the cursor")
    assert [message.payload for message in heard] == [event.body for event in stored]
    assert {message.qos for message in heard} == {1}
    assert heard[0].properties.ContentType == "application/cloudevents+json; charset=UTF-8"
    assert not any(message.retain for message in heard)


def test_home_assistant_finds_three_sensors_a_camera(
    broker: Server, listen: Callable[..., Listener], journal: Journal, tmp_path: Path
) -> None:
    with running(settings(broker), journal, tmp_path) as worker:
        wait_until(lambda: worker.status.up, what="the connection")
        late = listen()  # what is retained reaches whoever comes later
        heard = [late.messages.get(timeout=DEADLINE_S) for _ in range(3 * len(CAMERAS) + 1)]
    configs = {m.topic: json.loads(m.payload) for m in heard if m.topic.startswith("homeassistant/")}
    assert len(configs) == 3 * len(CAMERAS)
    assert len({config["unique_id"] for config in configs.values()}) == len(configs)
    anomaly_of_cam1 = configs["homeassistant/binary_sensor/vad_cam1/anomaly/config"]
    assert anomaly_of_cam1["state_topic"] == "vad/camera/cam1/anomaly"
    assert anomaly_of_cam1["availability_topic"] == "vad/status"
    assert [m.payload for m in heard if m.topic == "vad/status"] == [b"online"]
    assert all(message.retain for message in heard)


def test_home_assistant_finds_a_camera_that_is_added_while_the_engine_runs(
    broker: Server, listen: Callable[..., Listener], journal: Journal, tmp_path: Path
) -> None:
    listener = listen("homeassistant/binary_sensor/vad_added/#")
    with running(settings(broker), journal, tmp_path):
        journal.append([CameraEvent(camera="added", run=0, state="up", wall_s=1_700_000_000.0)])
        journal.append([CameraEvent(camera="added", run=0, state="stopped", wall_s=1_700_000_001.0)])
        heard = [listener.messages.get(timeout=DEADLINE_S) for _ in range(3)]
    assert {message.topic.split("/")[-2] for message in heard} == {"anomaly", "stream", "picture"}
    assert listener.messages.empty()  # told once


def test_sensors_follow_the_events(
    broker: Server, listen: Callable[..., Listener], journal: Journal, tmp_path: Path
) -> None:
    def state(word: str) -> CameraEvent:
        return CameraEvent(camera="cam1", run=1, state=word, wall_s=1_700_000_000.0)

    listener = listen("vad/camera/#")
    with running(settings(broker), journal, tmp_path):
        journal.append(
            [
                state("up"),
                anomaly(incident="a"),
                anomaly(incident="b"),
                anomaly(incident="a", type=EventType.CLOSED, close_reason="calm"),
                anomaly(incident="b", type=EventType.CLOSED, close_reason="calm"),
                state("frozen"),
                state("recovered"),
                state("nuisance"),  # says nothing of the picture
                anomaly(incident="c"),
                state("connecting"),  # an engine was killed meanwhile: c will never be closed
                state("covered"),
            ]
        )
        heard = listener.until(lambda m: m.topic == "vad/camera/cam1/picture" and listener.messages.empty())
        while heard[-1].payload != b"ON" or len([m for m in heard if m.topic.endswith("picture")]) < 3:
            heard += listener.until(lambda m: m.topic == "vad/camera/cam1/picture")
    states = {
        sensor: [m.payload.decode() for m in heard if m.topic == f"vad/camera/cam1/{sensor}"]
        for sensor in ("anomaly", "stream", "picture")
    }
    assert states == {
        "anomaly": ["OFF", "ON", "ON", "ON", "OFF", "ON", "OFF"],
        "stream": ["ON", "OFF"],
        "picture": ["ON", "OFF", "ON"],
    }


def test_a_broker_that_was_away_gets_everything_and_is_told_again_what_it_forgot(
    broker: Server, journal: Journal, tmp_path: Path
) -> None:
    with running(settings(broker), journal, tmp_path) as worker:
        journal.append(anomalies(20))
        wait_until(lambda: worker.status.sequence == 20, what="the first twenty")
        broker.kill()
        (tmp_path / "mosquitto.db").unlink(missing_ok=True)
        stored = journal.append([*anomalies(100), CAMERA])
        wait_until(lambda: worker.status.failed >= 2, what="failures")
        assert not worker.status.up
        broker.start()
        wait_until(lambda: worker.status.sequence == 121, what="the rest")
        listener = Listener(broker.port)
        heard = [listener.messages.get(timeout=DEADLINE_S) for _ in range(3 * len(CAMERAS) + 3)]
        listener.close()
    assert len(stored) == 101
    assert {m.topic for m in heard if m.retain} >= {"vad/status", "vad/camera/cam1/anomaly", "vad/camera/cam1/stream"}
    assert any(m.topic.startswith("homeassistant/") for m in heard)


def test_no_event_is_missing_when_the_broker_stalls_again_and_again(journal: Journal, tmp_path: Path) -> None:
    broker = mosquitto(tmp_path, "queue_qos0_messages false", "max_queued_messages 0", "autosave_on_changes true")
    session = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="keeper", protocol=mqtt.MQTTv5)
    heard: list[int] = []
    session.on_message = lambda client, data, message: heard.append(json.loads(message.payload)["sequence"])
    session.on_connect = lambda client, *_: client.subscribe("vad/event/#", qos=1)
    session.reconnect_delay_set(1, 1)
    properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    session.connect("127.0.0.1", broker.port, clean_start=False, properties=properties)
    session.loop_start()
    try:
        with running(settings(broker), journal, tmp_path) as worker:
            for round_ in range(3):
                journal.append(anomalies(200))
                wait_until(lambda r=round_: worker.status.sequence > r * 200 + 20, what="some events")
                broker.pause()
                time.sleep(0.05)
                broker.go_on()
                wait_until(lambda r=round_: worker.status.sequence == (r + 1) * 200, what="all events")
                wait_until(lambda r=round_: len(set(heard)) == (r + 1) * 200, what="all events at the listener")
    finally:
        session.disconnect()
        session.loop_stop()
        broker.kill()
    assert list(dict.fromkeys(heard)) == list(range(1, 601))


def test_the_will_says_offline_when_the_engine_is_gone_without_a_word(
    broker: Server, listen: Callable[..., Listener]
) -> None:
    bridge = make_bridge(settings(broker), cameras=())
    bridge.open()
    listener = listen("vad/status")
    assert listener.messages.get(timeout=DEADLINE_S).payload == b"online"
    bridge._client.socket().close()  # type: ignore[attr-defined]
    assert listener.messages.get(timeout=DEADLINE_S).payload == b"offline"


def test_a_stop_says_offline(broker: Server, listen: Callable[..., Listener], journal: Journal, tmp_path: Path) -> None:
    listener = listen("vad/status")
    with running(settings(broker), journal, tmp_path):
        assert listener.messages.get(timeout=DEADLINE_S).payload == b"online"
    assert listener.messages.get(timeout=DEADLINE_S).payload == b"offline"


def test_a_connection_that_replaces_its_own_lost_one_stays_online(
    broker: Server, listen: Callable[..., Listener]
) -> None:
    listener = listen("vad/status")
    lost = make_bridge(settings(broker), cameras=())
    lost.open()
    made_again = make_bridge(settings(broker), cameras=())
    made_again.open()  # the broker has not noticed yet that the first is gone
    made_again.idle(0.3)
    words = []
    while not listener.messages.empty():
        words.append(listener.messages.get().payload)
    assert words[0] == words[-1] == b"online"
    made_again.close()


def test_a_broker_that_stops_answering_is_noticed(broker: Server, journal: Journal, tmp_path: Path) -> None:
    with running(settings(broker, timeout_s=0.5), journal, tmp_path) as worker:
        wait_until(lambda: worker.status.up, what="the connection")
        broker.pause()
        journal.append(anomalies(3))
        wait_until(lambda: worker.status.failed >= 1 and not worker.status.up, what="the failure")
        broker.go_on()
        wait_until(lambda: worker.status.sequence == 3, what="the events")


def test_a_wrong_password_is_refused_with_a_reason(tmp_path: Path) -> None:
    broker = mosquitto(tmp_path, "allow_anonymous false")
    try:
        bridge = make_bridge(settings(broker, username="me", password="hunter2"), cameras=())
        with pytest.raises(BridgeError, match=r"refuses: Not authorized") as caught:
            bridge.open()
        assert caught.value.answered
        bridge.close()
    finally:
        broker.kill()


def test_nobody_at_home_is_a_bridge_error(tmp_path: Path) -> None:
    bridge = make_bridge(bridge_settings(type="mqtt", url="mqtt://127.0.0.1:9"), cameras=())
    with pytest.raises(BridgeError, match="refused") as caught:
        bridge.open()
    assert not caught.value.answered
