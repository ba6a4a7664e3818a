"""What a scrape costs: an engine's metrics for many cameras, in bytes and milliseconds.

    python -m benchmarks.metrics [--cameras 1000] [--scrapes 30] [--json FILE]

The cameras are real ones of a real engine in all that is read for a scrape (accounts, states, scores); no video flows.
"Scrape" is from the request to the last byte over HTTP on loopback, "page" the CPU time to read and write alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

from prometheus_client import CollectorRegistry

from vad.config import make_config
from vad.errors import StreamCode
from vad.pipeline.engine import Engine
from vad.pipeline.exposition import encode
from vad.pipeline.metrics import EngineCollector
from vad.service.http import HttpServer
from vad.types import CameraState, DropReason, FrameScore, Stage

SCORE = FrameScore(None, score=1.2345678901234, threshold=5.51234567890, p_value=0.06, stage=Stage.CALIBRATED)  # type: ignore[arg-type]
TARGET_BYTES, TARGET_MS = 2_000_000, 50.0


def engine_of(cameras: int, storage: str) -> Engine:
    """An engine whose cameras look as they do after a day, and whose threads never started."""
    names = [f"building-{number // 100:02d}-cam{number:04d}" for number in range(cameras)]
    site = {"cameras": {name: {"url": "none.mp4"} for name in names}, "storage": {"dir": storage}}
    engine = Engine(make_config(site, source="benchmark"), registry=CollectorRegistry())
    for name in names:
        engine._streams[name] = stream = engine._stream(name, model_width=160)
        stream.status.state, stream.status.fps = CameraState.UP, 25.000123
        stream.status.reconnects = dict.fromkeys((StreamCode.TIMEOUT, StreamCode.REFUSED), 17)
        stream.status.errors = dict(stream.status.reconnects)
        engine._ledger._received[name], engine._ledger._scored[name] = 2_160_000, 691_200
        engine._ledger._dropped[name] = dict.fromkeys(DropReason, 123_456)
    engine._scoring = SimpleNamespace(  # type: ignore[assignment]  # all that a status reads of it
        last_scores=dict.fromkeys(names, SCORE),
        opened=dict.fromkeys(names, 3),
        closed=dict.fromkeys(names, 2),
        judged_s=dict.fromkeys(names, 86_400.125),
        latencies_s=[],
    )
    engine.registry.register(EngineCollector(engine.status))
    return engine


def measure(cameras: int, scrapes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as storage:
        engine = engine_of(cameras, storage)
        page_ms, scrape_ms, size = [], [], 0
        with HttpServer("127.0.0.1:0", registry=engine.registry, readiness=engine.readiness) as server:
            for _ in range(scrapes):
                began_s = time.process_time()
                encode(engine.registry, "")
                page_ms.append(1e3 * (time.process_time() - began_s))
                began_s = time.perf_counter()
                with urlopen(f"{server.address}/metrics") as response:
                    size = len(response.read())
                scrape_ms.append(1e3 * (time.perf_counter() - began_s))
    return {
        "cameras": cameras,
        "bytes": size,
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
