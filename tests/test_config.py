from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from vad.config import BusSettings, CameraConfig, MqttBridge, SiteConfig, load_config, make_config, redact_url
from vad.errors import ConfigError
from vad.events.keys import new_client

EXAMPLE = Path(__file__).parents[1] / "site.example.yaml"

TEN_FAULTS = """
version: 3
cameras:
  gate:
    url: rtsp://viewer:hunter2@camera/stream
    analysis_fps: -1
    colour: blue
  gate:
    url: ftp://camera/stream
  "back door":
    url: rtsp://${VAD_TEST_UNSET}/stream
    masks:
      - points: [[0, 0], [2, 0], [1, 1]]
defaults:
  read_timeout_s: 0.1
bus:
  bind: tcp://0.0.0.0:5590
http:
  bind: nowhere
log:
  level: loud
"""

FAULT_PATHS = (
    "version",
    "cameras.gate",
    "cameras.gate.url",
    "cameras.back door",
    "cameras.back door.url",
    "cameras.back door.masks.0.points",
    "defaults.read_timeout_s",
    "bus.bind",
    "http.bind",
    "log.level",
)


def site_file(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def test_ten_faults_are_all_reported_at_once_with_their_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(site_file(tmp_path, TEN_FAULTS))
    paths = [fault.path for fault in caught.value.faults]
    assert set(FAULT_PATHS) <= set(paths)
    assert len(FAULT_PATHS) == 10
    assert "hunter2" not in str(caught.value)


def test_example_is_accepted_and_matches_the_published_schema() -> None:
    site = load_config(EXAMPLE)
    assert sorted(site.cameras) == ["entrance", "line-3"]
    schema = SiteConfig.model_json_schema()
    jsonschema.validate(json.loads(json.dumps(yaml.safe_load(EXAMPLE.read_text()))), schema)


def test_camera_inherits_defaults_and_overrides_them() -> None:
    site = make_config(
        {
            "cameras": {"a": {"url": "a.mp4"}, "b": {"url": "b.mp4", "analysis_fps": 3, "model_width": 320}},
            "defaults": {"analysis_fps": 5, "false_alarms_per_day": 7},
        },
        source="test",
    )
    assert (site.cameras["a"].model_width, site.cameras["b"].model_width) == ("auto", 320)
    assert (site.cameras["a"].analysis_fps, site.cameras["b"].analysis_fps) == (5, 3)
    assert site.cameras["b"].false_alarms_per_day == 7


def test_variables_are_filled_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_TEST_PASSWORD", "p@ss/word")
    camera = {"url": "rtsp://host/stream", "username": "me", "password": "${VAD_TEST_PASSWORD}"}
    site = make_config({"cameras": {"a": camera}}, source="test")
    assert site.cameras["a"].url_with_credentials() == "rtsp://me:p%40ss%2Fword@host/stream"
    assert "p@ss" not in repr(site)


def test_password_comes_from_a_file_read_at_each_connection(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    camera = CameraConfig(url="rtsp://host:8554/s", username="me", password_file=secret)
    assert camera.url_with_credentials() == "rtsp://me:first@host:8554/s"
    secret.write_text("second\n")
    assert camera.url_with_credentials() == "rtsp://me:second@host:8554/s"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds nothing"),
        ("- a", "holds list"),
        ("cameras: {a: [", "is not YAML"),
        ("cameras: {}", "at least 1"),
        ("cameras: {a: {}}", "cameras.a.url: is missing"),
        ("cameras: {a: {url: ''}}", "empty"),
        ("cameras: {a: {url: 'rtsp://'}}", "names no host"),
        ("cameras: {a: {url: x.mp4, password: a, password_file: b}}", "both set"),
        ("cameras: {a: {url: x.mp4, backoff_min_s: 9, backoff_max_s: 1}}", "below backoff_min_s"),
        ("cameras: {a: {url: x.mp4, masks: [{points: [[0, 0], [1, 1], [0.5, 0.5]]}]}}", "enclose no area"),
        ("cameras: {a: {url: x.mp4, analysis_fps: .nan}}", "got nan"),
        ("cameras: {a: {url: x.mp4, backoff_max_s: .inf}}", "got inf"),
        ("cameras: {a: {url: x.mp4, analysis_fps: on}}", "analysis_fps: got true"),
        ("cameras: {a: {url: x.mp4}}\nmodel: {threads: yes}", "model.threads: got true"),
        ("cameras: {a: {url: x.mp4, masks: [{points: [[yes, 0], [1, 1], [0, 1]]}]}}", "valid number"),
        ("cameras: {a: {url: x.mp4, name: 2020-13-45}}", "a date that is none"),
        (f"cameras: {{a: {{url: x.mp4, analysis_fps: {'1' * 5000}}}}}", "a number"),
        ("cameras: &a {b: *a}", "alias holds itself"),
        ("cameras:\n\ta: {url: x.mp4}", "is not YAML: .* line 2, column 1"),
        (f"cameras: {{a: {{url: x.mp4, password_file: {'a' * 300}}}}}", "is not a file"),
        ("cameras: {a: {url: viewer:secret@camera/stream}}", "no scheme"),
        ("cameras: {a: {url: x.mp4, model_width: 200}}", "model_width: .*'auto', 160, 240 or 320; got 200"),
        ("cameras: {a: {url: x.mp4, model_width: on}}", "model_width: got true"),
        ("readers: {processes: lots}", "readers.processes: should be auto or a whole number of processes; got 'lots'"),
        ("readers: {processes: 257}", "got 257; allowed: auto, 0 to 256"),
    ],
)
def test_refusals_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(site_file(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        'cameras: {a: {url: "rtsp://viewer:hunter2@camera',  # PyYAML would quote the line
        "cameras: {a: {url: rtsp://h/x, password: @hunter2}}",
        "cameras: {a: rtsp://viewer:hunter2@camera/stream}",
        "cameras: rtsp://viewer:hunter2@camera/stream",
        "cameras: {a: {url: viewer:hunter2@camera/stream}}",
        "cameras: {a: {url: 'rtsp://viewer:hunter2/x@camera/stream'}}",  # what follows the colon would be the port
        "cameras: {a: {url: 'viewer:hunter2@camera://stream'}}",
    ],
)
def test_refusals_hold_no_credentials(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(site_file(tmp_path, text))
    assert "hunter2" not in str(caught.value)


def test_errors_of_a_single_camera_made_in_python_hold_no_credentials() -> None:
    with pytest.raises(ValueError, match="scheme 'ftp'") as caught:
        CameraConfig(url="ftp://viewer:hunter2@camera/stream")
    assert "hunter2" not in str(caught.value)


def test_a_url_given_for_a_site_file_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("rtsp://viewer:hunter2@camera/stream")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:pass@host:554/a/b", "rtsp://host:554/a/b"),
        ("rtsp://user:p@ss@host/a", "rtsp://host/a"),
        ("http://host/cam?user=me&pwd=secret", "http://host/cam?user=***&pwd=***"),
        ("rtsp://host/user=me_password=secret_channel=1.sdp?real_stream", "rtsp://host/user=***"),
        ("me:pass@host/a", "host/a"),
        ("walk.mp4", "walk.mp4"),
        ("/clips/10:30/walk@door.mp4", "/clips/10:30/walk@door.mp4"),
    ],
)
def test_redaction_leaves_no_credentials(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:1", "tcp://127.9.9.9:*", "tcp://[::1]:5590", "tcp://localhost:5590", "tcp://127.0.0.1:*"],
)
def test_this_machine_may_be_bound_without_keys(address: str) -> None:
    bus = BusSettings(bind=address)
    assert not bus.is_plain_beyond_loopback


