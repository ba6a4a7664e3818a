"""The segmentation network as it runs: torch's numbers, where it looks, and what it says of plain pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vad.errors import WeightsError
from vad.scoring.objects import segmentation as sg
from vad.scoring.objects import segmentation_kernels as kernels
from vad.training.segmentation import tensors_of
from vad.training.segmentation_material import Examples
from vad.training.segmentation_network import SegmentationNetwork
from vad.types import CELL_PX

CELL = CELL_PX


def planes(height: int, width: int, seed: int = 0) -> kernels.Planes:
    """A person-sized box in front of a textured wall that is long known."""
    random = np.random.default_rng(seed)
    wall = np.kron(random.integers(60, 180, (height // 8, width // 8)), np.ones((8, 8)))
    level = (wall + random.normal(0.0, 1.0, wall.shape)).astype(np.float32)
    luma = np.clip(wall + random.normal(0.0, 1.5, wall.shape), 0, 255)
    luma[32:58, 60:70] = 230
    activity = np.zeros((height // CELL, width // CELL), np.float32)
    activity[4:7, 7:9] = 0.8
    quiet = np.full(wall.shape, 9.0, np.float32)
    quiet[32:58, 60:70] = 0.1
    ones = np.ones(wall.shape, np.float32)
    return kernels.Planes(luma.astype(np.uint8), level, 2.0 * ones, 60.0 * ones, quiet, activity)


def examples(of: kernels.Planes) -> Examples:
    luma, *rest = of
    half = [plane[None].astype(np.float16) for plane in rest]
    nothing = np.zeros((1, *luma.shape), np.bool_)
    return Examples(luma[None], *half, nothing, ~nothing)


def test_what_runs_is_what_was_trained() -> None:
    torch.manual_seed(3)
    network = SegmentationNetwork().eval()
    layers = sg.layers_of({name: tensor.detach().numpy() for name, tensor in network.state_dict().items()})
    seen = planes(96, 160)
    rounded = kernels.Planes(seen.luma, *(plane.astype(np.float16).astype(np.float32) for plane in seen[1:]))
    with torch.inference_mode():
        expected = network(tensors_of(examples(seen), np.arange(1))[0])[0, 0].numpy()
    room = kernels.room_for(96, 160)
    kernels.enter(rounded, (0, 0, 96, 160), CELL, room.entered)
    kernels.run(layers, room, 96, 160)
    said = room.said.reshape(4, 50, 82)[:, 1:-1, 1:-1].reshape(2, 2, 48, 80).transpose(2, 0, 3, 1).reshape(96, 160)
    np.testing.assert_allclose(said, expected, atol=2e-5)


def test_a_part_gives_what_the_whole_gives_far_from_its_border() -> None:
    """One room serves parts of several sizes, whatever was in it before."""
    seen = planes(96, 160)
    network = sg.Segmentation(cell_px=CELL)
    whole, part = np.zeros((96, 160), np.uint8), np.zeros((96, 160), np.uint8)
    network(seen, np.ones((96, 160), np.uint8), whole)
    marked = np.zeros((96, 160), np.uint8)
    marked[32:58, 60:70] = 1
    network(seen, marked, part)
    box = (slice(32, 58), slice(60, 70))
    assert (whole[box] == part[box]).mean() > 0.95


def test_a_box_before_a_wall_is_found_whole_and_the_wall_is_not() -> None:
    mask = np.zeros((96, 160), np.uint8)
    sg.Segmentation(cell_px=CELL)(planes(96, 160), np.ones((96, 160), np.uint8), mask)
    true = np.zeros((96, 160), np.bool_)
    true[32:58, 60:70] = True
    assert (mask.astype(bool) & true).sum() / (mask.astype(bool) | true).sum() > 0.8


def test_where_nothing_is_marked_nothing_is_found() -> None:
    mask = np.ones((96, 160), np.uint8)
    sg.Segmentation(cell_px=CELL)(planes(96, 160), np.zeros((96, 160), np.uint8), mask)
    assert not mask.any()


@given(
    rows=st.integers(2, 24),
    columns=st.integers(2, 40),
    spots=st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), min_size=1, max_size=4),
)
def test_the_part_lies_in_the_picture_and_holds_what_is_marked(
    rows: int, columns: int, spots: list[tuple[float, float]]
) -> None:
    marked = np.zeros((rows * CELL, columns * CELL), np.uint8)
    for y, x in spots:
        row, column = int(y * rows) * CELL, int(x * columns) * CELL
        marked[row + 2 : row + 4, column + 6 : column + 8] = 1
    top, left, height, width = kernels.part_to_look_at(marked, CELL)
    assert height % kernels.MULTIPLE == 0
    assert width % kernels.MULTIPLE == 0
    assert height > 0
    assert width > 0
    assert top >= 0
    assert left >= 0
    assert top + height < marked.shape[0] + kernels.MULTIPLE
    assert left + width < marked.shape[1] + kernels.MULTIPLE
    assert marked[top : top + height, left : left + width].sum() == marked.sum()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (56, 104), (104, 168)])
def test_pictures_of_whole_cells_are_looked_at_to_the_last_row(height: int, width: int) -> None:
    whole = planes(96, 160)
    seen = kernels.Planes(
        *(plane[:height, :width] for plane in whole[:-1]), whole.activity[: height // 8, : width // 8]
    )
    if height > 96:
        seen = kernels.Planes(
            *(np.pad(plane, ((0, 8), (0, 8)), mode="edge") for plane in whole[:-1]), np.pad(whole.activity, 1)[1:, 1:]
        )
    mask = np.zeros((height, width), np.uint8)
    sg.Segmentation(cell_px=CELL)(seen, np.ones((height, width), np.uint8), mask)
    found = int(mask[32:58, 60:70].sum())
    assert found == 0 if height == 8 else found > 0.8 * mask[32:58, 60:70].size


@pytest.mark.parametrize("name", list(sg.SHAPES))
def test_the_bundled_network_is_finite(name: str) -> None:
    layer = getattr(sg.bundled_layers(), name)
    assert np.isfinite(layer.weight).all()
    assert np.isfinite(layer.bias).all()


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sg, "WEIGHTS_FILE", tmp_path / "gone.safetensors")
    with pytest.raises(WeightsError, match=r"gone\.safetensors: cannot be read"):
        sg.bundled_layers.__wrapped__()


def test_what_was_in_the_room_before_changes_nothing() -> None:
    """A large part, then a small one, bit for bit as in a room of its own."""
    seen, marked, said = planes(96, 160, seed=2), np.zeros((96, 160), np.uint8), []
    marked[40:48, 64:72] = 1
    used, fresh = sg.Segmentation(cell_px=CELL), sg.Segmentation(cell_px=CELL)
    used(planes(96, 160, seed=3), np.ones((96, 160), np.uint8), np.zeros((96, 160), np.uint8))
    for network in (used, fresh):
        said.append(np.zeros((96, 160), np.uint8))
        network(seen, marked, said[-1])
    np.testing.assert_array_equal(*said)


def test_threads_share_one_network() -> None:
    network, everything = sg.Segmentation(cell_px=CELL), np.ones((96, 160), np.uint8)
    pictures = [planes(96, 160, seed=k) for k in range(4)]

    def mask(seen: kernels.Planes) -> np.ndarray:
        out = np.zeros((96, 160), np.uint8)
        for _ in range(20):
            network(seen, everything, out)
        return out

    alone = [mask(seen) for seen in pictures]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(mask, pictures)), alone)


def test_a_tensor_of_another_shape_is_refused() -> None:
    tensors = {name: tensor.numpy() for name, tensor in SegmentationNetwork().state_dict().items()}
    tensors["mix4.weight"] = tensors["mix4.weight"][:-2]
    with pytest.raises(WeightsError, match=r"mix4\.weight: got \(18, 20, 3, 3\); allowed: shape \(20, 20, 3, 3\)"):
        sg.layers_of(tensors)
