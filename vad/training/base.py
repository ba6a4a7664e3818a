"""Train the bundled base weights: ``python -m vad.training.base --out weights/base.safetensors``.

Learns from collages, from the synthetic scene and, when ``--streams`` names a folder of videos of fixed cameras, from
those too. Material is drawn once and kept in ``--cache``. Counted in batches: the same command gives the same weights,
also when it was interrupted and went on with ``--resume``. One thread, no accelerator needed.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import structlog
import torch

from vad.atomic import check_writable
from vad.errors import VadError
from vad.model.weights import load_weights, save_weights
from vad.training.card import INPUT_WIDTH, describe, new_network
from vad.training.checkpoint import check_begun
from vad.training.exam import examine, summary
from vad.training.footage import Footage, from_footage, survey, textures
from vad.training.interrupt import stop_on_signals
from vad.training.material import Material, from_collages, from_scenes, gather
from vad.training.trainer import EPOCH_BATCHES, Plan, Progress, Trainer
from vad.video.dataset import ClipSource

log = structlog.get_logger(__name__)

BATCHES = 2600
"""15 to 20 minutes on one core of an AMD EPYC (Milan)."""

TRAIN_SHARE = 0.8
"""Share of each stream's length to learn from; the rest is for measuring."""

HELD_OUT_SHARE = 0.03
HELD_OUT_SEED = 1_000
"""Added to the seed of material that is only for measuring."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Exit status 0 done, 1 failed, 130 interrupted with a checkpoint."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    try:
        with stop_on_signals() as should_stop:
            trainer, held_out = _trainer(options)
            finished = trainer.run(tell=_say, should_stop=should_stop)
        if not finished:
            log.warning("interrupted", batch=trainer.batch, go_on_with="the same command and --resume")
            sys.exit(130)
        _write(options, trainer, held_out)
    except KeyboardInterrupt:  # a second signal
        log.warning("stopped at once", kept="the last checkpoint, and examples that were drawn whole")
        sys.exit(130)
    except VadError as error:
        log.error("failed", detail=str(error))
        sys.exit(1)


def _trainer(options: argparse.Namespace) -> tuple[Trainer, dict[str, Material]]:
    """The trainer, and what is only for measuring, by source."""
    path = options.cache / f"{options.out.stem}.checkpoint"
    check_begun(path, resume=options.resume)
    check_writable(options.out)
    footage = _survey(options)
    material = Material.joined(list(_sources(options, footage, use="train").values()))
    held_out = _sources(options, footage, use="held_out")
    measuring = Material.joined(list(held_out.values()))
    init = load_weights(options.init) if options.init else None
    trainer = Trainer(
        new_network(init, seed=options.seed),
        material,
        plan=Plan(batches=options.batches, seed=options.seed),
        path=path,
        settings={"init": init.card.sha256 if init else ""},
        exam=lambda network: summary(network, measuring),
    )
    if path.exists():
        trainer.resume()
        log.info("resumed", batch=trainer.batch)
    return trainer, held_out


def _write(options: argparse.Namespace, trainer: Trainer, held_out: dict[str, Material]) -> None:
    metrics: dict[str, object] = {"batches": trainer.batch, "sequences": trainer.sequences}
    metrics |= {f"held_out_{name}": examine(trainer.network, part) for name, part in held_out.items()}
    streams = ", the CC BY 4.0 streams of intel-iot-devkit/sample-videos" if options.streams else ""
    command = f"python -m vad.training.base --out {options.out} --batches {options.batches} --seed {options.seed}"
    card = describe(
        trainer,
        name=options.out.stem,
        trained_on=f"collages of cut-outs, the synthetic scene of vad.video.synthetic{streams}",
        licence="Apache-2.0",
        command=command + (" --streams STREAMS" if options.streams else ""),
        metrics=metrics,
    )
    save_weights(options.out, network=trainer.network, card=card)
    trainer.path.unlink()
    log.info("saved", path=str(options.out), **metrics)


def _say(progress: Progress) -> None:
    if progress.batch % (EPOCH_BATCHES // 2) == 0:
        log.info("teaching", batch=f"{progress.batch} of {progress.batches}", loss=round(progress.loss, 3))


def _survey(options: argparse.Namespace) -> list[Footage]:
    videos = sorted(options.streams.glob("*.mp4")) if options.streams else []
    return survey([ClipSource(video.stem, video) for video in videos], input_width=INPUT_WIDTH)


def _sources(options: argparse.Namespace, footage: Sequence[Footage], *, use: str) -> dict[str, Material]:
    """Each source's material, from the cache when it is there."""
    held_out = use == "held_out"
    seed = options.seed + (HELD_OUT_SEED if held_out else 0)
    share = HELD_OUT_SHARE if held_out else 1.0
    scenes, collages = math.ceil(options.sequences * share), math.ceil(options.sequences * 0.5 * share)
    counts = {"scenes": scenes, "collages": collages, "footage": math.ceil(options.sequences * 0.3 * share)}
    sources: dict[str, Iterator[Material]] = {
        "scenes": from_scenes(scenes, seed=seed),
        "collages": from_collages(collages, seed=seed, pictures=textures(footage)),
    }
    if footage:
        parts = [_part(one, held_out=held_out) for one in footage]
        sources["footage"] = from_footage(parts, count=counts["footage"], seed=seed)
    folder = options.cache
    return {name: _cached(folder / f"{use}-{name}-{counts[name]}-{seed}.npz", part) for name, part in sources.items()}


def _part(footage: Footage, *, held_out: bool) -> Footage:
    border = round(TRAIN_SHARE * len(footage))
    return footage.part(border, len(footage)) if held_out else footage.part(0, border)


def _cached(path: Path, source: Iterator[Material]) -> Material:
    if not path.exists():
        started_s = time.monotonic()
        material = gather(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")  # a kill leaves no half of a file to be taken for a whole one
        material.save(part)
        part.replace(path)
        log.info("drawn", path=str(path), sequences=len(material), seconds=round(time.monotonic() - started_s))
    return Material.load(path)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vad.training.base", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a .safetensors path; the card goes beside it")
    parser.add_argument("--batches", type=int, default=BATCHES, help="how long to teach")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--streams", type=Path, default=None, help="a folder of .mp4 files from fixed cameras")
    parser.add_argument(
        "--sequences", type=int, default=800, help="sequences of the synthetic scene; half as many collages"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/base"), help="where drawn material is kept")
    parser.add_argument("--init", default=None, help="weights to start from")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --cache")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
