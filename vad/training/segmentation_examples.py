"""The examples of the segmentation network, drawn once and kept: to learn from, and to measure on.

How a piece is drawn is ``segmentation_material``'s.
"""

from __future__ import annotations

import hashlib
import math
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import structlog

from vad.errors import TrainingError
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.scoring.warming import warm_kernels
from vad.training.segmentation_material import (
    HELD_OUT_SEEDS,
    SEEDS,
    Examples,
    Footage,
    from_footage,
    from_worlds,
)
from vad.video.worlds import WorldKind

log = structlog.get_logger(__name__)

SOURCES = {"walked": (WorldKind.STREET, WorldKind.SHOP, WorldKind.CARE), "yards": (WorldKind.YARD, WorldKind.LINE)}
"""Worlds, by the name of the file that keeps them."""

HELD_OUT_SEED = 1_000
"""Added to the seed of what is only for measuring."""

HELD_OUT_SHARE, TRAIN_SHARE = 0.1, 0.8
"""Pieces for measuring over those to learn from; share of each clip to learn from."""

ABSORBED_SHARE, ABSORBED_LEVELS = 0.2, 8.0
"""Whoever differs from the background by that many levels in less than that share of his pixels has become it."""

DRAWN_AS = "v2"
"""In the names of kept examples: another way of drawing makes others, and gets another name."""


def draw_or_load(
    cache: Path, *, pieces: int, seed: int, footage: Footage, should_stop: Callable[[], bool]
) -> tuple[Examples, dict[str, Examples]] | None:
    """Examples to learn from, and by source those that are only measured on. None when ``should_stop`` became true.

    Those to measure on are worlds of other seeds, and the last part of each clip. ``pieces`` are drawn of each kind of
    world and of cut-outs. Raises TrainingError for examples that cannot be kept or read.
    """
    found: dict[str, dict[str, Examples]] = {"train": {}, "held_out": {}}
    for use, name, path, source in _plan(cache, pieces, seed, footage):
        examples = _cached(path, source, should_stop)
        if examples is None:
            return None
        found[use][name] = examples
    return Examples.joined(list(found["train"].values())), found["held_out"]


def make_folder(path: Path) -> None:
    """The folder of kept examples, where it is not there yet. Raises TrainingError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"--cache {path}: cannot be made: {error.strerror or error}") from error


def without_absorbed(examples: Examples) -> Examples:
    """Whoever has become the background teaches nothing."""
    trust = examples.trust.copy()
    for k, mask in enumerate(examples.mask):
        if not mask.any():
            continue
        count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        off = np.abs(examples.luma[k].astype(np.float32) - examples.level[k].astype(np.float32)) > ABSORBED_LEVELS
        area = np.bincount(labels.ravel(), minlength=count)
        seen = np.bincount(labels.ravel(), weights=off.ravel(), minlength=count)
        absorbed = seen < ABSORBED_SHARE * area
        absorbed[0] = False
        trust[k] &= ~absorbed[labels]
    return replace(examples, trust=trust)


def _plan(cache: Path, pieces: int, seed: int, footage: Footage) -> Iterator[tuple[str, str, Path, Iterator[Examples]]]:
    """What it is for, its name, where it is kept and how it is drawn, of each source."""
    runner = make_runner(load_weights("base"), device="cpu")
    warm_kernels()
    few = math.ceil(HELD_OUT_SHARE * pieces)
    for use, count, first, seeds in (
        ("train", pieces, seed, SEEDS),
        ("held_out", few, seed + HELD_OUT_SEED, HELD_OUT_SEEDS),
    ):
        for number, (name, kinds) in enumerate(SOURCES.items()):
            own = first + 100 + number
            path = cache / f"{use}-{name}-{count}-{own}-{DRAWN_AS}.npz"
            yield use, name, path, from_worlds(count, seed=own, runner=runner, kinds=kinds, seeds=seeds)
        if footage:
            path = cache / f"{use}-cut_outs-{count}-{first + 7}-{_digest(footage)}-{DRAWN_AS}.npz"
            parts = _parts(footage, use == "held_out")
            yield use, "cut_outs", path, from_footage(count, seed=first + 7, runner=runner, footage=parts)


def _parts(footage: Footage, held_out: bool) -> Footage:
    """The last fifth of each clip is for measuring, or what is left before two frames of either."""
    parts = []
    for frames in footage:
        border = min(max(2, round(TRAIN_SHARE * len(frames))), max(2, len(frames) - 2))
        parts.append(frames[border:] if held_out and len(frames) >= 4 else frames[:border])
    return parts


def _digest(footage: Footage) -> str:
    """Tells one folder of streams from another."""
    digest = hashlib.sha256()
    for frames in footage:
        for picture in frames:
            digest.update(str(picture.shape).encode() + np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()[:12]


def _cached(path: Path, source: Iterator[Examples], should_stop: Callable[[], bool]) -> Examples | None:
    """What is kept at ``path``, without whoever was absorbed; drawn and kept where there is nothing yet."""
    if not path.exists():
        begun_s, drawn = time.monotonic(), []
        for example in source:
            drawn.append(example)
            if should_stop():
                return None
        if not drawn:
            raise TrainingError(f"{path.stem}: nothing came of these pieces; allowed: more --pieces or another --seed")
        _keep(path, Examples.joined(drawn))
        log.info("drawn", path=str(path), examples=len(drawn), seconds=round(time.monotonic() - begun_s))
    try:
        return without_absorbed(Examples.load(path))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"examples {path}: cannot be read: {error}; remove the file to draw them anew") from error


def _keep(path: Path, examples: Examples) -> None:
    part = path.with_suffix(".part.npz")  # a kill leaves no half of a file to be taken for a whole one
    try:
        examples.save(part)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise TrainingError(f"examples {path}: cannot be kept: {error.strerror or error}") from error
