"""A reader in another process gives what a reader in this one does, and can be let go of whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from tests.pipeline.readers.conftest import Start
from tests.pipeline.sites import wait_for
from tests.rtsp.control import RtspServer
from tests.video.clips import VideoFile
from tests.video.reading import Outcome, read
from tests.video.taping import LEFT_HALF
from tests.video.test_loop_filter import CLOSED, GROUP
from vad.config import CameraConfig
from vad.errors import StreamError
from vad.pipeline.readers.messages import Batch
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.readers.remote import RemoteReader
from vad.video.luma import geometry
from vad.video.overlay import colour_picture
from vad.video.reader import Reader
from vad.video.samples import Samples
from vad.video.spec import ReadEnv, ReadSpec
from vad.video.tape import Tape


def taped(
    url: object, make: Callable[..., Any], *, samples: Samples | None = None, **options: Any
) -> tuple[Outcome, Tape]:
    tape = Tape(run=options.get("run", 0), seconds=60.0, max_bytes=1 << 24, samples=samples or Samples())
    return read(url, make=make, tape=tape, **options), tape


def check_same(here: tuple[Outcome, Tape], there: tuple[Outcome, Tape]) -> None:
    """Everything but when it came."""
    (one, tape), (other, far_tape) = here, there
    assert isinstance(other.reader, RemoteReader)
    assert (one.decoded, one.code, str(one.error)) == (other.decoded, other.code, str(other.error))
    assert (one.reader.info, one.reader.counts) == (other.reader.info, other.reader.counts)
    assert len(one.frames) == len(other.frames)
    for a, b in zip(one.frames, other.frames, strict=True):
        assert (a.camera, a.run, a.index, a.pts_s, a.geometry) == (b.camera, b.run, b.index, b.pts_s, b.geometry)
        assert a.wall_source == b.wall_source
        np.testing.assert_array_equal(a.luma, b.luma)
        assert b.luma.flags.c_contiguous
    assert tape.excerpt(0.5, 3.0) == far_tape.excerpt(0.5, 3.0)
    assert tape.samples is not None
    assert far_tape.samples is not None
    assert list(tape.samples._kept) == list(far_tape.samples._kept)
    assert tape.samples.rhythm == far_tape.samples.rhythm


@pytest.mark.parametrize(
    ("name", "clip", "settings"),
    [
        ("a.mp4", {}, {}),
        ("b-frames.mp4", {"options": {"x264-params": "bframes=3:b-adapt=0"}}, {"analysis_fps": 4.0}),
        ("hevc.ts", {"codec": "libx265"}, {"masks": [LEFT_HALF.model_dump()]}),
        ("motion.avi", {"codec": "mjpeg"}, {"analysis_fps": 60.0}),
        ("sideways.mp4", {}, {"rotate": 90, "masks": [LEFT_HALF.model_dump()]}),
    ],
)
def test_frames_counts_and_tape_are_those_of_a_reader_here(
    name: str, clip: dict[str, Any], settings: dict[str, Any], video_file: VideoFile, processes: ReaderProcesses
) -> None:
    file = video_file(name, frames=100, **clip)
    check_same(taped(file, Reader, **settings), taped(file, processes.reader, **settings))


def test_damage_is_counted_there_too(tmp_path: Path, video_file: VideoFile, processes: ReaderProcesses) -> None:
    """At its pace, so by one thread: several of FFmpeg's conceal damage now in one way, now in another."""
    data = bytearray(video_file("whole.ts", frames=75).read_bytes())
    for at in range(20_000, len(data), 30_000):
        data[at : at + 400] = bytes(400)
    broken = tmp_path / "broken.ts"
    broken.write_bytes(data)
    here, there = (taped(broken, make, realtime=True) for make in (Reader, processes.reader))
    assert here[0].corrupt_packets > 0
    check_same(here, there)


