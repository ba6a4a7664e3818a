"""The status of a camera that is up, for tests that show one."""

from __future__ import annotations

from typing import Any

from vad.pipeline.ledger import Account
from vad.pipeline.status import CameraStatus
from vad.types import CameraState, Stage


def camera_status(**changes: Any) -> CameraStatus:
    known: dict[str, Any] = {
        "state": CameraState.UP,
        "code": None,
        "detail": "",
        "run": 0,
        "fps": 25.0,
        "frames": Account(),
        "corrupt_packets": 0,
        "abandoned_readers": 0,
        "reconnects": {},
        "errors": {},
        "stage": Stage.CALIBRATED,
        "score": 1.0,
        "threshold": 5.5,
        "health": None,
        "incidents_opened": 0,
        "false_alarms_per_day": 2.0,
        "budget_ratio": 0.0,
    }
    return CameraStatus(**{**known, **changes})
