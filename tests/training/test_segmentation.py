"""Training the segmentation network, in the small."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from vad.errors import DatasetError, TrainingError
from vad.scoring.objects.segmentation import layers_of
from vad.training import base, segmentation, segmentation_examples
from vad.training.segmentation_material import HEIGHT, HELD_OUT_SEEDS, SEEDS, WIDTH, Examples, footage_of
from vad.video.worlds import JUDGED_SEEDS, TRAINING_SEEDS


def drawn(count: int = 120, seed: int = 0) -> Examples:
    """Bright boxes before a flat wall; every fourth has become the background."""
    random = np.random.default_rng(seed)
    level = np.full((count, HEIGHT, WIDTH), 100.0)
    luma, mask = level.copy(), np.zeros(level.shape, np.bool_)
    for k in range(count):
        top, left = int(random.integers(0, HEIGHT - 30)), int(random.integers(0, WIDTH - 12))
        box = (k, slice(top, top + 30), slice(left, left + 12))
        mask[box] = True
        luma[box] = 200.0
        if k % 4 == 0:
            level[box] = 200.0
    ones = np.ones(level.shape, np.float16)
    cells = np.zeros((count, HEIGHT // 8, WIDTH // 8), np.float16)
    shown = [level.astype(np.float16), 2 * ones, 60 * ones, ones]
    return Examples(luma.astype(np.uint8), *shown, cells, mask, np.ones(mask.shape, np.bool_))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for number, name in enumerate(segmentation_examples.SOURCES):
        drawn(60, seed=number).save(tmp_path / f"train-{name}-1-{100 + number}-v2.npz")
        drawn(20, seed=9 + number).save(tmp_path / f"held_out-{name}-1-{1100 + number}-v2.npz")
    return tmp_path


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command said went wrong, wherever the log goes."""
    said: list[str] = []
    monkeypatch.setattr(segmentation, "log", SimpleNamespace(error=lambda _, *, detail: said.append(detail)))
    return said


def arguments(cache: Path, name: str, *more: str) -> list[str]:
    out = str(cache / f"{name}.safetensors")
    return ["--out", out, "--cache", str(cache), "--pieces", "1", "--batches", "6", "--without-degradation", *more]


def test_the_command_writes_weights_that_run_and_a_card(cache: Path) -> None:
    segmentation.main(arguments(cache, "small"))
    tensors = load_file(cache / "small.safetensors")
    assert len(layers_of(tensors)) == len(segmentation.SegmentationNetwork().state_dict()) // 2
    card = json.loads((cache / "small.json").read_text())
    assert "--batches 6 --pieces 1 --seed 0 --without-degradation" in card["command"]
    assert card["curves"][-1]["batch"] == 6.0
    assert set(card["metrics"]) == {"held_out_walked", "held_out_yards"}
    assert not list(cache.glob("*.checkpoint"))


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmentation.main(arguments(cache, "whole"))
    (cache / "other").mkdir()
    stopped = iter([False, False, False, True])
    original = segmentation.Training.run
    monkeypatch.setattr(segmentation.Training, "run", lambda self, _: original(self, lambda: next(stopped, False)))
    out = cache / "whole2.safetensors"
    options = ["--out", str(out), "--cache", str(cache), "--pieces", "1", "--batches", "6", "--without-degradation"]
    with pytest.raises(SystemExit) as exit_status:
        segmentation.main(options)
    assert exit_status.value.code == 130
    with pytest.raises(SystemExit):  # not anew over it
        segmentation.main(options)
    segmentation.main([*options, "--resume"])
    expected, got = load_file(cache / "whole.safetensors"), load_file(out)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(got[name], tensor)


def test_who_has_become_the_background_teaches_nothing() -> None:
    examples = segmentation_examples.without_absorbed(drawn(8))
    taught = [bool(examples.trust[k][examples.mask[k]].all()) for k in range(8)]
    assert taught == [k % 4 != 0 for k in range(8)]
    assert examples.trust[~examples.mask].all()


def test_small_ones_weigh_more() -> None:
    examples = drawn(1)
    small = examples.mask.copy()
    small[:] = False
    small[0, 5:10, 5:9] = True
    weights = segmentation.weights_of(
        Examples(**{n: getattr(examples, n) for n in Examples.__slots__} | {"mask": small})
    )
    assert weights[0, 7, 7] > segmentation.weights_of(examples)[examples.mask].max() >= segmentation.LEAST_WEIGHT
    assert weights[0, 60, 100] == 1.0


