"""What a camera promises of its false alarms, in words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.statuses import camera_status
from vad.pipeline.promise import about, promise_of
from vad.pipeline.status import CameraStatus, EngineStatus
from vad.service.table import camera_table
from vad.types import Stage


def young(**changes: Any) -> CameraStatus:
    known = {"stage": Stage.WARMING, "allowed_per_day": 39.7, "promised_after_s": 4790.0, "incidents_opened": 3}
    return camera_status(**{**known, "budget_ratio": None, **changes})


THEN = "2 a day are promised after 1 h 20 min more of normal footage."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, f"May raise about 40 alarms a day now; {THEN}"),
        ({"stage": Stage.CALIBRATED}, f"May raise about 40 alarms a day now; {THEN}"),
        ({"stage": Stage.COLD}, f"Raises nothing yet; {THEN}"),
        ({"is_armed": False}, f"Raises nothing while disarmed; {THEN}"),
        ({"is_armed": False, "is_paused": True}, f"Raises nothing while paused; {THEN}"),
        ({"promised_after_s": 0.0, "allowed_per_day": 3.0}, "Keeps to 2 false alarms a day."),
        ({"promised_after_s": 0.0, "false_alarms_per_day": 1.0}, "Keeps to 1 false alarm a day."),
        ({"promised_after_s": 0.0, "false_alarms_per_day": 0.5}, "Keeps to 0.5 false alarms a day."),
        (
            {"false_alarms_per_day": 1.0, "allowed_per_day": 1.52, "promised_after_s": 0.5},
            "May raise about 1.5 alarms a day now; 1 a day is promised after 1 min more of normal footage.",
        ),
        (
            {"promised_after_s": 7200.0},
            "May raise about 40 alarms a day now; 2 a day are promised after 2 h more of normal footage.",
        ),
    ],
)
def test_a_camera_says_in_one_sentence_what_it_promises(changes: dict[str, Any], said: str) -> None:
    assert promise_of(young(**changes)) == said


def test_numbers_are_as_exact_as_anyone_needs() -> None:
    assert [about(x) for x in (0.512, 1.0, 3.04, 9.96, 39.7, 1538.2)] == ["0.51", "1", "3", "10", "40", "1538"]


def test_the_table_says_what_a_young_camera_may_raise_instead() -> None:
    cameras = {"young": young(), "old": young(promised_after_s=0.0)}
    (budgets,) = (c for c in camera_table(EngineStatus(cameras=cameras)).columns if "budget" in str(c.header))
    assert list(budgets.cells) == ["3 of 2 a day, about 40 now", "3 of 2 a day"]
