"""Train the segmentation network that comes with vad.

    python -m vad.training.segmentation --out weights/objects/segmentation.safetensors [--streams FOLDER]

Learns from simulated worlds and, when ``--streams`` names a folder of videos of fixed cameras, from cut-outs that cross
those. Examples are drawn once and kept in ``--cache``: a quarter of an hour and 3 GB. Counted in
batches: the same command gives the same weights, also when it was interrupted and went on with ``--resume``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from vad.atomic import check_writable, replace_file
from vad.errors import TrainingError, VadError
from vad.scoring.objects.segmentation_kernels import ESTABLISHED_S
from vad.training import checkpoint
from vad.training.card import commit
from vad.training.interrupt import stop_on_signals
from vad.training.provenance import read_provenance
from vad.training.segmentation_examples import draw_or_load, make_folder
from vad.training.segmentation_material import (
    Examples,
    footage_of,
)
from vad.training.segmentation_network import SegmentationNetwork
from vad.training.segmentation_vary import Degradation, part_of_batch, vary

log = structlog.get_logger(__name__)

BATCHES = 9_000
"""20 minutes on one core of an AMD EPYC (Milan)."""

BATCH = 16
LEARNING_RATE, WARM_UP_BATCHES, LAST_RATE_SHARE = 3e-3, 100, 0.03

PIECES = 45
"""Of each kind of world, and of cut-outs over footage."""

TYPICAL_PX, LEAST_WEIGHT, MOST_WEIGHT = 200.0, 0.7, 4.0
"""Somebody of that size weighs 1 in each of his pixels; who is smaller weighs more."""

EXAM_EVERY = 500


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Exit status 0 done, 1 failed, 130 interrupted with a checkpoint."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    try:
        make_folder(options.cache)
        checkpoint.check_begun(_checkpoint(options), resume=options.resume)
        check_writable(options.out)
        check_writable(_checkpoint(options))
        degradation = None if options.without_degradation else Degradation()
        footage = footage_of(options.streams) if options.streams else []
        with stop_on_signals() as should_stop:
            examples = draw_or_load(
                options.cache, pieces=options.pieces, seed=options.seed, footage=footage, should_stop=should_stop
            )
            training = Training(options, *examples, degradation) if examples else None
            if training is None or not training.run(should_stop):
                log.warning("interrupted", go_on_with="the same command and --resume; whole sources are kept")
                sys.exit(130)
        _write(options, training)
    except KeyboardInterrupt:  # a second signal
        log.warning("stopped at once", kept="the last checkpoint, and examples that were drawn whole")
        sys.exit(130)
    except VadError as error:
        log.error("failed", detail=str(error))
        sys.exit(1)


class Training:
    """Teaches one network in place; ``run`` once. Goes on from the checkpoint where there is one."""

    def __init__(
        self,
        options: argparse.Namespace,
        learnt: Examples,
        held_out: Mapping[str, Examples],
        degradation: Degradation | None,
    ) -> None:
        torch.manual_seed(options.seed)
        self.network = SegmentationNetwork()
        self.batch = 0
        self.curves: list[dict[str, float]] = []
        self._batches, self._seed, self._path = options.batches, options.seed, _checkpoint(options)
        self._learnt, self._weight, self._held_out = learnt, weights_of(learnt), held_out
        self._degradation = degradation
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
        self._losses: list[float] = []
        digest = hashlib.sha256()
        for plane in (learnt.luma, learnt.level, learnt.mask, learnt.trust):
            digest.update(np.ascontiguousarray(plane).data)
        self._settings: dict[str, str | int] = {
            "batches": options.batches,
            "seed": options.seed,
            "threads": options.threads,
            "without_degradation": str(options.without_degradation),
            "examples": f"{len(learnt)}, sha256 {digest.hexdigest()[:16]}",
        }
        if self._path.exists():
            state = checkpoint.load(self._path, settings=self._settings)
            self.network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.batch, self.curves, self._losses = state["batch"], state["curves"], state["losses"]
            log.info("resumed", batch=self.batch)

    def run(self, should_stop: Callable[[], bool]) -> bool:
        """Teach until the plan is done. False when ``should_stop`` said so before. Raises TrainingError."""
        while self.batch < self._batches:
            if should_stop():
                self._save()
                return False
            self._teach()
            if self.batch % EXAM_EVERY == 0 or self.batch == self._batches:
                self._end_epoch()
        return True

    @property
    def held_out(self) -> dict[str, float]:
        """What was measured last."""
        last = self.curves[-1] if self.curves else {}
        return {name: value for name, value in last.items() if name.startswith("held_out_")}

    def measures(self) -> dict[str, float]:
        """Intersection over union of what was held out, by source."""
        self.network.eval()
        found = {}
        with torch.inference_mode():
            for name, examples in self._held_out.items():
                both = either = 0.0
                for first in range(0, len(examples), BATCH):
                    rows = np.arange(first, min(first + BATCH, len(examples)))
                    planes, mask, trust = tensors_of(examples, rows)
                    said, true = (self.network(planes)[:, 0] > 0).float() * trust, mask * trust
                    both += float((said * true).sum())
                    either += float(torch.maximum(said, true).sum())
                found[f"held_out_{name}"] = round(both / max(either, 1.0), 4)
        self.network.train()
        return found

    def _teach(self) -> None:
        random = np.random.default_rng((self._seed, self.batch))
        rows = random.integers(0, len(self._learnt), BATCH)
        chosen = Examples(**{name: getattr(self._learnt, name)[rows] for name in Examples.__slots__})
        planes, mask, trust = tensors_of(vary(chosen, random, self._degradation), np.arange(BATCH))
        weight = torch.from_numpy(self._weight[rows].astype(np.float32)) * trust
        y, x = part_of_batch(random)
        half_y, half_x = slice(y.start // 2, y.stop // 2), slice(x.start // 2, x.stop // 2)
        planes, mask, weight = planes[:, :, half_y, half_x], mask[:, y, x], weight[:, y, x]
        if random.random() < 0.5:
            planes, mask, weight = _flipped(planes), mask.flip(2), weight.flip(2)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        loss = loss_of(self.network(planes)[:, 0], mask, weight)
        if not math.isfinite(float(loss.detach())):
            raise TrainingError(f"the loss of batch {self.batch} is not finite; the last checkpoint is kept")
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._losses.append(float(loss.detach()))
        self.batch += 1

    def _rate(self) -> float:
        cosine = 0.5 * (1.0 + math.cos(math.pi * self.batch / self._batches))
        return LEARNING_RATE * min(1.0, (self.batch + 1) / WARM_UP_BATCHES) * max(LAST_RATE_SHARE, cosine)

    def _end_epoch(self) -> None:
        entry = {"batch": float(self.batch), "loss": round(float(np.mean(self._losses)), 4), **self.measures()}
        self.curves.append(entry)
        self._losses = []
        log.info("teaching", **entry)
        self._save()

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "batch": self.batch,
            "curves": self.curves,
            "losses": self._losses,
        }
        checkpoint.save(self._path, settings=self._settings, state=state)


def loss_of(logits: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy and Dice loss (Milletari et al., "V-Net", 2016), each (N, H, W) weighted pixel by pixel."""
    entropy = functional.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    share, true = torch.sigmoid(logits) * weight, mask * weight
    overlap = (2.0 * (share * true).sum((1, 2)) + 20.0) / (share.sum((1, 2)) + true.sum((1, 2)) + 20.0)
    loss: Tensor = 5.0 * (entropy * weight).mean() + (1.0 - overlap).mean()
    return loss


