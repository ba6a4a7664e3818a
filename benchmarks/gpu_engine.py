"""The streams' part of ``benchmarks.gpu``: 1080p30 files made on the spot, through decoders alone and the whole engine.

As a module of its own it is the engine's process: ``python -m benchmarks.gpu_engine JSON`` prints one JSON line.
"""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import av

FPS = 30
SCENE_S = 8.0
WARM_S = 6.0
KEEPS_UP = 0.97
MOST_P95_S = 1.0
MOST_OPENING_S, MOST_ENDING_S = 20.0, 10.0
"""For all streams of a measurement of the decoders together."""


def make_film(folder: Path, codec: str, *, minutes: float = 3.0, width: int = 1920, height: int = 1080) -> Path:
    """A synthetic scene of SCENE_S, its packets repeated until the film is ``minutes`` long."""
    from vad.video.synthetic import Scene, encode

    scene, film = folder / f"{codec}-scene.mp4", folder / f"{codec}.mp4"
    if film.exists():
        return film
    encode(Scene(seed=1, width=width, height=height, fps=float(FPS)), scene, seconds=SCENE_S, codec=codec)
    with av.open(str(scene)) as source, av.open(str(film), "w") as output:
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        stream = output.add_stream_from_template(source.streams.video[0])
        length = round(SCENE_S / packets[0].time_base)
        for turn in range(round(minutes * 60 / SCENE_S)):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts + turn * length, packet.dts + turn * length
                again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
                output.mux(again)
    return film


def decode_rate(film: Path, *, decoder: str, device: str, streams: int, seconds: float) -> dict[str, object]:
    """Frames/s of that many unpaced readers together (decoded, and pooled at 8 a second), and who decoded."""
    from vad.config import CameraConfig
    from vad.errors import StreamCode, StreamError
    from vad.video.reader import Reader
    from vad.video.spec import ReadEnv, ReadSpec

    stop, counts, who = threading.Event(), [0] * streams, Counter[str]()
    config = CameraConfig(url=str(film), realtime=False, decoder=decoder)

    def read_once(index: int) -> None:
        spec = ReadSpec(f"c{index}", config, 160, network_device=device)
        with Reader(spec, run=0, env=ReadEnv(stop)) as reader:
            for _ in reader:
                counts[index] += 1
                if counts[index] == 1 and reader.info is not None:
                    who[reader.info.decoder] += 1

    def read(index: int) -> None:
        while not stop.is_set():
            try:
                read_once(index)
            except StreamError as exc:
                if exc.code is not StreamCode.ENDED:
                    who[str(exc)] += 1
                    return

    threads = [threading.Thread(target=read, args=(index,), daemon=True) for index in range(streams)]
    for thread in threads:
        thread.start()
    ready_until_s = time.monotonic() + MOST_OPENING_S
    while not all(counts) and time.monotonic() < ready_until_s:
        time.sleep(0.1)
    before, began_s = sum(counts), time.perf_counter()
    time.sleep(seconds)
    rate = (sum(counts) - before) / (time.perf_counter() - began_s)
    stop.set()
    joined_until_s = time.monotonic() + MOST_ENDING_S
    for thread in threads:
        thread.join(max(0.0, joined_until_s - time.monotonic()))
    return {"frames_per_second": rate, "without_a_frame": counts.count(0), "decoders": dict(who)}


def most_streams(
    film: Path, *, decoder: str, device: str, start: int, seconds: float, until_s: float
) -> dict[str, object]:
    """The largest n that keeps up, by doubling (or halving) from ``start`` and bisection to 5 %, until ``until_s``."""
    trials: dict[int, dict[str, object]] = {}

    def holds(n: int) -> bool:
        most_s = min(seconds + WARM_S + 150.0, max(1.0, until_s - time.monotonic()))
        trials[n] = _trial(film, n, decoder=decoder, device=device, seconds=seconds, most_s=most_s)
        print(f"  {film.stem} {decoder} n={n}: {trials[n]}", flush=True)
        return bool(trials[n]["keeps_up"])

    good, bad, n = 0, None, start
    while time.monotonic() < until_s and n >= 1:
        if holds(n):
            good = n
        else:
            bad = n
        if bad is None:
            n = 2 * good
        elif good == 0:
            n = bad // 2
        elif bad - good <= max(1, good // 20):
            break
        else:
            n = (good + bad) // 2
    return {"streams": good, "fails_at": bad, "trials": trials}


def _trial(film: Path, streams: int, *, decoder: str, device: str, seconds: float, most_s: float) -> dict[str, object]:
    order = {"film": str(film), "streams": streams, "decoder": decoder, "device": device, "seconds": seconds}
    command = [sys.executable, "-m", "benchmarks.gpu_engine", json.dumps(order)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=most_s)
    except subprocess.TimeoutExpired:
        return {"keeps_up": False, "error": f"no end within {most_s:.0f} s"}
    if done.returncode != 0 or not done.stdout.strip():
        return {"keeps_up": False, "error": (done.stderr.strip().splitlines() or ["no output"])[-1][:300]}
    result: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def run_engine(*, film: str, streams: int, decoder: str, device: str, seconds: float) -> dict[str, object]:
    """That many paced cameras for ``seconds`` after WARM_S: whether they keep up, with what."""
    import psutil

    from benchmarks.cameras_engine import family_of
    from vad.config import make_config
    from vad.pipeline.engine import Engine

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    camera = {"url": film, "realtime": True, "loop": True, "decoder": decoder}
    with tempfile.TemporaryDirectory() as storage:
        site = {
            "cameras": {f"cam{n:03d}": camera for n in range(streams)},
            "model": {"device": device, "max_batch": 256},
            "bus": {"bind": "tcp://127.0.0.1:*"},
            "storage": {"dir": storage},
            "evidence": {"enabled": False},
        }
        process = psutil.Process()
        with Engine(make_config(site, source="benchmark")) as engine:
            _wait_until_up(engine, streams)
            engine.wait(timeout_s=WARM_S)
            before, (cpu_before_s, _), began_s = engine.status().frames, family_of(process), time.monotonic()
            engine.wait(timeout_s=seconds)
            status, took_s = engine.status(), time.monotonic() - began_s
            (cpu_s, pss_mib), (p50_s, p95_s) = family_of(process), engine.latency_quantiles_s((0.5, 0.95))
    received = (status.frames.received - before.received) / took_s / streams
    scored = (status.frames.scored - before.scored) / took_s / streams
    lost = status.frames.lost - before.lost
    return {
        "keeps_up": received >= KEEPS_UP * FPS and scored >= KEEPS_UP * 8.0 and lost == 0 and p95_s < MOST_P95_S,
        "received_fps": round(received, 2),
        "scored_fps": round(scored, 2),
        "lost": lost,
        "p50_s": round(p50_s, 3),
        "p95_s": round(p95_s, 3),
        "cores": round((cpu_s - cpu_before_s) / took_s, 2),
        "memory_mib": round(pss_mib),
        "decoders": dict(Counter(camera.decoder for camera in status.cameras.values())),
        "device": engine.device,
    }


def _wait_until_up(engine: object, streams: int) -> None:
    deadline_s = time.monotonic() + 120.0
    while time.monotonic() < deadline_s:
        cameras = engine.status().cameras.values()  # type: ignore[attr-defined]
        if sum(camera.decoder != "" for camera in cameras) == streams:
            return
        time.sleep(0.5)
    raise SystemExit(f"not all of {streams} streams came up within 120 s")


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    print(json.dumps(run_engine(**json.loads(sys.argv[1]))))
