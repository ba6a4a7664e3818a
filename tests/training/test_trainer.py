"""The training loop: stopping, going on, refusing, and what is left on disk when something breaks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vad.errors import TrainingError
from vad.model.network import Architecture, Network
from vad.training import checkpoint
from vad.training.material import Material, from_collages
from vad.training.trainer import Plan, Progress, Trainer

PLAN = Plan(batches=7, size=2, epoch_batches=3, checkpoint_every=2)


@pytest.fixture(scope="module")
def material() -> Material:
    return Material.joined(list(from_collages(3, seed=2, pictures=())))


def make_trainer(material: Material, path: Path, *, plan: Plan = PLAN) -> Trainer:
    torch.manual_seed(plan.seed)
    network = Network(Architecture(look=8, features=8, hidden=8, mixed=8))
    return Trainer(network, material, plan=plan, path=path, exam=lambda network: {"measure": 1.0})


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in trainer.network.state_dict().values()]


def ignore(progress: Progress) -> None:
    pass


@pytest.mark.parametrize("stop_at", [0, 1, 2, 3, 6])
def test_stopped_anywhere_and_resumed_it_ends_with_the_same_bits(
    material: Material, tmp_path: Path, stop_at: int
) -> None:
    whole = make_trainer(material, tmp_path / "whole.checkpoint")
    assert whole.run(tell=ignore, should_stop=lambda: False)
    first = make_trainer(material, tmp_path / "a.checkpoint")
    assert not first.run(tell=ignore, should_stop=lambda: first.batch >= stop_at)
    assert first.batch == stop_at
    second = make_trainer(material, tmp_path / "a.checkpoint")
    second.resume()
    assert second.batch == stop_at
    assert second.run(tell=ignore, should_stop=lambda: False)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))
    assert whole.curves == second.curves
    assert [entry["batch"] for entry in whole.curves] == [3.0, 6.0, 7.0]


def test_a_checkpoint_of_other_settings_is_refused_with_what_differs(material: Material, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    make_trainer(material, path).save()
    other = make_trainer(material, path, plan=Plan(batches=9, size=2, epoch_batches=3, checkpoint_every=2, seed=4))
    with pytest.raises(TrainingError, match=r"batches is 9, allowed: 7; seed is 4, allowed: 0"):
        other.resume()
    fewer = Material(material.luma[:2], material.flow[:2], material.moving[:2], material.trust[:2])
    with pytest.raises(TrainingError, match="material is '2 sequences"):
        make_trainer(fewer, path).resume()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_checkpoint_is_refused(material: Material, tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.checkpoint"
    make_trainer(material, path).save()
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        make_trainer(material, path).resume()


def test_a_foreign_checkpoint_is_refused(material: Material, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    torch.save({"something": 1}, path)
    with pytest.raises(TrainingError, match="not a checkpoint of this version"):
        make_trainer(material, path).resume()


def test_nan_stops_the_training_and_the_last_good_checkpoint_stays(material: Material, tmp_path: Path) -> None:
    trainer = make_trainer(material, tmp_path / "a.checkpoint")

    def poison(progress: Progress) -> None:
        if progress.batch == 3:
            trainer.network.head.weight.data.fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"loss of batch 3 is not finite .*last good checkpoint is kept"):
        trainer.run(tell=poison, should_stop=lambda: False)
    again = make_trainer(material, tmp_path / "a.checkpoint")
    again.resume()
    assert again.batch == 2
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(again))


def test_weights_that_are_not_finite_never_reach_the_checkpoint(material: Material, tmp_path: Path) -> None:
    trainer = make_trainer(material, tmp_path / "a.checkpoint")
    trainer.save()
    before = trainer.path.read_bytes()
    trainer.network.head.bias.data.fill_(float("inf"))
    with pytest.raises(TrainingError, match="weights are not finite"):
        trainer.save()
    assert trainer.path.read_bytes() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True)
    if mount.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_the_old_checkpoint_whole(small_disk: Path) -> None:
    path = small_disk / "a.checkpoint"
    checkpoint.save(path, settings={"seed": 1}, state={"batch": 1})
    with pytest.raises(TrainingError, match="No space left on device; the one before it is whole and kept"):
        checkpoint.save(path, settings={"seed": 1}, state={"batch": 2, "weights": torch.zeros(100_000)})
    assert checkpoint.load(path, settings={"seed": 1}) == {"batch": 1}
    assert [entry.name for entry in small_disk.iterdir()] == [path.name]
