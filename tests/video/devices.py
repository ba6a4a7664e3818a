"""A GPU that decodes, as far as a CPU can stand in for one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer

from vad.video import source, view
from vad.video.source import ContainerFeed


class AsOnDevice:
    """A frame of 4:2:0 that says it lies on a device: what reads its luma there reads it here."""

    format, sw_format = SimpleNamespace(name="cuda"), SimpleNamespace(name="nv12")

    def __init__(self, frame: VideoFrame) -> None:
        self._frame = frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)


def fail_after(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the first ``frames`` are decoded by a GPU, whoever asks, and all that come later by the CPU."""
    decode, number = ContainerFeed.decode, itertools.count()

    def decode_so(feed: ContainerFeed, packet: Any) -> list[Any]:
        return [AsOnDevice(frame) if next(number) < frames else frame for frame in decode(feed, packet)]

    def side_data_of(frame: VideoFrame | AsOnDevice) -> SideDataContainer:
        return container(frame._frame if isinstance(frame, AsOnDevice) else frame)  # which takes real frames only

    container: Callable[[VideoFrame], SideDataContainer] = SideDataContainer
    monkeypatch.setattr(view, "SideDataContainer", side_data_of)
    monkeypatch.setattr(source, "accelerator", lambda policy, *, camera: None)
    monkeypatch.setattr(ContainerFeed, "decode", decode_so)
