"""When what a camera has learnt is kept: the more it is, the more seldom."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.pipeline.frames import GRID
from vad.clock import ManualClock
from vad.errors import CalibrationError
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.scoring import SAVE_EVERY_S, ScoringWorker, Watch


class Learner:
    """A scorer's face: what it has learnt, and when that was saved."""

    geometry = GRID

    def __init__(self) -> None:
        self.learnt_s = 0.0
        self.saves: list[float] = []
        self.fails = False

    def save(self, path: Path, *, weights_sha256: str) -> None:
        if self.fails:
            raise CalibrationError(f"{path}: cannot be written")
        self.saves.append(self.learnt_s)


@pytest.fixture
def learner() -> Learner:
    return Learner()


@pytest.fixture
def turn(tmp_path: Path, learner: Learner) -> Any:
    """``turn(seconds)``: so much was learnt until the camera's next turn."""
    clock, frame = ManualClock(), SimpleNamespace(run=0)
    judge: Any = SimpleNamespace(scorer=learner)
    history: Any = None
    score: Any = SimpleNamespace(frame=frame)
    worker = ScoringWorker(
        maps=Mailbox(1),
        deliver=lambda *_: None,
        ledger=Ledger(),
        metrics=StageMetrics(CollectorRegistry()),
        clock=clock,
        calibration_dir=tmp_path,
        weights_sha256="",
        on_event=lambda _: None,
        watches={"cam": Watch(judge, history, last_score=score)},
    )

    def turn(seconds: float) -> None:
        learner.learnt_s += seconds
        clock.advance(SAVE_EVERY_S)
        worker._save_next()

    return turn


def test_a_camera_that_has_learnt_little_is_saved_every_minute(turn: Any, learner: Learner) -> None:
    for _ in range(5):
        turn(60.0)
    assert learner.saves == [60.0, 120.0, 180.0, 240.0, 300.0]


def test_no_more_than_a_fiftieth_of_much_is_lost_and_no_more_than_a_quarter_of_an_hour(
    turn: Any, learner: Learner
) -> None:
    turn(36_000.0)
    for _ in range(60):
        turn(60.0)
    between = [later - earlier for earlier, later in pairwise(learner.saves)]
    assert set(between) == {780.0, 840.0}  # a fiftieth of ten to eleven hours is 12 to 13.2 minutes, and then its turn
    turn(864_000.0)
    for _ in range(30):
        turn(60.0)
    assert learner.saves[-1] - learner.saves[-2] == 900.0


def test_one_that_began_anew_is_saved_at_its_next_turn(turn: Any, learner: Learner) -> None:
    turn(36_000.0)
    learner.learnt_s = 0.0
    turn(60.0)
    assert learner.saves == [36_000.0, 60.0]


def test_what_could_not_be_saved_is_tried_again_at_the_next_turn(turn: Any, learner: Learner) -> None:
    learner.fails = True
    turn(36_000.0)
    learner.fails = False
    turn(0.0)
    turn(0.0)
    assert learner.saves == [36_000.0]
