"""``vad demo``: a synthetic camera, the real engine, real events, and an honest summary.

Data flow: scene -> H.264 file -> Engine (file in real time) -> ZeroMQ -> Subscriber here. What is normal was learnt
from other footage of the same camera (``vad calibrate``'s own code). What was caught is decided from the events that
came over the bus, against the scene's own ground truth.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from vad.config import CameraConfig, ModelSettings, SiteConfig, make_config
from vad.events import AnomalyMessage, Subscriber
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.pipeline.engine import Engine
from vad.pipeline.status import EngineStatus
from vad.service.place import place
from vad.service.table import camera_table
from vad.types import DropReason, EventType
from vad.video.synthetic import DEMO_SECONDS, LabelledInterval, Scene, demo_scene, encode, ground_truth

CAMERA = "demo"
ANALYSIS_FPS = 8.0
BUDGET_PER_DAY = 200.0
"""A generous one, since three minutes of footage promise little; a camera that is watched for days has two."""
LEARNT_S = 180.0
LEARNT_FROM_S = 120.0
"""Scene time of the footage that is learnt from: normal life, long after the anomalies' time."""
FILM_FROM_S = 24.0
"""Scene time at which the film begins, ten seconds before the first anomaly."""
LEFT_BEHIND_S = 1.0
REFRESH_S = 0.25
PLAIN_EVERY_S = 5.0
DRAIN_S = 5.0
GRACE_BEFORE_S = 0.5
"""An event may open that much before the label begins: a figure casts its shadow and its outline ahead of it."""
GRACE_AFTER_S = 3.0
"""... or that much after the label ends: scores are smoothed and clips take time to fill."""


_CAMERA: dict[str, Any] = {"analysis_fps": ANALYSIS_FPS, "false_alarms_per_day": BUDGET_PER_DAY}


