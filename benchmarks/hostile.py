"""One hostile camera beside ten good ones: what the good ones lose, and how soon the other is named.

Each case runs in an engine of its own. The good cameras are up when the hostile one is added; from then on their frames
are counted, against those that a camera of 25 fps sends in that time. Memory is that of the engine's process and its
processes of readers together, each page that several map shared among them.

    python -m benchmarks.hostile [case...] [--seconds 100] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

import vad.pipeline.readers.processes as readers
from tests.rtsp.attacks import ATTACKS, flipped_clip
from tests.video.clips import write_annexb
from vad.config import CameraConfig, make_config
from vad.pipeline.engine import Engine
from vad.types import CameraEvent

GOOD = 10
FPS = 25
SAMPLE_S = 1.0
MIB = 2**20
TARGET = 0.95
QUICK = {"read_timeout_s": 5.0}
NAMED = {"crash": ("reader_died",), "video-dies": ("timeout", "no_video_packets")}
"""By which of the codes of its events a camera is named, where not by any."""
HARMLESS = frozenset({"http flipped bits", "flipped h264"})
"""Some of their pictures can be read: they need no name."""

DEADLY = """
import os, signal
from vad.pipeline.readers import worker
read = worker.Session._live
def live(session, opening, spec):
    if spec.camera == "hostile":
        os.kill(os.getpid(), signal.SIGSEGV)
    read(session, opening, spec)
worker.Session._live = live
worker.main()
"""


def crash(url: str, _: Path) -> Iterator[str]:
    """A camera whose reader crashes its process at each connect."""
    command, readers.COMMAND = readers.COMMAND, (sys.executable, "-c", DEADLY)
    yield url
    readers.COMMAND = command


def video_dies(_: str, clip: Path) -> Iterator[str]:
    """A camera whose video stops after three seconds of each session, and whose reports go on."""
    with _camera(clip, "--quirk", "video_dies") as url:
        yield url


def flipped_h264(_: str, clip: Path) -> Iterator[str]:
    """A camera whose H.264 has a wrong bit in each few hundred bytes."""
    with _camera(flipped_clip(clip, clip.with_name("flipped.h264"))) as url:
        yield url


def attack(name: str, _url: str, _clip: Path) -> Iterator[str]:
    """An attack of ``tests.rtsp.attacks``."""
    with _served("tests.rtsp.attacks", name) as url:
        yield url


CASES: dict[str, Callable[[str, Path], Iterator[str]]] = {
    "crash": crash,
    "video-dies": video_dies,
    "flipped h264": flipped_h264,
    **{name: partial(attack, name) for name in ATTACKS},
}


def _camera(clip: Path, *options: str) -> AbstractContextManager[str]:
    """The tests' stub camera in a process of its own; its URL."""
    return _served("tests.rtsp.stub", str(clip), "--port", "0", "--fps", str(FPS), *options)


@contextmanager
def _served(module: str, *arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


class Codes(threading.Thread):
    """Hears of the hostile camera: the codes of its events, and when they came."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self.heard: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()

    def run(self) -> None:
        for event in self._engine.events():
            if isinstance(event, CameraEvent) and event.camera == "hostile" and event.code:
                self.heard.put((event.code, time.monotonic()))

    def first(self, wanted: tuple[str, ...] | None) -> float | None:
        """When the first of these came, or of any."""
        while not self.heard.empty():
            code, at_s = self.heard.get()
            if wanted is None or code in wanted:
                return at_s
        return None


def measure(case: str, *, url: str, clip: Path, storage: Path, seconds: float) -> dict[str, Any]:
    site = make_config(
        {
            "cameras": {f"good{number}": {"url": url} for number in range(GOOD)},
            "defaults": QUICK,
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "http": {"bind": ""},
            "storage": {"dir": str(storage)},
        },
        source="benchmark",
    )
    hostile = contextmanager(CASES[case])
    with hostile(url, clip) as its_url, Engine(site) as engine:
        while not all(camera.frames.scored for camera in engine.status().cameras.values()):
            engine.wait(timeout_s=0.1)
        codes = Codes(engine)
        codes.start()
        began_s, before = time.monotonic(), _received(engine)
        engine.add_camera("hostile", CameraConfig.model_validate({"url": its_url, **QUICK}))
        most_mib, most_processes = 0.0, 0
        while time.monotonic() - began_s < seconds:
            engine.wait(timeout_s=SAMPLE_S)
            most_mib = max(most_mib, _memory_mib())
            most_processes = max(most_processes, engine.status().readers.processes)
        took_s, after = time.monotonic() - began_s, _received(engine)
        camera, named_s = engine.status().cameras["hostile"], codes.first(NAMED.get(case))
        shares = [(after[name] - before[name]) / (FPS * took_s) for name in before]
    return {
        "named_after_s": None if named_s is None else round(named_s - began_s, 1),
        "most_mib": round(most_mib),
        "most_processes": most_processes,
        "share": round(sum(shares) / len(shares), 4),
        "least_share": round(min(shares), 4),
        "runs": camera.run + 1,
        "reader_deaths": camera.reader_deaths,
        "passed": sum(shares) / len(shares) >= TARGET and (named_s is not None or case in HARMLESS),
    }


def _what(case: str) -> str:
    kind: object = ATTACKS.get(case, CASES[case])
    return (kind.__doc__ or "").strip().splitlines()[0] if callable(kind) and kind.__doc__ else ""


def _received(engine: Engine) -> dict[str, int]:
    cameras = engine.status().cameras.items()
    return {name: camera.frames.received for name, camera in cameras if name.startswith("good")}


def _memory_mib() -> float:
    total = 0
    process = psutil.Process()
    for one in [process, *process.children()]:
        try:
            if not any(part.startswith("tests.rtsp.") for part in one.cmdline()):
                total += one.memory_full_info().pss
        except psutil.Error:
            continue  # it has just died
    return total / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no case named {', '.join(sorted(unknown))}; allowed: {', '.join(CASES)}")
    report = {}
    with tempfile.TemporaryDirectory(prefix="vad-hostile-") as folder:
        clip = write_annexb(Path(folder) / "cam.h264")
        with _camera(clip) as url:
            for case in options.cases or CASES:
                storage = Path(folder) / case
                report[case] = measure(case, url=url, clip=clip, storage=storage, seconds=options.seconds)
                print(f"{case}: {_what(case)}")
                for what, value in report[case].items():
                    print(f"  {what:<16} {value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(0 if all(case["passed"] for case in report.values()) else 1)


if __name__ == "__main__":
    main()
