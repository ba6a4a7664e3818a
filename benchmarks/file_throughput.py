"""One file as fast as possible through the whole engine, against a bare PyAV decode loop of the same file.

Both are pinned to the same core or cores, in turn, several times. Rates are frames per second of CPU time, which other
work on the machine disturbs less than the wall clock; the median of the rounds' ratios is what counts. With more than
one core the wall clock says what the stages gain by running side by side.

    python -m benchmarks.file_throughput [--file VIDEO | --size 1920x1080 --seconds 30] [--rounds 5] [--analysis-fps 8]
                                         [--cores 1] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

TARGET = 0.75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="default: the synthetic scene, 640x360, 25 fps, H.264")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the synthetic file")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT of the synthetic file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--analysis-fps", type=float, default=8.0)
    parser.add_argument("--cores", type=int, default=1, help="cores that either may use")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or synthetic_file(Path(folder), seconds=options.seconds, size=options.size)
        cores = sorted(os.sched_getaffinity(0))[: options.cores]
        os.sched_setaffinity(0, cores)
        engine_fps(file, folder=Path(folder), analysis_fps=options.analysis_fps)  # warm: caches, page cache
        rounds = [
            (decode_fps(file), engine_fps(file, folder=Path(folder), analysis_fps=options.analysis_fps))
            for _ in range(options.rounds)
        ]
    repetitions = {
        "decode_fps": [decode.cpu for decode, _ in rounds],
        "engine_fps": [engine.cpu for _, engine in rounds],
        "ratio": [engine.cpu / decode.cpu for decode, engine in rounds],
        "ratio_wall": [engine.wall / decode.wall for decode, engine in rounds],
    }
    median = {name: statistics.median(values) for name, values in repetitions.items()}
    print(f"decode only   {median['decode_fps']:8.0f} frames/s of CPU time")
    print(f"whole engine  {median['engine_fps']:8.0f} frames/s, analysed at {options.analysis_fps:g} fps")
    print(f"ratio         {median['ratio']:8.2f} (target {TARGET})")
    print(f"ratio         {median['ratio_wall']:8.2f} by the wall clock, on {len(cores)} of the machine's cores")
    if options.json:
        options.json.write_text(json.dumps({**median, "cores": len(cores), "repetitions": repetitions}, indent=2))


class Rate(NamedTuple):
    """Frames per second of CPU time of this process, and of the wall clock."""

    cpu: float
    wall: float


def synthetic_file(folder: Path, *, seconds: float, size: str) -> Path:
    from vad.video.synthetic import Scene, encode

    path = folder / "scene.mp4"
    width, height = (int(side) for side in size.split("x"))
    encode(Scene(seed=1, fps=25.0, width=width, height=height), path, seconds=seconds)
    return path


def decode_fps(file: Path) -> Rate:
    """Every frame decoded by one thread, nothing else done with it."""
    import av

    began = _clocks_s()
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        frames = sum(1 for _ in container.decode(stream))
    return _rate(frames, began)


def engine_fps(file: Path, *, folder: Path, analysis_fps: float) -> Rate:
    """Decoded frames per second from the first camera event to the end of the drain; start-up is not counted."""
    from vad.config import make_config
    from vad.pipeline.engine import Engine

    storage = Path(tempfile.mkdtemp(dir=folder))
    camera = {"url": str(file), "realtime": False, "analysis_fps": analysis_fps}
    site = {
        "cameras": {"file": camera},
        "model": {"clip_length": 16},
        "bus": {"bind": "tcp://127.0.0.1:*"},
        "storage": {"dir": str(storage)},
    }
    engine = Engine(make_config(site, source="benchmark"))
    engine.start()
    began = _clocks_s()
    engine.wait()
    engine.stop()
    rate = _rate(1, began)
    frames = engine.status().frames
    assert frames.is_balanced, frames
    assert (frames.in_flight, frames.lost) == (0, 0), frames
    return Rate(frames.received * rate.cpu, frames.received * rate.wall)


def _clocks_s() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _rate(frames: int, began: tuple[float, float]) -> Rate:
    cpu_s, wall_s = (now - then for now, then in zip(_clocks_s(), began, strict=True))
    return Rate(frames / cpu_s, frames / wall_s)


if __name__ == "__main__":
    main()
