"""From the engine's values to messages of the wire.

JSON has no infinity and no NaN, a topic no slash in a name: what cannot be said is refused here with a WireError.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vad import __version__
from vad.errors import WireError
from vad.events.schema import (
    CAMERA_TYPE,
    CONTENT_TYPE,
    ENGINE_TYPE,
    HEARTBEAT_TYPE,
    JOURNAL_TYPE,
    MAX_REGIONS,
    SCORE_TYPE,
    SPEC_VERSION,
    AnomalyData,
    AnomalyMessage,
    CameraData,
    CameraMessage,
    DurableMessage,
    EngineData,
    EngineMessage,
    HeartbeatData,
    HeartbeatMessage,
    JournalData,
    JournalMessage,
    RegionData,
    ScoreData,
    ScoreMessage,
)
from vad.types import CameraEvent, EngineEvent, JournalEvent

if TYPE_CHECKING:
    from vad.types import AnomalyEvent, FrameScore, RaisedEvent, Region

MAX_DETAIL_CHARS = 2_000

MAX_SCORE = 308.0
"""Scores are ``-log10 p``; a double knows no smaller p than about 1e-308, so an infinite score is told as this."""

_WORD = re.compile(r"[a-z0-9_]{1,64}")
_CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def durable_message(event: RaisedEvent, *, epoch: str, sequence: int) -> DurableMessage:
    """The message of one event at its place in the journal. Raises WireError for what JSON cannot say."""
    if isinstance(event, JournalEvent):
        return _journal_message(event, epoch=epoch, sequence=sequence)
    if isinstance(event, EngineEvent):
        return _engine_message(event, epoch=epoch, sequence=sequence)
    camera = _camera(event.camera)
    if isinstance(event, CameraEvent):
        return CameraMessage(
            specversion=SPEC_VERSION,
            id=f"{epoch}-{sequence}",
            source=f"/vad/cameras/{camera}",
            type=f"{CAMERA_TYPE}.{_word('state', event.state)}",
            subject=camera,
            time=rfc3339(event.wall_s),
            datacontenttype=CONTENT_TYPE,
            epoch=epoch,
            sequence=sequence,
            data=_camera_data(event),
        )
    return AnomalyMessage(
        specversion=SPEC_VERSION,
        id=f"{epoch}-{sequence}",
        source=f"/vad/cameras/{camera}",
        type=str(event.type),
        subject=camera,
        time=rfc3339(event.wall_s),
        datacontenttype=CONTENT_TYPE,
        epoch=epoch,
        sequence=sequence,
        data=_anomaly_data(event),
    )


def score_message(score: FrameScore, *, id: str) -> ScoreMessage:
    """The message of one scored frame. ``id`` must be unique among all messages of this engine."""
    frame = score.frame
    camera = _camera(frame.camera)
    data = ScoreData(
        run=int(frame.run),
        index=int(frame.index),
        pts_s=_finite("pts_s", frame.pts_s),
        wall_s=_finite("wall_s", frame.wall_s),
        score=_score("score", score.score),
        threshold=None if score.threshold == math.inf else _score("threshold", score.threshold),
        stage=str(score.stage),
        health=None if score.health is None else str(score.health),
    )
    return ScoreMessage(
        specversion=SPEC_VERSION,
        id=id,
        source=f"/vad/cameras/{camera}",
        type=SCORE_TYPE,
        subject=camera,
        time=rfc3339(frame.wall_s),
        datacontenttype=CONTENT_TYPE,
        data=data,
    )


def heartbeat_message(
    *,
    epoch: str,
    last_sequence: int,
    wall_s: float,
    id: str,
    first_sequence: int | None = None,
    replay_port: int | None = None,
) -> HeartbeatMessage:
    data = HeartbeatData(
        epoch=epoch,
        last_sequence=last_sequence,
        version=__version__,
        first_sequence=first_sequence,
        replay_port=replay_port,
    )
    return HeartbeatMessage(
        specversion=SPEC_VERSION,
        id=id,
        source="/vad",
        type=HEARTBEAT_TYPE,
        time=rfc3339(wall_s),
        datacontenttype=CONTENT_TYPE,
        data=data,
    )


def _journal_message(event: JournalEvent, *, epoch: str, sequence: int) -> JournalMessage:
    return JournalMessage(
        specversion=SPEC_VERSION,
        id=f"{epoch}-{sequence}",
        source="/vad/journal",
        type=f"{JOURNAL_TYPE}.{_word('state', event.state)}",
        time=rfc3339(event.wall_s),
        datacontenttype=CONTENT_TYPE,
        epoch=epoch,
        sequence=sequence,
        data=JournalData(
            state=str(event.state),
            wall_s=_finite("wall_s", event.wall_s),
            detail=event.detail[:MAX_DETAIL_CHARS],
            previous_epoch=event.previous_epoch,
            previous_sequence=event.previous_sequence,
            lost=int(event.lost),
            since_wall_s=event.since_wall_s,
            until_wall_s=event.until_wall_s,
        ),
    )


def _engine_message(event: EngineEvent, *, epoch: str, sequence: int) -> EngineMessage:
    return EngineMessage(
        specversion=SPEC_VERSION,
        id=f"{epoch}-{sequence}",
        source="/vad",
        type=f"{ENGINE_TYPE}.{_word('state', event.state)}",
        time=rfc3339(event.wall_s),
        datacontenttype=CONTENT_TYPE,
        epoch=epoch,
        sequence=sequence,
        data=EngineData(
            state=str(event.state),
            wall_s=_finite("wall_s", event.wall_s),
            share=min(max(_finite("share", event.share), 0.0), 1.0),
            detail=event.detail[:MAX_DETAIL_CHARS],
        ),
    )


def rfc3339(wall_s: float) -> str:
    """UTC with milliseconds: ``2023-11-14T22:13:20.000Z``. Raises WireError outside the years 1 to 9999."""
    try:
        at = datetime.fromtimestamp(wall_s, tz=UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise WireError(f"wall_s {wall_s} is not a time: {exc}") from None
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _anomaly_data(event: AnomalyEvent) -> AnomalyData:
    return AnomalyData(
        incident=event.incident,
        run=int(event.run),
        pts_s=_finite("pts_s", event.pts_s),
        wall_s=_finite("wall_s", event.wall_s),
        wall_source=str(event.wall_source),
        started_pts_s=_finite("started_pts_s", event.started_pts_s),
        started_wall_s=_finite("started_wall_s", event.started_wall_s),
        score=_score("score", event.score),
        threshold=_score("threshold", event.threshold),
        p_value=min(max(_finite("p_value", event.p_value), 0.0), 1.0),
        peak_score=_score("peak_score", event.peak_score),
        peak_pts_s=_finite("peak_pts_s", event.peak_pts_s),
        stage=str(event.stage),
        reasons=[str(reason) for reason in event.reasons],
        regions=_strongest(event.regions),
        frames=int(event.frames),
        close_reason=event.close_reason,
    )


def _camera_data(event: CameraEvent) -> CameraData:
    return CameraData(
        state=str(event.state),
        run=int(event.run),
        wall_s=_finite("wall_s", event.wall_s),
        code=None if event.code is None else str(event.code),
        detail=event.detail[:MAX_DETAIL_CHARS],
    )


def _strongest(regions: tuple[Region, ...]) -> list[RegionData]:
    kept = regions
    if len(regions) > MAX_REGIONS:
        best = sorted(range(len(regions)), key=lambda i: -regions[i].score)[:MAX_REGIONS]
        kept = tuple(regions[i] for i in sorted(best))
    return [
        RegionData(
            x0=_finite("x0", r.x0),
            y0=_finite("y0", r.y0),
            x1=_finite("x1", r.x1),
            y1=_finite("y1", r.y1),
            score=_score("region score", r.score),
            track=None if r.track is None else int(r.track),
        )
        for r in kept
    ]


def _camera(name: str) -> str:
    if not _CAMERA.fullmatch(name):
        raise WireError(f"camera {name!r} cannot stand in a topic; allowed: 1 to 64 of letters, digits, '_', '.', '-'")
    return name


def _word(what: str, value: str) -> str:
    if not _WORD.fullmatch(value):
        raise WireError(f"{what} {value!r} cannot be part of a type; allowed: 1 to 64 of a-z, 0-9 and _")
    return str(value)


def _finite(what: str, value: float) -> float:
    """JSON has no infinity and no NaN. ``float`` also turns NumPy scalars into what the encoder knows."""
    value = float(value)
    if not math.isfinite(value):
        raise WireError(f"{what} is {value}; allowed: a finite number")
    return value


def _score(what: str, value: float) -> float:
    return _finite(what, min(max(float(value), -MAX_SCORE), MAX_SCORE))
