"""Training the base weights, in the small: the command writes weights that load and say where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vad.model import load_weights
from vad.model.network import Architecture, Network
from vad.training import base
from vad.training.lessons import batches, teach_batch
from vad.training.material import Material, from_collages


@pytest.fixture(scope="module")
def material() -> Material:
    return Material.joined(list(from_collages(2, seed=2, pictures=())))


def test_teaching_lowers_the_loss(material: Material) -> None:
    torch.manual_seed(0)
    network = Network(Architecture(look=8, features=8, hidden=8, mixed=8))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    totals = []
    for step, batch in enumerate(batches(material, size=2, seed=0)):
        totals += [float(sum(parts)) for parts in teach_batch(network, batch, optimiser)]
        if step == 7:
            break
    assert sum(totals[-4:]) < sum(totals[:4])


def test_batches_follow_from_the_seed(material: Material) -> None:
    first, second = (next(batches(material, size=2, seed=7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_batch_follows_from_the_seed_and_its_number_alone(material: Material) -> None:
    stream = batches(material, size=2, seed=7)
    fourth = [next(stream) for _ in range(4)][3]
    assert all(torch.equal(a, b) for a, b in zip(fourth, next(batches(material, size=2, seed=7, first=3)), strict=True))
    assert not torch.equal(fourth.luma, next(batches(material, size=2, seed=8, first=3)).luma)


def test_material_smaller_than_a_batch_gives_smaller_batches(material: Material) -> None:
    assert next(batches(material, size=6, seed=0)).luma.shape[0] == 2


def test_the_command_writes_the_same_weights_twice_with_a_card(tmp_path: Path) -> None:
    digests = set()
    for name in ("small", "again"):
        out = tmp_path / f"{name}.safetensors"
        base.main(["--out", str(out), "--batches", "2", "--sequences", "6", "--cache", str(tmp_path / "cache")])
        card = load_weights(out).card
        assert card.name == name
        assert "--batches 2 --seed 0" in card.command
        assert set(card.metrics) >= {"held_out_scenes", "held_out_collages", "batches"}
        assert card.metrics["held_out_collages"]["flow_error_px"] > 0.0
        assert [entry["batch"] for entry in card.curves] == [2.0]
        digests.add(card.sha256)
    assert len(digests) == 1
    assert not list((tmp_path / "cache").glob("*.checkpoint"))
