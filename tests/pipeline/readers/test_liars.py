"""Processes that say of one camera what no reader says, beside good cameras, in the whole engine."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.readers.telling import SPEC
from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.stub import StubCamera
from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.errors import StreamError
from vad.pipeline.engine import Engine
from vad.pipeline.readers import processes as processes_module
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.readers.suspects import POOL
from vad.types import CameraEvent, CameraState
from vad.video.spec import ReadEnv, ReadSpec

LYING = """
import math, time
from vad.pipeline.readers import worker
from vad.pipeline.readers.messages import Batch, Seen
speak = worker.Session._speak
def number(session, told):
    told.frames[0].pts_s = math.nan
    speak(session, told)
def noise(session, told):
    session._peer.sendall(b"\\xff" * 256)
def pictures(session, told):
    while True:
        speak(session, Seen(7, 100, 100, bytes(30_000)))
def nothing(session, told):
    while True:
        speak(session, Batch())
def trickle(session, told):
    while True:
        session._peer.sendall(bytes([0, 0, 200, 0]))
        time.sleep(0.05)
def lie(session, told):
    is_liar = session._spec.camera.startswith("liar") and isinstance(told, Batch) and told.frames
    (LIE if is_liar else speak)(session, told)
worker.Session._speak = lie
worker.main()
"""
QUICK = {"read_timeout_s": 1.0, "backoff_min_s": 0.2, "backoff_max_s": 1.0}


def command(lie: str) -> tuple[str, ...]:
    """A process that lies so of cameras named ``liar...`` at their first frame."""
    return sys.executable, "-c", LYING.replace("LIE", lie)


@pytest.mark.parametrize(
    ("lie", "text"),
    [
        ("number", "pts_s nan; allowed: 0.0 to 10000000000.0"),
        ("noise", "no message of a reader: "),
        ("pictures", "a picture that nobody has asked for"),
        ("nothing", "batches without a frame "),
    ],
)
def test_a_process_that_lies_is_killed_and_its_camera_is_read_alone(
    lie: str,
    text: str,
    tmp_path: Path,
    stub_camera: Callable[..., StubCamera],
    cam_h264: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes_module, "COMMAND", command(lie))
    url = stub_camera(cam_h264).url
    good = ["good0", "good1"]
    patient = {**QUICK, "read_timeout_s": 10.0}  # on a busy machine a process takes seconds to start
    site = make_site(tmp_path, {name: {"url": url, **patient} for name in [*good, "liar"]})
    with Engine(site) as engine:
        wait_for(lambda: engine.status().readers.isolated == ("liar",), what="a lie of it alone")
        for name in good:
            wait_for_frames(engine, name, 10)
        cameras = engine.status().cameras
        before = {name: cameras[name].run for name in good}
        lies = sum(cameras["liar"].errors.values())
        wait_for(lambda: sum(engine.status().cameras["liar"].errors.values()) > lies, what="one lie more")
        cameras = engine.status().cameras
        assert {name: cameras[name].run for name in good} == before
        assert all(cameras[name].state is CameraState.UP for name in good)
        assert {code.value for code in cameras["liar"].errors} == {"broken"}
        assert sum(sum(cameras[name].errors.values()) for name in good) <= 2  # each once, with the process they shared
        assert cameras["liar"].frames.scored == 0
        assert engine.status().readers.died == 0
        check_ledger(engine)
        events = [one for one in itertools.islice(engine.events(timeout_s=1.0), 200) if isinstance(one, CameraEvent)]
        (said,) = [event.detail for event in events if event.camera == "liar" and event.code == "broken"]
        assert said.startswith("liar: its reader process said what no reader says: ")
        assert text in said
    check_ledger(engine, stopped=True)


def test_a_process_that_never_ends_a_message_is_no_reader_of_anybody_and_holds_no_thread(
    tmp_path: Path, stub_camera: Callable[..., StubCamera], cam_h264: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is wrong yet: the watchdog sees that no frame comes."""
    monkeypatch.setattr(processes_module, "COMMAND", command("trickle"))
    url = stub_camera(cam_h264).url
    with Engine(make_site(tmp_path, {name: {"url": url, **QUICK} for name in ("good", "liar")})) as engine:
        wait_for_frames(engine, "good", 5)
        threads = threading.active_count()
        wait_for(lambda: sum(engine.status().cameras["liar"].errors.values()) >= 3, what="three time-outs")
        wait_for_frames(engine, "good", 5)
        assert engine.status().cameras["liar"].frames.scored == 0
        assert threading.active_count() <= threads + 3
    check_ledger(engine, stopped=True)


def test_who_is_lied_about_is_tried_alone_and_whoever_shared_the_process_is_a_suspect_too(
    clip_h264: Path,
) -> None:
    """A decoder that was taken over may speak in anybody's session."""
    processes = ReaderProcesses(ReaderSettings(processes=1), log_settings=LogSettings(), command=command("number"))
    config = CameraConfig(url=str(clip_h264))
    processes.expect([config])
    (worker,) = processes._workers
    readers: dict[str, Any] = {
        name: processes.reader(ReadSpec(name, config, SPEC.model_width), run=0, env=ReadEnv())
        for name in ("liar", "other", "third")
    }
    for reader in readers.values():
        reader.__enter__()
    ends: dict[str, StreamError] = {}
    for name, reader in readers.items():
        with pytest.raises(StreamError) as caught, reader:
            list(reader)
        ends[name] = caught.value
    assert worker.process.poll() is not None
    assert [end.retry_s for end in ends.values()] == [0.0, 0.0, 0.0]
    assert "said what no reader says: pts_s nan" in str(ends["liar"])
    assert "other: the process that read it was ended: it said of liar what no reader says" in str(ends["other"])
    groups = [processes._suspects.group(name) for name in readers]
    assert POOL not in groups
    assert groups[0] != groups[1] == groups[2]
    processes.close()
