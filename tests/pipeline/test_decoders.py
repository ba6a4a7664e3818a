"""Cameras through the whole engine, where the network and the decoders run on a GPU and where they do not."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import torch

import vad
from tests.pipeline.sites import wait_for, wait_for_frames
from tests.video.clips import VideoFile
from vad.config import make_config
from vad.pipeline.engine import Engine
from vad.video import source
from vad.video.hardware import DecodePolicy

DEVICES = [
    "cpu",
    pytest.param(
        "cuda:0",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
        ],
    ),
]


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("device", DEVICES)
def test_every_frame_is_accounted_for_and_the_status_says_who_decoded(
    device: str, processes: int, video_file: VideoFile, tmp_path: Path
) -> None:
    """On a GPU the network's graphs are captured while other threads decode on the same device."""
    cameras = {
        f"cam{k}": {"url": str(video_file(f"{k}.mp4", frames=60 + k, width=640 + 64 * k)), "realtime": False}
        for k in range(4)
    }
    site = {
        "cameras": cameras,
        "model": {"device": device, "clip_length": 2},
        "readers": {"processes": processes},
        "bus": {"bind": "tcp://127.0.0.1:*"},
        "storage": {"dir": str(tmp_path / "storage")},
    }
    with Engine(make_config(site, source="test")) as engine:
        assert engine.wait(timeout_s=120.0)
    status = engine.status()
    assert engine.device == device
    assert status.frames.is_balanced
    assert (status.frames.received, status.frames.in_flight, status.frames.lost) == (4 * 60 + 6, 0, 0)
    assert {camera.decoder for camera in status.cameras.values()} == {device.partition(":")[0]}


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize("device", DEVICES[1:])
def test_what_a_gpu_decodes_can_be_looked_at(
    device: str, processes: int, video_file: VideoFile, tmp_path: Path
) -> None:
    site = {
        "cameras": {"cam": {"url": str(video_file("a.mp4", frames=60)), "loop": True}},
        "model": {"device": device},
        "readers": {"processes": processes},
        "bus": {"bind": "tcp://127.0.0.1:*"},
        "storage": {"dir": str(tmp_path / "storage")},
    }
    with Engine(make_config(site, source="test")) as engine:
        wait_for_frames(engine, "cam", 3)
        assert engine.snapshot("cam").startswith(b"\xff\xd8")
        assert engine.status().cameras["cam"].decoder == "cuda"


def test_a_scan_on_the_cpu_moves_no_camera_of_an_engine_on_a_gpu(
    video_file: VideoFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in one process: each hands its own readers where its own network runs."""
    asked: dict[str, list[DecodePolicy]] = defaultdict(list)

    def accelerator(policy: DecodePolicy, *, camera: str) -> None:
        asked[camera].append(policy)

    monkeypatch.setattr(source, "accelerator", accelerator)
    monkeypatch.setattr(Engine, "device", property(lambda _: "cuda:0", lambda *_: None), raising=False)
    film = str(video_file("a.mp4", frames=20))
    site = {
        "cameras": {"cam": {"url": film, "loop": True, "backoff_min_s": 0.01}},
        "readers": {"processes": 0},
        "bus": {"bind": "tcp://127.0.0.1:*"},
        "storage": {"dir": str(tmp_path / "storage")},
    }
    with Engine(make_config(site, source="test")) as engine:
        wait_for_frames(engine, "cam", 3)
        list(vad.scan(film))
        before = len(asked["cam"])
        wait_for(lambda: len(asked["cam"]) > before + 1, what="the camera to be opened again")
    assert {policy.device for policy in asked["cam"]} == {0}
    assert {policy.device for policy in asked["scan"]} == {None}
