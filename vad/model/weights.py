"""Weights: tensors in a safetensors file, and beside it a JSON card that says what they are.

``load_weights("base")`` finds the bundled file, anything else is a path. Whatever does not fit is refused with
WeightsError: what, got, allowed. No code is ever executed from a weights file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vad.atomic import replace_file
from vad.errors import WeightsError
from vad.model.network import Architecture, Network

NETWORK_NAME = "vad-cell-motion-4"
"""Names the layout of the network in a card: changed whenever ``network.py`` stops reading older tensors."""

LATER_KEYS = frozenset({"citation", "commit", "curves"})
"""Keys of a card that older cards do not have."""

BUNDLED_FOLDER = Path(__file__).resolve().parents[1] / "_weights"
"""Where bundled names are looked up: in the repository a link to ``weights/``, in an installed package a copy of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a weights file is. ``sha256`` is that of the safetensors file, ``metrics`` whatever training measured."""

    name: str
    network: str
    architecture: Architecture
    input_width: int  # px, about: what a camera's picture is pooled to
    trained_on: str
    licence: str
    command: str
    seed: int
    sha256: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    citation: str = ""  # of the data, where its authors ask for one
    commit: str = ""  # of the code that trained it, "+" behind it when that had changes
    curves: list[dict[str, float]] = field(default_factory=list)  # one entry an epoch: losses, held-out measures


@dataclass(frozen=True, slots=True)
class Weights:
    """A card and the tensors it describes, checked against each other."""

    card: Card
    tensors: Mapping[str, Tensor]

    def network(self) -> Network:
        """A new network with these weights."""
        network = Network(self.card.architecture)
        network.load_state_dict(dict(self.tensors))
        return network


def load_weights(name_or_path: str | Path) -> Weights:
    """A bundled name, or the path of a ``.safetensors`` file whose card lies beside it (same name, ``.json``)."""
    path = _find(name_or_path)
    card = _read_card(path.with_suffix(".json"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"weights {path}: cannot be read: {error.strerror or error}") from error
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise WeightsError(
            f"weights {path}: not a whole safetensors file ({len(data)} bytes: {error}); allowed: the file that "
            "training wrote, unshortened"
        ) from error
    _check_tensors(path, tensors, card.architecture)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise WeightsError(f"weights {path}: sha256 is {digest}, its card allows {card.sha256 or 'none'} only")
    return Weights(card, tensors)


def save_weights(path: str | Path, *, network: Network, card: Card) -> Weights:
    """Write tensors and card, each atomically, and return what a load would give.

    The tensors go first: a crash in between leaves a card whose sha256 refuses them.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsError(f"weights {path}: suffix is {path.suffix!r}, allowed: .safetensors")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    data = save(tensors)
    values = asdict(card) | {"sha256": hashlib.sha256(data).hexdigest(), "network": NETWORK_NAME}
    values["architecture"] = asdict(network.architecture)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
        replace_file(path.with_suffix(".json"), (json.dumps(values, indent=2) + "\n").encode())
    except OSError as error:
        raise WeightsError(f"weights {path}: cannot be written: {error.strerror or error}") from error
    return Weights(_card(path.with_suffix(".json"), values), tensors)


def _find(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if text.endswith(".safetensors"):
        path = Path(text)
        if not path.is_file():
            raise WeightsError(f"weights {path}: no such file")
        return path
    bundled = {path.stem: path for path in sorted(BUNDLED_FOLDER.glob("*.safetensors"))}
    if text not in bundled:
        names = ", ".join(sorted(bundled)) or "none here"
        raise WeightsError(f"weights {text!r}: no such name; allowed: a bundled name ({names}) or a .safetensors path")
    return bundled[text]


def _read_card(path: Path) -> Card:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"model card {path}: missing; allowed: the card that training wrote beside it") from error
    except OSError as error:
        raise WeightsError(f"model card {path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise WeightsError(f"model card {path}: not JSON: {error}") from error
    return _card(path, values)


def _card(path: Path, values: Any) -> Card:
    if not isinstance(values, dict):
        raise WeightsError(f"model card {path}: got {type(values).__name__}, allowed: a JSON object")
    expected = {item.name for item in fields(Card)}
    missing, unknown = sorted(expected - LATER_KEYS - set(values)), sorted(set(values) - expected)
    if missing or unknown:
        raise WeightsError(f"model card {path}: missing keys {missing}, unknown keys {unknown}; allowed: none of both")
    if values["network"] != NETWORK_NAME:
        raise WeightsError(f"model card {path}: network is {values['network']!r}, allowed: {NETWORK_NAME!r}")
    width = values["input_width"]
    if not isinstance(width, int) or not 32 <= width <= 1024:
        raise WeightsError(f"model card {path}: input_width is {width!r}, allowed: 32 to 1024 pixels")
    try:
        architecture = Architecture(**values["architecture"])
    except (TypeError, ValueError) as error:
        raise WeightsError(f"model card {path}: architecture: {error}") from error
    return Card(**(values | {"architecture": architecture}))


def _check_tensors(path: Path, tensors: Mapping[str, Tensor], architecture: Architecture) -> None:
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in Network(architecture).state_dict().items()}
    missing, foreign = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or foreign:
        raise WeightsError(
            f"weights {path}: missing tensors {missing[:4]}, foreign tensors {foreign[:4]}; allowed: none"
        )
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape or tensor.dtype != torch.float32:
            got = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise WeightsError(f"weights {path}: tensor {name} is {got}, allowed: torch.float32 {tuple(shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"weights {path}: tensor {name} holds NaN or infinity, allowed: finite numbers")
