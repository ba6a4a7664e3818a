"""What the segmentation network learns from: exact masks, and nothing taught where nobody can know."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from vad.errors import DatasetError
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.training import segmentation_material as material
from vad.training.segmentation_material import HEIGHT, WIDTH, Examples, footage_of, from_footage, from_worlds
from vad.video.worlds import WorldKind


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> AnyRunner:
    """Short pieces."""
    monkeypatch.setattr(material, "LEARNT_S", 8.0)
    monkeypatch.setattr(material, "SHOWN_S", 6.0)
    return make_runner(load_weights("base"), device="cpu")


def wall(seed: int = 1, frames: int = 40) -> list[np.ndarray]:
    """A fixed camera that sees nobody: an odd size, some noise, and a light patch that moves at the left."""
    random = np.random.default_rng(seed)
    ground = np.kron(random.integers(70, 170, (23, 40)), np.ones((4, 4)))[:90, :153]
    out = []
    for t in range(frames):
        picture = ground + random.normal(0.0, 1.0, ground.shape)
        picture[20 + t : 40 + t, 4:12] = 250.0
        out.append(picture.astype(np.uint8))
    return out


def test_pieces_of_worlds_follow_from_the_seed_and_have_masks(runner: AnyRunner) -> None:
    first, again = (
        Examples.joined(list(from_worlds(2, seed=4, runner=runner, kinds=[WorldKind.LINE]))) for _ in range(2)
    )
    assert first.luma.shape[1:] == (HEIGHT, WIDTH)
    assert first.mask.any()
    assert first.trust.mean() > 0.9
    for name in Examples.__slots__:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_cut_outs_over_footage_are_masked_and_its_own_movers_teach_nothing(runner: AnyRunner) -> None:
    found = Examples.joined(list(from_footage(1, seed=3, runner=runner, footage=[wall()])))
    assert found.luma.shape[1:] == (HEIGHT, WIDTH)
    assert found.mask.mean() > 0.01
    assert found.trust[found.mask].all()
    off = np.abs(found.luma.astype(float) - found.level.astype(float)) > 40.0
    patch = ((found.luma > 240) & off & ~found.mask)[:, :, 4:12]  # but for what has become the background
    assert patch.sum() > 100
    assert found.trust[:, :, 4:12][patch].mean() < 0.1
    assert found.trust[:, :, 20:].mean() > 0.97


def test_cut_outs_follow_from_the_seed_and_no_piece_from_the_one_before(
    runner: AnyRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    forget = runner.forget
    monkeypatch.setattr(runner, "forget", lambda camera: (forgotten.append(camera), forget(camera)))
    first, again = (list(from_footage(2, seed=3, runner=runner, footage=[wall()])) for _ in range(2))
    for name in Examples.__slots__:
        np.testing.assert_array_equal(*(getattr(Examples.joined(drawn), name) for drawn in (first, again)))
    assert sorted(forgotten) == ["bare"] * 4 + ["shown"] * 4


def test_footage_goes_to_and_fro() -> None:
    assert [material._bounced(index, 4) for index in range(-2, 9)] == [2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_a_clip_of_one_frame_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "short.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 160, 96
        picture = av.VideoFrame.from_ndarray(np.zeros((96, 160), np.uint8), format="gray")
        container.mux(stream.encode(picture.reformat(format="yuv420p")) + stream.encode(None))
    with pytest.raises(DatasetError, match=r"short\.mp4: 1 frames at 8 a second; allowed: two or more"):
        footage_of(tmp_path)