@dataclass(frozen=True, slots=True)
class Film:
    """A part of the scene as a file: ``seconds`` from ``start_s`` of the scene's time on."""

    path: Path
    start_s: float
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What the events say against the ground truth. ``pending`` lists anomalies nobody has reported."""

    truth: list[LabelledInterval]
    opened: list[AnomalyMessage] = field(default_factory=list)

    def match(self, event: AnomalyMessage) -> LabelledInterval | None:
        """The labelled anomaly that an opening event belongs to; None = a false alarm."""
        at_s = event.data.pts_s
        for label in self.truth:
            if label.start_s - GRACE_BEFORE_S <= at_s <= label.end_s + GRACE_AFTER_S:
                return label
        return None

    @property
    def caught(self) -> list[LabelledInterval]:
        found = [self.match(event) for event in self.opened]
        return [label for label in self.truth if label in found]

    @property
    def missed(self) -> list[LabelledInterval]:
        return [label for label in self.truth if label not in self.caught]

    @property
    def false_alarms(self) -> list[AnomalyMessage]:
        return [event for event in self.opened if self.match(event) is None]


def run_demo(*, seed: int, console: Console) -> bool:
    """Learn, play, watch, report. True when any anomaly was caught."""
    with tempfile.TemporaryDirectory(prefix="vad-demo-") as name:
        folder = Path(name)
        scene = demo_scene(seed=seed)
        truth = [
            LabelledInterval(label.kind, label.start_s - FILM_FROM_S, label.end_s - FILM_FROM_S)
            for label in ground_truth(scene)
        ]
        film = Film(folder / "camera.mp4", FILM_FROM_S, DEMO_SECONDS - FILM_FROM_S)
        earlier = Film(folder / "earlier.mp4", LEARNT_FROM_S, LEARNT_S)
        _render(demo_scene(seed=seed, anomalies=False), earlier, console=console)
        _render(scene, film, console=console)
        _learn(earlier, folder / "normal.npz", console=console)
        outcome = Outcome(truth)
        engine = Engine(_site(film.path, folder=folder))
        with engine, Subscriber(engine.bus_address, journal=engine.journal_path) as subscriber:
            _introduce(engine, truth, console=console)
            _watch(engine, subscriber, outcome, console=console)
        _summary(engine, outcome, console=console)
    return bool(outcome.caught)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _render(scene: Scene, film: Film, *, console: Console) -> None:
    with _progress(console) as progress:
        task = progress.add_task("filming a synthetic scene (H.264, 640x360)", total=1.0)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done / total)

        encode(scene, film.path, seconds=film.seconds, start_s=film.start_s, preset="ultrafast", progress=show)


def _learn(film: Film, calibration: Path, *, console: Console) -> None:
    """What is normal here, as ``vad calibrate`` learns it, into the file ``calibration``."""
    model = ModelSettings()
    runner = make_runner(load_weights(model.weights), device=model.device, threads=model.threads, max_batch=1)
    camera = CameraConfig(url=str(film.path), **_CAMERA)
    with _progress(console) as progress:
        task = progress.add_task("learning what is normal", total=1.0)

        def show(done_s: float, total_s: float) -> None:
            progress.update(task, completed=done_s / total_s)

        learnt = calibrate([str(film.path)], camera=camera, runner=runner, tell=show)
    learnt.scorer.save(calibration, weights_sha256=runner.card.sha256)


def _site(path: Path, *, folder: Path) -> SiteConfig:
    """A camera that plays the file in real time and knows what is normal. A second at rest instead of ten."""
    return make_config(
        {
            "cameras": {CAMERA: {"url": str(path), "calibration": str(folder / "normal.npz"), **_CAMERA}},
            "scoring": {"left_behind_s": LEFT_BEHIND_S},
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "http": {"bind": ""},
            "storage": {"dir": str(folder / "data")},
        },
        source="vad demo",
    )


def _introduce(engine: Engine, truth: list[LabelledInterval], *, console: Console) -> None:
    console.print(
        f"One camera plays in real time. vad has watched it for {LEARNT_S / 60.0:.0f} minutes of normal life; "
        f"{len(truth)} things happen now that are not.",
        soft_wrap=True,
    )
    console.print(
        f"budget: {BUDGET_PER_DAY:g} false alarms a day, a generous budget since three minutes say little · model on "
        f"{engine.device} · events on {engine.bus_address}",
        style="dim",
        soft_wrap=True,
    )


def _watch(engine: Engine, subscriber: Subscriber, outcome: Outcome, *, console: Console) -> None:
    """Show the table and print events as they come over the bus, until the film ends and the engine has drained."""
    if console.is_terminal:
        with Live(camera_table(engine.status()), console=console, refresh_per_second=8, transient=False) as live:
            while not engine.wait(timeout_s=0.0):
                _receive(subscriber, outcome, console=console)
                live.update(camera_table(engine.status()))
    else:
        said_s = 0.0
        while not engine.wait(timeout_s=0.0):
            _receive(subscriber, outcome, console=console)
            said_s += REFRESH_S
            if said_s >= PLAIN_EVERY_S:
                said_s = 0.0
                console.print(_plain_line(engine.status()))
    engine.stop()
    until_s = time.monotonic() + DRAIN_S
    while subscriber.last_sequence < engine.status().last_sequence and time.monotonic() < until_s:
        _receive(subscriber, outcome, console=console)
    _receive(subscriber, outcome, console=console)


def _receive(subscriber: Subscriber, outcome: Outcome, *, console: Console) -> None:
    """What came over the bus within REFRESH_S."""
    until_s = time.monotonic() + REFRESH_S
    while (left_s := until_s - time.monotonic()) > 0.0:
        message = subscriber.receive(left_s)
        if not isinstance(message, AnomalyMessage) or message.type != EventType.OPENED:
            continue
        outcome.opened.append(message)
        label = outcome.match(message)
        data = message.data
        verdict = f"right: {label.kind.value.replace('_', ' ')}" if label else "false alarm"
        console.print(
            Text.assemble(
                (f"{data.pts_s:6.1f} s  ", "dim"),
                (f"{place(data.regions) or 'anywhere':<13}", "bold"),
                f"  {', '.join(data.reasons):<18}  score {data.score:4.1f} over {data.threshold:.1f}  ",
                (f"({verdict})", "green" if label else "red"),
            ),
            soft_wrap=True,
        )


def _plain_line(status: EngineStatus) -> str:
    camera = status.cameras[CAMERA]
    return (
        f"{camera.stage.value:<10}  {camera.fps or 0.0:4.1f} fps  score {camera.score:4.1f}  "
        f"threshold {camera.threshold:4.1f}  {camera.frames.scored} frames scored"
    )


def _summary(engine: Engine, outcome: Outcome, *, console: Console) -> None:
    frames = engine.status().frames
    p50_s, p95_s = engine.latency_quantiles_s((0.5, 0.95))
    caught = len(outcome.caught)
    console.print()
    console.print(
        Text.assemble(
            (f"caught {caught} of {len(outcome.truth)} anomalies", "bold green" if not outcome.missed else "bold red"),
            f", {len(outcome.false_alarms)} false alarm{'s' * (len(outcome.false_alarms) != 1)}",
        )
    )
    for label in outcome.missed:
        console.print(f"  missed: {label.kind.value} from {label.start_s:.1f} to {label.end_s:.1f} s", style="red")
    console.print(
        f"frames: {frames.received} received = {frames.scored} scored + {sum(frames.dropped.values())} dropped "
        f"({frames.dropped[DropReason.ANALYSIS_RATE]} above the analysis rate, {frames.lost} lost) "
        f"+ {frames.in_flight} in flight",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"latency, arrival to score: p50 {p50_s * 1e3:.0f} ms, p95 {p95_s * 1e3:.0f} ms",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "next: vad scan YOUR_VIDEO.mp4 · vad run --source rtsp://user:password@camera/stream · vad events · README.md",
        highlight=False,
        soft_wrap=True,
    )
