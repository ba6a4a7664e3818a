"""What the engine looks like at one instant: the one source for metrics, tables and the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from vad.errors import StreamCode
from vad.pipeline.ledger import Account, total
from vad.types import CameraState, ClockFault, HealthIssue, Stage


@dataclass(slots=True)
class StreamStatus:
    """What the supervisor knows of a stream. Written by its thread, read by anyone (each field alone is atomic)."""

    state: CameraState = CameraState.CONNECTING
    code: StreamCode | None = None
    detail: str = ""
    run: int = -1
    fps: float | None = None
    decoder: str = ""  # "cpu", or "cuda" where a GPU decodes
    frames_decoded: int = 0
    frames_spared: int = 0
    frames_unfiltered: int = 0
    corrupt_packets: int = 0
    abandoned_readers: int = 0
    outlier_stamps: int = 0
    clock_fault: ClockFault | None = None
    clock_skew_s: float | None = None
    clock_ratio: float | None = None
    reader_deaths: int = 0  # of processes that read this camera alone
    reconnects: dict[StreamCode, int] = field(default_factory=dict)
    errors: dict[StreamCode, int] = field(default_factory=dict)


class CameraStatus(NamedTuple):
    """One camera: a tuple, made five times faster than a frozen dataclass, for each camera at every scrape.

    ``budget_ratio`` is incidents opened a day over the budget, None before anything was judged. ``allowed_per_day``
    incidents may be raised at present: more than the budget until ``promised_after_s`` seconds more of normal footage
    were learnt, 0.0 once they were.

    ``judged_s`` counts the seconds of video in which an incident could have been raised, ``frames_spared`` the frames
    received that nothing refers to and the analysis rate leaves out, so that they were never decoded,
    ``frames_unfiltered`` those decoded without the loop filter, since the machine was overloaded. Disarmed it is scored
    and learns, and raises nothing. ``last_score_wall_s`` is the time of the frame scored last, None before the first.
    ``analysed_width`` is how many px wide that frame was analysed.
    ``clock_fault`` says why its frames are not dated by its own clock, ``clock_skew_s`` how far its time of day is
    ahead of this machine's, ``clock_ratio`` how many seconds pass by its stamps in one.
    ``reader_deaths`` are those of processes that read this camera and no other.
    ``analysis_ratio`` is the share of its own rate at which it is analysed: below 1 while the machine is overloaded.
    """

    state: CameraState
    code: StreamCode | None
    detail: str
    run: int
    fps: float | None
    frames: Account
    corrupt_packets: int
    abandoned_readers: int
    reconnects: dict[StreamCode, int]
    errors: dict[StreamCode, int]
    stage: Stage
    score: float
    threshold: float
    health: HealthIssue | None
    incidents_opened: int
    false_alarms_per_day: float
    budget_ratio: float | None
    incidents_open: int = 0
    judged_s: float = 0.0
    decoder: str = ""  # "cpu", or "cuda" where a GPU decodes; empty before the first frame
    frames_spared: int = 0
    is_armed: bool = True
    is_paused: bool = False
    last_score_wall_s: float | None = None
    analysis_ratio: float = 1.0
    frames_unfiltered: int = 0
    analysed_width: int | None = None
    allowed_per_day: float = 0.0
    promised_after_s: float = 0.0
    outlier_stamps: int = 0
    clock_fault: ClockFault | None = None
    clock_skew_s: float | None = None
    clock_ratio: float | None = None
    reader_deaths: int = 0


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """How the journal takes what is raised: raised = written + ``waiting`` + ``lost``.

    ``failures`` counts attempts to write, ``detail`` says why the last one failed while none succeeds.
    """

    is_writable: bool = True
    detail: str = ""
    waiting: int = 0
    lost: int = 0
    failures: int = 0
    first_sequence: int = 1
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ReplayStatus:
    """What was asked for again: requests by outcome, events given back, and bytes that nobody has read yet."""

    answers: dict[str, int] = field(default_factory=dict)
    events: int = 0
    unread_bytes: int = 0


@dataclass(frozen=True, slots=True)
class BusStatus:
    """Who is connected to the bus and the replay, how many ever were, and how many were refused, by reason."""

    connections: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """One bridge: ``up`` while the last contact went well, ``behind`` the events that it has yet to deliver.

    ``sent`` counts deliveries, ``failed`` attempts that were not one, ``dead_letters`` events given up,
    ``lost`` those that the journal had forgotten before they could be delivered.
    """

    up: bool = False
    behind: int = 0
    sent: int = 0
    failed: int = 0
    dead_letters: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class EvidenceStatus:
    """Evidence kept since the start, and not kept, by reason; what it takes on disk, and its cameras' video in memory.

    ``waiting`` requests are yet to be written. ``oldest_wall_s`` is when the oldest was written, None without any.
    """

    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    used_bytes: int = 0
    limit_bytes: int = 0
    oldest_wall_s: float | None = None
    ring_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ReadersStatus:
    """The processes that read cameras beside the engine's own: how many there are, how many ended unasked.

    ``cpu_s`` and ``resident_bytes`` are what they have taken of the processor since the start, and take of memory.
    ``isolated`` cameras are read in a process of their own, since the one before died or hung. ``not_sandboxed``: what
    those processes may do that they should not, since this machine cannot hold them to it.
    """

    processes: int = 0
    died: int = 0
    cpu_s: float = 0.0
    resident_bytes: int = 0
    isolated: tuple[str, ...] = ()
    not_sandboxed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The whole engine. ``queues`` says how much waits between two stages."""

    cameras: dict[str, CameraStatus] = field(default_factory=dict)
    epoch: str = ""
    last_sequence: int = 0
    journal: JournalStatus = JournalStatus()
    replay: ReplayStatus = ReplayStatus()
    bus: BusStatus = BusStatus()
    bridges: dict[str, BridgeStatus] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    analysis_share: float = 1.0
    evidence: EvidenceStatus = EvidenceStatus()
    readers: ReadersStatus = ReadersStatus()

    @property
    def is_overloaded(self) -> bool:
        """The machine cannot keep up: ``analysis_share`` of what the cameras' settings ask for is analysed."""
        return self.analysis_share < 1.0

    @property
    def frames(self) -> Account:
        """The ledger over all cameras."""
        return total({name: camera.frames for name, camera in self.cameras.items()})
