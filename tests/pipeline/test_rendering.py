"""Evidence rendered in a process of its own, by good ones and by ones that die, hang and lie."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
import structlog

from tests.pipeline.sites import make_site, wait_for
from tests.video.taping import LEFT_HALF, tape_of
from vad.clock import SystemClock
from vad.config import EvidenceSettings, LogSettings, ReaderSettings, SiteConfig
from vad.pipeline import rendering
from vad.pipeline.engine import Engine
from vad.pipeline.evidence import Evidence, files_of
from vad.pipeline.evidence_cases import Moment, Request
from vad.pipeline.evidence_store import CLIP, DETAILS, SEEN
from vad.pipeline.readers import landlock
from vad.pipeline.readers.messages import framed
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.readers.sandbox import Limits, start
from vad.pipeline.render_messages import NICENESS, ClipJob, Failed, MadeClip, MadePicture, Nothing, Ready
from vad.pipeline.rendering import InEngine, NotRendered, Renderer, RendererLost
from vad.pipeline.witness import Witness
from vad.types import AnomalyEvent, Reason, Region
from vad.video.tape import Excerpt

Make = Callable[..., Renderer]

FAKE = """
import os, socket, sys, time
control = socket.socket(fileno=int(sys.argv[1]))
control.sendall(bytes.fromhex(READY))
control.recv(1 << 20)
BODY
time.sleep(300)
"""
"""A process that loads nothing; the first job has number 1."""

PATCHED = """
import os, time
from vad.pipeline import render_worker
from vad.pipeline.readers import landlock
BODY
render_worker.main()
"""


def fake(body: str) -> tuple[str, ...]:
    ready = framed(Ready(())).hex()
    return sys.executable, "-c", FAKE.replace("READY", repr(ready)).replace("BODY", body)


def saying(*answers: msgspec.Struct) -> tuple[str, ...]:
    said = zlib.compress(b"".join(map(framed, answers)))
    return fake(f"import zlib; control.sendall(zlib.decompress({said!r}))")


def patched(body: str) -> tuple[str, ...]:
    return sys.executable, "-c", PATCHED.replace("BODY", body)


@pytest.fixture
def make() -> Iterator[Make]:
    """``make(command, ...)``: a renderer; its processes have ended after the test, and no others are there."""
    before = {child.pid for child in psutil.Process().children()}
    made: list[Renderer] = []

    def renderer(command: tuple[str, ...] | None = None, **settings: Any) -> Renderer:
        made.append(Renderer(ReaderSettings(**settings), log_settings=LogSettings(), command=command))
        return made[-1]

    yield renderer
    for each in made:
        each.close()
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.fixture(scope="module")
def excerpt(clip_h264: Path) -> Excerpt:
    return excerpt_of(clip_h264)


def excerpt_of(file: Path, **settings: Any) -> Excerpt:
    found = tape_of(file, **settings)[0].excerpt(0.5, 1.8)
    assert found is not None
    return found


def request_of(excerpt: Excerpt) -> Request:
    grid = excerpt.format.geometry
    heat = np.full(grid.cells, 5.0, np.float32)
    peak = Moment(1.0, 1.0, 5.0, 4.0, (Reason.SPEED,), (Region(0.2, 0.2, 0.6, 0.6, 5.0),), heat, ())
    return Request("cam", "incident", 0, 0.9, 0.9, peak, (peak,), grid, excerpt, Witness(EvidenceSettings()))


def test_what_a_process_renders_is_what_the_engine_would(make: Make, excerpt: Excerpt, clip_hevc: Path) -> None:
    renderer = make()
    for each, masks in ((excerpt, ()), (excerpt, [LEFT_HALF]), (excerpt_of(clip_hevc), ())):
        clip = renderer.clip(each, masks=masks)
        assert clip == InEngine().clip(each, masks=masks) is not None
        for most_width in (320, 4096):
            picture = renderer.picture(each, 1.0, masks=masks, most_width=most_width)
            expected = InEngine().picture(each, 1.0, masks=masks, most_width=most_width)
            assert picture is not None
            assert expected is not None
            assert np.array_equal(picture, expected)
    assert renderer.picture(excerpt, 1e6, masks=(), most_width=320) is None
    assert renderer.pid is not None
    assert psutil.Process(renderer.pid).nice() >= NICENESS


def test_what_cannot_be_decoded_is_no_fault_of_the_process(make: Make, excerpt: Excerpt) -> None:
    renderer = make()
    unknown = dataclasses.replace(excerpt, format=dataclasses.replace(excerpt.format, codec="nonsense"))
    with pytest.raises(NotRendered) as raised:
        renderer.clip(unknown, masks=[LEFT_HALF])
    assert not isinstance(raised.value, RendererLost)
    pid = renderer.pid
    assert pid is not None
    assert renderer.clip(excerpt, masks=()) is not None
    assert renderer.pid == pid


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("os._exit(7)", r"has ended \(7\)"),
        ("os.abort()", rf"has ended \({-signal.SIGABRT}\)"),
        ("time.sleep(300)", r"has not answered for 4 s"),
        ("control.sendall(bytes([255]) * 256)", r"said what it may not: a message of 4294967299 bytes"),
        ("control.sendall(bytes([0, 0, 0, 4]) + bytes([193]) * 4)", "said what it may not"),
        ("control.sendall(bytes([8, 0, 0, 0])); control.sendall(bytes(1 << 20))", "said what it may not: a message of"),
    ],
    ids=["ends", "crashes", "hangs", "rubbish", "no_message", "oversize"],
)
def test_a_process_that_fails_costs_one_clip(
    body: str, why: str, make: Make, excerpt: Excerpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = make()
    monkeypatch.setattr(renderer, "_command", fake(body))
    monkeypatch.setattr(rendering, "PATIENCE_S", 4.0)
    with structlog.testing.capture_logs() as logs:
        files = files_of(request_of(excerpt), renderer)
    assert list(files) == [DETAILS]
    assert json.loads(files[DETAILS])["missing"] == ["its video cannot be decoded"]
    (told,) = [line for line in logs if line["log_level"] == "warning"]
    assert (told["event"], told["camera"], told["incident"]) == ("evidence.no_clip", "cam", "incident")
    with pytest.raises(RendererLost, match=why):
        raise RendererLost(told["detail"])
    assert renderer.pid is None
    monkeypatch.undo()
    assert {CLIP, SEEN, DETAILS} <= files_of(request_of(excerpt), renderer).keys()


CLIP_OF = MadeClip(1, b"    ftyp", 0.0, 1.0, 640, 360, "h264", False)


LIES = {
    "another_job": Nothing(2),
    "a_picture": MadePicture(1, 360, 640, bytes(360 * 640 * 3)),
    "ready_again": Ready(()),
    "a_long_text": Failed(1, "x" * 1001),
    "no_mp4": msgspec.structs.replace(CLIP_OF, data=b"<html>"),
    "no_start": msgspec.structs.replace(CLIP_OF, start_s=math.nan),
    "elsewhere": msgspec.structs.replace(CLIP_OF, start_s=1e9),
    "endless": msgspec.structs.replace(CLIP_OF, duration_s=math.inf),
    "backward": msgspec.structs.replace(CLIP_OF, duration_s=-1.0),
    "wide": msgspec.structs.replace(CLIP_OF, width=641),
    "flat": msgspec.structs.replace(CLIP_OF, height=0),
    "a_codec": msgspec.structs.replace(CLIP_OF, codec="x/../y"),
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES.keys())
def test_a_process_that_lies_of_a_clip_is_killed(answer: msgspec.Struct, make: Make, excerpt: Excerpt) -> None:
    renderer = make(saying(answer))
    with pytest.raises(RendererLost, match="said what it may not"):
        renderer.clip(excerpt, masks=())
    assert renderer.pid is None


@pytest.mark.parametrize(
    "answer",
    [
        CLIP_OF,
        MadePicture(1, 180, 320, bytes(180 * 320 * 3 - 1)),
        MadePicture(1, 320, 180, bytes(180 * 320 * 3)),
        MadePicture(1, 0, 0, b""),
        MadePicture(1, -180, -320, bytes(180 * 320 * 3)),
    ],
    ids=["clip", "short", "turned", "empty", "negative"],
)
def test_a_process_that_lies_of_a_picture_is_killed(answer: msgspec.Struct, make: Make, excerpt: Excerpt) -> None:
    renderer = make(saying(answer))
    with pytest.raises(RendererLost, match="said what it may not"):
        renderer.picture(excerpt, 1.0, masks=(), most_width=320)
    assert renderer.pid is None


def test_a_sound_answer_of_a_fake_is_taken(make: Make, excerpt: Excerpt) -> None:
    """What the lies above differ from."""
    assert make(saying(CLIP_OF)).clip(excerpt, masks=()) == CLIP_OF.clip
    picture = make(saying(MadePicture(1, 180, 320, bytes(180 * 320 * 3))))
    found = picture.picture(excerpt, 1.0, masks=(), most_width=320)
    assert found is not None
    assert found.shape == (180, 320, 3)
    with pytest.raises(NotRendered, match=r"^broken�$"):
        make(saying(Failed(1, "broken\n"))).clip(excerpt, masks=())


def test_a_picture_that_cannot_be_shown_leaves_the_clip(make: Make, excerpt: Excerpt) -> None:
    renderer = make(patched("render_worker.picture_at = lambda *_, **__: os._exit(3)"))
    with structlog.testing.capture_logs() as logs:
        files = files_of(request_of(excerpt), renderer)
    assert files.keys() == {CLIP, DETAILS}
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["evidence.no_picture"]


def test_a_stop_waits_for_no_process_that_hangs(make: Make, excerpt: Excerpt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "STOP_WITHIN_S", 0.5)
    renderer, came = make(fake("")), []

    def render() -> None:
        for _ in range(2):
            try:
                renderer.clip(excerpt, masks=())
            except RendererLost as exc:
                came.append(str(exc))

    thread = threading.Thread(target=render, daemon=True)
    thread.start()
    wait_for(lambda: renderer.pid is not None, what="the process")
    renderer.hurry()
    thread.join(timeout=30.0)
    assert came == ["the engine stops"] * 2
    assert renderer.pid is None


def test_what_hangs_as_the_engine_stops_leaves_its_details(
    make: Make, excerpt: Excerpt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "STOP_WITHIN_S", 0.5)
    renderer = make(fake(""))
    evidence = Evidence(EvidenceSettings(), directory=tmp_path, clock=SystemClock(), rendering=renderer)
    evidence.open()
    thread = threading.Thread(target=evidence.run, daemon=True)
    thread.start()
    evidence._put(request_of(excerpt))
    wait_for(lambda: renderer.pid is not None, what="the process")
    evidence.finish()
    thread.join(timeout=30.0)
    assert not thread.is_alive()
    assert renderer.pid is None
    files = evidence.store.get("incident")
    assert files is not None
    assert files.clip is None


def test_a_process_that_nobody_needs_ends_and_comes_back(
    make: Make, excerpt: Excerpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = make()
    assert renderer.clip(excerpt, masks=()) is not None
    renderer.rest()
    assert renderer.pid is not None
    monkeypatch.setattr(rendering, "IDLE_S", 0.0)
    renderer.rest()
    assert renderer.pid is None
    assert renderer.ended_cpu_s > 0.0
    assert renderer.clip(excerpt, masks=()) is not None


def test_a_process_that_was_killed_at_rest_costs_nothing(make: Make, excerpt: Excerpt) -> None:
    renderer = make()
    assert renderer.clip(excerpt, masks=()) is not None
    assert renderer.pid is not None
    killed = psutil.Process(renderer.pid)
    killed.kill()
    wait_for(lambda: killed.status() == psutil.STATUS_ZOMBIE, what="its end")
    assert renderer.clip(excerpt, masks=()) is not None
    assert renderer.pid != killed.pid


def test_a_process_ends_with_the_engine_whatever_it_is_busy_with(excerpt: Excerpt) -> None:
    command = patched("render_worker.make_clip = lambda *_, **__: time.sleep(300)")
    limits = msgspec.json.encode(Limits()).decode()
    process, control = start(command, LogSettings().model_dump_json(), limits)
    control.recv(4096)  # it is ready
    control.sendall(framed(ClipJob(1, b"")))
    control.close()
    assert process.wait(60.0) == 0


def test_a_process_is_told_no_secret(make: Make, excerpt: Excerpt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_TOKEN", "hush")
    command = fake("os._exit(100 + ('hush' in os.environ.values()))")
    with pytest.raises(RendererLost, match=r"\(100\)"):
        make(command).clip(excerpt, masks=())


READS = """
def tried(excerpt, masks):
    open(SECRET)
    raise ValueError("it was read")
