"""What the tails of the cues look like over many cameras: where ``vad.scoring.tuning.TAILS`` comes from.

    python -m benchmarks.tails [--footage PATH...] [--minutes 10] [--worlds street:3 shop:4 ...] [--hours 1.5]
        [--cells DIR] [--keep F] [--also F...] [--each]

Each camera is watched from cold, learning, on footage that shows nothing unusual: real footage, in varied loops, and
simulated worlds of training seeds, at all hours. Of each cue the excursions above its tail's floor are counted, ended
by calm and sustained as an incident must be. Printed for each cue: their rate, and scale and shape of a generalised
Pareto tail fitted by moments to their excesses, where all real footage weighs as much as all worlds; and the seconds of
footage that the rate is worth (a Gamma prior whose spread is that between the cameras). The values of an unhealthy
picture, and of the first seconds, are left out: they never enter a tail.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.normal import cameras, new_judge, played, read
from benchmarks.planted import NORMAL_H, clips_of
from benchmarks.scenes import LIVE_FPS
from benchmarks.scenes_cells import KeptCells
from vad.atomic import check_writable
from vad.errors import VadError
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.scoring.gpd import excursions
from vad.scoring.tails import LONGEST_EXCURSION_S
from vad.scoring.tuning import DAY_S, REASONS, TAILS, TUNING
from vad.scoring.warming import warm_kernels
from vad.types import CellMap
from vad.video.luma import warm_luma
from vad.video.worlds import TRAINING_SEEDS, WorldKind, open_world

SUSTAIN_FRAMES = 3
"""At 8 frames/s: what ``scoring.open_after_s`` asks of an incident."""

HIGHEST = 12
"""Peaks of a camera that are printed."""

LEARNT_FIRST_S = 180.0
"""As ``scoring.calibrated_after_s``: before that cues that learn are held back, see ``Scale.judge``."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One camera's cue values, as its scorer smoothed them."""

    name: str
    is_world: bool
    values: NDArray[np.float32]  # (F, K + 1), in the order of REASONS; 0 where the picture was unhealthy
    dt_s: NDArray[np.float32]  # (F,)
    starts: NDArray[np.bool_]  # (F,) the first frame of a run
    learnt_s: NDArray[np.float32]  # (F,) normal footage that the scorer had learnt


@dataclass(frozen=True, slots=True)
class Fit:
    """One cue's tail over all cameras."""

    rate_per_hour: float
    worth_s: float
    scale: float
    shape: float
    peaks: int
    highest: float


def watched(name: str, maps: Iterator[CellMap], *, is_world: bool) -> Watched:
    """The values of one camera from cold on."""
    judge = new_judge(name, analysis_fps=LIVE_FPS)
    rows, run = [], None
    for cells in maps:
        score, _ = judge.step(cells)
        values = judge.scorer.cue_values if score.health is None else np.zeros(len(REASONS))
        rows.append((*values, cells.dt_s, score.frame.run != run, judge.scorer.learnt_s))
        run = score.frame.run
    table = np.array(rows, np.float32)
    k = len(REASONS)
    return Watched(name, is_world, table[:, :k], table[:, k], table[:, k + 1] > 0, table[:, k + 2])


def peaks_of(camera: Watched, k: int, floor: float) -> tuple[NDArray[np.float64], float]:
    """(peaks above the floor, seconds watched) of cue ``k``."""
    late = camera.learnt_s >= LEARNT_FIRST_S
    values = camera.values[late, k].astype(np.float64)
    sustained = values.copy()
    for back in range(1, SUSTAIN_FRAMES):
        sustained[back:] = np.minimum(sustained[back:], values[:-back])
    dt_s = camera.dt_s[late].astype(np.float64)
    found, last, _, _ = excursions(
        sustained, dt_s, camera.starts[late], floor, TUNING.decluster_gap_s, LONGEST_EXCURSION_S
    )
    return (np.append(found, last) if last > floor else found), float(dt_s.sum())


def fit(pool: Sequence[Watched], k: int, floor: float) -> Fit:
    """Real footage weighs as much as the worlds, however long either was watched."""
    found = [(camera.is_world, *peaks_of(camera, k, floor)) for camera in pool]
    watched_s = {kind: max(1.0, sum(s for is_world, _, s in found if is_world is kind)) for kind in (False, True)}
    excess = np.concatenate([peaks - floor for _, peaks, _ in found])
    weight = np.concatenate([np.full(peaks.size, 0.5 / watched_s[kind]) for kind, peaks, _ in found])
    rate = float(weight.sum())
    if excess.size < 2:
        return Fit(rate * 3600.0, np.inf, 0.0, 0.0, excess.size, float(excess.max(initial=0.0) + floor))
    mean = float(np.average(excess, weights=weight))
    spread = float(np.average((excess - mean) ** 2, weights=weight))
    shape = min(0.3, max(-0.2, 0.5 * (1.0 - mean**2 / max(spread, 1e-12))))
    long = [(peaks.size / seconds, seconds) for _, peaks, seconds in found if seconds > 60.0]
    rates = np.array([own for own, _ in long])
    counted = float(np.mean([own / seconds for own, seconds in long]))  # variance that counting alone makes
    between = max(float(rates.var()) - counted, 1e-12)
    return Fit(
        rate_per_hour=rate * 3600.0,
        worth_s=float(rates.mean() / between),
        scale=mean * (1.0 - shape),
        shape=shape,
        peaks=excess.size,
        highest=float(excess.max() + floor),
    )