BEYOND = (
    "tcp://0.0.0.0:5590",
    "tcp://*:5590",
    "tcp://[::]:5590",
    "tcp://192.0.2.1:5590",
    "tcp://[2001:db8::1]:*",
    "tcp://eth0:5590",
    "tcp://example.com:5590",
    "tcp://127.example.com:5590",
    "tcp://localhost.example.com:5590",
    "tcp://0:5590",
)


@pytest.mark.parametrize("field", ["bind", "replay_bind"])
@pytest.mark.parametrize("address", BEYOND)
def test_other_machines_are_let_in_only_with_keys_or_when_said_so(tmp_path: Path, address: str, field: str) -> None:
    with pytest.raises(ValueError, match=r"unencrypted; allowed: 127\.0\.0\.1"):
        BusSettings.model_validate({field: address})
    said_so = BusSettings.model_validate({field: address, "allow_plain_beyond_loopback": True})
    assert said_so.is_plain_beyond_loopback
    new_client(tmp_path, "viewer")
    keys = {"server_secret_file": tmp_path / "server.key_secret", "clients_dir": tmp_path / "clients"}
    assert not BusSettings.model_validate({field: address, "keys": keys}).is_plain_beyond_loopback


def test_keys_that_are_not_there_are_a_fault_of_their_own_and_not_a_second_one(tmp_path: Path) -> None:
    text = "cameras: {a: {url: x.mp4}}\nbus: {bind: 'tcp://*:1', keys: {server_secret_file: no, clients_dir: .}}"
    with pytest.raises(ConfigError) as caught:
        load_config(site_file(tmp_path, text.replace("no,", "nowhere,")))
    assert [fault.path for fault in caught.value.faults] == ["bus.keys"]


