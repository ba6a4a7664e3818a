"""One file as fast as possible through the whole engine, against a bare PyAV decode loop of the same file.

Both are pinned to the same single core, in turn, several times; the ratio of the medians is what counts.

    python -m benchmarks.file_throughput [--file VIDEO] [--rounds 3] [--analysis-fps 8] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

TARGET = 0.60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="default: the synthetic scene, 640x360, 25 fps, H.264")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the synthetic file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--analysis-fps", type=float, default=8.0)
    parser.add_argument("--cores", type=int, default=1, help="cores that either may use")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or synthetic_file(Path(folder), seconds=options.seconds)
        cores = sorted(os.sched_getaffinity(0))[: options.cores]
        os.sched_setaffinity(0, cores)
        engine_fps(file, folder=Path(folder), analysis_fps=options.analysis_fps)  # warm: caches, page cache
        rounds = [
            (decode_fps(file), engine_fps(file, folder=Path(folder), analysis_fps=options.analysis_fps))
            for _ in range(options.rounds)
        ]
    decode = statistics.median(r[0] for r in rounds)
    engine = statistics.median(r[1] for r in rounds)
    ratio = engine / decode
    print(f"decode only   {decode:8.0f} frames/s")
    print(f"whole engine  {engine:8.0f} frames/s   (analysed at {options.analysis_fps:g} fps, {len(cores)} core)")
    print(f"ratio         {ratio:8.2f}            (target {TARGET})")
    if options.json:
        result = {"decode_fps": decode, "engine_fps": engine, "ratio": ratio, "rounds": rounds, "cores": len(cores)}
        options.json.write_text(json.dumps(result, indent=2))


def synthetic_file(folder: Path, *, seconds: float) -> Path:
    from vad.video.synthetic import Scene, encode

    path = folder / "scene.mp4"
    encode(Scene(seed=1, fps=25.0), path, seconds=seconds)
    return path


def decode_fps(file: Path) -> float:
    """Every frame decoded by one thread, nothing else done with it."""
    import av

    started_s = time.perf_counter()
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        frames = sum(1 for _ in container.decode(stream))
    return frames / (time.perf_counter() - started_s)


def engine_fps(file: Path, *, folder: Path, analysis_fps: float) -> float:
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
    started_s = time.perf_counter()
    engine.wait()
    engine.stop()
    took_s = time.perf_counter() - started_s
    frames = engine.status().frames
    assert frames.is_balanced, frames
    assert (frames.in_flight, frames.lost) == (0, 0), frames
    return frames.received / took_s


if __name__ == "__main__":
    main()
