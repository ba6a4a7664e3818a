"""The log: no credential gets through, no line floods."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from vad.clock import ManualClock
from vad.config import LogSettings
from vad.log import LINES_PER_MINUTE, RepeatFilter, configure_log, redact, use_standard_logging


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configured(*, clock: ManualClock | None = None, **settings: Any) -> io.StringIO:
    stream = io.StringIO()
    configure_log(LogSettings(**settings), stream=stream, clock=clock)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_are_json_when_nobody_sits_at_a_terminal() -> None:
    stream = configured()
    structlog.get_logger("vad.test").warning("stream.stalled", camera="cam1", run=3)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "stream.stalled", "camera": "cam1", "run": 3, "level": "warning", "logger": "vad.test"}


def test_lines_are_for_people_when_asked_for() -> None:
    stream = configured(format="human")
    structlog.get_logger("vad.test").info("stream.up", camera="cam1")
    assert "stream.up" in stream.getvalue()
    assert "camera=cam1" in stream.getvalue()


def test_lines_are_for_people_on_a_terminal_and_without_colour_where_that_is_wished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        for no_colour in (False, True):
            monkeypatch.delenv("NO_COLOR", raising=False)
            if no_colour:
                monkeypatch.setenv("NO_COLOR", "1")
            configure_log(LogSettings(), stream=terminal)
            structlog.get_logger("vad.test").info("stream.up", camera="cam1", run=3)
            text = os.read(ours, 4096).decode()
            assert not text.startswith("{")
            assert ("\x1b[" in text) is not no_colour
    os.close(ours)
    assert "stream.up" in text
    assert "camera=cam1" in text
    assert "run=3" in text


def test_a_library_in_the_thread_of_a_camera_bears_the_camera_and_its_run() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(camera="cam1", run=3):
        logging.getLogger("some.library").warning("odd packet")
        structlog.get_logger("vad.test").warning("stream.odd", run=4)
    structlog.get_logger("vad.test").warning("engine.odd")
    assert [(line.get("camera"), line.get("run")) for line in lines(stream)] == [("cam1", 3), ("cam1", 4), (None, None)]


def test_a_flood_of_one_camera_silences_no_other() -> None:
    stream = configured(clock=ManualClock())
    for camera in ("cam1", "cam2"):
        with structlog.contextvars.bound_contextvars(camera=camera):
            for _ in range(LINES_PER_MINUTE + 5):
                logging.getLogger("some.library").warning("odd packet")
    assert [line["camera"] for line in lines(stream)] == ["cam1"] * LINES_PER_MINUTE + ["cam2"] * LINES_PER_MINUTE


def test_standard_logging_goes_the_same_way() -> None:
    stream = configured()
    logging.getLogger("some.library").warning("cannot open %s", "rtsp://admin:hunter2@10.0.0.5/live")
    (line,) = lines(stream)
    assert line["event"] == "cannot open rtsp://***@10.0.0.5/live"
    assert line["logger"] == "some.library"


def test_the_level_holds_for_both() -> None:
    stream = configured(level="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("x").info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("rtsp://user:hunter2@host/stream", "hunter2"),
        ("open rtsp://user:hunter2@host:554/a failed", "hunter2"),
        ("rtsp://user:hun@ter2@host/stream", "ter2"),
        ("rtsp://user:hun/ter2@host/stream", "ter2"),
        ("rtsp://user:hun%40ter2@host/stream", "ter2"),
        ("RTSPS://user:hunter2@[fe80::1]:322/x", "hunter2"),
        ("rtsp://hunter2@host/", "hunter2"),
        ("rtsp://a:hunter2@h1/x,rtsp://b:hunter2@h2/y", "hunter2"),
        ("http://host/video.mjpg?user=a&pwd=hunter2&size=1", "hunter2"),
        ("http://host/v?token=hunter2#top", "hunter2"),
        ("password=hunter2", "hunter2"),
        ("password: hunter2, next", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("camera_password='hunter2'", "hunter2"),
        ("Authorization: Basic hunter2==", "hunter2"),
        ("Authorization: Digest hunter2", "hunter2"),
        ("API-Key=hunter2", "hunter2"),
    ],
)
def test_credentials_in_text_are_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://10.0.0.5:554/live/ch1",
        "camera cam1 is up at 25.0 fps",
        "the password was refused by the camera",
        "3 tokens of 64",
        "mail to a@b.example",
    ],
)
def test_text_without_credentials_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_no_credential_gets_through_any_value_key_or_traceback() -> None:
    for format_ in ("json", "human"):
        stream = configured(format=format_)
        log = structlog.get_logger("vad.test")
        url = "rtsp://user:hunter2@host/x"
        log.warning(f"opening {url}", url=url, nested={"deep": [url, {"password": "hunter2"}]}, pair=(url, 1))
        log.warning("keys", password="hunter2", api_key="hunter2", bus_token="hunter2", error=OSError(url))
        try:
            raise OSError(f"cannot open {url}")
        except OSError:
            log.exception("failed")
            logging.getLogger("lib").exception("failed too")
        text = stream.getvalue()
        assert "hunter2" not in text
        assert text.count("Traceback") == 2
        assert "host/x" in text


def test_a_repeated_line_is_written_a_few_times_a_minute_and_then_counted() -> None:
    clock = ManualClock()
    stream = configured(clock=clock)
    log = structlog.get_logger("vad.test")
    for _ in range(LINES_PER_MINUTE + 30):
        log.warning("stream.reconnect", camera="cam1")
    log.warning("stream.reconnect", camera="cam2")
    log.warning("stream.stalled", camera="cam1")
    assert len(lines(stream)) == LINES_PER_MINUTE + 2
    clock.advance(61.0)
    log.warning("stream.reconnect", camera="cam1")
    log.warning("stream.reconnect", camera="cam1")
    assert [line.get("suppressed") for line in lines(stream)[-2:]] == [30, None]


def test_repeated_lines_of_a_library_are_counted_too() -> None:
    clock = ManualClock()
    stream = configured(clock=clock)
    for number in range(LINES_PER_MINUTE + 5):
        logging.getLogger("lib").warning("packet %d is broken", number)
    clock.advance(61.0)
    logging.getLogger("lib").warning("packet %d is broken", 99)
    assert len(lines(stream)) == LINES_PER_MINUTE + 1
    assert lines(stream)[-1]["event"] == "packet 99 is broken (5 such lines suppressed)"


def test_the_count_of_lines_takes_bounded_memory() -> None:
    repeats = RepeatFilter(clock=ManualClock())
    for number in range(10_000):
        assert repeats.filter(logging.makeLogRecord({"msg": {"event": "stream.up", "camera": f"cam{number}"}}))
    assert len(repeats._windows) <= 4_096


def test_configuring_again_replaces_and_does_not_repeat() -> None:
    configured()
    stream = configured()
    structlog.get_logger().warning("once")
    assert len(lines(stream)) == 1


def test_as_a_library_lines_are_standard_records_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    structlog.reset_defaults()
    use_standard_logging()
    structlog.get_logger("vad.test").warning("stream.stalled", url="rtsp://user:hunter2@host/x")
    assert caplog.records[0].name == "vad.test"
    assert "stream.stalled" in caplog.text
    assert "hunter2" not in caplog.text
