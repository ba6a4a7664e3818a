"""The live table of cameras, for a terminal."""

from __future__ import annotations

import math

from rich.table import Table
from rich.text import Text

from vad.pipeline.promise import about
from vad.pipeline.status import CameraStatus, EngineStatus
from vad.types import CameraState, Stage

STAGE_STYLES = {Stage.COLD: "cyan", Stage.WARMING: "yellow", Stage.CALIBRATED: "green"}
BAR_CELLS = 12


def camera_table(status: EngineStatus) -> Table:
    """One row a camera: state, stage, rate, score against threshold, budget, frames."""
    table = Table(expand=False, pad_edge=False)
    for heading in (
        "camera",
        "state",
        "calibration",
        "fps",
        "score",
        "threshold",
        "incidents, budget",
        "scored",
        "lost",
    ):
        table.add_column(heading, justify="left" if heading in ("camera", "state", "calibration") else "right")
    for name, camera in status.cameras.items():
        table.add_row(
            name,
            _state(camera),
            Text(camera.stage.value, style=STAGE_STYLES[camera.stage]),
            "-" if camera.fps is None else f"{camera.fps:.1f}",
            score_bar(camera.score, camera.threshold),
            "-" if math.isinf(camera.threshold) else f"{camera.threshold:.1f}",
            _budget(camera),
            str(camera.frames.scored),
            str(camera.frames.lost),
        )
    return table


def score_bar(score: float, threshold: float) -> Text:
    """The score as a number and a bar that is full at the threshold."""
    share = 0.0 if math.isinf(threshold) else min(1.0, score / threshold)
    filled = round(share * BAR_CELLS)
    bar = Text("█" * filled + "░" * (BAR_CELLS - filled), style="red" if share >= 1.0 else "green")
    return Text.assemble(bar, f" {score:4.1f}")


def _budget(camera: CameraStatus) -> str:
    """Incidents against the budget, and what a young camera may raise instead."""
    young = f", about {about(camera.allowed_per_day)} now" if camera.promised_after_s > 0.0 else ""
    return f"{camera.incidents_opened} of {camera.false_alarms_per_day:g} a day{young}"


def _state(camera: CameraStatus) -> Text:
    words = camera.health.value if camera.health else camera.state.value
    if camera.code is not None and camera.state is not CameraState.UP:
        words += f" ({camera.code.value})"
    good = camera.state is CameraState.UP and camera.health is None
    return Text(words, style="green" if good else "red")