@pytest.mark.parametrize("change", ["resolution", "forth"])
def test_a_next_run_goes_on_with_the_frame_that_ended_the_one_before(
    change: str, tmp_path: Path, video_file: VideoFile, processes: ReaderProcesses
) -> None:
    size = {"width": 320, "height": 180} if change == "resolution" else {}
    jump = {"resolution": 0, "forth": 200}[change]
    first = video_file("first.ts", frames=25, **size)
    rest = video_file("second.ts", frames=30, pts=lambda index: 25 + jump + index)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + rest.read_bytes())
    one, far_one = (taped(both, make, analysis_fps=60) for make in (Reader, processes.reader))
    assert one[0].code in ("format_changed", "pts_jump")
    check_same(one, far_one)
    two, far_two = (
        taped(both, make, analysis_fps=60, run=1, continues=before[0].reader, samples=before[1].samples)
        for make, before in ((Reader, one), (processes.reader, far_one))
    )
    check_same(two, far_two)


def test_a_missing_file_is_the_same_error(processes: ReaderProcesses) -> None:
    here, there = read("/nowhere/clip.mp4"), read("/nowhere/clip.mp4", make=processes.reader)
    assert str(there.error) == str(here.error)
    assert there.code == "not_found"


def test_a_camera_that_is_behind_is_decoded_without_the_loop_filter(
    video_file: VideoFile, processes: ReaderProcesses
) -> None:
    file = video_file("b.mp4", options=CLOSED["libx264"], frames=8 * GROUP, key_every=GROUP)
    outcome = read(file, make=processes.reader, is_behind=lambda: True, realtime=True, analysis_fps=25.0)
    assert outcome.code == "ended"
    assert outcome.reader.counts.unfiltered_frames > 0


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each message that had any: how many frames to be analysed."""
    counts: list[int] = []
    taken = RemoteReader._taken

    def noted(reader: RemoteReader, batch: Batch) -> Any:
        counts.extend([len(batch.frames)] if batch.frames else [])
        return taken(reader, batch)

    monkeypatch.setattr(RemoteReader, "_taken", noted)
    return counts


def test_frames_come_a_clip_at_a_time(clip_h264: Path, processes: ReaderProcesses, together: list[int]) -> None:
    """But for the first: a camera is up as soon as it gives a picture."""
    outcome = read(clip_h264, make=processes.reader, analysis_fps=60.0, clip_length=4)
    assert len(outcome.frames) == 100
    assert together == [1, 3, *[4] * 24]


def test_they_do_while_behind_too(clip_h264: Path, processes: ReaderProcesses, together: list[int]) -> None:
    """One at a time they cost an overloaded machine more than a lower rate saves."""
    behind: dict[str, Any] = {"is_behind": lambda: True, "realtime": True}
    read(clip_h264, make=processes.reader, analysis_fps=60.0, clip_length=4, **behind)
    assert together == [1, 3, *[4] * 24]


@pytest.mark.rtsp
def test_a_camera_is_read_there(rtsp_server: Callable[..., RtspServer], clip_h264: Path, start: Start) -> None:
    server, processes = rtsp_server({"cam": clip_h264}), start(1)
    idle = threads_when_idle(processes, clip_h264)
    outcome, tape = taped(server.url("cam"), processes.reader, at_most=60)
    assert outcome.error is None
    assert outcome.decoded >= 60
    assert outcome.reader.info.live
    assert 10.0 < outcome.reader.counts.measured_fps < 40.0
    assert abs(outcome.frames[-1].arrived_s - time.monotonic()) < 20.0  # the clock of both is the machine's
    assert tape.excerpt(0.5, 2.0) is not None
    wait_for(lambda: threads_of(processes) == idle, what="the session's thread to end")


def threads_of(processes: ReaderProcesses) -> int:
    """How many threads the only process has, those of the libraries included."""
    (worker,) = processes._workers
    return psutil.Process(worker.process.pid).num_threads()


def threads_when_idle(processes: ReaderProcesses, clip: Path) -> int:
    """Once all that it will need is loaded."""
    assert taped(clip, processes.reader, realtime=True, at_most=30)[0].decoded >= 30  # with a sample or two
    time.sleep(0.5)
    return threads_of(processes)


def reading(
    processes: ReaderProcesses, url: object, *, stop: threading.Event, camera: str = "cam", **settings: Any
) -> Any:
    """A reader and its tape, not yet entered."""
    tape = Tape(run=0, seconds=60.0, max_bytes=1 << 24, samples=Samples())
    config = CameraConfig.model_validate({"url": str(url), **settings})
    reader = processes.reader(ReadSpec(camera, config, 160), run=0, env=ReadEnv(stop, tape=tape))
    return reader, tape


def follow(reader: Any, *, until: Callable[[int], bool] = lambda number: False) -> StreamError | None:
    """Read until the frame of which ``until`` says so; how the run ended if it did before."""
    try:
        with reader:
            for number, _ in enumerate(reader):
                if until(number):
                    return None
    except StreamError as exc:
        return exc
    return None


def test_the_picture_decoded_last_can_be_looked_at_until_the_tape_ends(
    video_file: VideoFile, processes: ReaderProcesses
) -> None:
    file = video_file("a.mp4", frames=150)
    with av.open(str(file)) as container:
        grid = geometry(640, 360, model_width=160)
        pictures = [colour_picture(frame, grid, most_width=320) for frame in container.decode(video=0)]
    reader, tape = reading(processes, file, stop=threading.Event())
    assert tape.look(most_width=320) is None
    thread = threading.Thread(target=follow, args=(reader,))
    thread.start()
    wait_for(lambda: reader.counts.measured_fps is not None, what="some frames")
    seen = tape.look(most_width=320)
    assert thread.is_alive()
    assert seen is not None
    picture, shape = seen
    assert shape.geometry.source_width == 640
    assert sum(np.array_equal(picture, one) for one in pictures) == 1
    thread.join()
    again = tape.look(most_width=320)  # the session is over: the one seen last
    assert again is not None
    np.testing.assert_array_equal(again[0], picture)
    tape.end()
    assert tape.look(most_width=320) is None


def test_a_process_that_dies_is_said_and_the_next_run_has_another(clip_h264: Path, start: Start) -> None:
    processes = start(1)
    (victim,) = processes._workers
    reader, _ = reading(processes, clip_h264, stop=threading.Event())
    error = follow(reader, until=lambda number: number == 10 and bool(victim.process.kill()))
    assert error is not None
    assert error.code == "reader_died"
    assert "its reader process has died once; it is read in a process of its own, again in 0.5 s" in str(error)
    assert error.retry_s == 0.5
    assert read(clip_h264, make=processes.reader).decoded == 100
    status = processes.status
    assert (status.processes, status.died) == (1, 1)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Opening it hangs for ever, since nobody writes to it."""
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    return path


