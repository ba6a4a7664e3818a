"""What evidence costs: each camera all the time, and each incident once.

    python -m benchmarks.evidence FILE... [--rounds 7] [--json FILE]

"Reading" is the CPU time of a reader for each frame of the file, decoding included, with a tape beside it and without,
in turn; "taping" is what the tape's own calls take of that. "Kept" is the CPU time to make one evidence (clip, seen,
expected, details) around the middle of the file and to put it on disk, as it is and with a mask.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vad.clock import SystemClock
from vad.config import CameraConfig, EvidenceSettings
from vad.errors import StreamCode, StreamError
from vad.pipeline.evidence import files_of
from vad.pipeline.evidence_cases import Moment, Request
from vad.pipeline.evidence_store import EvidenceStore
from vad.pipeline.rendering import InEngine
from vad.pipeline.witness import Witness
from vad.types import Frame, Reason, Region
from vad.video.luma import warm_luma
from vad.video.reader import Reader
from vad.video.samples import EVERY_S
from vad.video.spec import ReadEnv, ReadSpec
from vad.video.tape import Tape

MASK = {"points": [[0.0, 0.0], [0.3, 0.0], [0.3, 0.3], [0.0, 0.3]]}
SETTINGS = EvidenceSettings()


class Unpaced(SystemClock):
    """Reads a file as a camera would be read, on one thread, without waiting for its time to pass."""

    def wait(self, stop: threading.Event, *, timeout_s: float) -> bool:
        return stop.is_set()


def read(file: Path, tape: Tape | None, *, masks: list[dict]) -> tuple[float, float]:
    """CPU microseconds a frame, and the media seconds read."""
    config = CameraConfig.model_validate({"url": str(file), "masks": masks})
    frames, last_s, began_s = 0, 0.0, time.process_time()
    with Reader(ReadSpec("cam", config, 160), run=0, env=ReadEnv(clock=Unpaced(), tape=tape)) as reader:
        try:
            for item in reader:
                frames += 1
                last_s = item.pts_s if isinstance(item, Frame) else last_s
        except StreamError as exc:
            if exc.code is not StreamCode.ENDED:
                raise
    return (time.process_time() - began_s) / frames * 1e6, last_s


def timed(method: Callable, spent: list[float]) -> Callable:
    """The method, its CPU time added to ``spent``."""

    def call(*arguments: object, **more: object) -> object:
        began_s = time.thread_time()
        try:
            return method(*arguments, **more)
        finally:
            spent[0] += time.thread_time() - began_s

    return call


class TimedTape(Tape):
    """A tape that knows what its own calls took."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(run=0, seconds=tape._seconds, max_bytes=tape._max_bytes, samples=tape._samples)
        self.spent = [0.0]
        self.add = timed(super().add, self.spent)  # type: ignore[method-assign]
        self.show = timed(super().show, self.spent)  # type: ignore[method-assign]


def nothing(*_: object, **__: object) -> None:
    """What the timing itself takes."""


def steady(file: Path, rounds: int) -> dict[str, float]:
    without, beside, own = [], [], []
    for _ in range(rounds):
        without.append(read(file, None, masks=[])[0])
        witness = Witness(SETTINGS)
        witness.samples._gap_s = EVERY_S  # as it is after the first minute
        tape = TimedTape(witness.begin(0, masks=()))
        each, length_s = read(file, tape, masks=[])
        beside.append(each)
        timing = TimedTape(witness.begin(1, masks=()))
        timing.add, timing.show = timed(nothing, timing.spent), timed(nothing, timing.spent)  # type: ignore[method-assign]
        read(file, timing, masks=[])
        own.append(tape.spent[0] - timing.spent[0])
    return {
        "reading_us": statistics.median(without),
        "reading_with_tape_us": statistics.median(beside),
        "taping_ms_a_second": statistics.median(own) / length_s * 1e3,
        "memory_mib": tape.size_bytes / 2**20,
    }


def kept(file: Path, *, masks: list[dict], rounds: int) -> dict[str, float]:
    """CPU and wall milliseconds of one evidence, and its size."""
    witness = Witness(SETTINGS)
    config = CameraConfig.model_validate({"url": str(file), "masks": masks})
    tape = witness.begin(0, masks=config.masks)
    _, length_s = read(file, tape, masks=masks)
    at_s = max(SETTINGS.before_s, length_s - SETTINGS.after_s - 1.0)
    excerpt = tape.excerpt(at_s - SETTINGS.before_s, at_s + SETTINGS.after_s)
    assert excerpt is not None
    grid = excerpt.format.geometry
    heat = np.linspace(0.0, 8.0, grid.cells[0] * grid.cells[1], dtype=np.float32).reshape(grid.cells)
    moments = [
        Moment(t, t, 8.0, 4.0, (Reason.SPEED,), (Region(0.2, 0.2, 0.6, 0.6, 8.0),), heat, ())
        for t in np.arange(at_s - 5.0, at_s + 5.0, 1 / 8)
    ]
    request = Request("cam", "incident", 0, at_s, at_s, moments[40], tuple(moments), grid, excerpt, witness)
    cpu_ms, wall_ms, size = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        store = EvidenceStore(Path(folder), keep_days=1.0, keep_mib=1024, clock=SystemClock())
        store.open()
        for number in range(rounds):
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            store.put("cam", f"incident-{number}", files_of(request, InEngine()))
            cpu_ms.append((time.process_time() - cpu_s) * 1e3)
            wall_ms.append((time.perf_counter() - wall_s) * 1e3)
        size = store.used_bytes // rounds
    return {
        "seconds": float(excerpt.times_s[-1] - excerpt.times_s[0]),
        "cpu_ms": statistics.median(cpu_ms),
        "wall_ms": statistics.median(wall_ms),
        "kib": size / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warm_luma()
    figures = {}
    for file in options.files:
        told = {
            "steady": steady(file, options.rounds),
            "as_it_is": kept(file, masks=[], rounds=options.rounds),
            "masked": kept(file, masks=[MASK], rounds=max(2, options.rounds // 3)),
        }
        figures[file.name] = told
        print(file.name)
        for what, values in told.items():
            print(f"  {what}: " + ", ".join(f"{name} {value:.3g}" for name, value in values.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
