"""The model's part of ``benchmarks.gpu``: frames/s of steps and runner, and how far scores are from the CPU's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vad.config import CameraConfig, ScoringSettings
from vad.model import AnyRunner, Runner, load_weights
from vad.model.cuda import CudaRunner
from vad.model.lane import EAGER_CALLS, Lane, Step, advance
from vad.pipeline.scan import Scan
from vad.types import Clip, Frame, Geometry, WallSource
from vad.video.synthetic import Scene, encode

WIDTH, HEIGHT = 160, 96
CLIP_LENGTH = 4
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
WAYS = (("graph", "fp16"), ("graph", "bf16"), ("graph", "fp32"), ("eager", "fp16"))
COMPILED = ("compile", "fp16")


def step_rates(
    device: torch.device, *, batches: tuple[int, ...], seconds: float, compiled: bool
) -> dict[str, float | str]:
    """Frames/s of the step alone, nothing copied: ``graph fp16 64``, ... What fails says why instead."""
    rates: dict[str, float | str] = {}
    for way, precision in (*WAYS, COMPILED) if compiled else WAYS:
        for batch in batches:
            name = f"{way} {precision} {batch}"
            try:
                rates[name] = _step_rate(device, way=way, dtype=DTYPES[precision], batch=batch, seconds=seconds)
            except Exception as exc:  # noqa: BLE001  # one way that fails must not take the other figures with it
                rates[name] = f"{type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"
            print(f"  step {name:<20} {_shown(rates[name])}", flush=True)
    return rates


def _step_rate(device: torch.device, *, way: str, dtype: torch.dtype, batch: int, seconds: float) -> float:
    step: Step = torch.compile(advance, fullgraph=True, dynamic=False) if way == "compile" else advance
    cuda = device.type == "cuda"
    network = load_weights("base").network().eval().to(device)
    network.lower(dtype)
    network = network.to(memory_format=torch.channels_last)
    if cuda:
        torch.cuda.synchronize(device)
    stream = torch.cuda.Stream(device) if cuda else None
    with torch.inference_mode(), torch.cuda.stream(stream):
        lane = Lane(
            network, HEIGHT, WIDTH, device=device, most=batch, stream=stream, captures=way != "eager", step=step
        )
        for row in range(batch):
            lane.about[row, 0] = lane.take_slot()
        pictures = [torch.randint(0, 256, lane.pictures.shape, dtype=torch.uint8, device=device) for _ in range(4)]
        for _ in range(EAGER_CALLS + 2):  # libraries loaded, the graph captured
            lane.step(batch)
        done, started_s = 0, _now_s(stream)
        while (took_s := _now_s(stream) - started_s) < seconds:
            for _ in range(20):
                lane.pictures.copy_(pictures[done % len(pictures)])
                lane.step(batch)
                done += 1
    return done * batch / took_s


def _now_s(stream: torch.cuda.Stream | None) -> float:
    if stream is not None:
        stream.synchronize()
    return time.perf_counter()


def runner_rate(runner: AnyRunner, *, cameras: int, seconds: float) -> float:
    """Frames/s from clips to cell maps on the host: what the engine's inference thread gets."""
    grid = Geometry(4 * WIDTH, 4 * HEIGHT, 4, WIDTH, HEIGHT)
    pictures = np.random.default_rng(0).integers(0, 256, (CLIP_LENGTH, HEIGHT, WIDTH), dtype=np.uint8)

    def clip(camera: int, first: int) -> Clip:
        return Clip(
            tuple(
                Frame(f"c{camera}", 1, first + t, 0.1 * (first + t), 0.0, WallSource.FILE, 0.0, grid, picture)
                for t, picture in enumerate(pictures)
            )
        )

    calls = took_s = 0
    for call in range(10**6):
        clips = [clip(camera, call * CLIP_LENGTH) for camera in range(cameras)]
        began_s = time.perf_counter()
        runner(clips)
        if call >= 2:  # a graph is captured in the third step
            calls, took_s = calls + 1, took_s + time.perf_counter() - began_s
        if took_s > seconds:
            break
    return calls * cameras * CLIP_LENGTH / took_s


def agreement(device: torch.device, *, seconds: float) -> dict[str, dict[str, float]]:
    """Scores of the synthetic scene against the CPU's in float32: largest difference, share more than 1 % off."""
    weights = load_weights("base")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "scene.mp4"
        encode(Scene(seed=3, fps=10.0), film, seconds=seconds)
        expected = _scores(film, Runner(weights, device="cpu"))
        for name, dtype in DTYPES.items():
            got = _scores(film, CudaRunner(weights, device=device, dtype=dtype))
            off = np.abs(got - expected)
            results[name] = {
                "largest": float(off.max()),
                "median_relative": float(np.median(off / (np.abs(expected) + 1e-3))),
                "share_beyond_1_percent": float((~np.isclose(got, expected, rtol=1e-2, atol=1e-3)).mean()),
            }
            print(f"  scores {name}: {results[name]}", flush=True)
    return results


def _scores(film: Path, runner: AnyRunner) -> np.ndarray:
    camera = CameraConfig(url=str(film), analysis_fps=10.0, decoder="cpu")
    scoring = ScoringSettings(warming_after_s=4.0, calibrated_after_s=10.0)
    return np.array([score.score for score in Scan(film, camera=camera, scoring=scoring, runner=runner)])


def model_figures(
    device: torch.device, *, batches: tuple[int, ...], seconds: float, compiled: bool
) -> dict[str, object]:
    """All of the above."""
    weights = load_weights("base")
    figures: dict[str, object] = {"steps": step_rates(device, batches=batches, seconds=seconds, compiled=compiled)}
    makers: dict[str, Callable[[], AnyRunner]] = {
        "runner on the device": lambda: CudaRunner(weights, device=device),
        "runner on the CPU": lambda: Runner(weights, device="cpu"),
    }
    for name, make in makers.items():
        for cameras in batches:
            rate = runner_rate(make(), cameras=cameras, seconds=seconds)
            figures[f"{name}, {cameras} cameras"] = rate
            print(f"  {name}, {cameras} cameras: {rate:,.0f} frames/s", flush=True)
    return figures


def _shown(rate: float | str) -> str:
    return rate if isinstance(rate, str) else f"{rate:,.0f} frames/s"
