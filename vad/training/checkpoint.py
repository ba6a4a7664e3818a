"""A training's checkpoint: one file, replaced as a whole, that knows which training it belongs to."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vad.atomic import replace_file
from vad.errors import TrainingError

FORMAT = "vad-training-1"

Settings = Mapping[str, str | int | float]
"""What must be the same for a training to go on: plain values, compared one by one."""


def check_begun(path: Path, *, resume: bool) -> None:
    """Refuse to begin anew over a training that was not finished. Raises TrainingError."""
    if path.exists() and not resume:
        raise TrainingError(
            f"{path}: a training that was not finished is kept there; allowed: --resume to go on with it, or remove "
            "the file to begin anew"
        )


def save(path: Path, *, settings: Settings, state: Mapping[str, Any]) -> None:
    """Replace ``path`` by a new file, or leave it as it was. Raises TrainingError when it cannot be written."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "settings": dict(settings), "state": dict(state)}, buffer)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, buffer.getvalue())
    except OSError as error:
        kept = "the one before it is whole and kept" if path.exists() else "there was none before"
        raise TrainingError(f"checkpoint {path}: cannot be written: {error.strerror or error}; {kept}") from error


def load(path: Path, *, settings: Settings) -> dict[str, Any]:
    """The state saved under the same settings. Raises TrainingError: unreadable, foreign, of another training.

    Holds tensors and plain values only; no code is executed from the file.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"checkpoint {path}: not a whole checkpoint; allowed: the file that the training wrote, or none at all"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(f"checkpoint {path}: not a checkpoint of this version; allowed: format {FORMAT}")
    _require_same(path, content["settings"], settings)
    state: dict[str, Any] = content["state"]
    return state


def _require_same(path: Path, saved: Mapping[str, Any], settings: Settings) -> None:
    wrong = [
        f"{name} is {settings.get(name)!r}, allowed: {saved.get(name)!r}"
        for name in sorted({*saved, *settings})
        if saved.get(name) != settings.get(name)
    ]
    if wrong:
        raise TrainingError(f"checkpoint {path}: is of a training with other settings: {'; '.join(wrong)}")
