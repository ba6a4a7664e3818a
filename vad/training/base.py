"""Train the bundled base weights: ``python -m vad.training.base --out weights/base.safetensors``.

Learns from collages, from the synthetic scene and, when ``--streams`` names a folder of videos of fixed cameras, from
those too. Material is drawn once and kept in ``--cache``. One thread, no accelerator needed.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from vad.model.network import Network
from vad.model.weights import NETWORK_NAME, Card, load_weights, save_weights
from vad.training.exam import examine
from vad.training.lessons import batches, teach_batch
from vad.training.material import Material, from_collages, from_footage, from_scenes, gather, grey_frames

log = structlog.get_logger(__name__)

BATCH = 6
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 50
TRAIN_PART = (0.0, 0.8)
"""Share of each stream's length to learn from; the rest is for measuring."""

HELD_OUT_SHARE = 0.03
HELD_OUT_SEED = 1_000
"""Added to the seed of material that is only for measuring."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    _keep_freed_memory()
    torch.manual_seed(options.seed)
    lessons = _material(options, "train")
    network = load_weights(options.init).network() if options.init else Network()
    steps = train(network, lessons, minutes=options.minutes, seed=options.seed)
    metrics: dict[str, object] = {"steps": steps, "sequences": len(lessons), "minutes": options.minutes}
    metrics |= {"held_out_" + name: examine(network, part) for name, part in _held_out(options).items()}
    streams = ", the CC BY 4.0 streams of intel-iot-devkit/sample-videos" if options.streams else ""
    command = f"python -m vad.training.base --out {options.out} --minutes {options.minutes:g} --seed {options.seed}"
    card = Card(
        name=options.out.stem,
        network=NETWORK_NAME,
        architecture=network.architecture,
        input_width=160,
        trained_on=f"collages of cut-outs, the synthetic scene of vad.video.synthetic{streams}",
        licence="Apache-2.0",
        command=command + (" --streams STREAMS" if options.streams else ""),
        seed=options.seed,
        metrics=metrics,
    )
    save_weights(options.out, network=network, card=card)
    log.info("saved", path=str(options.out), **metrics)


def train(network: Network, material: Material, *, minutes: float, seed: int) -> int:
    """Teach for that long by the clock; the learning rate follows a cosine over it. Returns the batches taught."""
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    started_s = reported_s = time.monotonic()
    recent: list[list[float]] = []
    for step, batch in enumerate(batches(material, size=BATCH, seed=seed)):
        now_s = time.monotonic()
        done = (now_s - started_s) / (60.0 * minutes)
        if done >= 1.0:
            return step
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.51 + 0.49 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        recent += [[float(part) for part in losses] for losses in teach_batch(network, batch, optimiser)]
        if not np.isfinite(recent[-1]).all():
            raise FloatingPointError(f"the loss is {recent[-1]} at batch {step}; nothing was saved")
        if now_s - reported_s >= 60.0:
            means = np.mean(recent, axis=0)
            log.info("teaching", done=f"{done:.0%}", batches=step + 1, losses=[round(float(x), 3) for x in means])
            reported_s, recent = now_s, []
    raise AssertionError("batches never end")


def _material(options: argparse.Namespace, use: str) -> Material:
    """All sources in one, from the cache when they are there."""
    return Material.joined(list(_sources(options, use).values()))


def _held_out(options: argparse.Namespace) -> dict[str, Material]:
    return _sources(options, "held_out")


def _sources(options: argparse.Namespace, use: str) -> dict[str, Material]:
    held_out = use == "held_out"
    seed = options.seed + (HELD_OUT_SEED if held_out else 0)
    share = HELD_OUT_SHARE if held_out else 1.0
    scenes, collages = math.ceil(options.sequences * share), math.ceil(options.sequences * 0.5 * share)
    videos = sorted(options.streams.glob("*.mp4")) if options.streams else []
    part = (TRAIN_PART[1], 1.0) if held_out else TRAIN_PART
    footage = (
        one
        for video in videos
        for one in from_footage(video, count=math.ceil(options.sequences * 0.1 * share), seed=seed, part=part)
    )
    sources: dict[str, Iterator[Material]] = {
        "scenes": from_scenes(scenes, seed=seed),
        "collages": from_collages(collages, seed=seed, pictures=_pictures(videos)),
    }
    if videos:
        sources["footage"] = footage
    return {name: _cached(options.cache / f"{use}-{name}-{seed}.npz", source) for name, source in sources.items()}


def _cached(path: Path, source: Iterator[Material]) -> Material:
    if not path.exists():
        started_s = time.monotonic()
        material = gather(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        material.save(path)
        log.info("drawn", path=str(path), sequences=len(material), seconds=round(time.monotonic() - started_s))
    return Material.load(path)


def _pictures(videos: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """A picture every few seconds, to cut textures from."""
    return [frame for video in videos for frame in grey_frames(video)[::97]]


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory: giving 100 MB back and asking for it again at each step halves the speed."""
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return  # another C library: slower, no less right
    trim_threshold, mmap_threshold = -1, -3
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(mmap_threshold, 2**30)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vad.training.base", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a .safetensors path; the card goes beside it")
    parser.add_argument("--minutes", type=float, default=25.0, help="how long to teach, once the material is drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--streams", type=Path, default=None, help="a folder of .mp4 files from fixed cameras")
    parser.add_argument(
        "--sequences", type=int, default=800, help="sequences of the synthetic scene; half as many collages"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/base"), help="where drawn material is kept")
    parser.add_argument("--init", default=None, help="weights to start from")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
