"""The training loop, counted in batches: the same plan and material give the same network, bit for bit.

That holds on one device with one number of threads, and just as well when the training was killed and resumed: a
checkpoint holds all that the next batch depends on, and each batch of the stream follows from the seed and its number.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vad.errors import TrainingError
from vad.model.network import Network
from vad.model.weights import NETWORK_NAME
from vad.training import checkpoint
from vad.training.lessons import Batch, Losses, batches, teach_batch
from vad.training.material import FRAMES, Material

EPOCH_BATCHES = 100
"""What is called an epoch: the curves have one entry for each."""

CHECKPOINT_EVERY = 50
"""Batches between two checkpoints: half a minute of work is what a kill costs."""

WARM_UP_BATCHES = 50
LAST_RATE_SHARE = 0.02
"""Share of the learning rate that is left at the end of the cosine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to teach."""

    batches: int
    size: int = 6  # sequences of a batch
    seed: int = 0
    learning_rate: float = 2e-3
    epoch_batches: int = EPOCH_BATCHES
    checkpoint_every: int = CHECKPOINT_EVERY

    def rate(self, batch: int) -> float:
        """The learning rate of a batch: a short warm-up, then a cosine."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * batch / self.batches))
        warm = min(1.0, (batch + 1) / WARM_UP_BATCHES)
        return self.learning_rate * warm * (LAST_RATE_SHARE + (1.0 - LAST_RATE_SHARE) * cosine)


class Progress(NamedTuple):
    """Where a training stands."""

    batch: int
    batches: int
    loss: float  # mean over this epoch so far
    frames: int  # taught by this process so far


class Trainer:
    """Teaches ``network`` in place. ``run`` once; before it, ``resume`` to go on from the checkpoint.

    ``settings`` says which training this is, beyond plan and material: a checkpoint of another one is refused.
    ``exam`` measures the network at the end of each epoch, for the curves.
    """

    def __init__(
        self,
        network: Network,
        material: Material,
        *,
        plan: Plan,
        path: Path,
        settings: checkpoint.Settings | None = None,
        device: torch.device | str = "cpu",
        exam: Callable[[Network], Mapping[str, float]] | None = None,
    ) -> None:
        keep_freed_memory()
        self.plan, self.path = plan, path
        self.batch = 0  # taught so far
        self.curves: list[dict[str, float]] = []  # one entry an epoch
        self.network = network.train().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._material, self._device, self._exam = material, torch.device(device), exam
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
        self._recent: list[list[float]] = []  # losses of this epoch's steps
        self._settings: dict[str, str | int | float] = {
            **(settings or {}),
            "batches": plan.batches,
            "sequences of a batch": plan.size,
            "batches of an epoch": plan.epoch_batches,
            "seed": plan.seed,
            "learning rate": plan.learning_rate,
            "network": f"{NETWORK_NAME} {network.architecture}",
            "material": _digest(material),
        }

    @property
    def sequences(self) -> int:
        return len(self._material)

    def run(self, *, tell: Callable[[Progress], None], should_stop: Callable[[], bool]) -> bool:
        """Teach until the plan is done, and leave a checkpoint. False when ``should_stop`` said so before.

        Raises TrainingError when a loss or a weight is not finite (the last good checkpoint stays) or a checkpoint
        cannot be written.
        """
        frames = 0
        stream = batches(self._material, size=self.plan.size, seed=self.plan.seed, first=self.batch)
        while self.batch < self.plan.batches:
            if should_stop():
                self.save()
                return False
            batch = next(stream)
            self._teach(batch)
            frames += batch.luma.shape[0] * FRAMES
            tell(Progress(self.batch, self.plan.batches, float(np.sum(self._means())), frames))
            if self.batch % self.plan.epoch_batches == 0 or self.batch == self.plan.batches:
                self._end_epoch()
            if self.batch % self.plan.checkpoint_every == 0 and self.batch < self.plan.batches:
                self.save()
        self.save()
        return True

    def _teach(self, batch: Batch) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = self.plan.rate(self.batch)
        batch = Batch(*(values.to(self._device, non_blocking=True) for values in batch))
        losses = [[float(part) for part in parts] for parts in teach_batch(self.network, batch, self._optimiser)]
        if not np.isfinite(losses).all():
            parts = ", ".join(f"{name} {value:g}" for name, value in zip(Losses._fields, losses[-1], strict=True))
            raise TrainingError(f"the loss of batch {self.batch} is not finite ({parts}); {self._what_is_kept()}")
        self._recent += losses
        self.batch += 1

    def _means(self) -> list[float]:
        return [float(mean) for mean in np.mean(self._recent, axis=0)] if self._recent else []

    def _end_epoch(self) -> None:
        losses = dict(zip(Losses._fields, self._means(), strict=True))
        held_out = self._exam(self.network) if self._exam is not None else {}
        self.network.train()
        entry = {"batch": float(self.batch), **losses, **{f"held_out_{name}": held_out[name] for name in held_out}}
        self.curves.append({name: round(value, 4) for name, value in entry.items()})
        self._recent = []

    def save(self) -> None:
        """Write the checkpoint. A network that holds NaN is never written over a good one."""
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self.network.state_dict().values()):
            raise TrainingError(f"weights are not finite after batch {self.batch - 1}; {self._what_is_kept()}")
        state = {
            "batch": self.batch,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "curves": self.curves,
            "recent": self._recent,
        }
        checkpoint.save(self.path, settings=self._settings, state=state)

    def resume(self) -> None:
        """Go on from the checkpoint. Raises TrainingError when it is unreadable or of another training."""
        state = checkpoint.load(self.path, settings=self._settings)
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.batch, self.curves, self._recent = state["batch"], state["curves"], state["recent"]

    def _what_is_kept(self) -> str:
        if not self.path.exists():
            return "there was no checkpoint yet, nothing is written"
        return f"the last good checkpoint is kept at {self.path}; allowed: other material or another seed"


def _digest(material: Material) -> str:
    """Tells one material from another."""
    digest = hashlib.sha256()
    for array in (material.luma, material.flow, material.moving, material.trust):
        digest.update(str((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return f"{len(material)} sequences, sha256 {digest.hexdigest()[:16]}"


def keep_freed_memory() -> None:
    """Let glibc keep freed memory: giving 100 MB back and asking for it again at each step halves the speed."""
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return  # another C library: slower, no less right
    trim_threshold, mmap_threshold = -1, -3
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(mmap_threshold, 2**30)
