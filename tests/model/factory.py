"""Clips made by hand, and networks with random but repeatable weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vad.model import Card, Weights
from vad.model.network import Architecture, Network
from vad.model.weights import NETWORK_NAME
from vad.types import Clip, Frame, Geometry, WallSource

FPS = 10.0


def random_weights(seed: int = 0) -> Weights:
    torch.manual_seed(seed)
    network = Network(Architecture(look=8, features=8, hidden=8, mixed=8))
    torch.nn.init.normal_(network.head.weight, std=0.2)  # the training start is near zero: too quiet for a test
    card = Card(
        name="random",
        network=NETWORK_NAME,
        architecture=network.architecture,
        input_width=160,
        trained_on="nothing",
        licence="Apache-2.0",
        command="none",
        seed=seed,
    )
    return Weights(card, network.state_dict())


def geometry(width: int, height: int, *, pool: int = 4) -> Geometry:
    return Geometry(width * pool, height * pool, pool, -(-width // 8) * 8, -(-height // 8) * 8)


def clip_of(
    pictures: NDArray[np.uint8], *, camera: str = "a", run: int = 1, first: int = 0, shape: Geometry | None = None
) -> Clip:
    """``pictures`` is (T, H, W), H and W multiples of 8; frame ``first + t`` lies at ``(first + t) / FPS`` seconds."""
    height, width = pictures.shape[1:]
    shape = shape or geometry(width, height)
    return Clip(
        tuple(
            Frame(
                camera=camera,
                run=run,
                index=first + t,
                pts_s=(first + t) / FPS,
                wall_s=1.7e9 + (first + t) / FPS,
                wall_source=WallSource.FILE,
                arrived_s=0.0,
                geometry=shape,
                luma=np.ascontiguousarray(picture),
            )
            for t, picture in enumerate(pictures)
        )
    )


def noise(count: int, width: int = 64, height: int = 48, *, seed: int = 0) -> NDArray[np.uint8]:
    """(count, height, width) smooth noise that changes from frame to frame."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (count, height // 8, width // 8), dtype=np.uint8)
    fine = np.kron(coarse, np.ones((1, 8, 8), dtype=np.uint8))
    return (fine // 2 + random.integers(0, 128, fine.shape, dtype=np.uint8)).astype(np.uint8)
