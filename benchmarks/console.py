"""The console with many cameras in a real browser: how soon something is to be seen, and what an open page costs.

    python -m benchmarks.console [--cameras 64] [--loads 9] [--seconds 30] [--json OUT]

The engine runs in a process of its own and plays synthetic scenes in real time (640x360 at 5 fps), analysed once a
second. Debian's Chromium loads the live page with an empty cache each time; its own clock says when it first painted
something. The cost of an open page is the CPU time of the engine's process with it and without it; the browser's own is
not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests.service.console.browser import DESKTOP, launched, why_unavailable

MOST_PAINT_S = 1.0
SCENES = 4
UP_TIMEOUT_S = 300.0
PAINTED = """() => new Promise((resolve) => {
  const seen = () => performance.getEntriesByName('first-contentful-paint')[0];
  const tell = () => {
    if (!seen()) return setTimeout(tell, 20);
    const { requestStart, responseStart, responseEnd } = performance.getEntriesByType('navigation')[0];
    return resolve({ paint: seen().startTime, answer: responseStart, begun: requestStart, whole: responseEnd });
  };
  tell();
})"""
PICTURED = """() => {
  const isSeen = (card) => card.getBoundingClientRect().top < innerHeight;
  const cards = [...document.querySelectorAll('.card')].filter(isSeen);
  return cards.length > 0 && cards.every((card) => card.querySelector('img').naturalWidth > 0);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--loads", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if reason := why_unavailable():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), cameras=options.cameras) as (engine, address):
        report = measure(engine, address, loads=options.loads, seconds=options.seconds)
    report["cameras"] = options.cameras
    report["passed"] = report["first paint, ms"]["median"] < MOST_PAINT_S * 1e3
    for name, value in report.items():
        print(f"{name:<34} {value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(0 if report["passed"] else 1)


@contextmanager
def running(folder: Path, *, cameras: int) -> Iterator[tuple[psutil.Process, str]]:
    """``vad run`` with so many cameras, all of them up: its process and its address."""
    from vad.video.synthetic import Scene, encode

    for seed in range(SCENES):
        encode(Scene(seed=seed, fps=5.0), folder / f"scene{seed}.mp4", seconds=20.0)
    site = {
        "cameras": {f"camera-{n:02d}": {"url": str(folder / f"scene{n % SCENES}.mp4")} for n in range(cameras)},
        "defaults": {"loop": True, "analysis_fps": 1},
        "bus": {"bind": "tcp://127.0.0.1:*"},
        "http": {"bind": "127.0.0.1:0"},
        "log": {"format": "json"},
        "storage": {"dir": str(folder / "data")},
    }
    (folder / "site.yaml").write_text(yaml.safe_dump(site))
    log = folder / "log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "vad", "run", str(folder / "site.yaml")]
        engine = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        yield psutil.Process(engine.pid), wait_until_up(engine, log, cameras=cameras)
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(60.0)


def wait_until_up(engine: subprocess.Popen[bytes], log: Path, *, cameras: int) -> str:
    deadline_s = time.monotonic() + UP_TIMEOUT_S
    address = ""
    while time.monotonic() < deadline_s and engine.poll() is None:
        time.sleep(0.5)
        if not address:
            lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"') and "}" in line]
            address = next((line["address"] for line in lines if line["event"] == "http.started"), "")
        elif httpx.get(f"{address}/console/pulse", timeout=30.0).json()["up"] == cameras:
            return address
    sys.exit(f"the cameras did not come up:\n{log.read_text()[-2000:]}")


def measure(engine: psutil.Process, address: str, *, loads: int, seconds: float) -> dict[str, Any]:
    time.sleep(5.0)  # the first scores
    closed = cores(engine, seconds)
    with launched() as browser:
        times: list[dict[str, float]] = []
        for _ in range(loads + 1):
            context = browser.new_context(viewport=DESKTOP)
            page = context.new_page()
            page.goto(address, wait_until="commit")
            told = page.evaluate(PAINTED)
            while not page.evaluate(PICTURED):
                page.wait_for_timeout(50)
            pictures = page.evaluate("performance.now()")
            page = context.new_page()
            page.goto(f"{address}/login", wait_until="commit")  # the same shell without cameras, as a yardstick
            times.append({**told, "pictures": pictures, "empty": page.evaluate(PAINTED)["paint"]})
            context.close()
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.goto(address)
        time.sleep(3.0)
        opened = cores(engine, seconds)
    names = {
        "begun": "request sent, ms",
        "answer": "first byte, ms",
        "whole": "last byte, ms",
        "paint": "first paint, ms",
        "empty": "first paint of an empty page, ms",
        "pictures": "all pictures in view, ms",
    }
    report: dict[str, Any] = {name: spread([load[key] for load in times[1:]]) for key, name in names.items()}
    report["engine cores, no page open"] = round(closed, 3)
    report["engine cores, live page open"] = round(opened, 3)
    report["open over closed"] = round(opened / closed, 3)
    return report


def spread(values: list[float]) -> dict[str, int]:
    return {"median": round(statistics.median(values)), "least": round(min(values)), "most": round(max(values))}


def cores(process: psutil.Process, seconds: float) -> float:
    """CPU seconds a second of the process over that long."""

    def used_s() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before_s, started_s = used_s(), time.monotonic()
    time.sleep(seconds)
    return (used_s() - before_s) / (time.monotonic() - started_s)


if __name__ == "__main__":
    main()
