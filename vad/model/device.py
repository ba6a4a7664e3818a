"""Which device torch finds."""

from __future__ import annotations

import torch

from vad.errors import EngineError


def find_device(name: str) -> torch.device:
    """``auto`` (CUDA when there is one), ``cpu``, ``cuda`` or ``cuda:N``; a CUDA device comes with its number.

    Raises EngineError when it is not there.
    """
    if name == "auto":
        return torch.device("cpu" if why_no_cuda() else "cuda:0")
    device = torch.device(name)
    if device.type != "cuda":
        return device
    why, count = why_no_cuda(), torch.cuda.device_count()
    if why or (device.index or 0) >= count:
        found = why or f"torch finds {count} CUDA device{'s' if count != 1 else ''}"
        raise EngineError(f"device {name} is not there: {found}; allowed: auto, cpu or a device found")
    return torch.device("cuda", device.index or 0)


def why_no_cuda() -> str:
    """Why there is no CUDA device to compute on; empty when there is one."""
    if torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return "torch finds no CUDA device: this PyTorch is built without CUDA"
    return "torch finds no CUDA device: no NVIDIA GPU, or no driver that this PyTorch can use"