def hang_once(processes: ReaderProcesses, pipe: Path) -> int:
    """Let one reader hang in a process that reads nothing else; the process."""
    processes.expect([CameraConfig(url="a.mp4")])
    (worker,) = processes._workers
    wait_for(worker.has_lived, what="the process to have begun")
    idle, stop = threads_of(processes), threading.Event()
    reader, _ = reading(processes, pipe, stop=stop)
    thread = threading.Thread(target=follow, args=(reader,))
    thread.start()
    wait_for(lambda: threads_of(processes) > idle, what="the session's thread")
    time.sleep(0.2)  # it opens the pipe
    stop.set()
    thread.join(20.0)
    assert not thread.is_alive()
    return worker.process.pid


def test_a_process_that_reads_nothing_but_what_hangs_is_killed(pipe: Path, clip_h264: Path, start: Start) -> None:
    processes = start(1)
    pids = {hang_once(processes, pipe) for _ in range(5)}  # more often than the engine's own process would bear
    assert len(pids) == 5
    assert not any(is_running(pid) for pid in pids)
    assert processes.status.died == 0
    assert read(clip_h264, make=processes.reader).decoded == 100


def test_a_process_with_others_is_ended_only_if_what_hangs_goes_on_hanging(
    pipe: Path, video_file: VideoFile, clip_h264: Path, start: Start
) -> None:
    processes = start(1)
    (worker,) = processes._workers
    idle = threads_when_idle(processes, clip_h264)
    hanging, _ = reading(processes, pipe, stop=(stop := threading.Event()), camera="hanging", read_timeout_s=0.5)
    other, _ = reading(processes, video_file("long.mp4", frames=1500), stop=threading.Event(), camera="other")
    thread = threading.Thread(target=follow, args=(hanging,))
    thread.start()
    wait_for(lambda: threads_of(processes) == idle + 1, what="the session's thread")
    numbers: list[int] = []

    def give_up(number: int) -> bool:
        numbers.append(number)
        if number == 10:
            stop.set()
            thread.join(20.0)
            assert not thread.is_alive()
            assert is_running(worker.process.pid)
        elif number > 10:
            processes.check()
        return number == 100_000

    error = follow(other, until=give_up)
    assert error is not None
    assert error.retry_s == 0.0
    assert "the reader of hanging hung in it" in str(error)
    assert numbers[-1] > 10
    assert not is_running(worker.process.pid)
    assert processes.status.isolated == ("hanging",)
    assert processes.status.died == 0
    later = [reading(processes, clip_h264, stop=threading.Event(), camera=name)[0] for name in ("hanging", "other")]
    for reader in later:
        follow(reader, until=lambda number: number == 3)
    assert sorted(worker.place.group for worker in processes._workers) == [0, 1]


