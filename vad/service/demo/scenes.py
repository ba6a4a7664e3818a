"""``vad demo --scene``: anomalies of one simulated day, each a camera of its own, all played at once.

A world is one simulated camera that lives for days, with anomalies twenty minutes and more apart. Nobody waits that
long for a demo: each anomaly is cut out as a clip, and the clips play side by side, with the engine's own settings but
for the budget. All of them begin with what was learnt from the same world without anomalies, in the minutes before each
clip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from rich.console import Console

from vad.service.demo.outcome import Labelled
from vad.service.demo.playing import play
from vad.service.demo.preparing import CAMERA, Film, learn, render, site_of
from vad.video.worlds import Planted, World, WorldKind, open_world

SEED = 3
"""One of TRAINING_SEEDS: worlds of the others are for figures alone."""
MOST_ANOMALIES = 5
WIDTH, HEIGHT = 320, 192
SETTINGS = {**CAMERA, "model_width": 160}
"""Worlds are judged at this width elsewhere, and a clip is too short for a camera to choose its own."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How much of the world is shown around an anomaly, and how much is learnt from before that."""

    before_s: float = 20.0
    longest_s: float = 20.0  # of the anomaly, and after_s more
    after_s: float = 5.0
    learnt_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Clip:
    """One anomaly in [label.start_s, label.end_s) of a film that begins at ``start_s`` of the world's time.

    The ``learnt_s`` before that are learnt from, without anything planted.
    """

    label: Labelled
    start_s: float
    seconds: float
    learnt_s: float


def run_scene(
    kind: WorldKind,
    *,
    seed: int = SEED,
    most: int = MOST_ANOMALIES,
    cutting: Cutting | None = None,
    console: Console,
) -> bool:
    """Film, learn, play, watch, report the first anomalies of a day there. True when any of them was caught."""
    cv2.setNumThreads(1)  # on pictures of this size OpenCV's threads cost more than they save
    with tempfile.TemporaryDirectory(prefix="vad-demo-") as name:
        folder = Path(name)
        with console.status(f"opening a simulated day: {kind.value}, seed {seed}"):
            day = open_world(kind, seed=seed, width=WIDTH, height=HEIGHT)
            normal = open_world(kind, seed=seed, width=WIDTH, height=HEIGHT, anomalies=False)
        clips = cut(kind, day.planted[:most], fps=day.fps, cutting=cutting or Cutting())
        films = {clip.label.camera: _film(clip, day, folder) for clip in clips}
        earlier = [_earlier(clip, normal, folder) for clip in clips]
        title = f"filming a simulated day (H.264, {WIDTH}x{HEIGHT})"
        render([*earlier, *films.values()], title=title, console=console)
        calibration = folder / "normal.npz"
        learn([film.path for film in earlier], calibration, settings=SETTINGS, console=console)
        paths = {camera: film.path for camera, film in films.items()}
        outcome = play(
            site_of(paths, calibration, settings=SETTINGS, storage=folder / "data"),
            [clip.label for clip in clips],
            introduction=_introduction(kind, clips),
            learnt=_minutes(clips),
            console=console,
        )
    return bool(outcome.caught)


def cut(kind: WorldKind, planted: Sequence[Planted], *, fps: float, cutting: Cutting) -> list[Clip]:
    """A clip of each; its camera is named for the kind of world and a number, not for what is to be seen."""
    clips = []
    for number, anomaly in enumerate(planted, start=1):
        start_s = max(0, round((anomaly.start_s - cutting.before_s) * fps)) / fps  # on a frame
        seconds = min(anomaly.end_s, anomaly.start_s + cutting.longest_s) + cutting.after_s - start_s
        end_s = min(anomaly.end_s - start_s, seconds)  # a long one goes on to the film's end
        label = Labelled(f"{kind.value}-{number}", anomaly.kind.value, anomaly.start_s - start_s, end_s)
        clips.append(Clip(label, start_s, seconds, min(cutting.learnt_s, start_s)))
    return clips


def _film(clip: Clip, world: World, folder: Path) -> Film:
    return Film(folder / f"{clip.label.camera}.mp4", world, clip.start_s, clip.seconds)


def _earlier(clip: Clip, world: World, folder: Path) -> Film:
    return Film(folder / f"{clip.label.camera}-earlier.mp4", world, clip.start_s - clip.learnt_s, clip.learnt_s)


def _introduction(kind: WorldKind, clips: Sequence[Clip]) -> str:
    return (
        f"{len(clips)} cameras play in real time, each a part of one simulated day at the same place ({kind.value}). "
        f"vad has watched {_minutes(clips)} of normal life there; at each camera one thing happens now that is not "
        "normal."
    )


def _minutes(clips: Sequence[Clip]) -> str:
    """How much all cameras have learnt from, in words."""
    return f"{sum(clip.learnt_s for clip in clips) / 60.0:.0f} minutes"