@pytest.mark.parametrize(
    ("bridge", "path", "message"),
    [
        ("{type: kafka}", "bridges.0", "allowed: a mapping with type: mqtt, webhook or nats"),
        ("mqtt://me:hunter2@broker", "bridges.0", "no known type"),
        ("{type: mqtt, url: 'mqtt://me:hunter2@broker'}", "bridges.0.mqtt.url", "holds credentials"),
        ("{type: mqtt, url: 'http://broker'}", "bridges.0.mqtt.url", "allowed: mqtt or mqtts"),
        ("{type: mqtt, url: 'mqtt://broker:hunter2'}", "bridges.0.mqtt.url", "cannot be read"),
        ("{type: mqtt, url: 'mqtt://b', topic: 'a/#'}", "bridges.0.mqtt.topic", "pattern"),
        ("{type: webhook, url: 'http://b'}", "bridges.0.webhook", "no secret_key"),
        ("{type: webhook, url: 'http://b', secret_key: [hunter2]}", "bridges.0.webhook.secret_key", "valid string"),
        ("{type: nats, url: 'nats://b', token: hunter2, token_file: x}", "bridges.0.nats", "both set"),
        ("{type: nats, url: 'nats://b', password_file: nowhere}", "bridges.0.nats", "not a file"),
        ("{type: nats, url: 'nats://b', retry_max_s: 0.1}", "bridges.0.nats", "below retry_min_s"),
        ("{type: nats, url: 'nats://b', cameras: [z]}", "bridges", "no camera named z"),
        ("{type: nats, url: 'nats://b'}, {type: nats, url: 'nats://c'}", "bridges", "nats stands twice"),
        ("{type: nats, url: 'nats://b', colour: blue}", "bridges.0.nats.colour", "unknown key"),
    ],
)
def test_a_bridge_that_cannot_be_is_refused_without_its_secrets(
    tmp_path: Path, bridge: str, path: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(site_file(tmp_path, f"cameras: {{a: {{url: x.mp4}}}}\nbridges: [{bridge}]"))
    fault = next(fault for fault in caught.value.faults if fault.path == path)
    assert message in fault.message
    assert "hunter2" not in str(caught.value)


def test_secrets_of_bridges_are_read_when_they_are_needed_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    bridge = MqttBridge(type="mqtt", url="mqtt://b", password_file=secret)
    assert bridge.secret("password") == "hunter2"
    secret.write_text("hunter3")
    assert bridge.secret("password") == "hunter3"
    shown = MqttBridge(type="mqtt", url="mqtt://b", password="hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in repr(shown)
    assert shown.secret("password") == "hunter2"
    assert MqttBridge(type="mqtt", url="mqtt://b").secret("password") is None
