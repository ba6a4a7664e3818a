"""What a training says of the weights it made: the model card, with the code's commit and the curves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import torch

from vad.model.network import Network
from vad.model.weights import NETWORK_NAME, Card, Weights
from vad.training.trainer import Trainer

INPUT_WIDTH = 160
"""Pixels, about: what a camera's picture is pooled to, of weights that are not trained from others."""


def new_network(init: Weights | None, *, seed: int) -> Network:
    """The network to begin with: that of ``init``, or a fresh one drawn from the seed."""
    torch.manual_seed(seed)
    return init.network() if init is not None else Network()


def describe(
    trainer: Trainer,
    *,
    name: str,
    trained_on: str,
    licence: str,
    command: str,
    metrics: dict[str, Any],
    citation: str = "",
    input_width: int = INPUT_WIDTH,
) -> Card:
    """The card of what the trainer has trained. It holds no times: the same training gives the same card."""
    return Card(
        name=name,
        network=NETWORK_NAME,
        architecture=trainer.network.architecture,
        input_width=input_width,
        trained_on=trained_on,
        licence=licence,
        command=command,
        seed=trainer.plan.seed,
        metrics=metrics,
        citation=citation,
        commit=commit(),
        curves=trainer.curves,
    )


def commit() -> str:
    """The commit of this code, with "+" behind it when the code was changed since; empty outside a repository."""
    package = Path(__file__).resolve().parents[1]
    head = _git("rev-parse", "HEAD", folder=package)
    changed = _git("status", "--porcelain", "--", ".", folder=package)
    return f"{head}+" if head and changed else head


def _git(*arguments: str, folder: Path) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    tracked = done.returncode == 0
    return done.stdout.strip() if tracked else ""
