"""The values that cross threads: frozen, with units and shapes stated.

Half-open ranges throughout: a box covers ``[x0, x1) x [y0, y1)``. Times end in their unit: ``pts_s`` is media time,
``wall_s`` is UTC (seconds since the Unix epoch), ``arrived_s`` is the machine's monotonic clock when a frame was here.

This module needs no third-party package at run time, so that an event consumer can import ``vad.events`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CELL_PX = 8
"""Side of a cell in model pixels: the grid on which the model reports and the scorer judges."""

BLOCK_PX = 4
"""Side of a luma block in model pixels: the finest brightness the scorer sees (four blocks a cell)."""

PANORAMA = 2.5
"""Width over height from which on a picture counts as a panorama."""

PERSON_PX = 10.0
"""Height of a person in model pixels from which on what he does can be told."""

LEAST_SIDE_PX = 160
"""Of a picture's longer side: with fewer pixels too little of anything is seen to be judged."""


class WallSource(StrEnum):
    """Where a frame's ``wall_s`` comes from."""

    RTCP = "rtcp"  # the camera's own clock, from its RTCP sender reports
    ARRIVAL = "arrival"  # this machine's clock when the frame was decoded
    FILE = "file"  # media time added to the moment the file was opened


class ClockFault(StrEnum):
    """What is wrong with the clock of a camera, so that its frames are dated in another way."""

    NO_CLOCK = "no_clock"  # its time stamps stand still: its frames are dated by their arrival
    RATE = "clock_rate"  # its time stamps run faster or slower than time does: they are scaled
    WRONG = "clock_wrong"  # the time of day that it reports is not this machine's: this machine's is taken


class Stage(StrEnum):
    """How much a camera's calibration knows."""

    COLD = "cold"  # learning only, nothing is judged
    WARMING = "warming"  # judged, with little known of the camera yet
    CALIBRATED = "calibrated"  # judged by what the camera has shown


class Reason(StrEnum):
    """Which evidence spoke. An event lists them, strongest first."""

    SPEED = "speed"  # moves faster than anything normal at this depth
    DIRECTION = "direction"  # goes a way that nothing of its size goes here
    SIZE = "size"  # larger than what normally passes here
    PACE = "pace"  # faster than what of its size passes here
    MOVEMENT = "movement"  # place, size, direction and speed together were hardly ever seen
    APPEARANCE = "appearance"  # the network cannot predict what it sees, activity taken into account
    STATIC_CHANGE = "static_change"  # something came to rest that was not here (left behind)
    HOUR = "hour"  # something moves, or nothing, at a time of day at which that hardly happens
    ABSENCE = "absence"  # what always moves here has slowed down or turned round
    FALL = "fall"  # somebody's head and body came down while the foot stayed where it was
    AGITATION = "agitation"  # the parts of somebody move against one another: a fight, flailing
    COMBINED = "combined"  # several of the others at once; those that had a part are listed, too


class CameraState(StrEnum):
    """State of one camera's stream, also the value set of ``vad_stream_state``."""

    CONNECTING = "connecting"
    UP = "up"
    STALLED = "stalled"
    BACKOFF = "backoff"
    ENDED = "ended"
    PAUSED = "paused"  # on request: nothing is read
    STOPPED = "stopped"


class HealthIssue(StrEnum):
    """What is wrong with a camera's picture: named for what it is, never reported as an anomaly."""

    FROZEN = "frozen"
    COVERED = "covered"
    DEFOCUSED = "defocused"
    MOVED = "moved"
    LIGHT_JUMP = "light_jump"


PICTURE_STATES = frozenset({*HealthIssue, "recovered"})
"""What a ``CameraEvent`` can say of how the picture stands from now on."""


class Nuisance(StrEnum):
    """What is fast or odd in a picture and is no reason to raise anything."""

    LIGHT = "light"  # something that fades out instead of ending: a beam, the shadow of a cloud, fog
    UNSTEADY = "unsteady"  # something that moves to and fro, or too fast for its size: insects, rain, snow


