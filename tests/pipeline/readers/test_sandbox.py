"""What a process that reads cameras on the network cannot do, tried in a real one."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.stub import StubCamera
from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.errors import ConfigError
from vad.pipeline.engine import Engine
from vad.pipeline.readers import landlock, sandbox
from vad.pipeline.readers import processes as processes_module
from vad.pipeline.readers.processes import ReaderProcesses
from vad.types import CameraEvent

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel, or container, has no Landlock")
Cameras = Callable[..., StubCamera]

ATTEMPTS = """
import json, os, socket, sys
from vad.pipeline.readers.sandbox import Limits, enter
from vad.video.luma import warm_luma
from vad.pipeline.readers import worker
warm_luma()
held = enter(Limits(memory_bytes=256 << 20, has_files=sys.argv[1] == "files"))
folder, parent = sys.argv[2], int(sys.argv[3])

def tried(what):
    try:
        what()
    except (OSError, MemoryError) as exc:
        return type(exc).__name__
    return "done"

print(json.dumps({
    "missing": held.missing,
    "landlock": held.landlock,
    "read": tried(lambda: open(f"{folder}/secret")),
    "list": tried(lambda: os.listdir(folder)),
    "write": tried(lambda: open(f"{folder}/new", "w")),
    "remove": tried(lambda: os.unlink(f"{folder}/removable")),
    "write to the package": tried(lambda: open(worker.__file__, "r+")),
    "environment of the engine": tried(lambda: open(f"/proc/{parent}/environ")),
    "memory of the engine": tried(lambda: open(f"/proc/{parent}/mem", "r+b")),
    "signal": tried(lambda: os.kill(parent, 0)),
    "execute": tried(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "memory": tried(lambda: bytearray(512 << 20)),
    "little memory": tried(lambda: bytearray(64 << 20)),
    "resolve": tried(lambda: socket.getaddrinfo("localhost", 80)),
    "import": tried(lambda: __import__("xml.dom.minidom")),
    "null": tried(lambda: open("/dev/null", "wb")),
}))
"""


@pytest.fixture
def attempts(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """``attempts("files")``: what came of each, in a process that has entered the sandbox."""
    (tmp_path / "secret").write_text("hush")
    (tmp_path / "removable").write_text("")

    def run(kind: str) -> dict[str, Any]:
        me = str(psutil.Process().pid)
        environment = sandbox.environment(os.environ)
        done = subprocess.run(
            [sys.executable, "-c", ATTEMPTS, kind, str(tmp_path), me],
            env=environment,
            capture_output=True,
            check=True,
            timeout=120,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


@needs_landlock
def test_a_process_that_reads_strangers_can_reach_nothing(attempts: Callable[[str], dict[str, Any]]) -> None:
    told = attempts("network")
    assert (told.pop("missing"), told.pop("landlock") > 0) == ([], True)
    may = {"little memory", "resolve", "import", "null"}
    assert {what for what, came in told.items() if came == "done"} == may
    assert told["memory"] == "MemoryError"


def test_a_process_that_reads_recordings_has_files_and_bounded_memory(
    attempts: Callable[[str], dict[str, Any]],
) -> None:
    told = attempts("files")
    assert told["landlock"] == 0
    assert told["read"] == "done"
    assert told["memory"] == "MemoryError"


def test_an_environment_holds_no_secret() -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "NUMBA_CACHE_DIR": "/x",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "CAMERA_PASSWORD": "hush",
        "http_proxy": "http://me:hush@proxy/",
        "SSH_AUTH_SOCK": "/run/agent",
    }
    kept = sandbox.environment(given)
    assert "hush" not in " ".join(kept.values())
    assert {"PATH", "LC_ALL", "NUMBA_CACHE_DIR"} <= kept.keys()
    assert "SSH_AUTH_SOCK" not in kept
    assert sandbox.environment({"http_proxy": "http://proxy:3128"})["http_proxy"] == "http://proxy:3128"


@needs_landlock
def test_a_camera_is_read_in_it_with_a_password_of_a_file(
    tmp_path: Path, stub_camera: Cameras, cam_h264: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that reads the camera has neither the file nor the engine's environment."""
    monkeypatch.setenv("SITE_TOKEN", "hush")
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    camera = stub_camera(cam_h264, user="eve", password="s3cret")
    settings = {"url": camera.url, "username": "eve", "password_file": str(secret)}
    with Engine(make_site(tmp_path, {"cam": settings})) as engine:
        wait_for_frames(engine, "cam", 10)
        (worker,) = engine._readers._workers
        environment = psutil.Process(worker.process.pid).environ()
        assert "hush" not in environment.values()
        assert engine.status().readers.not_sandboxed == ()
        secret.unlink()
        engine.pause_camera("cam")
        engine.resume_camera("cam")
        wait_for(lambda: "auth_failed" in engine.status().cameras["cam"].errors, what="to be told that it is gone")
        check_ledger(engine)


WITHOUT = """
from vad.pipeline.readers import landlock, worker
landlock.version = lambda: 0
worker.main()
"""


def test_a_machine_without_landlock_is_told_about(
    tmp_path: Path, stub_camera: Cameras, cam_h264: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes_module, "COMMAND", (sys.executable, "-c", WITHOUT))
    with Engine(make_site(tmp_path, {"cam": {"url": stub_camera(cam_h264).url}})) as engine:
        wait_for_frames(engine, "cam", 5)
        wait_for(lambda: engine.status().readers.not_sandboxed, what="what is missing")
        (what,) = engine.status().readers.not_sandboxed
        assert what == "it may open the engine's files (this kernel, or container, has no Landlock)"


def test_where_a_sandbox_is_required_nothing_is_read_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(ConfigError, match=r"readers\.sandbox: required, .* no Landlock; allowed: auto or off"):
        ReaderProcesses(ReaderSettings(sandbox="required"), log_settings=LogSettings())
    assert sandbox.lines(ReaderSettings(sandbox="required")) == [
        "readers.sandbox: this kernel, or container, has no Landlock: nothing is read"
    ]
    assert sandbox.lines(ReaderSettings(sandbox="off")) == []


def test_a_process_sees_new_name_servers_by_being_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = ReaderProcesses(ReaderSettings(), log_settings=LogSettings())
    monkeypatch.setattr(processes_module, "resolver_file", lambda: (1, 1))
    processes.expect([CameraConfig(url="rtsp://h/x"), *[CameraConfig(url="a.mp4")] * 9])
    before = {worker.place.is_network: worker for worker in processes._workers}
    processes.check()
    assert list(before.values()) == processes._workers
    monkeypatch.setattr(processes_module, "resolver_file", lambda: (1, 2))
    processes.check()
    assert processes._workers == [before[False]]  # which has all files
    processes.close()


HOG = """
import time
from vad.pipeline.readers import worker
read = worker.Session._live
def live(session, opening, spec):
    kept = []
    while spec.camera == "hog":
        kept.append(b"x" * (16 << 20))
        time.sleep(0.1)
    read(session, opening, spec)
worker.Session._live = live
worker.main()
"""


def test_a_camera_that_takes_memory_without_end_is_found_and_named(
    tmp_path: Path, stub_camera: Cameras, cam_h264: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes_module, "COMMAND", (sys.executable, "-c", HOG))
    url = stub_camera(cam_h264).url
    site = make_site(tmp_path, {name: {"url": url} for name in ("good", "hog")})
    site = site.model_copy(update={"readers": ReaderSettings(memory_mib=384)})
    most = 0
    with Engine(site) as engine:

        def is_found() -> bool:
            nonlocal most
            most = max(most, engine.status().readers.resident_bytes)
            return engine.status().readers.isolated == ("hog",)

        wait_for(is_found, timeout_s=120.0, what="the camera to be found")
        wait_for_frames(engine, "good", 10)
        events = itertools.islice(engine.events(timeout_s=1.0), 200)
        (text,) = {e.detail for e in events if isinstance(e, CameraEvent) and e.code == "reader_died"}
        assert "hog: its reader process has died once" in text
        assert "MiB of memory; allowed: 384 (readers.memory_mib)" in text
        check_ledger(engine)
    assert most < 3 * (384 + 320) << 20  # of two processes, and one that has just been started