def tensors_of(examples: Examples, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    """The network's input (N, C, H/2, W/2), as ``segmentation.enter`` makes it, mask and trust (N, H, W)."""

    def plane(values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values[rows].astype(np.float32))[:, None]

    def apart(values: Tensor) -> Tensor:
        return functional.pixel_unshuffle(values, 2)

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, 2)

    luma, level = plane(examples.luma), plane(examples.level)
    planes = (
        apart(((luma - level) * 0.05).clamp(-4.0, 4.0)),
        apart((luma - 128.0) / 64.0),
        apart((level - 128.0) / 64.0),
        mean(plane(examples.spread)) * 0.125,
        mean((plane(examples.seen_s) / ESTABLISHED_S).clamp(max=1.0)),
        mean(plane(examples.quiet_s).clamp(max=1.0)),
        functional.interpolate(plane(examples.activity), scale_factor=4, mode="nearest"),
    )
    return torch.cat(planes, dim=1), plane(examples.mask)[:, 0], plane(examples.trust)[:, 0]


def _flipped(planes: Tensor) -> Tensor:
    """Left to right: the columns, and the pixels of each 2x2."""
    flipped = planes.flip(3)
    order = [1, 0, 3, 2]
    apart = [4 * group + k for group in range(3) for k in order]
    return flipped[:, apart + list(range(12, planes.shape[1]))]


