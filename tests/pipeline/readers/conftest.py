"""Two real processes of readers, for the tests that do not harm them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.pipeline.readers.processes import ReaderProcesses

Start = Callable[[int], ReaderProcesses]


@pytest.fixture(scope="package")
def processes() -> Iterator[ReaderProcesses]:
    started = ReaderProcesses(ReaderSettings(processes=2), log_settings=LogSettings())
    started.expect([CameraConfig(url="a.mp4")])
    yield started
    started.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """``start(2)``: so many processes of the test's own."""
    all_started: list[ReaderProcesses] = []

    def make(count: int) -> ReaderProcesses:
        all_started.append(ReaderProcesses(ReaderSettings(processes=count), log_settings=LogSettings()))
        all_started[-1].expect([CameraConfig(url="a.mp4")])
        return all_started[-1]

    yield make
    for started in all_started:
        started.close()
