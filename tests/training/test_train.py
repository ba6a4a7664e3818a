"""``vad train`` in the small: real clips, the real network, a few batches."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.small_training import options
from vad.errors import DatasetError, StreamError, TrainingError, VadError, WeightsError
from vad.model import load_weights
from vad.model.weights import Card
from vad.training.train import Step, train
from vad.video.synthetic import Layout, Scene, encode

SMALL = [sys.executable, "-m", "tests.training.small_training"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "square"
    for number in (1, 2):
        path = folder / "train" / f"0{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(Scene(seed=number, fps=10.0, layout=Layout.LANES), path, seconds=4.0)
    (folder / "test").mkdir()
    (folder / "test" / "01.mp4").write_bytes(b"never opened")
    (folder / "README.md").write_text("# The square\n\nLicence: CC0\nCitation: Nobody, nowhere\n")
    return folder


@pytest.fixture(scope="module")
def unbroken(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "square.safetensors"
    steps: list[Step] = []
    assert train(options(dataset, out), resume=False, tell=steps.append, should_stop=lambda: False) is not None
    phases = [phase for phase, _ in itertools.groupby(step.phase for step in steps)]
    assert phases == ["looking through", "labelling", "training"]
    return out


def run(dataset: Path, out: Path, *, resume: bool = False) -> Card | None:
    return train(options(dataset, out), resume=resume, tell=lambda step: None, should_stop=lambda: False)


def start(dataset: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([*SMALL, str(dataset), str(out)], stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(process: subprocess.Popen[str], checkpoint: Path) -> None:
    until_s = time.monotonic() + 120.0
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until_s, "no checkpoint was written"
        time.sleep(0.02)


def test_the_card_says_what_the_weights_are(unbroken: Path) -> None:
    card = load_weights(unbroken).card
    assert (card.name, card.licence, card.citation, card.seed) == ("square", "CC0", "Nobody, nowhere", 0)
    assert "The square" in card.trained_on
    assert card.command == "vad train square --out square.safetensors --epochs 2 --seed 0"
    assert [entry["batch"] for entry in card.curves] == [3.0, 6.0]
    assert all(entry["foreground"] > 0.0 for entry in card.curves)
    assert "held_out" in card.metrics
    assert sorted(path.name for path in unbroken.parent.iterdir()) == ["square.json", "square.safetensors"]


def test_killed_and_resumed_gives_the_very_same_file(dataset: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "square.safetensors"
    process = start(dataset, out)
    wait_for_checkpoint(process, out.with_suffix(".checkpoint"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    assert run(dataset, out, resume=True) is not None
    assert out.read_bytes() == unbroken.read_bytes()
    cards = [load_weights(path).card for path in (out, unbroken)]
    assert cards[0] == dataclasses.replace(cards[1], commit=cards[0].commit)


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(dataset: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "square.safetensors"
    process = start(dataset, out)
    wait_for_checkpoint(process, out.with_suffix(".checkpoint"))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert not out.exists()
    with pytest.raises(TrainingError, match="allowed: --resume"):
        run(dataset, out)
    assert run(dataset, out, resume=True) is not None
    assert out.read_bytes() == unbroken.read_bytes()


def test_asked_to_stop_before_training_it_writes_nothing(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "none.safetensors"
    assert train(options(dataset, out), resume=False, tell=lambda step: None, should_stop=lambda: True) is None
    assert list(tmp_path.iterdir()) == []


def attempt(dataset: Path, out: Path, **changes: object) -> None:
    """Ends with its error at once: whatever takes long calls ``tell``."""

    def too_late(step: Step) -> None:
        assert step.phase == "looking through", "a fault that could be known beforehand came to light too late"

    train(
        dataclasses.replace(options(dataset, out), **changes),  # type: ignore[arg-type]
        resume=False,
        tell=too_late,
        should_stop=lambda: False,
    )


def test_bad_targets_and_starting_points_are_refused_before_the_long_work(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"suffix is '\.pt', allowed: \.safetensors"):
        attempt(dataset, tmp_path / "a.pt")
    with pytest.raises(TrainingError, match="cannot be made"):
        attempt(dataset, Path("/proc/nowhere/a.safetensors"))
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(VadError, match="is a folder"):
        attempt(dataset, tmp_path / "folder.safetensors")
    with pytest.raises(WeightsError, match="no such name"):
        attempt(dataset, tmp_path / "a.safetensors", init="nonsense")


def test_bad_data_sets_are_refused(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    bad = tmp_path / "bad"
    (bad / "train").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no clip"):
        attempt(bad, out)
    (bad / "test").mkdir()
    (bad / "test" / "1.mp4").write_bytes((dataset / "train" / "01.mp4").read_bytes())
    with pytest.raises(DatasetError, match="no clip in train/"):
        attempt(bad, out)
    clip = bad / "train" / "1.mp4"
    clip.write_bytes(b"")
    with pytest.raises(DatasetError, match="no frame"):
        attempt(bad, out)
    clip.write_bytes(os.urandom(5000))
    with pytest.raises(StreamError):
        attempt(bad, out)
    encode(Scene(seed=1, fps=10.0), clip, seconds=1.0)
    with pytest.raises(DatasetError, match=r"0 frames in the train clips that have 16 .*allowed: at least 32"):
        attempt(bad, out)
    encode(Scene(seed=1, width=96, height=64, fps=10.0), clip, seconds=4.0)
    with pytest.raises(DatasetError, match="96x64 to the model; allowed: at least 112x80"):
        attempt(bad, out)
