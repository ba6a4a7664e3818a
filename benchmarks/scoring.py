"""What the detector catches and what it costs: demo scenes of many seeds, normal footage, and the scorer's step alone.

    python -m benchmarks.scoring [--seeds 1 2 3] [--analysis-fps 12.5] [--films DIR] [--weights W]
    python -m benchmarks.scoring --normal CLIP...      # one camera, each clip a run; every incident is a false alarm
    python -m benchmarks.scoring --cost                # microseconds of Scorer.step alone

Everything runs offline through the code of the live engine; the scenes are real H.264. ``--films`` keeps them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.scoring.walkers import GEOMETRY, World
from vad.config import CameraConfig, ScoringSettings
from vad.model.runner import Runner
from vad.model.weights import load_weights
from vad.pipeline.scan import Scan
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import Scorer
from vad.scoring.warming import warm_kernels
from vad.types import AnomalyEvent, CellMap, EventType, FrameScore, Geometry, Stage
from vad.video.synthetic import DEMO_SECONDS, demo_scene, encode, ground_truth

SETTINGS = ScoringSettings(warming_after_s=12.0, calibrated_after_s=30.0, left_behind_s=0.7)
GRACE_BEFORE_S, GRACE_AFTER_S = 0.5, 3.0


class _Kept(Runner):
    """A runner that remembers what it said, so that footage is run through the network once for many judgements."""

    def __call__(self, clips):
        maps = super().__call__(clips)
        self.kept = [*getattr(self, "kept", []), *(cells for clip in maps for cells in clip)]
        return maps


def scenes(seeds: list[int], *, analysis_fps: float, films: Path, weights: str) -> None:
    """Each seed: which of the labelled anomalies an incident was opened for, and how many others were opened."""
    caught, labelled, false = Counter[str](), Counter[str](), 0
    for seed in seeds:
        scene = demo_scene(seed=seed)
        film = films / f"demo_{seed}.mp4"
        if not film.exists():
            encode(scene, film, seconds=DEMO_SECONDS)
        camera = CameraConfig(url=str(film), analysis_fps=analysis_fps)
        scan = Scan(film, camera=camera, scoring=SETTINGS, runner=Runner(load_weights(weights), device="auto"))
        opened = [event for score in scan for event in score.events if event.type is EventType.OPENED]
        truth = ground_truth(scene)
        near = {
            label.kind: [e for e in opened if label.start_s - GRACE_BEFORE_S <= e.pts_s <= label.end_s + GRACE_AFTER_S]
            for label in truth
        }
        others = [event for event in opened if not any(event in events for events in near.values())]
        for label in truth:
            labelled[label.kind] += 1
            caught[label.kind] += bool(near[label.kind])
        false += len(others)
        print(f"seed {seed}: caught {sum(map(bool, near.values()))} of {len(truth)}, false alarms {len(others)}")
        for kind, events in near.items():
            print(f"    {kind:17} {' '.join(map(describe, events)) or 'MISSED'}")
        for event in others:
            print(f"    {'false alarm':17} {describe(event)}")
    for kind, count in labelled.items():
        print(f"{kind:17} {caught[kind]} of {count}")
    print(f"all: caught {sum(caught.values())} of {sum(labelled.values())}, false alarms {false} in {len(seeds)} films")


def describe(event: AnomalyEvent) -> str:
    return f"{event.pts_s:.1f} s {'+'.join(event.reasons)} {event.score:.1f}/{event.threshold:.1f}"


def normal(clips: list[Path], *, analysis_fps: float, weights: str, settings: ScoringSettings, rotations: int) -> None:
    """One camera made of many clips, each a run; begun at several of them, so that each is both learnt and held out."""
    runner = _Kept(load_weights(weights), device="auto")
    runs: list[list[CellMap]] = []
    for clip in clips:
        runner.kept = []
        for _ in Scan(clip, camera=CameraConfig(url=str(clip), analysis_fps=analysis_fps), runner=runner):
            pass
        runs.append(runner.kept)
    incidents, judged_s = 0, 0.0
    for rotation in range(rotations):
        first = rotation * len(runs) // rotations
        for score, events in judged(runs[first:] + runs[:first], analysis_fps=analysis_fps, settings=settings):
            judged_s += (score.stage is not Stage.COLD) / analysis_fps
            opened = [event for event in events if event.type is EventType.OPENED]
            incidents += len(opened)
            for event in opened:
                print(f"    rotation {rotation}, run {event.run}, {event.stage}: {describe(event)}")
    print(f"normal footage: {incidents} false alarms in {judged_s / 60.0:.1f} minutes judged, {rotations} rotations")


def judged(
    runs: list[list[CellMap]], *, analysis_fps: float, settings: ScoringSettings
) -> Iterator[tuple[FrameScore, list[AnomalyEvent]]]:
    scorer = Scorer("normal", settings=settings, false_alarms_per_day=2.0, analysis_fps=analysis_fps)
    incidents = Incidents("normal", settings=settings)
    for run, maps in enumerate(runs):
        for cells in maps:
            score = scorer.step(replace(cells, frame=replace(cells.frame, run=run)))
            yield score, incidents.step(score)


def step_cost() -> None:
    """CPU time of one step on one core, learning included, over three minutes of hand-made cell maps."""
    warm_kernels()
    for geometry in (GEOMETRY, Geometry(source_width=360, source_height=240, pool=2, width=184, height=136)):
        frames = list(World(geometry=geometry).frames(180.0))
        scorer = Scorer("cost", settings=SETTINGS, false_alarms_per_day=2.0, analysis_fps=10.0)
        begun_s = time.process_time()
        for cells in frames:
            scorer.step(cells)
        cost_us = (time.process_time() - begun_s) / len(frames) * 1e6
        rows, columns = geometry.cells
        print(f"{rows} x {columns} cells: {cost_us:.0f} us a frame")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 1, 2, 3, 4, 5, 6, 8])
    parser.add_argument("--analysis-fps", type=float, default=12.5)
    parser.add_argument("--films", type=Path, help="folder that keeps the films for the next time")
    parser.add_argument("--weights", default="base")
    parser.add_argument("--normal", type=Path, nargs="+", metavar="CLIP", help="normal clips of one camera")
    parser.add_argument("--rotations", type=int, default=4)
    parser.add_argument("--calibrated-after-s", type=float, default=120.0, help="with --normal")
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    if options.cost:
        step_cost()
    elif options.normal:
        settings = ScoringSettings(calibrated_after_s=options.calibrated_after_s)
        fps, rotations = options.analysis_fps, options.rotations
        normal(options.normal, analysis_fps=fps, weights=options.weights, settings=settings, rotations=rotations)
    else:
        with tempfile.TemporaryDirectory() as folder:
            films = options.films or Path(folder)
            films.mkdir(parents=True, exist_ok=True)
            scenes(options.seeds, analysis_fps=options.analysis_fps, films=films, weights=options.weights)


if __name__ == "__main__":
    main()
