"""Is the false-alarm budget kept over days, and what is caught meanwhile? The live detector over simulated cameras.

    python -m benchmarks.days [--world street ...] [--days 3] [--seeds 1000 ...] [--jobs 2]   # all worlds by default
    python -m benchmarks.days --short       # two hours of each from a busy hour on: 15 minutes on two free cores
    python -m benchmarks.days --training    # worlds that constants may be tuned on; never mixed with judged ones

Each world is one camera that is switched on cold and goes on learning, under a budget of 2 a day; 20 a day are the
same scores over another threshold. A raised incident that overlaps no planted event is a false alarm. ``--json`` and
``--html`` write all figures, and drawings and pictures.

Each world's record goes to ``--out`` once it is done, and a checkpoint every two simulated hours: the same command goes
on with what is missing. Records of other weights, another detector or other worlds are made anew, unless ``--reuse``
asks to take them as they are. Run it on code that nobody is changing meanwhile. A day is 691,200 frames.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2

from benchmarks.days_page import write_page
from benchmarks.days_raise import LEARNED_UNDER
from benchmarks.days_record import Job, Record, load, version
from benchmarks.days_report import as_json, text
from benchmarks.days_run import CHECKPOINT_S, run, world_of
from vad.atomic import check_writable, write_atomically
from vad.errors import VadError
from vad.model.weights import load_weights
from vad.video.worlds import JUDGED_SEEDS, TRAINING_SEEDS, WorldKind
from vad.video.worlds.world import BEGINS_S

WIDTH, HEIGHT, FPS = 160, 96, 8.0
BUDGETS = (LEARNED_UNDER, 20.0)
BUSY_HOUR = {
    WorldKind.STREET: 8,
    WorldKind.CARE: 9,
    WorldKind.SHOP: 16,
    WorldKind.LINE: 9,
    WorldKind.YARD: 20,
}
"""When ``--short`` switches a camera on, o'clock."""
SHORT_S = 7200.0
LEAST_DAYS, MOST_DAYS = 0.01, 31.0
INTERRUPTED = 130


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """One a world and seed."""
    kinds = list(WorldKind) if "all" in options.world else [WorldKind(name) for name in dict.fromkeys(options.world)]
    return [_job(kind, seed, options) for seed in dict.fromkeys(options.seeds) for kind in kinds]


def _job(kind: WorldKind, seed: int, options: argparse.Namespace) -> Job:
    start_s = BUSY_HOUR[kind] * 3600.0 - BEGINS_S if options.short else 0.0
    return Job(
        world=str(kind),
        seed=seed,
        days=1.0 if options.short else options.days,
        start=round(start_s * FPS),
        frames=round((SHORT_S if options.short else options.days * 86400.0) * FPS),
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        weights=options.weights,
        budgets=BUDGETS,
    )


def records_of(jobs: Sequence[Job], folder: Path, *, workers: int, reuse: bool) -> list[Record]:
    """The records there are, and those that are missing, made by so many processes. What fails is said and left out."""
    made_by = version(load_weights(jobs[0].weights).card.sha256)
    kept = {job: load(folder / f"{job.name}.npz") for job in jobs}
    fit = {job: r for job, r in kept.items() if r and r.job == job and (reuse or r.version.is_same(made_by))}
    for job, record in fit.items():
        print_progress(f"{job.world} {job.seed}: taken from {folder}, made at {record.version.commit}")
    missing = [job for job in jobs if job not in fit]
    made = _run_all(missing, folder, workers=min(workers, len(missing)))
    records = [fit.get(job) or (load(folder / f"{job.name}.npz") if job in made else None) for job in jobs]
    return [record for record in records if record is not None]


def _run_all(jobs: Sequence[Job], folder: Path, *, workers: int) -> list[Job]:
    """Those that came to an end."""
    if not jobs:
        return []
    context, made = multiprocessing.get_context("spawn"), []
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as pool:
        try:
            running = {pool.submit(run, job, folder, progress=print_progress): job for job in jobs}
            for done in as_completed(running):
                try:
                    done.result()
                    made.append(running[done])
                except VadError as exc:
                    print_progress(f"{running[done].world} {running[done].seed}: left out: {exc}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return made


def _begin_worker() -> None:
    """An interrupt ends a worker at once: what it had is in its checkpoint."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    cv2.setNumThreads(1)


def print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Ends the program with a message where the arguments are of no use."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.days", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    worlds = [*map(str, WorldKind), "all"]
    parser.add_argument("--world", nargs="+", choices=worlds, default=["all"], metavar="WORLD", help=", ".join(worlds))
    parser.add_argument("--days", type=float, default=3.0, help=f"simulated days, {LEAST_DAYS:g} to {MOST_DAYS:g}")
    parser.add_argument("--seeds", type=int, nargs="+", help="of judged worlds, unless --training; default: the first")
    parser.add_argument("--training", action="store_true", help="worlds of training seeds")
    parser.add_argument("--short", action="store_true", help="two hours from a busy hour on, instead of --days")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--weights", default="base")
    parser.add_argument("--out", type=Path, default=Path("runs/days"), help="folder of records and checkpoints")
    parser.add_argument("--reuse", action="store_true", help="take records of other code or weights as they are")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--html", type=Path, help="file for the page")
    options = parser.parse_args(arguments)
    seeds = TRAINING_SEEDS if options.training else JUDGED_SEEDS
    options.seeds = [seeds[0]] if options.seeds is None else options.seeds
    if found := faults(options):
        parser.error("; ".join(found))
    return options


def faults(options: argparse.Namespace) -> list[str]:
    """What is wrong with the arguments: what, got, allowed."""
    found = []
    if not LEAST_DAYS <= options.days <= MOST_DAYS:
        found.append(f"--days is {options.days:g}; allowed: {LEAST_DAYS:g} to {MOST_DAYS:g}")
    if options.jobs < 1:
        found.append(f"--jobs is {options.jobs}; allowed: at least 1")
    allowed = TRAINING_SEEDS if options.training else JUDGED_SEEDS
    for seed in options.seeds:
        if seed not in allowed:
            kind = "training" if options.training else "judged"
            found.append(f"--seeds has {seed}, no {kind} seed; allowed: {allowed[0]} to {allowed[-1]}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        sys.exit(f"--out {options.out}: {exc.strerror}; allowed: a folder that is there or can be made")
    try:
        return report(options)
    except VadError as exc:
        sys.exit(str(exc))
    except (KeyboardInterrupt, BrokenProcessPool):
        print_progress(
            f"interrupted; the same command goes on from the last checkpoint (every {CHECKPOINT_S / 3600.0:g} h)"
        )
        return INTERRUPTED


def report(options: argparse.Namespace) -> int:
    """Run what is missing and write what was asked for: 0, or 1 where a world was left out. Raises VadError."""
    for path in filter(None, (options.out / "record", options.json, options.html)):
        check_writable(path)
    jobs = jobs_of(options)
    records = records_of(jobs, options.out, workers=options.jobs, reuse=options.reuse)
    if records:
        print(text(records))
    if records and options.json:
        write_atomically(options.json, (json.dumps(as_json(records), indent=1) + "\n").encode())
    if records and options.html:
        write_atomically(options.html, write_page(records, world_of).encode())
    return 0 if len(records) == len(jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
