"""The engine: puts the stages together, starts the threads, watches over them, ends them in the order data flows.

::

    CameraStream (a thread per camera)  -> ClipMailbox -> inference thread -> Mailbox
        -> scoring thread -> WaitingEvents -> journal thread -> Mailbox -> publish thread (and a replay thread)
                          -> Evidence: incidents whose clips are due -> evidence thread
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import CollectorRegistry, Info

from vad import __version__
from vad.clock import Clock, SystemClock
from vad.config import SiteConfig, load_config
from vad.config.overlay import Overlay, read_overlay
from vad.errors import CalibrationError, EngineError, VadError
from vad.events.journal import JOURNAL_NAME
from vad.log import use_standard_logging
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.pipeline.bridges import Bridges
from vad.pipeline.cameras import Cameras
from vad.pipeline.control import CameraControl
from vad.pipeline.delivery import Delivery
from vad.pipeline.evidence import Evidence
from vad.pipeline.evidence_store import FOLDER as EVIDENCE_FOLDER
from vad.pipeline.evidence_store import EvidenceStore
from vad.pipeline.gpu import GpuCollector
from vad.pipeline.inference import run_inference
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox, Mailbox
from vad.pipeline.metrics import EngineCollector, StageMetrics, StorageCollector
from vad.pipeline.pacing import Pacing
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.rendering import InEngine, Renderer
from vad.pipeline.scoring import LATENCIES_KEPT, Item, ScoringWorker
from vad.pipeline.stages import Stages
from vad.pipeline.status import BusStatus, EngineStatus, JournalStatus, ReplayStatus
from vad.pipeline.tap import EventTap
from vad.scoring.warming import warm_kernels
from vad.types import AnomalyEvent, CameraEvent
from vad.video.luma import warm_luma

log = structlog.get_logger(__name__)

WATCHDOG_PERIOD_S = 0.25
WIDEN_PERIOD_S = 1.0
STOP_GRACE_S = 2.0
"""Beyond a camera's read_timeout_s: how long a stop waits for its thread before it abandons it."""
MAPS_CAPACITY = 64


