"""What the API answers about the engine and its cameras. Numbers that are not finite are null: JSON has none such."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vad.config import CameraConfig, ModelWidth, Polygon, Rotation, redact_url
from vad.errors import StreamCode
from vad.events import archive
from vad.pipeline.ledger import Account
from vad.pipeline.promise import promise_of
from vad.pipeline.status import BridgeStatus, CameraStatus, EngineStatus
from vad.types import CameraState, ClockFault, DropReason, HealthIssue, Stage


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


Finite = Annotated[float | None, BeforeValidator(_finite)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class FrameCounts(Model):
    """received = scored + dropped (by reason) + in_flight, at every instant."""

    received: int
    scored: int
    in_flight: int
    lost: int
    """Dropped although nobody asked for it: every reason but `analysis_rate`."""
    dropped: dict[DropReason, int]

    @classmethod
    def of(cls, account: Account) -> FrameCounts:
        return cls(
            received=account.received,
            scored=account.scored,
            in_flight=account.in_flight,
            lost=account.lost,
            dropped=dict(account.dropped),
        )


class Journal(Model):
    """How the journal takes what is raised: raised = written + `waiting` + `lost`."""

    is_writable: bool
    detail: str
    waiting: int
    lost: int
    failures: int
    first_sequence: int
    used_bytes: int


class Bridge(Model):
    """One bridge to another system."""

    up: bool
    behind: int
    sent: int
    failed: int
    dead_letters: int
    lost: int

    @classmethod
    def of(cls, status: BridgeStatus) -> Bridge:
        return cls(
            up=status.up,
            behind=status.behind,
            sent=status.sent,
            failed=status.failed,
            dead_letters=status.dead_letters,
            lost=status.lost,
        )


class Latency(Model):
    """From a frame's arrival to its score, seconds, over the last frames scored."""

    p50_s: Finite
    p95_s: Finite


class Readers(Model):
    """The processes that read cameras beside the engine's own: those that run, and how many died since the start.

    ``isolated`` cameras are read in one of their own, since the one before died or hung. ``not_sandboxed``: what those
    processes may do that they should not, since this machine cannot hold them to it.
    """

    processes: int
    died: int
    isolated: list[str]
    not_sandboxed: list[str]


class Status(Model):
    """The engine at one instant."""

    version: str
    device: str
    wall_s: float
    is_ready: bool
    checks: dict[str, bool]
    cameras: int
    cameras_up: int
    frames: FrameCounts
    latency: Latency
    epoch: str
    last_sequence: int
    journal: Journal
    queues: dict[str, int]
    bus_connections: int
    bridges: dict[str, Bridge]
    evidence_used_bytes: int
    readers: Readers

    @classmethod
    def of(
        cls,
        status: EngineStatus,
        *,
        version: str,
        device: str,
        wall_s: float,
        checks: dict[str, bool],
        latency: Latency,
        evidence_used_bytes: int,
    ) -> Status:
        journal = status.journal
        return cls(
            version=version,
            device=device,
            wall_s=wall_s,
            is_ready=all(checks.values()),
            checks=checks,
            cameras=len(status.cameras),
            cameras_up=sum(camera.state is CameraState.UP for camera in status.cameras.values()),
            frames=FrameCounts.of(status.frames),
            latency=latency,
            epoch=status.epoch,
            last_sequence=status.last_sequence,
            journal=Journal(
                is_writable=journal.is_writable,
                detail=journal.detail,
                waiting=journal.waiting,
                lost=journal.lost,
                failures=journal.failures,
                first_sequence=journal.first_sequence,
                used_bytes=journal.used_bytes,
            ),
            queues=status.queues,
            bus_connections=status.bus.connections,
            bridges={name: Bridge.of(bridge) for name, bridge in status.bridges.items()},
            evidence_used_bytes=evidence_used_bytes,
            readers=Readers(
                processes=status.readers.processes,
                died=status.readers.died,
                isolated=list(status.readers.isolated),
                not_sandboxed=list(status.readers.not_sandboxed),
            ),
        )


class LastEvent(Model):
    """The camera's newest event of an incident."""

    id: str
    type: str
    wall_s: float
    reasons: list[str]

    @classmethod
    def of(cls, event: archive.LastEvent | None) -> LastEvent | None:
        if event is None:
            return None
        return cls(id=event.id, type=event.type, wall_s=event.wall_s, reasons=list(event.reasons))


