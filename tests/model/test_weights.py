"""Weights: what is saved comes back; whatever does not fit is refused, and the message says why."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.model.factory import random_weights
from vad.errors import WeightsError
from vad.model import Weights, load_weights, save_weights


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    weights = random_weights()
    save_weights(tmp_path / "one.safetensors", network=weights.network(), card=weights.card)
    return tmp_path / "one.safetensors"


def edit_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def replace_tensors(path: Path, weights: Weights, **changes: torch.Tensor | None) -> None:
    """Write other tensors and let the card name their sha256, as a careless tool would."""
    tensors = {**weights.tensors, **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    edit_card(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_is_saved_comes_back(saved: Path) -> None:
    expected, got = random_weights(), load_weights(saved)
    assert got.card == dataclasses.replace(expected.card, sha256=hashlib.sha256(saved.read_bytes()).hexdigest())
    assert set(got.tensors) == set(expected.tensors)
    for name, tensor in got.tensors.items():
        assert torch.equal(tensor, expected.tensors[name])
    assert load_weights(str(saved)).card == got.card
    assert [p.name for p in saved.parent.iterdir() if p.name.startswith(".")] == []


def test_the_bundled_weights_load() -> None:
    card = load_weights("base").card
    assert card.name == "base"
    assert 120 <= card.input_width <= 200
    assert "ped2" not in card.trained_on.lower()
    assert card.licence


@pytest.mark.parametrize("name", ["nonsense", "", "weights/base", "../base"])
def test_an_unknown_name_lists_the_bundled_ones(name: str) -> None:
    with pytest.raises(WeightsError, match=r"no such name; allowed: a bundled name \(.*base.*\)"):
        load_weights(name)


def test_a_missing_file_and_a_missing_card_are_refused(saved: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.safetensors: no such file"):
        load_weights(saved.parent / "gone.safetensors")
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"one\.json: missing"):
        load_weights(saved)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(saved: Path, keep: int) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[:keep])
    with pytest.raises(WeightsError, match=r"one\.safetensors: not a whole safetensors file"):
        load_weights(saved)


def test_a_foreign_file_is_refused(saved: Path) -> None:
    saved.write_bytes(b"PK\x03\x04 this is a pickle of something else" * 50)
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_weights(saved)


def test_another_networks_tensors_are_refused(saved: Path) -> None:
    save_file({"backbone.weight": torch.zeros(3)}, saved)
    with pytest.raises(WeightsError, match=r"foreign tensors \['backbone.weight'\]"):
        load_weights(saved)


def test_a_wrong_shape_a_wrong_type_and_nan_are_refused(saved: Path) -> None:
    weights = random_weights()
    for bad, message in [
        (torch.zeros(7), r"tensor near\.bias is torch\.float32 \(7,\), allowed: torch\.float32 \(8,\)"),
        (torch.zeros(8, dtype=torch.float16), r"near\.bias is torch\.float16 \(8,\), allowed"),
        (torch.full((8,), float("nan")), r"near\.bias holds NaN"),
        (None, r"missing tensors \['near\.bias'\]"),
    ]:
        replace_tensors(saved, weights, **{"near.bias": bad})
        with pytest.raises(WeightsError, match=message):
            load_weights(saved)


def test_one_flipped_bit_is_refused(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-3] ^= 1
    saved.write_bytes(data)
    with pytest.raises(WeightsError, match=r"sha256 is [0-9a-f]{64}, its card allows [0-9a-f]{64} only"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "other-2"}, "network is 'other-2', allowed: 'vad-"),
        ({"architecture": {"look": 8, "depth": 3}}, "architecture: .*depth"),
        ({"architecture": {"look": -8}}, "look is -8; allowed"),
        ({"architecture": 3}, "architecture"),
        ({"input_width": "wide"}, "input_width is 'wide', allowed"),
        ({"surprise": 1}, r"unknown keys \['surprise'\]"),
        ({"architecture": {"look": 16, "features": 8, "hidden": 8, "mixed": 8}}, r"is torch\.float32 .*, allowed"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(saved: Path, changes: dict[str, Any], message: str) -> None:
    edit_card(saved, **changes)
    with pytest.raises(WeightsError, match=message):
        load_weights(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_card_that_is_no_json_object_is_refused(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(WeightsError, match=r"one\.json"):
        load_weights(saved)


def test_saving_keeps_the_old_file_when_it_cannot_write(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(WeightsError, match="cannot be written: No space left on device"):
        save_weights(saved, network=random_weights(1).network(), card=random_weights(1).card)
    assert saved.read_bytes() == before
    assert sorted(p.name for p in saved.parent.iterdir()) == ["one.json", "one.safetensors"]
    load_weights(saved)


def test_only_safetensors_are_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"suffix is '\.pt', allowed: \.safetensors"):
        save_weights(tmp_path / "one.pt", network=random_weights().network(), card=random_weights().card)