class DropReason(StrEnum):
    """Why a received frame was not scored. ``analysis_rate`` is by design, every other reason is a loss."""

    ANALYSIS_RATE = "analysis_rate"  # decoded, but above the camera's analysis_fps
    OVERLOAD = "overload"  # a mailbox was full and its oldest entry made room, or it came far too late to be decoded
    OVERLOAD_RATE = "overload_rate"  # above the rate to which an overloaded machine has lowered the camera's analysis
    RUN_ENDED = "run_ended"  # belongs to a run that was over before it could be scored
    SHUTDOWN = "shutdown"  # gathered by a reader that ended after the engine had stopped waiting for it


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a source picture, as it is seen, maps to the model's grid.

    The luma of the upright picture of square pixels is box-pooled by the whole number ``pool`` in both directions, then
    padded at the right and bottom by repeating its edge until both sides are multiples of ``CELL_PX``. All sizes in
    pixels, and as seen, but for the coded ones: what is coded is stretched until its pixels are square, turned
    clockwise by ``rotation`` degrees, and then left and right change places if it is ``mirrored``.
    """

    source_width: int
    source_height: int
    pool: int
    width: int  # model grid, a multiple of CELL_PX
    height: int
    rotation: int = 0  # 0, 90, 180 or 270
    mirrored: bool = False
    coded_width: int = 0  # 0, both, where pictures are seen as they are coded
    coded_height: int = 0

    @property
    def valid_width(self) -> int:
        """Model pixels that show the source (the rest is padding)."""
        return self.source_width // self.pool

    @property
    def valid_height(self) -> int:
        return self.source_height // self.pool

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of the cell grid."""
        return self.height // CELL_PX, self.width // CELL_PX

    @property
    def is_as_coded(self) -> bool:
        """Are pictures seen as they are coded, neither turned nor stretched?"""
        return not self.coded_width

    @property
    def is_sideways(self) -> bool:
        """Is the width of what is seen the height of what is coded?"""
        return self.rotation % 180 != 0

    @property
    def coded_size(self) -> tuple[int, int]:
        """(width, height) of what is decoded."""
        if self.is_as_coded:
            return self.source_width, self.source_height
        return self.coded_width, self.coded_height

    @property
    def is_panorama(self) -> bool:
        """Is it so much wider than high that a usual width would leave hardly any lines to the model?"""
        return self.source_width >= PANORAMA * self.source_height

    @property
    def is_too_small(self) -> bool:
        """Has the picture too few pixels for anything in it to be judged?"""
        return max(self.source_width, self.source_height) < LEAST_SIDE_PX

    def has_source_of(self, other: Geometry) -> bool:
        """Is it the same source, seen in the same way, however it is pooled?"""
        return replace(self, pool=other.pool, width=other.width, height=other.height) == other

    def pooled_for(self, model_width: int) -> Geometry:
        """The same source on a model grid about ``model_width`` wide."""
        pool = pool_for(self.source_width, self.source_height, model_width=model_width)
        width, height = _whole_cells(self.source_width // pool), _whole_cells(self.source_height // pool)
        return replace(self, pool=pool, width=width, height=height)


def _whole_cells(size_px: int) -> int:
    return -(-size_px // CELL_PX) * CELL_PX


def pool_for(source_width: int, source_height: int, *, model_width: int) -> int:
    """By which whole number a source of that size is pooled for a model grid about ``model_width`` wide."""
    return max(1, min(round(source_width / model_width), source_width, source_height))


@dataclass(frozen=True, slots=True)
class Frame:
    """One analysed frame of one run, pooled and masked.

    ``luma`` is (height, width) uint8 on the model grid, full range, C-contiguous, never written after construction.
    ``index`` counts analysed frames of this run from 0.
    """

    camera: str
    run: int
    index: int
    pts_s: float
    wall_s: float
    wall_source: WallSource
    arrived_s: float
    geometry: Geometry
    luma: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """Consecutive frames of one run: what one call of the model takes from one camera. Never empty."""

    frames: tuple[Frame, ...]

    @property
    def camera(self) -> str:
        return self.frames[0].camera

    @property
    def run(self) -> int:
        return self.frames[0].run

    @property
    def geometry(self) -> Geometry:
        return self.frames[0].geometry


@dataclass(frozen=True, slots=True)
class CellMap:
    """What the model says of one frame, per cell. gh, gw = ``frame.geometry.cells``; arrays are float32.

    ``dt_s`` is the media time since the previous frame of the run (0.0 on its first frame, where nothing moves yet).
    """

    frame: Frame
    dt_s: float
    flow: NDArray[np.float32]  # (2, gh, gw) mean velocity (x, y) of the moving foreground, model pixels per second
    activity: NDArray[np.float32]  # (gh, gw) share of the cell covered by moving foreground, 0..1
    surprise: NDArray[np.float32]  # (gh, gw) prediction error over its predicted spread; about 1 when as expected
    latent: NDArray[np.float32]  # (L, gh, gw) pooled ConvLSTM state, a descriptor of what happens in the cell
    luma: NDArray[np.float32]  # (2*gh, 2*gw) mean luma of each block, 0..255


@dataclass(frozen=True, slots=True)
class Region:
    """A box in fractions of the source picture, origin top left, half-open, with the peak score inside it.

    ``track`` is the number of the object that covers it, the same for as long as that is followed in one run of the
    camera, and without meaning in any other; None where no object does.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one evidence saw, against what is usual there: numbers in ``unit``, and a sentence for people."""

    reason: Reason
    seen: float
    usual: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class FrameScore:
    """The judgement on one frame.

    ``score`` is ``-log10`` of the frame's p-value (0 = utterly normal; 3 = one excursion in a thousand), comparable
    across cameras; ``threshold`` is the score that the false-alarm budget allows. Both are 0.0/inf while ``cold``.
    """

    frame: Frame
    score: float
    threshold: float
    p_value: float
    stage: Stage
    reasons: tuple[Reason, ...] = ()
    evidence: dict[Reason, float] = field(default_factory=dict)  # each evidence's own -log10 p
    regions: tuple[Region, ...] = ()
    heat: NDArray[np.float32] | None = None  # (gh, gw) where, in units of score
    health: HealthIssue | None = None
    events: tuple[AnomalyEvent, ...] = ()  # raised at this frame
    findings: tuple[Finding, ...] = ()  # one for each of ``reasons``, in their order
    nuisance: Nuisance | None = None  # what would have been fast or odd, and was left out

    @property
    def pts_s(self) -> float:
        """Media time of the frame, seconds."""
        return self.frame.pts_s

    @property
    def is_anomalous(self) -> bool:
        return self.score > self.threshold and self.health is None


class EventType(StrEnum):
    """Life of an incident."""

    OPENED = "io.vad.anomaly.opened"
    UPDATED = "io.vad.anomaly.updated"
    CLOSED = "io.vad.anomaly.closed"


@dataclass(frozen=True, slots=True)
class AnomalyEvent:
    """A step in the life of one incident, before the journal gives it a sequence.

    ``incident`` is the same in opened, updated and closed. Times of this step and of the incident's start are those
    of the frames concerned. ``close_reason`` is set on closed alone (``calm``, ``run_ended``, ``shutdown``,
    ``too_long``, ``camera_health``, ``disarmed``, ``camera_removed``).
    """

    type: EventType
    camera: str
    incident: str
    run: int
    pts_s: float
    wall_s: float
    wall_source: WallSource
    started_pts_s: float
    started_wall_s: float
    score: float
    threshold: float
    p_value: float
    peak_score: float
    peak_pts_s: float
    stage: Stage
    reasons: tuple[Reason, ...]
    regions: tuple[Region, ...]
    frames: int  # anomalous frames so far
    close_reason: str | None = None


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """A change of a camera's stream or picture: ``io.vad.camera.<state>`` on the health topic.

    ``state`` is a CameraState, a HealthIssue, ``recovered``, ``nuisance`` or ``clock``; ``code`` is an error code of
    ``vad.errors.StreamError``, a ClockFault where the state is ``clock``, or None. ``detail`` holds no credentials.
    """

    camera: str
    run: int
    state: str
    wall_s: float
    code: str | None = None
    detail: str = ""


class JournalState(StrEnum):
    """What happened to the journal itself."""

    REPLACED = "replaced"  # the one before was damaged or gone: a new epoch has begun
    OVERFLOWED = "overflowed"  # it could not be written for so long that events were given up


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """What every subscriber must know of the journal: ``io.vad.journal.<state>`` on the health topic.

    Replaced: ``previous_epoch`` and ``previous_sequence``, the last that is known to have been given, as far as they
    are known. Overflowed: ``lost`` events, raised from ``since_wall_s`` to ``until_wall_s``, were never stored and have
    no sequence; they belong right before this one.
    """

    state: JournalState
    wall_s: float
    detail: str = ""
    previous_epoch: str | None = None
    previous_sequence: int | None = None
    lost: int = 0
    since_wall_s: float | None = None
    until_wall_s: float | None = None


class EngineState(StrEnum):
    """How the engine as a whole fares."""

    OVERLOADED = "overloaded"  # the machine cannot keep up: cameras are analysed at a lower rate
    RECOVERED = "recovered"  # every camera is analysed at its own rate again


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """A change of the whole engine, meant for every subscriber: ``io.vad.engine.<state>`` on the health topic.

    ``share`` of the analysis that the cameras' settings ask for is done from now on; 1.0 once recovered.
    """

    state: EngineState
    wall_s: float
    share: float
    detail: str = ""


RaisedEvent: TypeAlias = AnomalyEvent | CameraEvent | JournalEvent | EngineEvent
"""What the journal takes."""