def world_maps(kind: WorldKind, seed: int, *, hours: float, runner: AnyRunner) -> Iterator[CellMap]:
    """A world without planted events: pieces of one day, from all its hours, cut together as one run."""
    world, name = open_world(kind, seed=seed, days=1.0, anomalies=False), f"{kind.value}-{seed}"
    share = 3600.0 * hours / sum(minutes for _, minutes in NORMAL_H)
    first = 0
    for hour, minutes in NORMAL_H:
        from_s, count = (hour * 3600.0 - world.begins_s) % DAY_S, int(share * minutes * world.fps)
        for clip in clips_of(world, name, from_s=from_s, count=count, first=first):
            yield from runner([clip])[0]
        first += count
    runner.forget(name)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", type=Path, nargs="*", default=[], metavar="PATH")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each real camera, as benchmarks.normal does")
    parser.add_argument("--worlds", nargs="*", default=[], metavar="KIND:SEED")
    parser.add_argument("--hours", type=float, default=1.5, help="of each world")
    parser.add_argument("--weights", default="base")
    parser.add_argument("--cells", type=Path, help="folder that keeps what the network said of real footage")
    parser.add_argument("--keep", type=Path, help="a file that keeps the values, to be read instead where it exists")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="files that other runs have kept")
    parser.add_argument("--each", action="store_true", help="print each camera's highest peaks, too")
    options = parser.parse_args(arguments)
    try:
        if options.keep:
            check_writable(options.keep)
        pool = [one for path in options.also for one in _kept(path)] + _pool(options)
    except VadError as error:
        sys.exit(str(error))
    if not pool:
        sys.exit("nothing to watch; allowed: --footage, --worlds or --also")
    print(f"{len(pool)} cameras, {sum(float(c.dt_s.sum()) for c in pool) / 3600:.1f} h")
    print("cue             floor   an hour   worth s    scale   shape   peaks  highest")
    for k, reason in enumerate(REASONS):
        floor = TAILS[reason].floor
        one = fit(pool, k, floor)
        print(
            f"{reason.value:15} {floor:5.2f} {one.rate_per_hour:9.2f} {one.worth_s:9.0f} {one.scale:8.3f} "
            f"{one.shape:7.2f} {one.peaks:7d} {one.highest:8.2f}"
        )
        if options.each:
            _print_each(pool, k, floor)


def _print_each(pool: Sequence[Watched], k: int, floor: float) -> None:
    for camera in pool:
        peaks, seconds = peaks_of(camera, k, floor)
        if peaks.size:
            highest = " ".join(f"{peak:.2f}" for peak in sorted(peaks, reverse=True)[:HIGHEST])
            print(f"    {camera.name:36} {seconds / 3600:5.2f} h {peaks.size:4d}: {highest}")


def _kept(path: Path) -> list[Watched]:
    try:
        return list(pickle.loads(path.read_bytes()))
    except (OSError, pickle.UnpicklingError, EOFError) as error:
        sys.exit(f"{path}: cannot be read: {error}; allowed: a file that --keep wrote")


def _pool(options: argparse.Namespace) -> list[Watched]:
    if options.keep and options.keep.exists():
        return _kept(options.keep)
    warm_luma()
    warm_kernels()
    runner = make_runner(load_weights(options.weights), device="auto", max_batch=1)
    kept = KeptCells(runner, options.cells) if options.cells else runner
    pool = []
    for camera in cameras(options.footage):
        footage = read(camera, analysis_fps=LIVE_FPS)
        pool.append(watched(camera.name, played(camera, footage, kept, minutes=options.minutes), is_world=False))
    for spec in options.worlds:
        kind, seed = _world(spec)
        maps = world_maps(kind, seed, hours=options.hours, runner=runner)
        pool.append(watched(spec, maps, is_world=True))
        print(f"watched {spec}", file=sys.stderr)
    if options.keep and pool:
        options.keep.write_bytes(pickle.dumps(pool))
    return pool


def _world(spec: str) -> tuple[WorldKind, int]:
    kind, _, seed = spec.partition(":")
    if kind not in list(WorldKind) or not seed.isdigit() or int(seed) not in TRAINING_SEEDS:
        sys.exit(
            f"{spec!r} is no world to learn from; allowed: KIND:SEED, KIND one of {', '.join(WorldKind)}, "
            f"SEED from {TRAINING_SEEDS.start} to {TRAINING_SEEDS.stop - 1}"
        )
    return WorldKind(kind), int(seed)


if __name__ == "__main__":
    main()
