"""One run of the live detector over one simulated camera, from its first frame on: cold start, learning, incidents.

The stages are the engine's own: clips of the engine's length through the network's runner, each frame's cell map
through a ``Judge``. Every ``CHECKPOINT_S`` of the world the whole run is written down; one that was interrupted goes
on there and ends in the same record as one that was not (a test compares them).
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.days_count import PlantedEvent
from benchmarks.days_raise import LEARNED_UNDER, IncidentCollector, SequentialIds, Shadow
from benchmarks.days_record import Job, Record, Recording, Version, save, version
from vad.atomic import write_atomically
from vad.config import CameraConfig, ModelSettings, ScoringSettings
from vad.model.making import make_runner
from vad.model.weights import Weights, load_weights
from vad.pipeline.judge import Judge
from vad.scoring.incidents import Incidents
from vad.scoring.warming import warm_kernels
from vad.types import Clip, Frame, FrameScore, Geometry, WallSource
from vad.video.worlds import World, WorldFrame, open_world

CAMERA = "days"
CLIP_LENGTH: int = ModelSettings().clip_length
CHECKPOINT_S = 7200.0
"""Seconds of the world between two checkpoints."""
EPOCH_S = 1_767_225_600.0
"""UTC of the world's second 0: 2026-01-01."""


class DetectorRun:
    """The detector in the midst of a world, and what was recorded so far: what a checkpoint holds."""

    def __init__(self, job: Job, *, weights: Weights, made_by: Version) -> None:
        settings = ScoringSettings()
        config = CameraConfig(url=CAMERA, false_alarms_per_day=LEARNED_UNDER, analysis_fps=job.fps)
        self.job, self.made_by = job, made_by
        self.runner = make_runner(weights, device="cpu")
        self.judge = Judge.create(CAMERA, config=config, settings=settings)
        self.judge.incidents = Incidents(CAMERA, settings=settings, new_id=SequentialIds())
        self.recording = Recording(job.frames, fps=job.fps)
        self.shadows = {budget: Shadow(CAMERA, settings=settings, budget=budget) for budget in job.budgets[1:]}
        self.raised = {budget: IncidentCollector() for budget in job.budgets}
        self.started_s = 0.0
        self.cpu_s = {"world": 0.0, "network": 0.0, "scoring": 0.0, "record": 0.0}

    @property
    def done(self) -> int:
        """Frames."""
        return self.recording.count

    def step(self, seen: Sequence[WorldFrame]) -> None:
        """The next clip's worth of frames."""
        if not self.done:
            self.started_s = seen[0].at_s
        begun_s = time.process_time()
        [cell_maps] = self.runner([Clip(tuple(self._frame(one) for one in seen))])
        network_s = time.process_time()
        scores = [self.judge.step(cells)[0] for cells in cell_maps]
        scoring_s = time.process_time()
        for one, score in zip(seen, scores, strict=True):
            self._take(one, score)
        self.cpu_s["network"] += network_s - begun_s
        self.cpu_s["scoring"] += scoring_s - network_s
        self.cpu_s["record"] += time.process_time() - scoring_s

    def _frame(self, seen: WorldFrame) -> Frame:
        height, width = seen.luma.shape
        return Frame(
            camera=CAMERA,
            run=1,
            index=seen.index - self.job.start,
            pts_s=seen.at_s,
            wall_s=EPOCH_S + seen.at_s,
            wall_source=WallSource.FILE,
            arrived_s=seen.at_s,
            geometry=Geometry(source_width=width, source_height=height, pool=1, width=width, height=height),
            luma=np.ascontiguousarray(seen.luma),
        )

    def _take(self, seen: WorldFrame, score: FrameScore) -> None:
        self.recording.take(score, seen.conditions)
        self.raised[self.job.budgets[0]].take(score.events)
        for budget, shadow in self.shadows.items():
            self.raised[budget].take(shadow.step(score))

    def finish(self, planted: Sequence[PlantedEvent], *, begins_s: float = 0.0) -> Record:
        """Close what is open. ``planted`` are the whole world's; those that the frames show are kept.

        ``begins_s`` is the time of day of the world's second 0.
        """
        self.raised[self.job.budgets[0]].take(self.judge.incidents.close("shutdown"))
        for budget, shadow in self.shadows.items():
            self.raised[budget].take(shadow.close())
        last_s = self.started_s + self.job.seconds
        return Record(
            job=self.job,
            version=self.made_by,
            begins_s=begins_s,
            started_s=self.started_s,
            planted=tuple(one for one in planted if one.start_s < last_s and one.end_s > self.started_s),
            incidents={budget: tuple(raised.incidents) for budget, raised in self.raised.items()},
            conditions=tuple(self.recording.conditions),
            cpu_s=self.cpu_s,
            arrays=self.recording.arrays(),
        )


def world_of(job: Job) -> World:
    return open_world(job.world, seed=job.seed, days=job.days, width=job.width, height=job.height, fps=job.fps)


def advance(state: DetectorRun, world: World, *, frames: int) -> None:
    """That many more frames, or up to the end of the job."""
    count = min(frames, state.job.frames - state.done)
    source = world.frames(count, start=state.job.start + state.done)
    while True:
        _end_with_parent()
        begun_s = time.process_time()
        seen = list(itertools.islice(source, CLIP_LENGTH))
        state.cpu_s["world"] += time.process_time() - begun_s
        if not seen:
            return
        state.step(seen)


def _end_with_parent() -> None:
    """A worker whose program was killed goes on with the last checkpoint another time, and not now for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)  # the pool would catch anything else, and wait for work


def run(job: Job, folder: Path, *, progress: Callable[[str], None] = print) -> Path:
    """Live through one world, or go on where a run before was interrupted. Returns the record's path."""
    weights = load_weights(job.weights)
    made_by = version(weights.card.sha256)
    path, checkpoint = folder / f"{job.name}.npz", folder / f"{job.name}.checkpoint"
    warm_kernels()
    state = load_checkpoint(checkpoint, job=job, made_by=made_by) or DetectorRun(job, weights=weights, made_by=made_by)
    world = world_of(job)
    stretch = CLIP_LENGTH * round(CHECKPOINT_S * job.fps / CLIP_LENGTH)
    while state.done < job.frames:
        begun_s, before = time.monotonic(), state.done
        advance(state, world, frames=stretch)
        if state.done < job.frames:
            save_checkpoint(checkpoint, state)
        fps = (state.done - before) / (time.monotonic() - begun_s)
        progress(
            f"{job.world} {job.seed}: {state.done / job.fps / 3600.0:.1f} of {job.seconds / 3600.0:.1f} h, {fps:.0f}/s"
        )
    planted = [PlantedEvent(str(one.kind), one.start_s, one.end_s) for one in world.planted]
    save(path, state.finish(planted, begins_s=world.begins_s))
    checkpoint.unlink(missing_ok=True)
    return path


def save_checkpoint(path: Path, state: DetectorRun) -> None:
    """Write the checkpoint. Raises VadError when that fails."""
    write_atomically(path, pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL))


def load_checkpoint(path: Path, *, job: Job, made_by: Version) -> DetectorRun | None:
    """The run that was interrupted; None where there is none, or other code or another job left it.

    The file is this program's own: a pickle is to be read from no one else.
    """
    try:
        state = pickle.loads(path.read_bytes())
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, TypeError, ValueError):
        return None
    fits = isinstance(state, DetectorRun) and state.job == job and state.made_by.is_same(made_by)
    return state if fits else None
