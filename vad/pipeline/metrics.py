"""What Prometheus sees. Histograms belong to stages, counters to cameras; labels are bounded and never hold a URL."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from vad.config import StorageSettings
from vad.events.gatekeeper import REASONS
from vad.pipeline.exposition import Family, Kind, Members, Table
from vad.pipeline.status import BridgeStatus, CameraStatus, EngineStatus
from vad.types import CameraState, DropReason, EngineState, EventType, HealthIssue

DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LATENCIES_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MIB = 2**20

One: TypeAlias = type[CounterMetricFamily] | type[GaugeMetricFamily]

_STATES = tuple(CameraState)
_RARE = frozenset({CameraState.PAUSED, DropReason.OVERLOAD_RATE})
"""Left out while there is nothing to say of them: a line of each camera costs a thousand cameras 60 kB a scrape."""

PER_CAMERA: tuple[tuple[Kind, str, str, str, Callable[[CameraStatus], float | None]], ...] = (
    ("counter", "vad_frames_received", "", "Frames that came, decoded or not.", lambda c: c.frames.received),
    ("counter", "vad_frames_scored", "", "Frames judged.", lambda c: c.frames.scored),
    (
        "counter",
        "vad_frames_spared",
        "",
        "Frames above the analysis rate that were never decoded, since no other refers to them; none without any.",
        lambda c: c.frames_spared or None,
    ),
    (
        "counter",
        "vad_frames_unfiltered",
        "",
        "Frames decoded without the loop filter, since the machine was overloaded; none without any.",
        lambda c: c.frames_unfiltered or None,
    ),
    ("gauge", "vad_frames_in_flight", "", "Frames decoded and not yet judged.", lambda c: c.frames.in_flight),
    ("gauge", "vad_stream_up", "", "1 while frames arrive.", lambda c: int(c.state is CameraState.UP)),
    ("gauge", "vad_stream_fps", ".3f", "Frames a second, measured from the media clock.", lambda c: c.fps),
    (
        "gauge",
        "vad_stream_decoded_by_gpu",
        "",
        "1 where a GPU decodes the stream; none where the CPU does.",
        lambda c: 1 if c.decoder == "cuda" else None,
    ),
    (
        "gauge",
        "vad_stream_clock_skew_seconds",
        ".3f",
        "The camera's time of day less this machine's; none before the camera has reported it.",
        lambda c: c.clock_skew_s,
    ),
    (
        "gauge",
        "vad_stream_clock_ratio",
        ".4f",
        "Seconds that pass by the camera's time stamps in one second; none before it was measured.",
        lambda c: c.clock_ratio,
    ),
    (
        "counter",
        "vad_stream_outlier_stamps",
        "",
        "Single time stamps far from their neighbours, replaced.",
        lambda c: c.outlier_stamps,
    ),
    ("counter", "vad_stream_corrupt_packets", "", "Damaged packets, skipped.", lambda c: c.corrupt_packets),
    (
        "counter",
        "vad_stream_abandoned_readers",
        "",
        "Readers that hung in native code and were given up.",
        lambda c: c.abandoned_readers,
    ),
    (
        "counter",
        "vad_camera_reader_deaths",
        "",
        "Processes that died reading this camera and no other; none without any.",
        lambda c: c.reader_deaths or None,
    ),
    ("gauge", "vad_anomaly_score", ".4f", "Last score, -log10 of the p-value.", lambda c: _finite(c.score)),
    (
        "gauge",
        "vad_score_threshold",
        ".4f",
        "Score that the false-alarm budget allows; none while nothing is judged.",
        lambda c: _finite(c.threshold),
    ),
    ("counter", "vad_incidents_opened", "", "Incidents raised.", lambda c: c.incidents_opened),
    ("gauge", "vad_incidents_open", "", "Incidents that are not over.", lambda c: c.incidents_open),
    (
        "counter",
        "vad_judged_seconds",
        ".3f",
        "Seconds of video in which an incident could have been raised.",
        lambda c: c.judged_s,
    ),
    (
        "gauge",
        "vad_false_alarm_budget_per_day",
        "",
        "False alarms that the camera may raise in a day: false_alarms_per_day.",
        lambda c: c.false_alarms_per_day,
    ),
    (
        "gauge",
        "vad_allowed_alarms_per_day",
        ".4g",
        "Incidents that the camera may raise in a day at present: the budget, and more while little was learnt.",
        lambda c: c.allowed_per_day,
    ),
    (
        "gauge",
        "vad_false_alarm_budget_ratio",
        ".4f",
        "Incidents opened a day over false_alarms_per_day.",
        lambda c: c.budget_ratio,
    ),
    (
        "gauge",
        "vad_analysis_rate_ratio",
        ".4f",
        "Share of the camera's own rate at which it is analysed while the machine is overloaded; absent otherwise.",
        lambda c: c.analysis_ratio if c.analysis_ratio < 1.0 else None,
    ),
)
"""Name, how it is written, text, and one value a camera, left out where it is None."""

PER_CAMERA_AND: tuple[tuple[Kind, str, str, str, Callable[[CameraStatus], Any], Callable[[Any], Members]], ...] = (
    (
        "counter",
        "vad_frames_dropped",
        "reason",
        "Frames not judged; analysis_rate is by design, overload_rate by a lowered rate.",
        lambda c: c.frames.dropped,
        lambda dropped: [(reason, n) for reason, n in dropped.items() if n or reason not in _RARE],
    ),
    (
        "gauge",
        "vad_stream_state",
        "state",
        "1 for the state the stream is in; paused only while it is.",
        lambda c: c.state,
        lambda now: [(state, int(state is now)) for state in _STATES if state is now or state not in _RARE],
    ),
    (
        "counter",
        "vad_stream_reconnects",
        "reason",
        "New runs by the error code that ended the one before.",
        lambda c: c.reconnects,
        lambda reconnects: reconnects.items(),
    ),
    (
        "counter",
        "vad_stream_errors",
        "code",
        "What ended runs, by error code.",
        lambda c: c.errors,
        lambda errors: errors.items(),
    ),
    (
        "gauge",
        "vad_calibration_stage",
        "stage",
        "1 for the stage that the camera's calibration is in; the others are absent.",
        lambda c: c.stage,
        lambda stage: [(stage, 1)],
    ),
    (
        "gauge",
        "vad_camera_issue",
        "issue",
        "1 for what is wrong with the camera's picture, and absent when nothing is.",
        lambda c: c.health,
        lambda issue: [(issue, 1)] if issue else [],
    ),
)
"""Name, the second label, text, what the numbers come from, and any number of them, each under a member of a small
enumeration."""

OF_THE_ENGINE: tuple[tuple[One, str, str, Callable[[EngineStatus], float]], ...] = (
    (GaugeMetricFamily, "vad_overload", "1 while the machine cannot keep up.", lambda s: float(s.is_overloaded)),
    (GaugeMetricFamily, "vad_reader_processes", "Processes that read cameras.", lambda s: s.readers.processes),
    (CounterMetricFamily, "vad_reader_processes_died", "Those that ended unasked.", lambda s: s.readers.died),
    (
        GaugeMetricFamily,
        "vad_reader_isolated_cameras",
        "Cameras read in a process of their own, since the one before died or hung.",
        lambda s: len(s.readers.isolated),
    ),
    (CounterMetricFamily, "vad_reader_processes_cpu_seconds", "CPU time they took.", lambda s: s.readers.cpu_s),
    (GaugeMetricFamily, "vad_reader_processes_bytes", "Memory they take.", lambda s: s.readers.resident_bytes),
    (GaugeMetricFamily, "vad_event_last_sequence", "Newest event in the journal.", lambda s: s.last_sequence),
    (GaugeMetricFamily, "vad_event_first_sequence", "Oldest event kept.", lambda s: s.journal.first_sequence),
    (GaugeMetricFamily, "vad_journal_writable", "0 while it takes nothing.", lambda s: float(s.journal.is_writable)),
    (GaugeMetricFamily, "vad_journal_waiting_events", "Raised and not yet stored.", lambda s: s.journal.waiting),
    (CounterMetricFamily, "vad_journal_lost_events", "Given up before they were stored.", lambda s: s.journal.lost),
    (CounterMetricFamily, "vad_journal_write_failures", "Attempts that failed.", lambda s: s.journal.failures),
    (GaugeMetricFamily, "vad_journal_used_bytes", "What its events take.", lambda s: s.journal.used_bytes),
    (CounterMetricFamily, "vad_replay_events", "Events given back on request.", lambda s: s.replay.events),
    (GaugeMetricFamily, "vad_replay_unread_bytes", "Given back and not yet read.", lambda s: s.replay.unread_bytes),
    (GaugeMetricFamily, "vad_bus_connections", "Open to the bus and the replay.", lambda s: s.bus.connections),
    (CounterMetricFamily, "vad_bus_connections_accepted", "Ever opened.", lambda s: s.bus.accepted),
    (CounterMetricFamily, "vad_evidence_written", "Evidence of incidents kept.", lambda s: s.evidence.written),
    (GaugeMetricFamily, "vad_evidence_used_bytes", "What it takes on disk.", lambda s: s.evidence.used_bytes),
    (GaugeMetricFamily, "vad_evidence_limit_bytes", "What it may take: keep_mib.", lambda s: s.evidence.limit_bytes),
    (GaugeMetricFamily, "vad_evidence_ring_bytes", "Latest video kept in memory.", lambda s: s.evidence.ring_bytes),
)
"""One value each."""

PER_BRIDGE: tuple[tuple[One, str, str, Callable[[BridgeStatus], float]], ...] = (
    (GaugeMetricFamily, "vad_bridge_up", "1 while the last contact went well.", lambda b: float(b.up)),
    (GaugeMetricFamily, "vad_bridge_lag_events", "Stored and not yet delivered.", lambda b: b.behind),
    (CounterMetricFamily, "vad_bridge_sent", "Events delivered.", lambda b: b.sent),
    (CounterMetricFamily, "vad_bridge_failed", "Attempts that failed.", lambda b: b.failed),
    (CounterMetricFamily, "vad_bridge_dead_letters", "Events given up, kept in a file.", lambda b: b.dead_letters),
    (CounterMetricFamily, "vad_bridge_lost", "Events forgotten before delivery.", lambda b: b.lost),
)
"""One value a bridge."""


EVENT_TYPES = (
    *EventType,
    *(f"io.vad.camera.{state}" for state in (*CameraState, *HealthIssue, "recovered", "nuisance")),
    *(f"io.vad.engine.{state}" for state in EngineState),
)


class StageMetrics:
    """The families that stages report into as they work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.busy_s: defaultdict[str, float] = defaultdict(float)  # per stage, since the start
        self._duration = Histogram(
            "vad_stage_duration_seconds",
            "Time one call of a stage took.",
            ["stage"],
            buckets=DURATIONS_S,
            registry=registry,
        )
        self._duration_of: dict[str, Histogram] = {}  # by stage: to ask the family takes as long as to observe
        self.latency = Histogram(
            "vad_end_to_end_latency_seconds",
            "From a frame's arrival to its score.",
            buckets=LATENCIES_S,
            registry=registry,
        )
        self.batch_size = Histogram(
            "vad_batch_size",
            "Clips of different cameras in one call of the network.",
            buckets=BATCHES,
            registry=registry,
        )
        self.events = Counter("vad_events", "Durable events written to the journal.", ["type"], registry=registry)
        for kind in EVENT_TYPES:
            self.events.labels(type=kind)  # there from the start, so that the first one is seen to happen
        self.calibration_failures = Counter(
            "vad_calibration_save_failures", "Calibrations that could not be saved.", registry=registry
        )

    def observe(self, stage: str, seconds: float) -> None:
        """From the stage's own thread."""
        self.busy_s[stage] += seconds
        if stage not in self._duration_of:
            self._duration_of[stage] = self._duration.labels(stage=stage)
        self._duration_of[stage].observe(seconds)


