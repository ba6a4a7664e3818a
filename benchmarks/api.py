"""The HTTP API beside a working engine: how long requests take, and what a console costs the scoring.

    python -m benchmarks.api [--cameras 16] [--seconds 60] [--rate 50] [--rounds 5] [--json OUT]

Latency: cameras are played in real time, and a client in a process of its own asks at a steady rate for what a console
and its people ask for. Requests leave on time whether or not earlier ones are answered, and count from when they were
due. Throughput: a file as fast as the engine can, in turn without and with a console that is open (the mix of
a console's own requests, a stream of events, one live picture).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

MOST_P99_S = 0.050
LEAST_RATIO = 0.95
EVENTS_BEFORE = 20_000
MIX = (
    (30, "status"),
    (20, "cameras"),
    (15, "cameras/{camera}/scores?seconds=600"),
    (15, "incidents?limit=50"),
    (8, "events?limit=100"),
    (5, "cameras/{camera}"),
    (5, "cameras/{camera}/snapshot?width=320"),
    (2, "events/{incident}"),
)
"""How often of a hundred requests each is asked for."""
CONSOLE_PERIODS_S = {
    "status": 2.0,
    "cameras": 2.0,
    "cameras/{camera}/scores?seconds=600": 5.0,
    "incidents?limit=20": 5.0,
}
"""What an open console asks for by itself, and how often."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0, help="of requests, and length of the file")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--rounds", type=int, default=5, help="of the file, without and with a console")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--as-client", nargs=3, metavar=("KIND", "ADDRESS", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_client:
        kind, address, seconds = options.as_client
        asks = ask_steadily(address, float(seconds), options.rate) if kind == "steady" else keep_open(address)
        print(json.dumps(asyncio.run(asks)))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = synthetic_file(Path(folder), seconds=options.seconds)
        report = latency(file, folder=Path(folder), options=options)
        report |= throughput(file, folder=Path(folder), rounds=options.rounds)
    report["passed"] = report["p99, ms (under 50)"] < MOST_P99_S * 1e3 and report["ratio (over 0.95)"] > LEAST_RATIO
    for name, value in report.items():
        print(f"{name:<42} {value}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(0 if report["passed"] else 1)


def synthetic_file(folder: Path, *, seconds: float) -> Path:
    from vad.video.synthetic import Scene, encode

    encode(Scene(seed=1, fps=25.0), folder / "scene.mp4", seconds=seconds)
    return folder / "scene.mp4"


def latency(file: Path, *, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Percentiles of a steady stream of requests while cameras run."""
    cameras = {f"cam{n:02d}": {"url": str(file), "loop": True} for n in range(options.cameras)}
    with served(Path(tempfile.mkdtemp(dir=folder)), cameras) as (engine, address):
        time.sleep(10.0)  # until all of them run
        before = engine.status().frames
        took = run_client("steady", address, seconds=options.seconds, rate=options.rate)
        after = engine.status().frames
    times = sorted(took["times_s"])
    return {
        "cameras": options.cameras,
        "requests": len(times),
        "answers that were not 200": took["refused"],
        "p50, ms": round(1e3 * statistics.median(times), 1),
        "p99, ms (under 50)": round(1e3 * times[int(0.99 * (len(times) - 1))], 1),
        "slowest, ms": round(1e3 * times[-1], 1),
        "frames scored a second meanwhile": round((after.scored - before.scored) / options.seconds, 1),
        "frames lost meanwhile": after.lost - before.lost,
    }


def throughput(file: Path, *, folder: Path, rounds: int) -> dict[str, Any]:
    """Frames a second of an unpaced file, alone and with a console open, in turn."""
    engine_fps(file, folder=folder, with_console=False)  # warm
    pairs = []
    for number in range(rounds):
        order = (False, True) if number % 2 else (True, False)
        figures = {console: engine_fps(file, folder=folder, with_console=console) for console in order}
        pairs.append((figures[False], figures[True]))
    alone, watched = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    return {
        "file alone, frames/s": round(alone),
        "file with a console open, frames/s": round(watched),
        "ratio (over 0.95)": round(statistics.median(b / a for a, b in pairs), 3),
        "rounds": [[round(a), round(b)] for a, b in pairs],
    }


def engine_fps(file: Path, *, folder: Path, with_console: bool) -> float:
    """Frames received a second from the start to the end of the drain."""
    camera = {"url": str(file), "realtime": False}
    with served(Path(tempfile.mkdtemp(dir=folder)), {"file": camera}, start=False) as (engine, address):
        console = subprocess.Popen(client_command("console", address, seconds=0.0)) if with_console else None
        if console is not None:
            time.sleep(2.0)  # its process starts, and is refused until the engine runs
        engine.start()
        started_s = time.perf_counter()
        engine.wait()
        engine.stop()
        took_s = time.perf_counter() - started_s
        if console is not None:
            console.kill()
            console.wait()
    return engine.status().frames.received / took_s


class served:  # noqa: N801 reads as a context
    """An engine with its server, and events in its journal."""

    def __init__(self, storage: Path, cameras: dict[str, dict[str, Any]], *, start: bool = True) -> None:
        from vad.config import make_config
        from vad.pipeline.engine import Engine

        site = {"cameras": cameras, "bus": {"bind": "tcp://127.0.0.1:*"}, "storage": {"dir": str(storage)}}
        fill_journal(storage)
        self.engine = Engine(make_config(site, source="benchmark"))
        self._start = start

    def __enter__(self) -> tuple[Any, str]:
        from vad.service.api.app import http_routes
        from vad.service.api.state import AppState
        from vad.service.http import HttpServer

        engine = self.engine
        self._state = AppState(engine)
        routes = http_routes(self._state)
        self._server = HttpServer("127.0.0.1:0", registry=engine.registry, readiness=engine.readiness, routes=routes)
        if self._start:
            engine.start()
        self._server.start()
        return engine, self._server.address

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self.engine.stop()
        self._state.close()


def fill_journal(storage: Path) -> None:
    from tests.events.factory import anomaly
    from vad.events import Journal
    from vad.types import EventType

    steps = (EventType.OPENED, EventType.CLOSED)
    with Journal(storage / "events.sqlite") as journal:
        for start in range(0, EVENTS_BEFORE, 2_000):
            names = [f"incident-{number}" for number in range(start, start + 1_000)]
            journal.append([anomaly(type=kind, camera="cam00", incident=name) for name in names for kind in steps])


def client_command(kind: str, address: str, *, seconds: float, rate: float = 0.0) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.api", "--as-client", kind, address, str(seconds)]
    return [*command, "--rate", str(rate)]


def run_client(kind: str, address: str, *, seconds: float, rate: float) -> dict[str, Any]:
    command = client_command(kind, address, seconds=seconds, rate=rate)
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(run.stdout)
    return told


async def ask_steadily(address: str, seconds: float, rate: float) -> dict[str, Any]:
    """Requests of the mix, each when it is due."""
    times_s: list[float] = []
    refused = 0
    async with httpx.AsyncClient(base_url=f"{address}/api/v1/", timeout=30.0) as client:
        cameras = [camera["id"] for camera in (await client.get("cameras")).json()["cameras"]]
        incidents = [row["incident"] for row in (await client.get("incidents")).json()["incidents"]]

        async def ask(path: str, due_s: float) -> None:
            nonlocal refused
            answer = await client.get(path)
            times_s.append(time.perf_counter() - due_s)
            refused += answer.status_code != 200

        began_s = time.perf_counter()
        asked = []
        for number in range(round(seconds * rate)):
            due_s = began_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            asked.append(asyncio.create_task(ask(pick(cameras, incidents), due_s)))
        await asyncio.gather(*asked)
    return {"times_s": times_s, "refused": refused}


def pick(cameras: Sequence[str], incidents: Sequence[str]) -> str:
    [path] = random.choices([path for _, path in MIX], weights=[share for share, _ in MIX])
    return path.format(camera=random.choice(cameras), incident=random.choice(incidents))


async def keep_open(address: str) -> None:
    """What an open console does, until it is killed."""
    async with httpx.AsyncClient(base_url=f"{address}/api/v1/", timeout=None) as client:

        async def poll(path: str, period_s: float) -> None:
            while True:
                with suppress(httpx.HTTPError):
                    await client.get(path.format(camera="file"))
                await asyncio.sleep(period_s)

        async def listen(path: str) -> None:
            while True:
                with suppress(httpx.HTTPError):
                    async with client.stream("GET", path) as answer:
                        async for _ in answer.aiter_bytes():
                            pass
                await asyncio.sleep(0.5)

        polls = [poll(path, period_s) for path, period_s in CONSOLE_PERIODS_S.items()]
        await asyncio.gather(*polls, listen("events/stream"), listen("cameras/file/live?fps=4&width=640"))


if __name__ == "__main__":
    main()