def tell(excerpt, masks):
    try:
        tried(excerpt, masks)
    except OSError as exc:
        raise ValueError(type(exc).__name__) from exc
render_worker.make_clip = tell
"""
needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel, or container, has no Landlock")


@pytest.mark.parametrize(
    ("sandbox", "came"),
    [pytest.param("auto", "PermissionError", marks=needs_landlock), ("off", "it was read")],
)
def test_a_process_opens_no_file(sandbox: str, came: str, make: Make, excerpt: Excerpt, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    renderer = make(patched(READS.replace("SECRET", repr(str(secret)))), sandbox=sandbox)
    with structlog.testing.capture_logs() as logs, pytest.raises(NotRendered, match=f"^{came}$"):
        renderer.clip(excerpt, masks=())
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == []


def test_a_process_has_bounded_memory(make: Make, excerpt: Excerpt) -> None:
    renderer = make(patched("render_worker.make_clip = lambda *_, **__: bytearray(512 << 20)"), memory_mib=256)
    with pytest.raises(NotRendered, match=r"^MemoryError$"):
        renderer.clip(excerpt, masks=())
    assert renderer.pid is not None


def test_a_machine_without_landlock_is_told_about_once(make: Make, excerpt: Excerpt) -> None:
    renderer = make(patched("landlock.version = lambda: 0"))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            assert renderer.clip(excerpt, masks=()) is not None
            renderer.close()
    (told,) = [line for line in logs if line["log_level"] == "warning"]
    assert told["event"] == "evidence.not_sandboxed"
    assert "no Landlock" in told["detail"]


def test_its_time_is_not_that_of_readers(make: Make, excerpt: Excerpt) -> None:
    renderer = make()
    readers = ReaderProcesses(ReaderSettings(), log_settings=LogSettings(), others_cpu_s=lambda: renderer.ended_cpu_s)
    renderer.clip(excerpt, masks=())
    renderer.close()
    assert renderer.ended_cpu_s > 0.1
    assert (readers.status.processes, readers.status.died) == (0, 0)
    assert 0.0 <= readers.status.cpu_s < 0.1


@pytest.mark.parametrize("processes", ["auto", 0])
def test_an_engine_leaves_no_process_behind(processes: str | int, footage: Path, tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    site = make_site(tmp_path, {"cam": {"url": str(footage), "realtime": False}})
    site = SiteConfig.model_validate({**site.model_dump(), "readers": {"processes": processes}})
    with Engine(site) as engine:
        renders = engine._evidence._rendering
        assert isinstance(renders, Renderer) == (processes == "auto")
        incidents = {event.incident for event in engine.events() if isinstance(event, AnomalyEvent)}
        children = {child.pid for child in psutil.Process().children()} - before
        assert children <= {getattr(renders, "pid", None)}
    assert incidents
    found = [engine.evidence.get(incident) for incident in incidents]
    assert all(files is not None and files.clip is not None and files.seen is not None for files in found)
    assert {child.pid for child in psutil.Process().children()} <= before
    assert (getattr(renders, "ended_cpu_s", 0.0) > 0.0) == (processes == "auto")
