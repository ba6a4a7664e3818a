"""How the base network is taught: batches with augmentation, the loss, and a step of truncated back-propagation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vad.model.augment import degrade, flip
from vad.model.network import Decoded, Network, State, centred
from vad.training.material import Material
from vad.types import BLOCK_PX

CHUNK = 8
"""Frames of one step of truncated back-propagation; the state is carried into the next chunk."""


class Batch(NamedTuple):
    """A batch of whole sequences."""

    luma: Tensor  # (N, T, H, W) 0..255
    flow: Tensor  # (N, T, 2, H/4, W/4)
    moving: Tensor  # (N, T, H/4, W/4) 0..1
    trust: Tensor  # (N, T, H/4, W/4) 0..1


def batches(material: Material, *, size: int, seed: int, first: int = 0) -> Iterator[Batch]:
    """Shuffled, augmented batches for ever, from number ``first`` on.

    Each follows from the seed and its number alone, so that a training that was cut short goes on with the very batch
    it would have had.
    """
    size = min(size, len(material))
    per_round = len(material) // size
    for number in itertools.count(first):
        order = torch.randperm(len(material), generator=_generator(seed, 0, number // per_round))
        start = number % per_round * size
        yield _augmented(batch_of(material, order[start : start + size].tolist()), _generator(seed, 1, number))


def _augmented(batch: Batch, generator: torch.Generator) -> Batch:
    tensors: tuple[Tensor, ...] = tuple(batch)
    for axis, share in enumerate((0.5, 0.2)):
        if float(torch.rand((), generator=generator)) < share:
            tensors = flip(*tensors, axis=axis)
    batch = Batch(*tensors)
    return batch._replace(luma=degrade(batch.luma, generator))


def _generator(seed: int, *place: int) -> torch.Generator:
    """A generator of its own for each place, unrelated to that of any other."""
    state = np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def batch_of(material: Material, rows: list[int]) -> Batch:
    """Sequences as they are."""
    return Batch(
        torch.from_numpy(material.luma[rows]).float(),
        torch.from_numpy(material.flow[rows]).float(),
        torch.from_numpy(material.moving[rows]).float() / 255.0,
        torch.from_numpy(material.trust[rows]).float() / 255.0,
    )


class Said(NamedTuple):
    """What the network said of a chunk, frames flattened time-major: row ``t * N + n``."""

    now: Tensor  # (T N, 1, H, W)
    flow: Tensor  # (T N, 2, H/4, W/4)
    decoded: Decoded
    hidden: Tensor
    state: State  # after the last frame


def run_chunk(network: Network, luma: Tensor, before: Tensor, state: State) -> Said:
    """Run frames (N, T, H, W) that follow the picture ``before`` (N, 1, H, W), in the units of ``centred``."""
    n, t = luma.shape[:2]
    now = centred(luma.transpose(0, 1).reshape(t * n, 1, *luma.shape[2:]))
    encoded = network.encode(now, torch.cat((before, now[:-n])))
    hidden = []
    for drive in torch.split(encoded.drive, n):
        state = network.step(drive, state)
        hidden.append(state.hidden)
    hiddens = torch.cat(hidden)
    return Said(now, encoded.flow, network.decode(now, encoded, hiddens), hiddens, state)


class Losses(NamedTuple):
    """Parts of the loss, each already weighted; their sum is what training minimises."""

    foreground: Tensor
    prediction: Tensor
    reconstruction: Tensor


def losses(network: Network, said: Said, batch: Batch, *, skip: int) -> Losses:
    """``batch`` is cut to the chunk that was run; its first ``skip`` frames begin a run and have no motion to judge."""
    n = batch.luma.shape[0]
    moving, trust = (rows(x)[skip * n :].unsqueeze(1) for x in (batch.moving, batch.trust))
    entropy = functional.binary_cross_entropy_with_logits(said.decoded.foreground[skip * n :], moving, reduction="none")
    balance = trust * (1.0 + 3.0 * moving)
    foreground_loss = (balance * entropy).sum() / balance.sum().clamp_min(1.0)
    return Losses(
        foreground_loss,
        0.25 * _prediction_loss(said, rows(batch.moving).unsqueeze(1), n),
        0.25 * (network.reconstruct(said.hidden) - said.now).abs().mean(),
    )


def _prediction_loss(said: Said, moving: Tensor, n: int) -> Tensor:
    """Negative log-likelihood of the next picture under a Laplace distribution, motion weighted."""
    spread, error = said.decoded.log_spread[:-n], (said.now[n:] - said.decoded.prediction[:-n]).abs()
    error = functional.avg_pool2d(error, BLOCK_PX)
    weight = 1.0 + 4.0 * moving[n:]
    return (weight * (error * torch.exp(-spread) + spread)).sum() / weight.sum()


def rows(values: Tensor) -> Tensor:
    """(N, T, ...) -> (T N, ...), time-major."""
    return values.transpose(0, 1).reshape(-1, *values.shape[2:])


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Frames ``start`` to ``stop`` of every sequence."""
    return Batch(*(values[:, start:stop] for values in batch))


def teach_batch(network: Network, batch: Batch, optimiser: torch.optim.Optimizer) -> list[Losses]:
    """One step per chunk, the state carried (detached) from one to the next."""
    n, t, height, width = batch.luma.shape
    before, state = centred(batch.luma[:, :1]), network.initial_state(n, height, width)
    said_losses = []
    for start in range(0, t, CHUNK):
        chunk = cut(batch, start, start + CHUNK)
        said = run_chunk(network, chunk.luma, before, state)
        parts = losses(network, said, chunk, skip=1 if start == 0 else 0)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(parts)).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        before, state = said.now[-n:].detach(), State(*(x.detach() for x in said.state))
        said_losses.append(Losses(*(part.detach() for part in parts)))
    return said_losses