class EngineCollector(Collector):
    """Reads the engine's status at each scrape: cameras cost nothing between scrapes."""

    def __init__(self, status: Callable[[], EngineStatus]) -> None:
        self._status = status
        self._of_cameras: list[Family[CameraStatus, Any]] = [
            *(
                Family(kind, name, text, label="camera", read=value, form=form)
                for kind, name, form, text, value in PER_CAMERA
            ),
            *(
                Family(kind, name, text, label="camera", read=read, second=label, members=members)
                for kind, name, label, text, read, members in PER_CAMERA_AND
            ),
        ]

    def describe(self) -> Iterable[Metric]:
        """Nothing to name up front: keeps the registry from scraping an engine that has not started."""
        return []

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        for of_cameras in self._of_cameras:
            yield Table(of_cameras, status.cameras)
        for family, name, text, read in OF_THE_ENGINE:
            yield family(name, text, value=read(status))
        yield _queues(status)
        yield _answers(status)
        yield _refused(status)
        yield _not_kept(status)
        yield _oldest_kept(status)
        for family, name, text, of_bridge in PER_BRIDGE:
            metric = family(name, text, labels=["bridge"])
            for bridge, told in status.bridges.items():
                metric.add_metric([bridge], of_bridge(told))
            yield metric


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None