def test_one_that_was_given_up_and_lets_go_later_harms_nobody(pipe: Path, clip_h264: Path, start: Start) -> None:
    processes = start(1)
    (worker,) = processes._workers
    idle = threads_when_idle(processes, clip_h264)
    hanging, _ = reading(processes, pipe, stop=(stop := threading.Event()), camera="hanging")
    other, _ = reading(processes, clip_h264, stop=threading.Event(), camera="other")
    thread = threading.Thread(target=follow, args=(hanging,))
    with other:
        thread.start()
        wait_for(lambda: threads_of(processes) >= idle + 2, what="the sessions' threads")
        stop.set()
        thread.join(20.0)
        assert worker.load == 2
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
        wait_for(lambda: (processes.check(), worker.load == 1)[1], what="the reader to let go")
        assert processes.status.isolated == ()
        assert is_running(worker.process.pid)


def test_a_process_ends_with_the_engine_however_that_ended() -> None:
    body = (
        "import time; from vad.config import *; from vad.log import configure_log; configure_log(LogSettings())\n"
        "from vad.pipeline.readers.processes import ReaderProcesses as R\n"
        "processes = R(ReaderSettings(processes=2), log_settings=LogSettings())\n"
        "processes.expect([CameraConfig(url='a.mp4')])\n"
        "print(*[w.process.pid for w in processes._workers], flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        pids = [int(pid) for pid in engine.stdout.readline().split()]
        assert len(pids) == 2
        engine.kill()
    wait_for(lambda: not any(is_running(pid) for pid in pids), timeout_s=30.0, what="the processes to end")


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_a_terminal_sends_to_all_does_not_reach_them(clip_h264: Path, start: Start) -> None:
    processes = start(1)
    assert read(clip_h264, make=processes.reader).decoded == 100  # it is up
    for number in (signal.SIGINT, signal.SIGTERM):
        processes._workers[0].process.send_signal(number)
    assert read(clip_h264, make=processes.reader).decoded == 100
    assert processes.status.died == 0
