"""``vad train``: weights for a data set of one's own, from its train clips alone.

An exact optical flow labels what moves in windows of the train clips; collages cut from them and the synthetic scene,
whose labels are exact, are mixed in: the network must also tell the foreground of what normal footage does not show.
Its test clips are never opened.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from vad.atomic import check_writable
from vad.errors import DatasetError, TrainingError
from vad.model.device import find_device
from vad.model.weights import Card, Weights, load_weights, save_weights
from vad.training.card import INPUT_WIDTH, describe, new_network
from vad.training.checkpoint import check_begun
from vad.training.exam import examine, summary
from vad.training.footage import Footage, from_footage, split, survey, textures
from vad.training.material import Material, from_collages, from_scenes
from vad.training.provenance import Provenance, read_provenance
from vad.training.trainer import CHECKPOINT_EVERY, EPOCH_BATCHES, Plan, Progress, Trainer
from vad.video.dataset import Dataset
from vad.video.source import FOLDER_FPS

EPOCHS = 20
"""Of EPOCH_BATCHES each."""

HELD_OUT_SHARE = 0.1
HELD_OUT_SEED = 1_000
"""Added to the seed of material that is only for measuring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much is learnt from, in sequences, and how finely the work is divided, in batches."""

    footage: int = 400
    collages: int = 240
    scenes: int = 120
    held_out: int = 32
    epoch: int = EPOCH_BATCHES
    checkpoint: int = CHECKPOINT_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What ``vad train`` is asked for. Empty licence and citation: what the data set's own papers say.

    One thread by default: the sums come out the same on every machine then, and on one that has other work two threads
    that wait for each other are several times slower than one. Two alone on two cores are 1.6 times as fast.
    """

    dataset: Path
    out: Path
    init: str | None = None
    epochs: int = EPOCHS
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    folder_fps: float = FOLDER_FPS  # of clips that are folders of frames
    licence: str = ""
    citation: str = ""
    amounts: Amounts = Amounts()

    @property
    def checkpoint(self) -> Path:
        return self.out.with_suffix(".checkpoint")


@dataclass(frozen=True, slots=True)
class Step:
    """How far a phase of the work has come."""

    phase: str
    done: int
    total: int
    loss: float | None = None
    frames: int = 0  # taught so far


class Interrupted(Exception):
    """The work was asked to stop before there was anything to keep."""


def train(
    options: TrainOptions, *, resume: bool, tell: Callable[[Step], None], should_stop: Callable[[], bool]
) -> Card | None:
    """Train, write weights and card, and return the card; None when asked to stop, with a checkpoint if one is due.

    Raises DatasetError, StreamError, WeightsError, EngineError (no such device) and TrainingError, all that can be
    known beforehand before the long work.
    """
    _check_out(options, resume=resume)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(len(os.sched_getaffinity(0)))  # the teacher's flow comes out the same for any number
    device = find_device(options.device)
    init = load_weights(options.init) if options.init else None
    dataset = Dataset.open(options.dataset, folder_fps=options.folder_fps)
    if not dataset.train:
        raise DatasetError(f"{options.dataset}: no clip in train/; allowed: normal footage to learn from")

    def say(step: Step) -> None:
        tell(step)
        if should_stop():
            raise Interrupted

    try:
        trainer, held_out = _prepare(options, dataset, init, device, say)
    except Interrupted:
        return None
    if resume and options.checkpoint.exists():
        trainer.resume()
    if not trainer.run(tell=lambda progress: tell(_step(progress)), should_stop=should_stop):
        return None
    card = _card(options, trainer, init, held_out)
    save_weights(options.out, network=trainer.network, card=card)
    options.checkpoint.unlink()
    return load_weights(options.out).card


def _prepare(
    options: TrainOptions, dataset: Dataset, init: Weights | None, device: torch.device, say: Callable[[Step], None]
) -> tuple[Trainer, Material]:
    """The trainer with its material, and the material for measuring."""
    amounts = options.amounts
    input_width = init.card.input_width if init is not None else INPUT_WIDTH
    footage = survey(
        dataset.train, input_width=input_width, tell=lambda done, total: say(Step("looking through", done, total))
    )
    learn, measure = split(footage, share=HELD_OUT_SHARE)
    material = _material(options, learn, say)
    held_out = Material.joined(list(from_footage(measure, count=amounts.held_out, seed=options.seed + HELD_OUT_SEED)))
    trainer = Trainer(
        new_network(init, seed=options.seed),
        material,
        plan=Plan(
            batches=options.epochs * amounts.epoch,
            seed=options.seed,
            epoch_batches=amounts.epoch,
            checkpoint_every=amounts.checkpoint,
        ),
        path=options.checkpoint,
        settings={"init": init.card.sha256 if init is not None else "", "threads": options.threads},
        device=device,
        exam=lambda network: summary(network, held_out),
    )
    return trainer, held_out


def _material(options: TrainOptions, footage: list[Footage], say: Callable[[Step], None]) -> Material:
    amounts, seed = options.amounts, options.seed
    total = amounts.footage + amounts.collages + amounts.scenes
    drawn = itertools.chain(
        from_footage(footage, count=amounts.footage, seed=seed),
        from_collages(amounts.collages, seed=seed, pictures=textures(footage)),
        from_scenes(amounts.scenes, seed=seed),
    )
    parts: list[Material] = []
    for sequence in drawn:
        parts.append(sequence)
        say(Step("labelling", len(parts), total))
    return Material.joined(parts)


def _step(progress: Progress) -> Step:
    return Step("training", progress.batch, progress.batches, loss=progress.loss, frames=progress.frames)


def _card(options: TrainOptions, trainer: Trainer, init: Weights | None, held_out: Material) -> Card:
    papers = read_provenance(options.dataset)
    papers = Provenance(papers.title, options.licence or papers.licence, options.citation or papers.citation)
    metrics: dict[str, Any] = {"batches": trainer.batch, "sequences": trainer.sequences}
    metrics["held_out"] = examine(trainer.network, held_out)
    begun = f", begun from {init.card.name} ({init.card.trained_on})" if init is not None else ""
    return describe(
        trainer,
        name=options.out.stem,
        trained_on=f"the train clips of {papers.title}, collages cut from them, the synthetic scene{begun}",
        licence=papers.licence,
        citation=papers.citation,
        command=_command(options),
        metrics=metrics,
        input_width=init.card.input_width if init is not None else INPUT_WIDTH,
    )


def _command(options: TrainOptions) -> str:
    """As it was given, without the folders of this machine."""
    out = options.out.name if options.out.is_absolute() else str(options.out)
    words = ["vad", "train", options.dataset.resolve().name, "--out", out, "--epochs", str(options.epochs)]
    words += ["--seed", str(options.seed)]
    words += ["--threads", str(options.threads)] if options.threads > 1 else []
    if options.init:
        words += ["--init", Path(options.init).name]
    return shlex.join(words)


def _check_out(options: TrainOptions, *, resume: bool) -> None:
    """Refuse a target that cannot be written, and to write over a training that was not finished."""
    out = options.out
    if out.suffix != ".safetensors":
        raise TrainingError(f"--out {out}: suffix is {out.suffix!r}, allowed: .safetensors")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"--out {out}: its folder cannot be made: {error.strerror or error}") from error
    check_writable(out)
    check_begun(options.checkpoint, resume=resume)