class Engine(CameraControl):
    """Watches the cameras of a site and raises events.

    ``start`` (or entering the context) loads the model, opens the journal and binds the bus before any thread starts,
    so that WeightsError, JournalError and BindError reach the caller. Afterwards a camera's troubles are its own;
    anything else that breaks stops the engine and is raised by ``wait`` and ``stop`` as EngineError.

    The engine serves no HTTP itself: ``vad run`` does, with the ``registry`` given here.
    """

    def __init__(
        self, config: SiteConfig, *, clock: Clock | None = None, registry: CollectorRegistry | None = None
    ) -> None:
        use_standard_logging()
        super().__init__(config)
        self.registry = registry or CollectorRegistry()
        self._clock = clock or SystemClock()
        self._metrics = StageMetrics(self.registry)
        self._ledger = Ledger()
        self._clips = ClipMailbox(per_camera=config.model.waiting_clips)
        self._maps: Mailbox[Item] = Mailbox(MAPS_CAPACITY)
        self._stages = Stages(on_fault=self._release)
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._tap = EventTap()
        self._scoring: ScoringWorker | None = None
        self._delivery: Delivery | None = None
        self._bridges: Bridges | None = None
        folder = config.storage.dir / EVIDENCE_FOLDER
        renderer = Renderer(config.readers, log_settings=config.log)
        rendering = renderer if config.readers.processes else InEngine()
        self._evidence = Evidence(config.evidence, directory=folder, clock=self._clock, rendering=rendering)
        self._pacing: Pacing | None = None
        self._readers = ReaderProcesses(
            config.readers, log_settings=config.log, others_cpu_s=lambda: renderer.ended_cpu_s
        )
        self.device = ""  # known once started

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """An engine for a site file. Raises ConfigError with every fault at once."""
        return cls(load_config(path))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except EngineError:
            if error is None:
                raise

    def start(self) -> None:
        """Load, open, bind; then start the threads. Raises VadError, and leaves nothing open, if one fails."""
        config = self.config
        overlay = read_overlay(config.storage.cameras_file)
        for line in overlay.lines(config):
            log.info("overlay.applied", file=str(config.storage.cameras_file), detail=line)
        warm_luma()
        with ExitStack() as undo:
            undo.callback(self._readers.close)
            self._readers.expect(overlay.cameras_of(config).values())  # processes start while the rest is made
            weights = load_weights(config.model.weights)
            model = config.model
            runner = make_runner(
                weights,
                device=model.device,
                threads=model.threads,
                max_batch=model.max_batch,
                skip_still=model.skip_still,
            )
            self.device = str(runner.device)
            warm_kernels()
            delivery = Delivery(bus=config.bus, storage=config.storage, metrics=self._metrics, clock=self._clock)
            undo.callback(delivery.close)
            present = config.model_copy(update={"cameras": overlay.cameras_of(config)})
            bridges = Bridges(present, journal=delivery.journal, clock=self._clock)
            undo.callback(bridges.close)
            self._evidence.open()
            self._scoring = self._scoring_worker(weights.card.sha256, delivery)
            self._cameras = cameras = self._all_cameras(overlay, self._scoring, model_width=weights.card.input_width)
            undo.pop_all()
        self._delivery, self._bridges = delivery, bridges
        self._register_collectors(runner)
        self._start_threads(runner, cameras=cameras, scoring=self._scoring, delivery=delivery)
        bridges.start()
        log.info("engine.started", cameras=len(cameras.members), device=self.device, bus=delivery.bus_address)

    def stop(self) -> None:
        """Stop the readers, drain, close open incidents, flush the journal, close the sockets. Idempotent.

        Takes at most the longest read_timeout_s plus STOP_GRACE_S for the readers, and some seconds for bridges whose
        other side does not answer and for evidence that waits. Raises EngineError if a stage died.
        """
        self._stopping.set()
        if not self._finished.is_set():
            if self._cameras is not None:
                self._cameras.close(grace_s=STOP_GRACE_S)
            self._clips.close()
            self._readers.close()
            self._stages.join()
            if self._bridges is not None:
                self._bridges.stop()
            if self._delivery is not None:
                self._delivery.close()
            self._finished.set()
            log.info("engine.stopped", **_frame_counts(self.status()))
        if self._stages.fault is not None:
            raise self._stages.fault

    def wait(self, *, timeout_s: float | None = None) -> bool:
        """Until ``request_stop``, a fault, or the end of all sources; False after ``timeout_s``. Raises EngineError."""
        stopped = self._stopping.wait(timeout_s)
        if self._stages.fault is not None:
            raise self._stages.fault
        return stopped

    def request_stop(self) -> None:
        """Let ``wait`` return. Does nothing else, so that a signal handler may call it."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def events(self, *, timeout_s: float | None = None) -> Iterator[AnomalyEvent | CameraEvent]:
        """Events as they are raised, in this process, until the engine stops or ``timeout_s`` passes without one.

        Also while the disk takes none of them. After ``stop`` it gives those raised while draining. A reader that falls
        ten thousand behind loses the oldest here; the journal and the bus lose none.
        """
        return self._tap.read(timeout_s=timeout_s, is_over=self._stopping.is_set)

    @property
    def bus_address(self) -> str:
        """Where events are published, with the real port."""
        if self._delivery is None:
            raise VadError("the engine has not started: there is no bus address yet")
        return self._delivery.bus_address

    @property
    def replay_address(self) -> str:
        """Where missed events are asked for, with the real port."""
        if self._delivery is None:
            raise VadError("the engine has not started: there is no replay address yet")
        return self._delivery.replay_address

    @property
    def journal_path(self) -> Path:
        return self.config.storage.dir / JOURNAL_NAME

    def latency_quantiles_s(self, shares: Sequence[float], *, frames: int = LATENCIES_KEPT) -> list[float]:
        """From a frame's arrival to its score, seconds, over the last ``frames`` scored; nan before the first."""
        kept = list(self._scoring.latencies_s) if self._scoring else []
        latencies = sorted(kept[-frames:])
        if not latencies:
            return [math.nan for _ in shares]
        return [latencies[min(len(latencies) - 1, int(share * len(latencies)))] for share in shares]

    @property
    def evidence(self) -> EvidenceStore:
        """What was kept of incidents, by their ids."""
        return self._evidence.store

    def readiness(self) -> dict[str, bool]:
        """What must hold before traffic may rely on this engine; a dead camera does not matter here."""
        return {
            "model_loaded": self._stages.have_started,
            "bus_bound": self._delivery is not None,
            "journal_writable": self._delivery is not None and self._delivery.journal_status.is_writable,
            "running": self._stages.have_started and self._stages.fault is None and not self._stopping.is_set(),
        }

    def status(self) -> EngineStatus:
        """The engine at this instant."""
        delivery = self._delivery
        return EngineStatus(
            cameras=self._cameras.statuses() if self._cameras else {},
            analysis_share=self._pacing.share if self._pacing else 1.0,
            epoch=delivery.journal.epoch if delivery else "",
            last_sequence=delivery.journal.last_sequence if delivery else 0,
            journal=delivery.journal_status if delivery else JournalStatus(),
            replay=delivery.replay_status if delivery else ReplayStatus(),
            bus=delivery.bus_status if delivery else BusStatus(),
            bridges=self._bridges.statuses() if self._bridges else {},
            queues={
                "clips": len(self._clips),
                "maps": len(self._maps),
                "events": delivery.journal_status.waiting if delivery else 0,
                "outbox": delivery.waiting if delivery else 0,
                "evidence": (evidence := self._evidence.status).waiting,
            },
            evidence=evidence,
            readers=self._readers.status,
        )

    def _register_collectors(self, runner: AnyRunner) -> None:
        for collector in (
            EngineCollector(self.status),
            StorageCollector(self.config.storage),
            GpuCollector(runner.device),
        ):
            self.registry.register(collector)
        info = Info("vad_engine", "What runs here: version, device, weights.", registry=self.registry)
        info.info({"version": __version__, "device": self.device, "weights_sha256": runner.card.sha256})

    def _scoring_worker(self, weights_sha256: str, delivery: Delivery) -> ScoringWorker:
        directory = self.config.storage.dir / "calibration"
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise CalibrationError(f"{directory}: {exc.strerror}; allowed: a folder that can be made") from None
        return ScoringWorker(
            maps=self._maps,
            deliver=delivery.put,
            ledger=self._ledger,
            metrics=self._metrics,
            clock=self._clock,
            calibration_dir=directory,
            weights_sha256=weights_sha256,
            on_event=self._tap.put,
            see=self._evidence.see,
        )

    def _all_cameras(self, overlay: Overlay, scoring: ScoringWorker, *, model_width: int) -> Cameras:
        return Cameras(
            self.config,
            overlay=overlay,
            scoring=scoring,
            clips=self._clips,
            ledger=self._ledger,
            notify=self._notify,
            clock=self._clock,
            model_width=model_width,
            network_device=self.device,
            evidence=self._evidence,
            readers=self._readers,
        )

    def _notify(self, event: CameraEvent) -> None:
        self._maps.put(event)

    def _start_threads(
        self, runner: AnyRunner, *, cameras: Cameras, scoring: ScoringWorker, delivery: Delivery
    ) -> None:
        self._pacing = pacing = Pacing(
            cameras,
            clips=self._clips,
            maps=self._maps,
            ledger=self._ledger,
            metrics=self._metrics,
            tell=lambda event: delivery.put([event]),
            clock=self._clock,
        )

        def inference() -> None:
            run_inference(
                clips=self._clips,
                runner=runner,
                maps=self._maps,
                max_batch=self.config.model.max_batch,
                metrics=self._metrics,
            )

        def score() -> None:
            try:
                scoring.run()
            finally:
                delivery.finish()
                self._evidence.finish()

        def watch() -> None:
            while not self._clock.wait(self._stopping, timeout_s=WATCHDOG_PERIOD_S):
                cameras.check()
                self._readers.check()
                pacing.visit()
                if cameras.have_ended:
                    log.info("engine.all_sources_ended")
                    self._stopping.set()

        def widen() -> None:
            while not self._clock.wait(self._stopping, timeout_s=WIDEN_PERIOD_S):
                cameras.widen()

        stages = {"inference": inference, "scoring": score, **delivery.stages, "evidence": self._evidence.run}
        stages["watchdog"] = watch
        stages["widths"] = widen  # apart from the watchdog: it waits for a camera's last frames
        try:
            self._stages.start(stages)
            cameras.start()
        except RuntimeError as exc:  # the machine or the container limits them
            self.stop()
            raise EngineError(f"{len(cameras.members)} cameras need a thread each; got: {exc}") from None

    def _release(self) -> None:
        """A stage has died: the others must not wait for it."""
        self._clips.close()
        self._maps.close()
        if self._delivery is not None:
            self._delivery.abandon()
        self._stopping.set()


def _frame_counts(status: EngineStatus) -> dict[str, int]:
    frames = status.frames
    return {"received": frames.received, "scored": frames.scored, "lost": frames.lost, "in_flight": frames.in_flight}
