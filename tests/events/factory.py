"""Events and scores made by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vad.types import (
    AnomalyEvent,
    CameraEvent,
    EventType,
    Frame,
    FrameScore,
    Geometry,
    Reason,
    Region,
    Stage,
    WallSource,
)

WALL_S = 1_700_000_000.25

ANOMALY = AnomalyEvent(
    type=EventType.OPENED,
    camera="cam1",
    incident="cam1-1-1",
    run=1,
    pts_s=12.5,
    wall_s=WALL_S,
    wall_source=WallSource.RTCP,
    started_pts_s=12.0,
    started_wall_s=WALL_S - 0.5,
    score=5.5,
    threshold=4.25,
    p_value=3.2e-6,
    peak_score=6.0,
    peak_pts_s=12.25,
    stage=Stage.CALIBRATED,
    reasons=(Reason.SPEED, Reason.DIRECTION),
    regions=(Region(0.1, 0.2, 0.3, 0.4, 6.0),),
    frames=4,
)

CAMERA = CameraEvent(camera="cam1", run=1, state="backoff", wall_s=WALL_S, code="timeout", detail="no answer in 10 s")


def anomaly(**changes: Any) -> AnomalyEvent:
    return dataclasses.replace(ANOMALY, **changes)


def anomalies(count: int, *, camera: str = "cam1", first: int = 1) -> list[AnomalyEvent]:
    return [anomaly(camera=camera, incident=f"i{number}") for number in range(first, first + count)]


def frame_score(*, camera: str = "cam1", index: int = 0, threshold: float = 4.0) -> FrameScore:
    geometry = Geometry(source_width=640, source_height=360, pool=5, width=128, height=72)
    luma = np.zeros((72, 128), np.uint8)
    frame = Frame(camera, 1, index, index / 8, WALL_S, WallSource.ARRIVAL, 1.0, geometry, luma)
    return FrameScore(frame=frame, score=1.5, threshold=threshold, p_value=0.03, stage=Stage.COLD)
