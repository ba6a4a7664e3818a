"""``benchmarks.cameras --find``: the largest number of cameras that the engine holds, and that decoding alone holds.

A number is held when, after a few seconds to connect, every frame that is sent arrives (97 % of the rate, as a
measurement of seconds allows), none is lost, and the 95th percentile of the latency is under a second, in one of two
attempts. First the number doubles, then it is searched between the last that was held and the first that was not.

The RTSP server works on the same cores: its CPU time is printed apart, and what it takes nobody else has.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from tests.rtsp.control import RtspServer

FPS = 25.0
SETTLE_S, SETTLE_EACH_S = 5.0, 0.05
"""Connecting, and the burst of what was held back meanwhile, which takes longer with many cameras. What is lost then
counts all the same."""

ARRIVES = 0.97
MOST_P95_S = 1.0
STAGES = ("decode", "pool", "motion", "network", "score", "rest")


@dataclass(frozen=True, slots=True)
class Held:
    """One measurement with ``cameras``. CPU is in milliseconds a second of a camera."""

    cameras: int
    is_held: bool
    arrived: float  # share of the frames sent
    lost: int
    p95_s: float
    rss_mib: float
    cpu_ms: float
    server_cpu_ms: float
    stages_ms: dict[str, float] = field(default_factory=dict)
    intervals_ms: list[float] = field(default_factory=list)  # ``cpu_ms``, between one sample and the next

    def line(self) -> str:
        stages = "  ".join(f"{name} {value:.1f}" for name, value in self.stages_ms.items())
        verdict = "held" if self.is_held else "NOT held"
        return (
            f"{self.cameras:4d} cameras {verdict:9} arrived {self.arrived:6.1%}  lost {self.lost}  p95 "
            f"{self.p95_s * 1e3:4.0f} ms  {self.rss_mib:5.0f} MiB  {self.cpu_ms:5.1f} ms/s a camera "
            f"(server {self.server_cpu_ms:.1f})  {stages}"
        )


def settle_s(cameras: int) -> float:
    return SETTLE_S + SETTLE_EACH_S * cameras


def measure(server: RtspServer, *, mounts: Sequence[str], cameras: int, seconds: float, what: str) -> Held:
    """``what`` is the analysis rate, or ``decode-only``."""
    command = [sys.executable, "-m", "benchmarks.cameras_engine", what]
    return measure_command(command, server, mounts=mounts, cameras=cameras, seconds=seconds, fps=FPS)


def measure_command(
    command: Sequence[str], server: RtspServer, *, mounts: Sequence[str], cameras: int, seconds: float, fps: float
) -> Held:
    """Of a program that is given its seconds and URLs, prints samples as ``benchmarks.cameras_engine`` does, and
    counts as received ``fps`` frames a second of each camera if none is missing."""
    urls = [server.url(mounts[number % len(mounts)]) for number in range(cameras)]
    settled_s = settle_s(cameras)
    process = subprocess.Popen([*command, str(settled_s + seconds), *urls], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    watched = psutil.Process(server.pid)
    samples, server_s = [], []
    for line in process.stdout:
        samples.append(json.loads(line))
        server_s.append(sum(watched.cpu_times()[:2]))
    if process.wait() != 0 or len(samples) < 2:
        sys.exit(f"{' '.join(command)} with {cameras} cameras ended with {process.returncode}")
    first = next((k for k, sample in enumerate(samples[:-1]) if sample["at_s"] >= settled_s - 0.5), 0)
    begin, end = samples[first], samples[-1]
    camera_s = (end["at_s"] - begin["at_s"]) * cameras
    arrived = (end["received"] - begin["received"]) / (camera_s * fps)
    stages = {
        name: (end["stages_s"][name] - begin["stages_s"][name]) / camera_s * 1e3 for name in STAGES if "stages_s" in end
    }
    return Held(
        cameras=cameras,
        is_held=arrived >= ARRIVES and end["lost"] == 0 and end["p95_s"] < MOST_P95_S,
        arrived=arrived,
        lost=end["lost"],
        p95_s=end["p95_s"],
        rss_mib=end["rss_mib"],
        cpu_ms=(end["cpu_s"] - begin["cpu_s"]) / camera_s * 1e3,
        server_cpu_ms=(server_s[-1] - server_s[first]) / camera_s * 1e3,
        stages_ms=stages,
        intervals_ms=[
            (b["cpu_s"] - a["cpu_s"]) / ((b["at_s"] - a["at_s"]) * cameras) * 1e3
            for a, b in pairwise(samples[first:])
            if b["at_s"] - a["at_s"] > 1.0
        ],
    )


def search(measured: Callable[[int], Held], *, first: int, most: int, within: float = 0.1) -> list[Held]:
    """Doubles from ``first``, then halves the gap until it is ``within`` of the number held; all measurements.

    What is not held is tried once more: machines are noisy.
    """
    made: list[Held] = []

    def is_held(cameras: int) -> bool:
        for _ in range(2):
            made.append(measured(cameras))
            if made[-1].is_held:
                return True
        return False

    low, high = 0, first
    while is_held(high):
        low, high = high, min(most, 2 * high)
        if low == most:
            return made
    while high - low > max(1, within * low):
        middle = (low + high) // 2
        low, high = (middle, high) if is_held(middle) else (low, middle)
    return made


def most_held(made: Sequence[Held]) -> int:
    return max((one.cameras for one in made if one.is_held), default=0)


def report(engine: Sequence[Held], decode: Sequence[Held]) -> dict[str, object]:
    """The figures that are asked for."""
    held = sorted((one for one in engine if one.is_held), key=lambda one: one.cameras) or list(engine[:1])
    one, many = held[0], held[-1]
    return {
        "cameras held": most_held(engine),
        "cameras that decoding alone holds": most_held(decode),
        "share of decoding alone (0.7)": round(most_held(engine) / max(1, most_held(decode)), 2),
        "cost a camera at most over at one (1.2)": round(many.cpu_ms / one.cpu_ms, 2),
        "memory an added camera, MiB (25)": round((many.rss_mib - one.rss_mib) / max(1, many.cameras - 1), 1),
        "server's share of all CPU time": round(many.server_cpu_ms / (many.server_cpu_ms + many.cpu_ms), 2),
    }


def draw(engine: Sequence[Held], decode: Sequence[Held], path: Path) -> None:
    """Cost a camera by stage over the number of cameras."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    last = {one.cameras: one for one in engine}  # of two attempts the second
    rows = [last[cameras] for cameras in sorted(last)]
    names, bottom = [str(one.cameras) + ("" if one.is_held else "\nnot held") for one in rows], [0.0] * len(rows)
    for stage in STAGES:
        values = [one.stages_ms[stage] for one in rows]
        axes.bar(names, values, bottom=bottom, label=stage)
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    if decode:
        axes.axhline(decode[0].cpu_ms, color="black", linestyle=":", label=f"decoding alone, {decode[0].cameras}")
    axes.set(xlabel="cameras", ylabel="CPU ms a second of one camera")
    axes.legend()
    figure.savefig(path, dpi=120)
