"""False alarms on real footage that shows nothing unusual: each camera from cold, learning, as the engine runs it.

    python -m benchmarks.normal PATH... [--minutes 10] [--analysis-fps 8] [--cells DIR] [--json F]

Each PATH is a video, a folder of videos (each a camera of its own), a dataset, or a folder of datasets. Of a dataset
the train clips and those test clips that hold no abnormal frame are one camera's runs, one after the other. What is
shorter than ``--minutes`` is played again, varied each time: another exposure, slow drift of light, sensor noise, and
up to 7 % quicker or slower, so that no frame comes twice. Every incident is a false alarm. Printed beside them is what
the budget promises for the time that was judged, and the rate over the first ten minutes and after them apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.scenes import LIVE_FPS
from benchmarks.scenes_cells import KeptCells
from vad.config import CameraConfig, ScoringSettings
from vad.errors import StreamCode, StreamError, VadError
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.pipeline.judge import Judge
from vad.scoring.tuning import DAY_S
from vad.scoring.warming import warm_kernels
from vad.types import CellMap, Clip, EventType, Frame, Stage
from vad.video.dataset import VIDEOS, ClipSource, Dataset
from vad.video.luma import warm_luma
from vad.video.reader import Reader
from vad.video.spec import ReadEnv, ReadSpec

CLIP_LENGTH = 16
YOUNG_S = 600.0
"""The first ten minutes are counted by themselves: that is when little is known."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Normal footage of one fixed camera."""

    name: str
    clips: tuple[ClipSource, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An incident that was raised on normal footage."""

    at_s: float  # seconds since the camera began
    stage: str
    score: float
    threshold: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """What came of one camera."""

    name: str
    footage_s: float  # without repetition
    watched_s: float
    judged_s: float  # neither cold nor blind
    blind_s: float
    alarms: tuple[Alarm, ...]


def cameras(paths: Sequence[Path]) -> Iterator[Camera]:
    """Raises DatasetError for a dataset that cannot be read; ends the program for a path that is none of these."""
    for path in paths:
        if (path / "test").is_dir() or (path / "train").is_dir():
            yield _of_dataset(path)
        elif path.is_dir():
            inside = sorted(path.iterdir())
            datasets = [p for p in inside if (p / "train").is_dir()]
            videos = [p for p in inside if p.suffix.lower() in VIDEOS]
            if not datasets and not videos:
                sys.exit(f"{path}: holds neither videos nor datasets; allowed: a folder of either")
            yield from (_of_dataset(p) for p in datasets)
            yield from (Camera(p.stem, (ClipSource(p.stem, p),)) for p in videos)
        elif path.exists():
            yield Camera(path.stem, (ClipSource(path.stem, path),))
        else:
            sys.exit(f"{path}: no such file or folder; allowed: a video, a dataset, or a folder of either")


def _of_dataset(path: Path) -> Camera:
    dataset = Dataset.open(path)
    normal = [c for c in dataset.test if not any(np.ravel(dataset.entries.get(c.name, [1])))]
    return Camera(path.resolve().name, (*dataset.train, *normal))


def watch(camera: Camera, runner: AnyRunner, *, minutes: float, analysis_fps: float, seed: int = 0) -> CameraFigures:
    """Play the camera for ``minutes`` through network, scorer and incidents. Raises StreamError."""
    watched_s = judged_s = blind_s = 0.0
    alarms: list[Alarm] = []
    footage = read(camera, analysis_fps=analysis_fps)
    judge = new_judge(camera.name, analysis_fps=analysis_fps)
    for cells in played(camera, footage, runner, minutes=minutes, seed=seed):
        score, _ = judge.step(cells)
        watched_s += cells.dt_s
        blind_s += cells.dt_s * (score.health is not None)
        judged_s += cells.dt_s * (score.health is None and score.stage is not Stage.COLD)
        alarms += [
            Alarm(watched_s, str(e.stage), e.score, e.threshold, tuple(map(str, e.reasons)))
            for e in score.events
            if e.type is EventType.OPENED
        ]
    footage_s = sum(frames[-1].pts_s for frames in footage)
    return CameraFigures(camera.name, footage_s, watched_s, judged_s, blind_s, tuple(alarms))


def new_judge(name: str, *, analysis_fps: float) -> Judge:
    """A camera's judge from cold, with the default settings."""
    return Judge.create(name, config=CameraConfig(url=name, analysis_fps=analysis_fps), settings=ScoringSettings())


def read(camera: Camera, *, analysis_fps: float) -> list[list[Frame]]:
    """The analysed frames of each of its clips. Raises StreamError."""
    return [list(_frames(clip, analysis_fps=analysis_fps)) for clip in camera.clips]


def played(
    camera: Camera, footage: Sequence[Sequence[Frame]], runner: AnyRunner, *, minutes: float, seed: int = 0
) -> Iterator[CellMap]:
    """The footage as it is, then varied anew again and again, for ``minutes``; each clip is a run."""
    rng = np.random.default_rng([seed, 11])
    played_s, run = 0.0, 0
    while played_s < 60.0 * minutes:
        for frames in footage:
            run += 1
            varied = frames if run <= len(footage) else list(_varied(frames, rng))
            now = [replace(frame, camera=camera.name, run=run) for frame in varied]
            for begin in range(0, len(now), CLIP_LENGTH):
                yield from runner([Clip(tuple(now[begin : begin + CLIP_LENGTH]))])[0]
            played_s += now[-1].pts_s
    runner.forget(camera.name)


def _frames(clip: ClipSource, *, analysis_fps: float) -> Iterator[Frame]:
    config = CameraConfig(url=clip.url, analysis_fps=analysis_fps, realtime=False)
    reader = Reader(ReadSpec("normal", config, 160), run=1, env=ReadEnv())
    try:
        with reader:
            yield from (item for item in reader if isinstance(item, Frame))
    except StreamError as error:
        if error.code is not StreamCode.ENDED:
            raise


def _varied(frames: Sequence[Frame], rng: np.random.Generator) -> Iterator[Frame]:
    """The frames under another exposure, drifting light and noise, and at another pace."""
    gain, offset, pace = rng.uniform(0.85, 1.15), rng.uniform(-8.0, 8.0), rng.uniform(0.93, 1.07)
    drift, period_s, phase = rng.uniform(0.0, 0.04), rng.uniform(20.0, 90.0), rng.uniform(0.0, 6.3)
    sigma = rng.uniform(0.3, 1.5)
    for frame in frames:
        light = gain * (1.0 + drift * np.sin(2.0 * np.pi * frame.pts_s / period_s + phase))
        noise = rng.normal(0.0, sigma, frame.luma.shape)
        luma = np.clip(frame.luma * light + offset + noise, 0.0, 255.0).astype(np.uint8)
        yield replace(frame, luma=luma, pts_s=frame.pts_s / pace)


def print_figures(figures: Sequence[CameraFigures], *, budget: float) -> None:
    """A line for each camera, then the totals."""
    print(f"{'camera':28}{'footage':>8}{'judged':>8}{'blind':>7}{'false alarms':>14}   by")
    for one in figures:
        by = Counter("+".join(alarm.reasons) for alarm in one.alarms)
        words = ", ".join(f"{reasons} {count}" for reasons, count in by.most_common())
        print(
            f"{one.name[:27]:28}{one.footage_s:7.0f}s{one.judged_s:7.0f}s{one.blind_s / one.watched_s:7.1%}"
            f"{len(one.alarms):14d}   {words}"
        )
    alarms = [alarm for one in figures for alarm in one.alarms]
    young = sum(alarm.at_s < YOUNG_S for alarm in alarms)
    judged_s = sum(one.judged_s for one in figures)
    by = Counter(reason for alarm in alarms for reason in alarm.reasons)
    print(
        f"\n{len(alarms)} false alarms in {judged_s / 60:.0f} minutes judged ({young} in the first ten minutes of a "
        f"camera); {budget:g} a day promise {judged_s / DAY_S * budget:.2f}; cues: {dict(by)}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long each camera is watched")
    parser.add_argument("--analysis-fps", type=float, default=LIVE_FPS)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--cells", type=Path, help="folder that keeps what the network said")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    warm_luma()
    warm_kernels()
    runner = make_runner(load_weights(options.weights), device="auto", max_batch=1)
    if options.cells:
        runner = KeptCells(runner, options.cells)
    figures = []
    try:
        for camera in cameras(options.paths):
            figures.append(watch(camera, runner, minutes=options.minutes, analysis_fps=options.analysis_fps))
            print(f"watched {camera.name}", file=sys.stderr)
    except VadError as error:
        sys.exit(str(error))
    print_figures(figures, budget=CameraConfig(url="normal").false_alarms_per_day)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
