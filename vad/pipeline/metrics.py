"""What Prometheus sees. Histograms belong to stages, counters to cameras; labels are bounded and never hold a URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from vad.errors import StreamCode
from vad.events.gatekeeper import REASONS
from vad.pipeline.status import BridgeStatus, CameraStatus, EngineStatus
from vad.types import CameraState

DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LATENCIES_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


Family = type[CounterMetricFamily] | type[GaugeMetricFamily]

PER_CAMERA: tuple[tuple[Family, str, str, Callable[[CameraStatus], float | None]], ...] = (
    (CounterMetricFamily, "vad_frames_received", "Frames decoded.", lambda c: c.frames.received),
    (CounterMetricFamily, "vad_frames_scored", "Frames judged.", lambda c: c.frames.scored),
    (GaugeMetricFamily, "vad_frames_in_flight", "Frames decoded and not yet judged.", lambda c: c.frames.in_flight),
    (GaugeMetricFamily, "vad_stream_up", "1 while frames arrive.", lambda c: float(c.state is CameraState.UP)),
    (GaugeMetricFamily, "vad_stream_fps", "Frame rate measured from the media clock.", lambda c: c.fps),
    (CounterMetricFamily, "vad_stream_corrupt_packets", "Damaged packets, skipped.", lambda c: c.corrupt_packets),
    (
        CounterMetricFamily,
        "vad_stream_abandoned_readers",
        "Readers that hung in native code and were given up.",
        lambda c: c.abandoned_readers,
    ),
    (GaugeMetricFamily, "vad_anomaly_score", "Last score, -log10 of the p-value.", lambda c: c.score),
    (GaugeMetricFamily, "vad_score_threshold", "Score that the false-alarm budget allows.", lambda c: c.threshold),
    (
        GaugeMetricFamily,
        "vad_false_alarm_budget_ratio",
        "Incidents opened a day over false_alarms_per_day.",
        lambda c: c.budget_ratio,
    ),
)
"""One value a camera, left out where it is None."""


OF_THE_ENGINE: tuple[tuple[Family, str, str, Callable[[EngineStatus], float]], ...] = (
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
)
"""One value each."""

PER_BRIDGE: tuple[tuple[Family, str, str, Callable[[BridgeStatus], float]], ...] = (
    (GaugeMetricFamily, "vad_bridge_up", "1 while the last contact went well.", lambda b: float(b.up)),
    (GaugeMetricFamily, "vad_bridge_lag_events", "Stored and not yet delivered.", lambda b: b.behind),
    (CounterMetricFamily, "vad_bridge_sent", "Events delivered.", lambda b: b.sent),
    (CounterMetricFamily, "vad_bridge_failed", "Attempts that failed.", lambda b: b.failed),
    (CounterMetricFamily, "vad_bridge_dead_letters", "Events given up, kept in a file.", lambda b: b.dead_letters),
    (CounterMetricFamily, "vad_bridge_lost", "Events forgotten before delivery.", lambda b: b.lost),
)
"""One value a bridge."""


class StageMetrics:
    """The families that stages report into as they work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "vad_stage_duration_seconds",
            "Time one call of a stage took.",
            ["stage"],
            buckets=DURATIONS_S,
            registry=registry,
        )
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
        self.calibration_failures = Counter(
            "vad_calibration_save_failures", "Calibrations that could not be saved.", registry=registry
        )

    def observe(self, stage: str, seconds: float) -> None:
        self._duration.labels(stage=stage).observe(seconds)


class EngineCollector(Collector):
    """Reads the engine's status at each scrape: cameras cost nothing between scrapes."""

    def __init__(self, status: Callable[[], EngineStatus]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        """Nothing to name up front: keeps the registry from scraping an engine that has not started."""
        return []

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        for kind, name, text, value in PER_CAMERA:
            family = kind(name, text, labels=["camera"])
            for camera, state in status.cameras.items():
                if (number := value(state)) is not None:
                    family.add_metric([camera], number)
            yield family
        yield _dropped(status)
        yield _states(status)
        yield _by_code(
            status,
            "vad_stream_reconnects",
            "New runs by the error code that ended the one before.",
            "reason",
            lambda camera: camera.reconnects,
        )
        yield _by_code(
            status, "vad_stream_errors", "What ended runs, by error code.", "code", lambda camera: camera.errors
        )
        for kind, name, text, read in OF_THE_ENGINE:
            yield kind(name, text, value=read(status))
        answers = CounterMetricFamily(
            "vad_replay_requests", "Requests for missed events, by outcome.", labels=["result"]
        )
        for result, times in status.replay.answers.items():
            answers.add_metric([result], times)
        yield answers
        yield _refused(status)
        for kind, name, text, of_bridge in PER_BRIDGE:
            family = kind(name, text, labels=["bridge"])
            for bridge, told in status.bridges.items():
                family.add_metric([bridge], of_bridge(told))
            yield family


def _dropped(status: EngineStatus) -> Metric:
    family = CounterMetricFamily(
        "vad_frames_dropped", "Frames not judged; analysis_rate is by design.", labels=["camera", "reason"]
    )
    for name, camera in status.cameras.items():
        for reason, frames in camera.frames.dropped.items():
            family.add_metric([name, reason.value], frames)
    return family


def _replay_requests(status: EngineStatus) -> Metric:
    family = CounterMetricFamily("vad_replay_requests", "Requests for missed events, by outcome.", labels=["result"])
    for result, times in status.replay.answers.items():
        family.add_metric([result], times)
    return family


def _refused(status: EngineStatus) -> Metric:
    family = CounterMetricFamily("vad_bus_connections_refused", "Turned away, by reason.", labels=["reason"])
    for reason in REASONS:
        family.add_metric([reason], status.bus.refused.get(reason, 0))
    return family


def _states(status: EngineStatus) -> Metric:
    family = GaugeMetricFamily("vad_stream_state", "1 for the state the stream is in.", labels=["camera", "state"])
    for name, camera in status.cameras.items():
        for state in CameraState:
            family.add_metric([name, state.value], float(camera.state is state))
    return family


def _by_code(
    status: EngineStatus, name: str, text: str, label: str, counts: Callable[[CameraStatus], dict[StreamCode, int]]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=["camera", label])
    for camera, state in status.cameras.items():
        for code, times in counts(state).items():
            family.add_metric([camera, code.value], times)
    return family
