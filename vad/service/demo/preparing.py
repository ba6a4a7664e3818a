"""What must be there before a demo plays: films, what is normal, and a site of cameras that play the films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vad.config import CameraConfig, ModelSettings, SiteConfig, make_config
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.video.synthetic import FrameSource, encode

BUDGET_PER_DAY = 200.0
"""A generous one, since minutes of footage promise little; a camera that is watched for days has two."""

CAMERA: dict[str, Any] = {"analysis_fps": 8.0, "false_alarms_per_day": BUDGET_PER_DAY}
"""Settings of every camera of a demo, while it is learnt from and while it plays."""


@dataclass(frozen=True, slots=True)
class Film:
    """A part of what a simulated camera sees as a file: ``seconds`` from ``start_s`` of its time on."""

    path: Path
    source: FrameSource
    start_s: float
    seconds: float


def render(films: Sequence[Film], *, title: str, console: Console) -> None:
    """Make the files of the films."""
    total_s = sum(film.seconds for film in films)
    with _progress(console) as progress:
        task, before_s = progress.add_task(title, total=total_s), 0.0
        for film in films:

            def show(done: int, total: int, film: Film = film, before_s: float = before_s) -> None:
                progress.update(task, completed=before_s + film.seconds * done / total)

            encode(
                film.source, film.path, seconds=film.seconds, start_s=film.start_s, preset="ultrafast", progress=show
            )
            before_s += film.seconds


def learn(paths: Sequence[Path], calibration: Path, *, settings: Mapping[str, Any], console: Console) -> None:
    """What is normal here, as ``vad calibrate`` learns it from the files, into the file ``calibration``."""
    model = ModelSettings()
    runner = make_runner(load_weights(model.weights), device=model.device, threads=model.threads, max_batch=1)
    camera = CameraConfig(url=str(paths[0]), **settings)
    with _progress(console) as progress:
        task = progress.add_task("learning what is normal", total=1.0)

        def show(done_s: float, total_s: float) -> None:
            progress.update(task, completed=done_s / total_s)

        learnt = calibrate([str(path) for path in paths], camera=camera, runner=runner, tell=show)
    learnt.scorer.save(calibration, weights_sha256=runner.card.sha256)


def site_of(
    films: Mapping[str, Path],
    calibration: Path,
    *,
    settings: Mapping[str, Any],
    storage: Path,
    scoring: Mapping[str, Any] | None = None,
) -> SiteConfig:
    """Cameras that play the films in real time and all know what is normal."""
    known = {"calibration": str(calibration), **settings}
    return make_config(
        {
            "cameras": {name: {"url": str(path), **known} for name, path in films.items()},
            "scoring": dict(scoring or {}),
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "http": {"bind": ""},
            "storage": {"dir": str(storage)},
        },
        source="vad demo",
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