def weights_of(examples: Examples) -> NDArray[np.float16]:
    """(N, H, W): how much each pixel counts, at somebody and around him; 1 elsewhere."""
    weights = np.ones(examples.mask.shape, np.float16)
    for k, mask in enumerate(examples.mask):
        if not mask.any():
            continue
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        each = np.clip(np.sqrt(TYPICAL_PX / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)), LEAST_WEIGHT, MOST_WEIGHT)
        each[0] = 0.0
        near = cv2.dilate(each.astype(np.float32)[labels], np.ones((5, 5), np.uint8))
        weights[k] = np.where(near > 0.0, near, 1.0)
    return weights


def _write(options: argparse.Namespace, training: Training) -> None:
    tensors = {name: tensor.detach().contiguous() for name, tensor in training.network.state_dict().items()}
    data = save(tensors)
    streams = ""
    if options.streams:
        source = read_provenance(options.streams)
        streams = f", cut-outs over {source.title} ({source.licence})"
    command = f"python -m vad.training.segmentation --out {options.out}" + (" --streams STREAMS" if streams else "")
    card = {
        "name": options.out.stem,
        "trained_on": f"simulated worlds of vad.video.worlds{streams}",
        "licence": "Apache-2.0",
        "command": f"{command} --batches {options.batches} --pieces {options.pieces} --seed {options.seed}"
        + (" --without-degradation" if options.without_degradation else ""),
        "commit": commit(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "metrics": training.held_out,
        "curves": training.curves,
    }
    try:
        replace_file(options.out, data)
        replace_file(options.out.with_suffix(".json"), (json.dumps(card, indent=2) + "\n").encode())
    except OSError as error:
        raise TrainingError(f"weights {options.out}: cannot be written: {error.strerror or error}") from error
    _checkpoint(options).unlink(missing_ok=True)
    log.info("saved", path=str(options.out), **training.held_out)


def _checkpoint(options: argparse.Namespace) -> Path:
    path: Path = options.cache / f"{options.out.stem}.checkpoint"
    return path


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: a whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: a whole number from 0 on")
    return int(text)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vad.training.segmentation", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a .safetensors path; the card goes beside it")
    parser.add_argument("--batches", type=_count, default=BATCHES, help="how long to teach")
    parser.add_argument("--pieces", type=_count, default=PIECES, help="of each kind of world, a minute each")
    parser.add_argument("--seed", type=_seed, default=0)
    parser.add_argument("--streams", type=Path, default=None, help="a folder of .mp4 files from fixed cameras")
    parser.add_argument("--cache", type=Path, default=Path("runs/segmentation"), help="where drawn examples are kept")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --cache")
    parser.add_argument(
        "--without-degradation", action="store_true", help="no blur and JPEG, which need the extra train"
    )
    parser.add_argument("--threads", type=_count, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
