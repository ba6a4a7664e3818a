"""How many processes there are, who reads where, and what becomes of those that die."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
import torch

from tests.pipeline.readers.conftest import Start
from tests.pipeline.sites import wait_for
from tests.video.reading import read
from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.errors import StreamError
from vad.pipeline.readers import processes as module
from vad.pipeline.readers import suspects as suspects_module
from vad.pipeline.readers.processes import ReaderProcesses, wanted
from vad.pipeline.readers.remote import RemoteReader
from vad.pipeline.readers.suspects import POOL
from vad.video.reader import Reader
from vad.video.spec import FrameReader, ReadEnv, ReadSpec


@pytest.mark.parametrize(
    ("setting", "cameras", "cores", "expected"),
    [
        ("auto", 1, 16.0, 0),
        ("auto", 8, 16.0, 0),
        ("auto", 9, 2.0, 1),
        ("auto", 16, 2.0, 2),
        ("auto", 64, 2.0, 2),
        ("auto", 64, 16.0, 5),
        ("auto", 1000, 16.0, 16),
        ("auto", 100, 0.5, 1),
        (0, 1000, 16.0, 0),
        (3, 1, 1.0, 3),
        (3, 0, 1.0, 0),
    ],
)
def test_how_many_are_wanted(setting: int | Literal["auto"], cameras: int, cores: float, expected: int) -> None:
    assert wanted(setting, cameras=cameras, is_network=False, cores=cores) == expected


@pytest.mark.parametrize(("cameras", "expected"), [(0, 0), (1, 1), (8, 1), (16, 2), (64, 2)])
def test_a_camera_on_the_network_is_never_read_in_the_engines_own_process(cameras: int, expected: int) -> None:
    assert wanted("auto", cameras=cameras, is_network=True, cores=2.0) == expected


def reader_of(processes: ReaderProcesses, url: str, *, camera: str = "cam", **settings: Any) -> FrameReader:
    config = CameraConfig(url=url, **settings)
    return processes.reader(ReadSpec(camera, config, 160), run=0, env=ReadEnv())


def test_few_cameras_are_read_at_home_and_more_elsewhere(clip_h264: Path) -> None:
    processes = ReaderProcesses(ReaderSettings(), log_settings=LogSettings())
    processes.expect([CameraConfig(url="a.mp4")] * 8)
    assert isinstance(reader_of(processes, str(clip_h264)), Reader)
    assert processes.status.processes == 0
    processes.expect([CameraConfig(url="a.mp4")] * 9)
    assert isinstance(reader_of(processes, str(clip_h264)), RemoteReader)
    assert processes.status.processes >= 1
    processes.close()
    assert processes.status.processes == 0


def maps_of(processes: ReaderProcesses) -> list[str]:
    """Files that the processes have in their memory."""
    pids = [worker.process.pid for worker in processes._workers]
    return [mapped.path for pid in pids for mapped in psutil.Process(pid).memory_maps()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_process_decodes_on_the_gpu_that_the_network_runs_on(clip_h264: Path, start: Start) -> None:
    outcome = read(clip_h264, make=start(1).reader, decoder="cuda", network_device="cuda:1")
    assert isinstance(outcome.reader, RemoteReader)
    assert "decoder cuda: torch finds no CUDA device 1" in str(outcome.error)


def test_torch_is_loaded_there_only_once_a_camera_asks_for_a_gpu(clip_h264: Path, start: Start) -> None:
    processes = start(1)
    assert read(clip_h264, make=processes.reader, decoder="auto").code == "ended"
    assert not [path for path in maps_of(processes) if "libtorch" in path]
    read(clip_h264, make=processes.reader, decoder="cuda")
    assert [path for path in maps_of(processes) if "libtorch" in path]


def test_sessions_are_spread_evenly_also_after_some_have_ended(clip_h264: Path, start: Start) -> None:
    processes = start(2)
    wait_for(lambda: all(worker.has_lived() for worker in processes._workers), what="both to have begun")
    readers = [reader_of(processes, str(clip_h264)) for _ in range(6)]
    for reader in readers:
        reader.__enter__()
    assert [worker.load for worker in processes._workers] == [3, 3]
    for reader in (readers[0], readers[2], readers[4]):
        reader.close()
    more = reader_of(processes, str(clip_h264))
    more.__enter__()
    assert sorted(worker.load for worker in processes._workers) == [1, 3]
    for reader in (*readers, more):
        reader.close()
    assert [worker.load for worker in processes._workers] == [0, 0]


def test_what_they_take_is_known(start: Start) -> None:
    processes = start(1)
    wait_for(lambda: processes.status.resident_bytes > 50 * 2**20, what="the process to have loaded something")
    before = processes.status
    assert 0.0 < before.cpu_s < 60.0
    processes.close()
    after = processes.status
    assert after.resident_bytes == 0
    assert after.cpu_s >= before.cpu_s  # a counter never goes back


def test_processes_that_die_at_once_are_started_with_longer_and_longer_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.4)
    command = ("/bin/sh", "-c", "exit 3")
    processes = ReaderProcesses(ReaderSettings(processes=1), log_settings=LogSettings(), command=command)
    processes.expect([CameraConfig(url="a.mp4")])
    until_s, errors = time.monotonic() + 2.0, set()
    while time.monotonic() < until_s:
        with pytest.raises(StreamError) as caught, reader_of(processes, "a.mp4") as reader:
            list(reader)
        errors.add(str(caught.value))
        time.sleep(0.02)
    assert any("end as soon as they are started" in error for error in errors)
    assert 2 <= processes.status.died <= 9
    processes.close()


def test_a_command_that_cannot_be_started_is_an_error_of_the_stream() -> None:
    processes = ReaderProcesses(ReaderSettings(processes=1), log_settings=LogSettings(), command=("/nowhere/python",))
    processes.expect([CameraConfig(url="a.mp4")])
    with pytest.raises(StreamError, match=r"no process to read it: .*nowhere"), reader_of(processes, "a.mp4") as reader:
        list(reader)
    processes.close()


def test_closing_leaves_no_process_and_refuses_new_sessions(clip_h264: Path, start: Start) -> None:
    processes = start(2)
    pids = [worker.process.pid for worker in processes._workers]
    reader = reader_of(processes, str(clip_h264))
    reader.__enter__()
    processes.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(StreamError, match="has ended"):
        list(reader)
    with pytest.raises(StreamError, match="the engine is stopping"), reader_of(processes, str(clip_h264)):
        pass


def test_a_session_that_is_closed_before_its_process_can_read_does_no_harm(clip_h264: Path, start: Start) -> None:
    processes = start(1)
    (worker,) = processes._workers
    worker.process.send_signal(signal.SIGSTOP)
    reader_of(processes, str(clip_h264)).__enter__().close()
    assert worker.load == 0
    worker.process.send_signal(signal.SIGCONT)
    wait_for(worker.has_lived, what="the process to have begun")
    assert read(clip_h264, make=processes.reader).decoded == 100
    assert (processes.status.died, processes._workers) == (0, [worker])


def test_a_process_of_suspects_joins_the_pool_or_ends_once_they_are_forgiven(
    clip_h264: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = start(1)
    (first,) = processes._workers
    wait_for(first.has_lived, what="the process to have begun")
    names = ("a", "b")
    readers = [reader_of(processes, str(clip_h264), camera=name) for name in names]
    for reader in readers:
        reader.__enter__()
    first.kill()
    for reader in readers:
        with pytest.raises(StreamError, match="has ended") as caught:
            list(reader)
        assert caught.value.retry_s == 0.0
        reader.close()
    again = [reader_of(processes, str(clip_h264), camera=name, loop=True) for name in names]
    for reader in again:
        reader.__enter__()
    assert sorted(worker.place.group for worker in processes._workers) == [1, 2]
    monkeypatch.setattr(suspects_module, "FORGIVE_S", 0.0)
    processes.check()
    (left,) = processes._workers
    assert left.place.group == POOL
    ends = []
    for reader in again:
        try:
            next(iter(reader))
        except StreamError as exc:
            ends.append(exc)
    assert [(str(end).split(": ", 1)[1], end.retry_s) for end in ends] == [
        ("the process that read it was ended: its cameras are forgiven, and read with the others", 0.0)
    ]
    for reader in again:
        reader.close()


def test_a_process_of_suspects_that_reads_nobody_ends(
    clip_h264: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = start(1)
    processes._suspects.hung("cam", time.monotonic())
    with reader_of(processes, str(clip_h264)) as reader:
        next(iter(reader))
    processes.check()
    assert sorted(worker.place.group for worker in processes._workers) == [0, 1]
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    processes.check()
    assert [worker.place.group for worker in processes._workers] == [0]
