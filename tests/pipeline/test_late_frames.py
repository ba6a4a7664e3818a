"""Frames that are scored after the end of their run was announced: a slow machine, a camera that is gone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.pipeline.frames import make_frame
from vad.clock import ManualClock
from vad.config import ScoringSettings
from vad.pipeline.judge import Judge
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.scoring import GONE, ScoringWorker, Watch
from vad.scoring.incidents import Incidents
from vad.types import AnomalyEvent, CameraEvent, CameraState, EventType, FrameScore, Reason, Stage


class Alarmed:
    """A scorer's face: every frame is far over the threshold."""

    geometry = None

    def step(self, cell_map: Any) -> FrameScore:
        return FrameScore(cell_map.frame, 9.0, 4.0, 1e-9, Stage.CALIBRATED, (Reason.SPEED,), {Reason.SPEED: 9.0})

    def incident_raised(self) -> None:
        """Its threshold stays."""


class Line:
    """The scoring stage with one camera: ``frames`` and ``leave`` are what comes to it, ``told`` what it raised."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self._ledger = Ledger()
        self._ledger.open("cam")
        scorer: Any = Alarmed()
        history: Any = SimpleNamespace(add=lambda *_, **__: None)
        self.watch = Watch(Judge("cam", scorer, Incidents("cam", settings=ScoringSettings(open_after_s=0.2))), history)
        self._worker = ScoringWorker(
            maps=Mailbox(1),
            deliver=lambda *_: None,
            ledger=self._ledger,
            metrics=StageMetrics(CollectorRegistry()),
            clock=ManualClock(),
            calibration_dir=folder,
            weights_sha256="",
            on_event=self._hear,
            watches={"cam": self.watch},
        )

    def receive(self, count: int) -> None:
        self._ledger.received("cam", count)

    def score(self, *indices: int, run: int = 0) -> None:
        maps: Any = [SimpleNamespace(frame=make_frame(index=index, run=run), dt_s=0.125) for index in indices]
        self._worker._round([maps])

    def leave(self, state: CameraState) -> None:
        self._worker._round([CameraEvent(camera="cam", run=0, state=state.value, wall_s=0.0)])

    def _hear(self, event: Any) -> None:
        if isinstance(event, AnomalyEvent) and event.type is not EventType.UPDATED:
            self.told.append((event.type.rpartition(".")[2], event.close_reason or ""))


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.mark.parametrize("state", sorted(GONE))
def test_what_the_last_frames_open_does_not_stay_open(line: Line, state: CameraState) -> None:
    line.receive(8)
    line.score(0)
    line.leave(state)
    line.score(1, 2, 3, 4)
    assert line.told == [("opened", "")]
    line.score(5, 6, 7)
    assert line.told == [("opened", ""), ("closed", "run_ended")]
    assert line.watch.opened == line.watch.closed == 1


def test_a_run_that_begins_meanwhile_has_incidents_of_its_own(line: Line) -> None:
    line.receive(8)
    line.leave(CameraState.BACKOFF)
    line.score(0, 1, 2, 3)
    line.score(0, 1, 2, 3, run=1)
    assert line.told == [("opened", ""), ("closed", "run_ended"), ("opened", "")]
