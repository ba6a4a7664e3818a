"""Many RTSP cameras from a real server on this machine through the whole engine: drops, latency, memory over time.

    python -m benchmarks.cameras [--cameras 16] [--minutes 10] [--analysis-fps 8] [--json OUT]
    python -m benchmarks.cameras --find [--codec h264|hevc] [--size 640x360] [--seconds 8] [--most 128]
                                 [--json OUT] [--png OUT]

The first watches a given number for long; ``--find`` searches for the largest number that is held and compares it with
what decoding alone holds (``cameras_search``). Cameras are H.264 (or HEVC) at 25 fps, played by GStreamer's RTSP server
(Debian packages; see tests/rtsp/control.py), so the server's own work is on the same cores. The engine runs in a
process of its own; memory is its resident set.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import cameras_search
from benchmarks.cameras_search import Held
from tests.rtsp.control import RtspServer, why_unavailable

FLAT = 1.05
MOST_MIB_A_CAMERA = 40.0
MOST_P95_S = 1.0
SCENES = 4
MOUNTS = [f"scene{seed}" for seed in range(SCENES)]
ENCODERS = {"h264": "libx264", "hevc": "libx265"}


@dataclass(frozen=True, slots=True)
class Sample:
    """The engine's process at one moment. ``frames`` counts received, scored and lost."""

    at_s: float
    rss_mib: float
    cpu_s: float
    received: int
    scored: int
    lost: int
    p50_s: float
    p95_s: float
    stages_s: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--analysis-fps", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--find", action="store_true", help="search for the largest number of cameras that is held")
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT of the cameras")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement of --find")
    parser.add_argument("--most", type=int, default=128, help="cameras that --find tries at most")
    parser.add_argument("--png", type=Path, help="cost a camera over their number, of --find")
    options = parser.parse_args()
    if why_unavailable():
        sys.exit(why_unavailable())
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        mounts = footage(Path(folder), codec=options.codec, width=width, height=height)
        with RtspServer(mounts) as server:
            find(server, options) if options.find else watch(server, options)


def find(server: RtspServer, options: argparse.Namespace) -> None:
    """The largest number that is held, by the engine and by decoding alone."""

    def measured(what: str) -> Callable[[int], Held]:
        def once(cameras: int) -> Held:
            held = cameras_search.measure(
                server, mounts=list(MOUNTS), cameras=cameras, seconds=options.seconds, what=what
            )
            print(f"{what:<12}{held.line()}", flush=True)
            return held

        return once

    print(f"{options.size} {options.codec} at 25 fps, analysed at {options.analysis_fps:g}, {os.cpu_count()} cores")
    engine = cameras_search.search(measured(str(options.analysis_fps)), first=1, most=options.most)
    first = max(1, cameras_search.most_held(engine))
    decode = cameras_search.search(measured("decode-only"), first=first, most=4 * options.most)
    report = cameras_search.report(engine, decode)
    for name, value in report.items():
        print(f"{name:<42} {value}")
    if options.png:
        cameras_search.draw(engine, decode, options.png)
    if options.json:
        runs = {"engine": [asdict(one) for one in engine], "decode_only": [asdict(one) for one in decode]}
        costs = {f"cpu_ms_a_camera_at_{one.cameras}": one.intervals_ms for one in engine}
        options.json.write_text(json.dumps({"report": report, **runs, "repetitions": costs}, indent=2))


def watch(server: RtspServer, options: argparse.Namespace) -> None:
    """A given number of cameras for long; the exit code says whether all figures are met."""
    one = measure(server, cameras=1, seconds=60.0, analysis_fps=options.analysis_fps)
    many = measure(server, cameras=options.cameras, seconds=60.0 * options.minutes, analysis_fps=options.analysis_fps)
    report = judge(one, many, cameras=options.cameras)
    for name, value in report.items():
        print(f"{name:<34} {value}")
    if options.json:
        options.json.write_text(json.dumps({"report": report, "samples": [asdict(s) for s in many]}, indent=2))
    sys.exit(0 if report["passed"] else 1)


def footage(folder: Path, *, codec: str = "h264", width: int = 640, height: int = 360) -> dict[str, Path]:
    """A few different scenes, twenty seconds each (ten above 640x360, which take long to draw), that all share."""
    from vad.video.synthetic import Scene, encode

    seconds = 20.0 if width * height <= 640 * 360 else 10.0
    paths = {mount: folder / f"{mount}.mp4" for mount in MOUNTS}
    for seed, path in enumerate(paths.values()):
        scene = Scene(seed=seed, fps=25.0, width=width, height=height)
        encode(scene, path, seconds=seconds, codec=ENCODERS[codec])
    return paths


def measure(server: RtspServer, *, cameras: int, seconds: float, analysis_fps: float) -> list[Sample]:
    """Run an engine in a process of its own and sample it."""
    urls = [server.url(f"scene{number % SCENES}") for number in range(cameras)]
    command = [sys.executable, "-m", "benchmarks.cameras_engine", str(analysis_fps), str(seconds), *urls]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    samples = []
    for line in process.stdout:
        samples.append(Sample(**json.loads(line)))
        last = samples[-1]
        print(
            f"\r{cameras:3d} cameras  {last.at_s:5.0f} s  {last.rss_mib:6.0f} MiB  {last.received} received  "
            f"{last.scored} scored  {last.lost} lost  p95 {last.p95_s * 1e3:.0f} ms ",
            end="",
            file=sys.stderr,
        )
    print(file=sys.stderr)
    if process.wait() != 0 or not samples:
        sys.exit(f"the engine ended with {process.returncode}")
    return samples


def judge(one: list[Sample], many: list[Sample], *, cameras: int) -> dict[str, object]:
    """The figures and whether all of them are met."""
    settled = [sample for sample in many if sample.at_s >= 60.0] or many[-1:]
    growth = max(sample.rss_mib for sample in settled) / settled[0].rss_mib
    a_camera_mib = (many[-1].rss_mib - one[-1].rss_mib) / max(1, cameras - 1)
    last, p95_s = many[-1], max(sample.p95_s for sample in settled)
    passed = last.lost == 0 and p95_s < MOST_P95_S and growth <= FLAT and a_camera_mib <= MOST_MIB_A_CAMERA
    return {
        "cameras": cameras,
        "minutes": round(last.at_s / 60.0, 1),
        "frames received": last.received,
        "frames scored": last.scored,
        "frames lost": last.lost,
        "latency p50, ms": round(last.p50_s * 1e3),
        "highest latency p95, ms (under 1000)": round(p95_s * 1e3),
        "memory, MiB": round(last.rss_mib),
        "memory a camera beyond 1, MiB (40)": round(a_camera_mib, 1),
        "memory growth after a minute (1.05)": round(growth, 3),
        "engine cores used": round(last.cpu_s / last.at_s, 2),
        "passed": passed,
    }


if __name__ == "__main__":
    main()
