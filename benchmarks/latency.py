"""From a frame's arrival to a subscriber that has decoded its score, by stage.

    python -m benchmarks.latency [--cameras 4] [--seconds 20] [--analysis-fps 8] [--json OUT] [--png OUT]

Cameras are the synthetic scene, played at its pace (640x360, 25 fps). The subscriber is a process of its own; both read
the same monotonic clock. Stages: ``gather`` until the clip is whole, ``wait`` for the network, ``model``, ``score``
until the publisher has it, ``bus`` until the subscriber has decoded it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from itertools import pairwise
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np

Key = tuple[str, int, int]  # camera, run, index
STAGES = ("gather", "wait", "model", "score", "bus", "all")
SETTLE_S = 3.0


class Stamps:
    """When each frame passed each point, monotonic seconds."""

    def __init__(self) -> None:
        self.at: dict[str, dict[Key, float]] = {name: {} for name in ("arrived", "whole", "begun", "said", "published")}

    def note(self, point: str, frames: Any) -> None:
        now_s = time.monotonic()
        for frame in frames:
            self.at[point][frame.camera, frame.run, frame.index] = now_s

    def watch(self, engine: Any) -> None:
        """Note frames where they are handed over; call before ``engine.start``."""
        from vad.events import bus
        from vad.model.cell_runner import CellRunner

        put, publish, run = engine._clips.put, bus.Publisher.publish_score, CellRunner.__call__

        def noted_put(clip: Any, **options: Any) -> Any:
            self.note("whole", clip.frames)
            for frame in clip.frames:
                self.at["arrived"][frame.camera, frame.run, frame.index] = frame.arrived_s
            return put(clip, **options)

        def noted_run(runner: Any, clips: Any) -> Any:
            frames = [frame for clip in clips for frame in clip.frames]
            self.note("begun", frames)
            maps = run(runner, clips)
            self.note("said", frames)
            return maps

        def noted_publish(publisher: Any, score: Any) -> None:
            self.note("published", [score.frame])
            publish(publisher, score)

        engine._clips.put, bus.Publisher.publish_score = noted_put, noted_publish
        CellRunner.__call__ = noted_run  # type: ignore[method-assign]

    def stages_s(self, received: dict[Key, float]) -> dict[str, list[float]]:
        """Of every frame that came through, after SETTLE_S."""
        began_s = min(self.at["arrived"].values()) + SETTLE_S
        whole: dict[str, list[float]] = {stage: [] for stage in STAGES}
        for key, received_s in received.items():
            passed = [self.at[point].get(key) for point in self.at]
            if any(at_s is None for at_s in passed) or passed[0] < began_s:
                continue
            steps = [*passed, received_s]
            for stage, (earlier, later) in zip(STAGES, pairwise(steps), strict=False):
                whole[stage].append(later - earlier)
            whole["all"].append(received_s - passed[0])
        return whole


def subscribe(address: str, seconds: float, out: Queue[dict[Key, float]]) -> None:
    """When each score was decoded."""
    import zmq

    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.connect(address)
    socket.subscribe(b"vad/1/score/")
    received, until_s = {}, time.monotonic() + seconds
    while time.monotonic() < until_s:
        if socket.poll(100):
            message = json.loads(socket.recv_multipart()[1])
            data = message["data"]
            received[message["subject"], data["run"], data["index"]] = time.monotonic()
    out.put(received)


def measure(*, cameras: int, seconds: float, analysis_fps: float) -> dict[str, list[float]]:
    from vad.config import make_config
    from vad.pipeline.engine import Engine
    from vad.video.synthetic import Scene, encode

    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "scene.mp4"
        encode(Scene(seed=1, fps=25.0), film, seconds=seconds + SETTLE_S + 2.0)
        camera = {"url": str(film), "realtime": True, "analysis_fps": analysis_fps}
        site = {
            "cameras": {f"cam{n}": camera for n in range(cameras)},
            "model": {"device": "cpu"},
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "storage": {"dir": folder},
        }
        engine, stamps = Engine(make_config(site, source="benchmark")), Stamps()
        stamps.watch(engine)
        context = multiprocessing.get_context("spawn")
        out: Any = context.Queue()
        with engine:
            process = context.Process(target=subscribe, args=(engine.bus_address, seconds + SETTLE_S, out))
            process.start()
            received = out.get(timeout=seconds + SETTLE_S + 60.0)
            process.join()
    return stamps.stages_s(received)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--analysis-fps", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    stages = measure(cameras=options.cameras, seconds=options.seconds, analysis_fps=options.analysis_fps)
    shown = {stage: np.quantile(values, [0.5, 0.95, 0.99]) * 1e3 for stage, values in stages.items()}
    print(f"{options.cameras} cameras, {len(stages['all'])} frames, ms   {'p50':>8}{'p95':>8}{'p99':>8}")
    for stage, values in shown.items():
        print(f"{stage:<32}{''.join(f'{value:8.1f}' for value in values)}")
    if options.json:
        quantiles = {stage: dict(zip(("p50", "p95", "p99"), values, strict=True)) for stage, values in shown.items()}
        parts = {f"{stage}_p95_ms": _p95_of_fifths(values) for stage, values in stages.items()}
        options.json.write_text(json.dumps({"ms": quantiles, "repetitions": parts}, indent=2))
    if options.png:
        draw(stages, options.png)


def _p95_of_fifths(values: list[float]) -> list[float]:
    """Five stretches of the run as repetitions, ms."""
    return [float(np.quantile(part, 0.95)) * 1e3 for part in np.array_split(values, 5)]


def draw(stages: dict[str, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.boxplot([np.array(values) * 1e3 for values in stages.values()], whis=(5, 95), showfliers=False)
    axes.set_xticks(range(1, len(stages) + 1), list(stages))
    axes.set_ylabel("ms; whiskers 5 % and 95 %")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
