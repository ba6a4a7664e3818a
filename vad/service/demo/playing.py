"""Play the films of a site in real time, print what the engine raises, and say in the end what was caught."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from vad.config import SiteConfig
from vad.events import AnomalyMessage, Subscriber
from vad.pipeline.engine import Engine
from vad.pipeline.status import EngineStatus
from vad.service.demo.outcome import Labelled, Outcome
from vad.service.demo.preparing import BUDGET_PER_DAY
from vad.service.place import place
from vad.service.table import camera_table
from vad.types import DropReason, EventType

REFRESH_S = 0.25
PLAIN_EVERY_S = 5.0
DRAIN_S = 5.0


def play(site: SiteConfig, truth: Sequence[Labelled], *, introduction: str, learnt: str, console: Console) -> Outcome:
    """Play, watch, report. ``learnt`` says of how much footage the cameras know what is normal, in words."""
    outcome = Outcome(truth)
    engine = Engine(site)
    with engine, Subscriber(engine.bus_address, journal=engine.journal_path) as subscriber:
        console.print(introduction, soft_wrap=True)
        console.print(
            f"budget: {BUDGET_PER_DAY:g} false alarms a day, a generous budget since {learnt} say little · model on "
            f"{engine.device} · events on {engine.bus_address}",
            style="dim",
            soft_wrap=True,
        )
        _watch(engine, subscriber, outcome, console=console)
    _summarise(engine, outcome, console=console)
    return outcome


def _watch(engine: Engine, subscriber: Subscriber, outcome: Outcome, *, console: Console) -> None:
    """Show the table and print events as they come over the bus, until the films end and the engine has drained."""
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
                console.print(_plain_line(engine.status()), soft_wrap=True)
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
        if isinstance(message, AnomalyMessage) and message.type == EventType.OPENED:
            outcome.opened.append(message)
            console.print(_event_line(message, outcome), soft_wrap=True)


def _event_line(event: AnomalyMessage, outcome: Outcome) -> Text:
    label, data = outcome.match(event), event.data
    verdict = f"right: {label.kind.replace('_', ' ')}" if label else "false alarm"
    return Text.assemble(
        (f"{data.pts_s:6.1f} s  ", "dim"),
        (f"{event.camera:<10}" if outcome.several_cameras else "", "bold"),
        (f"{place(data.regions) or 'anywhere':<13}", "bold"),
        f"  {', '.join(data.reasons):<18}  score {data.score:4.1f} over {data.threshold:.1f}  ",
        (f"({verdict})", "green" if label else "red"),
    )


def _plain_line(status: EngineStatus) -> str:
    """How the cameras stand, for an output that is no terminal and keeps every line."""
    if len(status.cameras) > 1:
        scores = (f"{name} {one.score:.1f} of {one.threshold:.1f}" for name, one in status.cameras.items())
        return f"scores: {', '.join(scores)}  {status.frames.scored} frames scored"
    (camera,) = status.cameras.values()
    return (
        f"{camera.stage.value:<10}  {camera.fps or 0.0:4.1f} fps  score {camera.score:4.1f}  "
        f"threshold {camera.threshold:4.1f}  {camera.frames.scored} frames scored"
    )


def _summarise(engine: Engine, outcome: Outcome, *, console: Console) -> None:
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
        where = f" at {label.camera}" if outcome.several_cameras else ""
        console.print(f"  missed: {label.kind}{where} from {label.start_s:.1f} to {label.end_s:.1f} s", style="red")
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
