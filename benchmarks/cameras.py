"""Many RTSP cameras from a real server on this machine through the whole engine: drops, latency, memory over time.

    python -m benchmarks.cameras [--cameras 16] [--minutes 10] [--analysis-fps 8] [--json OUT]

Cameras are 640x360 H.264 at 25 fps, played by GStreamer's RTSP server (Debian packages; see tests/rtsp/control.py), so
the server's own work is on the same cores. The engine runs in a process of its own; memory is its resident set.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.rtsp.control import RtspServer, why_unavailable

FLAT = 1.05
MOST_MIB_A_CAMERA = 40.0
MOST_P95_S = 1.0
SCENES = 4


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--analysis-fps", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if why_unavailable():
        sys.exit(why_unavailable())
    with tempfile.TemporaryDirectory() as folder, RtspServer(footage(Path(folder))) as server:
        one = measure(server, cameras=1, seconds=60.0, analysis_fps=options.analysis_fps)
        many = measure(
            server, cameras=options.cameras, seconds=60.0 * options.minutes, analysis_fps=options.analysis_fps
        )
    report = judge(one, many, cameras=options.cameras)
    for name, value in report.items():
        print(f"{name:<34} {value}")
    if options.json:
        options.json.write_text(json.dumps({"report": report, "samples": [asdict(s) for s in many]}, indent=2))
    sys.exit(0 if report["passed"] else 1)


def footage(folder: Path) -> dict[str, Path]:
    """A few different scenes, a minute each, that all cameras share."""
    from vad.video.synthetic import Scene, encode

    mounts = {}
    for seed in range(SCENES):
        mounts[f"scene{seed}"] = folder / f"scene{seed}.mp4"
        encode(Scene(seed=seed, fps=25.0), mounts[f"scene{seed}"], seconds=20.0)
    return mounts


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
    last = many[-1]
    passed = last.lost == 0 and last.p95_s < MOST_P95_S and growth <= FLAT and a_camera_mib <= MOST_MIB_A_CAMERA
    return {
        "cameras": cameras,
        "minutes": round(last.at_s / 60.0, 1),
        "frames received": last.received,
        "frames scored": last.scored,
        "frames lost": last.lost,
        "latency p50, ms": round(last.p50_s * 1e3),
        "latency p95, ms (under 1000)": round(last.p95_s * 1e3),
        "memory, MiB": round(last.rss_mib),
        "memory a camera beyond 1, MiB (40)": round(a_camera_mib, 1),
        "memory growth after a minute (1.05)": round(growth, 3),
        "engine cores used": round(last.cpu_s / last.at_s, 2),
        "passed": passed,
    }


if __name__ == "__main__":
    main()
