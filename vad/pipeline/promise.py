"""What a camera promises of its false alarms, in words."""

from __future__ import annotations

import math

from vad.pipeline.status import CameraStatus
from vad.types import Stage


def promise_of(camera: CameraStatus) -> str:
    """One sentence: how many alarms it may raise now, and after how much normal footage its budget is kept."""
    budget = f"{camera.false_alarms_per_day:g}"
    is_one = budget == "1"
    if camera.promised_after_s <= 0.0:
        return f"Keeps to {budget} false {'alarm' if is_one else 'alarms'} a day."
    after = _long(camera.promised_after_s)
    return f"{_now(camera)}; {budget} a day {'is' if is_one else 'are'} promised after {after} more of normal footage."


def about(per_day: float) -> str:
    """A number of alarms a day, as exactly as anyone needs it."""
    return f"{per_day:.2g}" if per_day < 10.0 else f"{per_day:.0f}"


def _now(camera: CameraStatus) -> str:
    if camera.is_paused or not camera.is_armed:
        return f"Raises nothing while {'paused' if camera.is_paused else 'disarmed'}"
    if camera.stage is Stage.COLD:
        return "Raises nothing yet"
    often = about(camera.allowed_per_day)
    return f"May raise about {often} {'alarm' if often == '1' else 'alarms'} a day now"


def _long(seconds: float) -> str:
    """1 h 20 min: begun minutes count, so that nothing is promised too early."""
    hours, minutes = divmod(math.ceil(seconds / 60.0), 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(parts)
