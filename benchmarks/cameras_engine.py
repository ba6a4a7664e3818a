"""The engine of ``benchmarks.cameras``, in a process of its own: prints a JSON line every few seconds.

python -m benchmarks.cameras_engine ANALYSIS_FPS SECONDS URL...              the whole engine
python -m benchmarks.cameras_engine decode-only SECONDS URL...               a thread a camera that decodes, no more

CPU time and memory are those of the engine's process and of its processes of readers together; of memory that several
of them map each bears its share.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

import vad.pipeline.readers.processes as readers
from benchmarks.cameras_search import settle_s
from benchmarks.cameras_stages import Stages, told_by_readers, watched_readers
from vad.config import make_config
from vad.pipeline.engine import Engine

SAMPLE_S = 2.0
MIB = 2**20


def watched_stages() -> Stages:
    """The engine's stages, timed where they are called."""
    from vad.model import cell_runner, features

    stages = watched_readers()
    stages.watch(features, "look", "motion")
    stages.watch(cell_runner.CellNetwork, "__call__", "network")
    return stages


def family_of(process: psutil.Process) -> tuple[float, float]:
    """CPU seconds and MiB of a process and its children."""
    all_of_it = [process, *process.children()]
    cpu_s = sum(sum(one.cpu_times()[:2]) for one in all_of_it)
    return cpu_s, sum(one.memory_full_info().pss for one in all_of_it) / MIB


def run_engine(analysis_fps: float, seconds: float, urls: list[str]) -> None:
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as storage:
        site = {
            "cameras": {f"cam{n:02d}": {"url": url, "analysis_fps": analysis_fps} for n, url in enumerate(urls, 1)},
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "storage": {"dir": storage},
        }
        process = psutil.Process()
        folder = Path(storage) / "stages"
        folder.mkdir()
        body = f"from benchmarks.cameras_stages import be_a_reader_process as be; be({str(folder)!r})"
        readers.COMMAND = (sys.executable, "-c", body)
        with Engine(make_config(site, source="benchmark")) as engine:
            stages = watched_stages()
            started_s, (started_cpu_s, _) = time.monotonic(), family_of(process)
            stages.seconds(0.0)
            scored_before = 0
            while time.monotonic() - started_s < seconds:
                engine.wait(timeout_s=min(SAMPLE_S, max(0.1, started_s + seconds - time.monotonic())))
                frames = engine.status().frames
                at_s = time.monotonic() - started_s
                p50_s, p95_s = engine.latency_quantiles_s((0.5, 0.95), frames=max(1, frames.scored - scored_before))
                if at_s < settle_s(len(urls)):  # what waited while all connected at once says nothing of what is held
                    scored_before = frames.scored
                now_s, pss_mib = family_of(process)
                cpu_s = now_s - started_cpu_s
                stages_s = stages.seconds(cpu_s)
                for stage, spent_s in told_by_readers(folder).items():
                    stages_s[stage] += spent_s
                    stages_s["rest"] -= spent_s
                sample = {
                    "at_s": at_s,
                    "rss_mib": pss_mib,
                    "cpu_s": cpu_s,
                    "received": frames.received,
                    "scored": frames.scored,
                    "lost": frames.lost,
                    "p50_s": p50_s,
                    "p95_s": p95_s,
                    "stages_s": stages_s,
                }
                print(json.dumps(sample), flush=True)
        assert engine.status().frames.is_balanced
        assert engine.status().frames.in_flight == 0


def run_decoders(seconds: float, urls: list[str]) -> None:
    """Every frame decoded by its camera's thread, nothing else done with it."""
    import av

    received = [0] * len(urls)

    def decode(number: int, url: str) -> None:
        with av.open(url, options={"rtsp_transport": "tcp"}) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
            for _ in container.decode(stream):
                received[number] += 1

    process = psutil.Process()
    started_s = time.monotonic()
    for number, url in enumerate(urls):
        threading.Thread(target=decode, args=(number, url), daemon=True).start()
    while (at_s := time.monotonic() - started_s) < seconds:
        time.sleep(min(SAMPLE_S, max(0.1, seconds - at_s)))
        sample = {"cpu_s": sum(process.cpu_times()[:2]), "rss_mib": process.memory_info().rss / MIB}
        sample |= {"at_s": time.monotonic() - started_s, "received": sum(received), "scored": 0, "lost": 0}
        print(json.dumps({**sample, "p50_s": 0.0, "p95_s": 0.0}), flush=True)


def main() -> None:
    if sys.argv[1] == "decode-only":
        run_decoders(float(sys.argv[2]), sys.argv[3:])
    else:
        run_engine(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])


if __name__ == "__main__":
    main()
