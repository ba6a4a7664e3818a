"""What a scrape costs: an engine's metrics for many cameras, in bytes and milliseconds.

    python -m benchmarks.metrics [--cameras 1000] [--scrapes 30] [--json FILE]

The cameras are real ones of a real engine in all that is read for a scrape (accounts, states, scores); no video flows.
Before each scrape all that changes within 15 seconds of a day does: frames, scores, thresholds, rates, seconds judged.
"Scrape" is from the request to the last byte over HTTP on loopback, "page" the CPU time to read and write alone.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from prometheus_client import CollectorRegistry

from vad.config import make_config
from vad.config.overlay import Overlay, write_overlay
from vad.errors import StreamCode
from vad.pipeline.engine import Engine
from vad.pipeline.exposition import encode
from vad.service.http import HttpServer
from vad.types import CameraState, DropReason, Frame, FrameScore, Geometry, Stage, WallSource

GRID = Geometry(source_width=8, source_height=8, pool=1, width=8, height=8)
FRAME = Frame("any", 0, 0, 0.0, 1.7e9, WallSource.ARRIVAL, 0.0, GRID, np.zeros((8, 8), np.uint8))
SCORE = FrameScore(FRAME, score=1.2345678901234, threshold=5.51234567890, p_value=0.06, stage=Stage.CALIBRATED)
TARGET_BYTES, TARGET_MS = 2_000_000, 50.0


def engine_of(cameras: int, storage: str) -> Engine:
    """An engine whose cameras look as they do after a day, and whose streams rest: all are paused."""
    names = [f"building-{number // 100:02d}-cam{number:04d}" for number in range(cameras)]
    site = make_config(
        {
            "cameras": {name: {"url": "none.mp4"} for name in names},
            "storage": {"dir": storage},
            "bus": {"bind": "tcp://127.0.0.1:*"},
        },
        source="benchmark",
    )
    write_overlay(site.storage.cameras_file, Overlay(paused=names))
    engine = Engine(site, registry=CollectorRegistry())
    engine.start()
    for name, member in engine._running_cameras.members.items():
        status, watch = member.stream.status, member.watch
        status.state, status.fps = CameraState.UP, 25.000123
        status.reconnects = dict.fromkeys((StreamCode.TIMEOUT, StreamCode.REFUSED), 17)
        status.errors = dict(status.reconnects)
        watch.last_score, watch.opened, watch.closed, watch.judged_s = SCORE, 3, 2, 86_400.125
        books = engine._ledger._books[name]
        books.received, books.scored = 2_160_000, 691_200
        books.dropped = {**dict.fromkeys(DropReason, 123_456), DropReason.OVERLOAD_RATE: 0}
    return engine


def go_on(engine: Engine, chance: random.Random) -> None:
    """As after 15 seconds more."""
    for name, member in engine._running_cameras.members.items():
        books, watch = engine._ledger._books[name], member.watch
        books.received, books.scored, books.in_flight = books.received + 375, books.scored + 120, chance.randrange(9)
        books.dropped[DropReason.ANALYSIS_RATE] += 255
        member.stream.status.fps = chance.gauss(25.0, 0.01)
        watch.last_score = replace(SCORE, score=chance.expovariate(1.0), threshold=chance.gauss(5.5, 0.01))
        watch.judged_s += 15.0


def measure(cameras: int, scrapes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as storage:
        engine = engine_of(cameras, storage)
        page_ms, scrape_ms, size = [], [], 0
        chance = random.Random(0)
        with HttpServer("127.0.0.1:0", registry=engine.registry, readiness=engine.readiness) as server:
            for _ in range(scrapes):
                go_on(engine, chance)
                began_s = time.thread_time()
                encode(engine.registry, "")
                page_ms.append(1e3 * (time.thread_time() - began_s))
                go_on(engine, chance)
                began_s = time.perf_counter()
                with urlopen(f"{server.address}/metrics") as response:
                    size = len(response.read())
                scrape_ms.append(1e3 * (time.perf_counter() - began_s))
        engine.stop()
    return {
        "cameras": cameras,
        "bytes": size,
        "page_cpu_ms_best": min(page_ms),
        "page_cpu_ms_median": statistics.median(page_ms),
        "scrape_ms_median": statistics.median(scrape_ms),
        "scrape_ms_best": min(scrape_ms),
        "scrape_ms_worst": max(scrape_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--scrapes", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(options.cameras, options.scrapes)
    for name, value in figures.items():
        print(f"{name:20} {value:,.1f}")
    size, spent_ms = figures["bytes"], figures["scrape_ms_median"]
    print(f"{size / 1e6:.2f} MB a scrape (target: under {TARGET_BYTES / 1e6:.0f}), ", end="")
    print(f"{spent_ms:.0f} ms (target: under {TARGET_MS:.0f})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