def test_a_flip_is_a_flip_of_the_picture() -> None:
    examples = drawn(1)
    mirrored = Examples(**{name: getattr(examples, name)[:, :, ::-1].copy() for name in Examples.__slots__})
    planes = segmentation.tensors_of(examples, np.arange(1))[0]
    expected = segmentation.tensors_of(mirrored, np.arange(1))[0]
    np.testing.assert_array_equal(segmentation._flipped(planes).numpy(), expected.numpy())


def test_seeds_that_are_judged_are_never_learnt_from() -> None:
    assert {*SEEDS, *HELD_OUT_SEEDS} <= set(TRAINING_SEEDS)
    assert not set(SEEDS) & set(HELD_OUT_SEEDS)
    assert not {*SEEDS, *HELD_OUT_SEEDS} & set(JUDGED_SEEDS)
    assert not {*SEEDS, *HELD_OUT_SEEDS} & {21, 22, 23, 24, 31}  # what benchmarks look into


def test_a_folder_without_videos_is_named(cache: Path) -> None:
    (cache / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"holds no \.mp4 file"):
        footage_of(cache / "empty")
    with pytest.raises(SystemExit) as exit_status:
        segmentation.main(arguments(cache, "small", "--streams", str(cache / "empty")))
    assert exit_status.value.code == 1


def test_examples_that_cannot_be_kept_are_no_traceback(cache: Path) -> None:
    (cache / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be kept"):
        segmentation_examples._cached(cache / "file" / "walked.npz", iter([drawn(2)]), lambda: False)


def test_a_broken_file_of_examples_is_named(cache: Path) -> None:
    (cache / "train-walked-1-100-v2.npz").write_bytes(b"PK broken")
    with pytest.raises(TrainingError, match="remove the file to draw them anew"):
        segmentation_examples._cached(cache / "train-walked-1-100-v2.npz", iter([]), lambda: False)


def test_who_stops_the_drawing_ends_it_and_keeps_no_half(cache: Path) -> None:
    path = cache / "half.npz"
    assert segmentation_examples._cached(path, iter([drawn(2), drawn(2)]), lambda: True) is None
    assert not list(cache.glob("half*"))


def test_clips_are_parted_in_time_and_folders_told_apart() -> None:
    footage = [[np.full((4, 4), k, np.uint8) for k in range(10)], [np.zeros((4, 4), np.uint8)] * 2]
    learnt, measured = (segmentation_examples._parts(footage, held_out) for held_out in (False, True))
    assert [int(picture[0, 0]) for picture in [*learnt[0], *measured[0]]] == list(range(10))
    assert len(measured[0]) == 2
    assert len(learnt[1]) == len(measured[1]) == 2  # too short to be parted
    assert segmentation_examples._digest(footage) != segmentation_examples._digest(learnt)


@pytest.mark.parametrize("option", ["--batches", "--pieces", "--threads"])
def test_counts_begin_at_one(cache: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        segmentation.main(arguments(cache, "small", option, "0"))
    assert "got '0'; allowed: a whole number from 1 on" in capsys.readouterr().err


def test_a_missing_torchvision_is_said_before_anything_is_drawn(
    cache: Path, monkeypatch: pytest.MonkeyPatch, errors: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr(segmentation_examples, "from_worlds", lambda *_, **__: pytest.fail("drawn"))
    with pytest.raises(SystemExit) as exit_status:
        segmentation.main(["--out", str(cache / "small.safetensors"), "--cache", str(cache / "new" / "one")])
    assert exit_status.value.code == 1
    assert "torchvision cannot be imported" in errors[0]
    assert (cache / "new" / "one").is_dir()


def test_a_cache_that_cannot_be_made_is_no_traceback(cache: Path, errors: list[str]) -> None:
    (cache / "file").write_text("")
    with pytest.raises(SystemExit) as exit_status:
        segmentation.main(["--out", str(cache / "small.safetensors"), "--cache", str(cache / "file" / "below")])
    assert exit_status.value.code == 1
    assert "cannot be made" in errors[0]


@pytest.mark.parametrize(("module", "step"), [(segmentation, "_write"), (base, "_trainer")])
def test_a_second_signal_is_no_traceback(
    module: ModuleType, step: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(segmentation.Training, "run", lambda *_: True)
    with pytest.raises(SystemExit) as exit_status:
        module.main(arguments(cache, "small") if module is segmentation else ["--out", str(cache / "base.safetensors")])
    assert exit_status.value.code == 130