class Area(Model):
    """A polygon in fractions of the picture, origin top left."""

    points: list[tuple[float, float]]
    name: str = ""

    @classmethod
    def of(cls, polygon: Polygon) -> Area:
        return cls(points=polygon.points, name=polygon.name)


class Camera(Model):
    """A camera as it is now. `url` is without credentials."""

    id: str
    url: str
    state: CameraState
    code: StreamCode | None
    detail: str
    run: int
    fps: Finite
    stage: Stage
    score: Finite
    threshold: Finite
    """The score that the false-alarm budget allows; null while nothing is judged."""
    health: HealthIssue | None
    is_armed: bool
    is_paused: bool
    false_alarms_per_day: float
    budget_ratio: Finite
    """Incidents opened a day over `false_alarms_per_day`; null before anything was judged."""
    allowed_per_day: float
    """Incidents a day that may be raised at present: `false_alarms_per_day`, and more while little was learnt."""
    promised_after_s: float
    """Normal footage still to be learnt until that is at most 1.5 times `false_alarms_per_day`; 0 once it is."""
    promise: str
    """Both in one sentence, for people."""
    incidents_open: int
    incidents_opened: int
    judged_s: float
    analysis_fps: float
    model_width: ModelWidth
    """The width that is set, about as many pixels; `auto` is chosen by the people seen."""
    analysed_width: int | None
    """Pixels of the picture that was analysed last; null before the first one."""
    rotate: Rotation
    """Degrees clockwise by which the picture is turned, beyond what its stream says."""
    transport: Literal["tcp", "udp"]
    clock_fault: ClockFault | None
    """Why its frames are not dated by its own clock; null where they are, or where it sends none."""
    clock_skew_s: Finite
    """Seconds by which the camera's time of day is ahead of this machine's; null before it was reported."""
    clock_ratio: Finite
    """Seconds that pass by the camera's time stamps in one second; null before it was measured."""
    frames: FrameCounts
    frames_spared: int
    """Received and never decoded: above the analysis rate, and no other picture refers to them."""
    frames_unfiltered: int
    """Decoded without the codec's loop filter, since the machine was overloaded."""
    reconnects: dict[StreamCode, int]
    errors: dict[StreamCode, int]
    masks: list[Area]
    zones: list[Area]
    last_event: LastEvent | None

    @classmethod
    def of(cls, name: str, config: CameraConfig, status: CameraStatus, last_event: LastEvent | None) -> Camera:
        return cls(
            id=name,
            url=redact_url(config.url),
            state=status.state,
            code=status.code,
            detail=status.detail,
            run=status.run,
            fps=status.fps,
            stage=status.stage,
            score=status.score,
            threshold=status.threshold,
            health=status.health,
            is_armed=status.is_armed,
            is_paused=status.is_paused,
            false_alarms_per_day=config.false_alarms_per_day,
            budget_ratio=status.budget_ratio,
            allowed_per_day=status.allowed_per_day,
            promised_after_s=status.promised_after_s,
            promise=promise_of(status),
            incidents_open=status.incidents_open,
            incidents_opened=status.incidents_opened,
            judged_s=status.judged_s,
            analysis_fps=config.analysis_fps,
            model_width=config.model_width,
            analysed_width=status.analysed_width,
            rotate=config.rotate,
            transport=config.transport,
            frames=FrameCounts.of(status.frames),
            clock_fault=status.clock_fault,
            clock_skew_s=status.clock_skew_s,
            clock_ratio=status.clock_ratio,
            frames_spared=status.frames_spared,
            frames_unfiltered=status.frames_unfiltered,
            reconnects=status.reconnects,
            errors=status.errors,
            masks=[Area.of(mask) for mask in config.masks],
            zones=[Area.of(zone) for zone in config.zones],
            last_event=last_event,
        )


class Cameras(Model):
    """All cameras of the site, in the order of its file."""

    cameras: list[Camera] = Field(description="in the order in which they were added")


class Scores(Model):
    """A camera's scores: the highest of each step, and the threshold then (null while nothing is judged)."""

    camera: str
    step_s: float
    points: Sequence[Annotated[Sequence[Finite], Field(min_length=3, max_length=3)]]
    """`[wall_s where the step begins, score, threshold]`, newest last."""


class Preview(Model):
    """What a budget would have raised, of the last hours."""

    covered_s: float
    threshold: Finite
    incidents: list[float]
    """When each would have begun, `wall_s`."""
    per_day: Finite