def _queues(status: EngineStatus) -> Metric:
    family = GaugeMetricFamily("vad_queue_items", "What waits between two stages.", labels=["queue"])
    for queue, items in status.queues.items():
        family.add_metric([queue], items)
    return family


def _answers(status: EngineStatus) -> Metric:
    family = CounterMetricFamily("vad_replay_requests", "Requests for missed events, by outcome.", labels=["result"])
    for result, times in status.replay.answers.items():
        family.add_metric([result], times)
    return family


def _refused(status: EngineStatus) -> Metric:
    family = CounterMetricFamily("vad_bus_connections_refused", "Turned away, by reason.", labels=["reason"])
    for reason in REASONS:
        family.add_metric([reason], status.bus.refused.get(reason, 0))
    return family


def _not_kept(status: EngineStatus) -> Metric:
    family = CounterMetricFamily("vad_evidence_dropped", "Evidence that was not kept, by reason.", labels=["reason"])
    for reason, times in status.evidence.dropped.items():
        family.add_metric([reason], times)
    return family


def _oldest_kept(status: EngineStatus) -> Metric:
    text = "When the oldest evidence was written, seconds since 1970; none without any."
    family = GaugeMetricFamily("vad_evidence_oldest_timestamp_seconds", text, labels=[])
    if status.evidence.oldest_wall_s is not None:
        family.add_metric([], round(status.evidence.oldest_wall_s, 3))
    return family


class StorageCollector(Collector):
    """The disk that journal and calibrations are kept on, asked at each scrape; left out while it does not answer."""

    def __init__(self, storage: StorageSettings) -> None:
        self._directory: Path = storage.dir
        self._journal_bytes = storage.journal_mib * MIB

    def collect(self) -> Iterator[Metric]:
        text = "What the journal may take before its oldest events are forgotten."
        yield GaugeMetricFamily("vad_journal_limit_bytes", text, value=self._journal_bytes)
        try:
            disk = shutil.disk_usage(self._directory)
        except OSError:
            return
        yield GaugeMetricFamily("vad_storage_free_bytes", "Free on the disk of storage.dir.", value=disk.free)
        yield GaugeMetricFamily("vad_storage_size_bytes", "Size of the disk of storage.dir.", value=disk.total)
