"""The engine of ``benchmarks.cameras``, in a process of its own: prints a JSON line every few seconds."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time

import psutil

from vad.config import make_config
from vad.pipeline.engine import Engine

SAMPLE_S = 5.0
MIB = 2**20


def main() -> None:
    analysis_fps, seconds, urls = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as storage:
        site = {
            "cameras": {f"cam{n:02d}": {"url": url, "analysis_fps": analysis_fps} for n, url in enumerate(urls, 1)},
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "storage": {"dir": storage},
        }
        process = psutil.Process()
        with Engine(make_config(site, source="benchmark")) as engine:
            started_s, started_cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
            while time.monotonic() - started_s < seconds:
                engine.wait(timeout_s=SAMPLE_S)
                frames = engine.status().frames
                p50_s, p95_s = engine.latency_quantiles_s((0.5, 0.95))
                sample = {
                    "at_s": time.monotonic() - started_s,
                    "rss_mib": process.memory_info().rss / MIB,
                    "cpu_s": sum(process.cpu_times()[:2]) - started_cpu_s,
                    "received": frames.received,
                    "scored": frames.scored,
                    "lost": frames.lost,
                    "p50_s": p50_s,
                    "p95_s": p95_s,
                }
                print(json.dumps(sample), flush=True)
        assert engine.status().frames.is_balanced
        assert engine.status().frames.in_flight == 0


if __name__ == "__main__":
    main()
