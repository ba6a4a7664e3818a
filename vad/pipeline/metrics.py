"""What Prometheus sees. Histograms belong to stages, counters to cameras; labels are bounded and never hold a URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from vad.pipeline.status import EngineStatus
from vad.types import CameraState

DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LATENCIES_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


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
        cameras = status.cameras

        def per_camera(kind: type[Metric], name: str, text: str, values: Mapping[str, float]) -> Metric:
            family = kind(name, text, labels=["camera"])  # type: ignore[call-arg]
            for camera, value in values.items():
                family.add_metric([camera], value)  # type: ignore[attr-defined]
            return family

        yield per_camera(
            CounterMetricFamily,
            "vad_frames_received",
            "Frames decoded.",
            {name: camera.frames.received for name, camera in cameras.items()},
        )
        yield per_camera(
            CounterMetricFamily,
            "vad_frames_scored",
            "Frames judged.",
            {name: camera.frames.scored for name, camera in cameras.items()},
        )
        yield per_camera(
            GaugeMetricFamily,
            "vad_frames_in_flight",
            "Frames between decoding and judgement.",
            {name: camera.frames.in_flight for name, camera in cameras.items()},
        )
        yield _dropped(status)
        yield per_camera(
            GaugeMetricFamily,
            "vad_stream_up",
            "1 while frames arrive.",
            {name: float(camera.state is CameraState.UP) for name, camera in cameras.items()},
        )
        yield _states(status)
        yield _reconnects(status)
        yield per_camera(
            GaugeMetricFamily,
            "vad_stream_fps",
            "Frame rate measured from the media clock.",
            {name: camera.fps for name, camera in cameras.items() if camera.fps is not None},
        )
        yield per_camera(
            CounterMetricFamily,
            "vad_stream_corrupt_packets",
            "Packets that could not be decoded and were skipped.",
            {name: camera.corrupt_packets for name, camera in cameras.items()},
        )
        yield per_camera(
            CounterMetricFamily,
            "vad_stream_abandoned_readers",
            "Readers that hung in native code and were replaced.",
            {name: camera.abandoned_readers for name, camera in cameras.items()},
        )
        yield per_camera(
            GaugeMetricFamily,
            "vad_anomaly_score",
            "Last score, -log10 of the p-value.",
            {name: camera.score for name, camera in cameras.items()},
        )
        yield per_camera(
            GaugeMetricFamily,
            "vad_score_threshold",
            "Score above which the false-alarm budget is spent.",
            {name: camera.threshold for name, camera in cameras.items()},
        )
        yield per_camera(
            GaugeMetricFamily,
            "vad_false_alarm_budget_ratio",
            "Incidents opened a day over false_alarms_per_day.",
            {name: camera.budget_ratio for name, camera in cameras.items() if camera.budget_ratio is not None},
        )
        sequence = GaugeMetricFamily("vad_event_last_sequence", "Sequence of the newest event in the journal.")
        sequence.add_metric([], status.last_sequence)
        yield sequence


def _dropped(status: EngineStatus) -> Metric:
    family = CounterMetricFamily(
        "vad_frames_dropped", "Frames not judged; analysis_rate is by design.", labels=["camera", "reason"]
    )
    for name, camera in status.cameras.items():
        for reason, frames in camera.frames.dropped.items():
            family.add_metric([name, reason.value], frames)
    return family


def _states(status: EngineStatus) -> Metric:
    family = GaugeMetricFamily("vad_stream_state", "1 for the state the stream is in.", labels=["camera", "state"])
    for name, camera in status.cameras.items():
        for state in CameraState:
            family.add_metric([name, state.value], float(camera.state is state))
    return family


def _reconnects(status: EngineStatus) -> Metric:
    family = CounterMetricFamily(
        "vad_stream_reconnects", "New runs by the error code that ended the one before.", labels=["camera", "reason"]
    )
    for name, camera in status.cameras.items():
        for code, times in camera.reconnects.items():
            family.add_metric([name, code.value], times)
    return family
