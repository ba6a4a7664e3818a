"""The runner over changed cells against ``Runner``, which looks at all of them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model.factory import clip_of, noise, random_weights
from vad.model import Runner
from vad.model.cell_runner import REFRESH_S, SETTLING, CellRunner
from vad.types import CellMap, Clip

FIELDS = ("flow", "activity", "surprise", "latent", "luma")


def assert_same(expected: list[CellMap], got: list[CellMap], *, tolerance: float = 1e-4) -> None:
    assert len(expected) == len(got)
    for one, other in zip(expected, got, strict=True):
        assert (one.frame.index, one.dt_s) == (other.frame.index, other.dt_s)
        for field in FIELDS:
            a, b = getattr(one, field), getattr(other, field)
            assert a.shape == b.shape
            off = np.abs(a - b) > tolerance * (1.0 + np.abs(a))
            # A tie between two candidates for the flow may fall either way, in a block and what its cell feeds.
            assert off.mean() < 2e-3, field


def still_with_square(count: int, *, width: int = 96, height: int = 64, from_frame: int = 0) -> NDArray[np.uint8]:
    """(count, height, width) a textured ground with noise; a square crosses it from ``from_frame`` on."""
    random = np.random.default_rng(3)
    ground = np.kron(random.integers(80, 160, (height // 8, width // 8)), np.ones((8, 8)))
    film = np.repeat(ground[None], count, axis=0) + random.normal(0.0, 0.5, (count, height, width))
    texture = np.kron(random.integers(0, 255, (4, 3)), np.ones((4, 4)))
    for t in range(from_frame, count):
        left = (8 + 2 * (t - from_frame)) % (width - 12)
        film[t, 24:40, left : left + 12] = texture
    return np.clip(film, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (88, 40), (160, 96), (8, 8), (24, 104)])
def test_where_nothing_is_skipped_the_numbers_are_those_of_the_whole_pictures(width: int, height: int) -> None:
    weights = random_weights()
    pictures = noise(9, width, height, seed=width)
    clips = [clip_of(pictures[:5]), clip_of(pictures[5:], first=5)]
    plain, cells = Runner(weights, device="cpu"), CellRunner(weights, skip_still=False)
    for clip in clips:
        assert_same(plain([clip])[0], cells([clip])[0])


def test_cameras_of_a_batch_do_not_see_each_other() -> None:
    weights = random_weights()
    films = {f"cam{k}": still_with_square(13, from_frame=k) for k in range(3)}
    together, alone = CellRunner(weights), {camera: CellRunner(weights) for camera in films}
    for first, last in ((0, 4), (4, 5), (5, 13)):
        # Clips of several lengths: the third camera falls behind and drops out.
        clips = [
            clip_of(film[first:last][: 4 if camera == "cam1" else None], camera=camera, first=first)
            for camera, film in films.items()
        ]
        for clip, maps in zip(clips, together(clips), strict=True):
            assert_same(alone[clip.camera]([clip])[0], maps, tolerance=1e-5)


def test_clips_cut_otherwise_give_the_same() -> None:
    weights, film = random_weights(), still_with_square(24)
    whole = CellRunner(weights)([clip_of(film)])[0]
    runner = CellRunner(weights)
    pieces = [m for t in range(0, 24, 3) for m in runner([clip_of(film[t : t + 3], first=t)])[0]]
    assert_same(whole, pieces, tolerance=1e-5)


def test_a_still_picture_is_looked_at_no_more() -> None:
    runner = CellRunner(random_weights())
    film = still_with_square(60, from_frame=60)
    runner([clip_of(film[:12])])
    seen, looked_at = runner.cells_seen, runner.cells_looked_at
    maps = runner([clip_of(film[12:28], first=12)])[0]
    assert runner.cells_seen - seen == 16 * 8 * 12
    assert runner.cells_looked_at == looked_at
    assert all(not m.flow.any() and np.all(m.surprise == 1.0) for m in maps)
    assert all(m.luma.std() > 1.0 for m in maps)
    np.testing.assert_array_equal(maps[-1].activity, maps[0].activity)


def test_what_moves_is_measured_as_if_everything_was_looked_at() -> None:
    weights, film = random_weights(), still_with_square(40, from_frame=15)
    plain, cells = Runner(weights, device="cpu"), CellRunner(weights)
    expected, got = plain([clip_of(film)])[0], cells([clip_of(film)])[0]
    assert cells.cells_looked_at < 0.6 * cells.cells_seen
    for t in range(20, 40):
        moving = np.hypot(*expected[t].flow) > 5.0
        assert moving.any()
        np.testing.assert_allclose(got[t].flow[:, moving], expected[t].flow[:, moving], rtol=0.05, atol=1.0)


def test_every_cell_is_looked_at_again_after_a_while() -> None:
    runner = CellRunner(random_weights())
    film = np.repeat(still_with_square(1), 2, axis=0)
    runner([clip_of(np.repeat(film[:1], SETTLING + 2, axis=0))])
    last = -1
    for t in range(SETTLING + 2, 150):
        before = runner.cells_looked_at
        runner([clip_of(film[:1], first=t)])
        if runner.cells_looked_at > before:
            assert runner.cells_looked_at - before == 8 * 12
            assert last < 0 or (t - last) / 10.0 == pytest.approx(REFRESH_S, abs=0.11)
            last = t
    assert last > 0


def test_what_creeps_is_not_missed() -> None:
    """A level a second: too little from one frame to the next to be told from noise."""
    runner = CellRunner(random_weights())
    ground = still_with_square(1)[0].astype(np.float64)
    runner([clip_of(np.repeat(ground[None], SETTLING, axis=0).astype(np.uint8))])
    looked_at = []
    for t in range(SETTLING, SETTLING + 30):
        picture = ground.copy()
        picture[16:40, 24:48] += 0.25 * (t - SETTLING)
        before = runner.cells_looked_at
        runner([clip_of(picture.round().astype(np.uint8)[None], first=t)])
        looked_at.append(runner.cells_looked_at - before)
    assert any(9 <= count < 8 * 12 for count in looked_at)


def test_a_new_run_begins_afresh() -> None:
    weights, film = random_weights(), still_with_square(20)
    runner = CellRunner(weights)
    runner([clip_of(film[:10])])
    assert_same(CellRunner(weights)([clip_of(film, run=2)])[0], runner([clip_of(film, run=2)])[0], tolerance=1e-6)


def test_forgetting_a_camera_begins_afresh() -> None:
    weights, film = random_weights(), still_with_square(12)
    runner = CellRunner(weights)
    runner([clip_of(film)])
    runner.forget("a")
    runner.forget("never seen")
    assert_same(CellRunner(weights)([clip_of(film)])[0], runner([clip_of(film)])[0], tolerance=1e-6)


def test_two_clips_of_a_camera_are_refused() -> None:
    clip: Clip = clip_of(still_with_square(2))
    with pytest.raises(ValueError, match="two clips of a"):
        CellRunner(random_weights())([clip, clip])


def test_maps_of_one_call_are_not_overwritten_by_the_next() -> None:
    runner, film = CellRunner(random_weights()), still_with_square(8)
    maps = runner([clip_of(film[:4])])[0]
    kept = [[getattr(m, field).copy() for field in FIELDS] for m in maps]
    runner([clip_of(film[4:], first=4)])
    for before, m in zip(kept, maps, strict=True):
        for value, field in zip(before, FIELDS, strict=True):
            np.testing.assert_array_equal(value, getattr(m, field))


def test_cameras_that_come_go_begin_anew_or_change_size_get_what_they_would_get_alone() -> None:
    weights, random = random_weights(), np.random.default_rng(5)
    film, small = still_with_square(60), still_with_square(60, width=64, height=48)
    names = [f"cam{k}" for k in range(6)]
    together, alone = CellRunner(weights), {name: CellRunner(weights) for name in names}
    run, first = dict.fromkeys(names, 1), dict.fromkeys(names, 0)
    for call in range(25):
        batch = random.permutation(names)[: 1 + call % 4].tolist()
        clips = []
        for name in batch:
            if random.random() < 0.15:
                together.forget(name)
                alone[name].forget(name)
            if random.random() < 0.2:
                run[name], first[name] = run[name] + 1, 0
            pictures = film if (run[name] + names.index(name)) % 2 else small
            length = min(int(random.integers(1, 5)), len(pictures) - first[name])
            at = slice(first[name], first[name] + length)
            clips.append(clip_of(pictures[at], camera=name, run=run[name], first=at.start))
            first[name] = at.stop % 56
        for clip, maps in zip(clips, together(clips), strict=True):
            assert_same(alone[clip.camera]([clip])[0], maps, tolerance=1e-5)


@pytest.mark.parametrize("fails", ["find_places", "tell", "CellNetwork.keep", "cell_maps"])
def test_a_camera_whose_call_failed_begins_afresh(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of its state may have been advanced by then."""

    def fail(*_: object) -> None:
        raise MemoryError

    weights, film = random_weights(), still_with_square(24)
    runner, alone, fresh = CellRunner(weights), CellRunner(weights), CellRunner(weights)
    for camera in ("a", "b"):
        runner([clip_of(film[:8], camera=camera)])
    alone([clip_of(film[:8], camera="b")])
    with monkeypatch.context() as patched:
        patched.setattr(f"vad.model.cell_runner.{fails}", fail)
        with pytest.raises(MemoryError):
            runner([clip_of(film[8:12], first=8)])
    rest = [clip_of(film[12:], first=12), clip_of(film[8:20], camera="b", first=8)]
    for expected, got in zip((fresh(rest[:1])[0], alone(rest[1:])[0]), runner(rest), strict=True):
        assert_same(expected, got, tolerance=1e-6)


def test_a_camera_keeps_no_more_than_its_own_state_and_forgetting_it_gives_that_back() -> None:
    runner, film = CellRunner(random_weights()), still_with_square(40)
    runner([clip_of(film[:4], camera="warm")])
    runner.forget("warm")
    tracemalloc.start()
    try:
        empty, _ = tracemalloc.get_traced_memory()
        held = []
        for first in (0, 4, 36):
            runner([clip_of(film[first : first + 4], camera=f"cam{k}", first=first) for k in range(8)])
            held.append(tracemalloc.get_traced_memory()[0] - empty)
        picture, cells = film[0].size, 8 * 12
        values = 8 * 5 + 64 + 4 + 1 + 2 * 8 / 4
        assert held[-1] <= 1.02 * held[0]
        assert held[-1] / 8 < 1.1 * (picture * (1 + 4) + cells * values * 4) + 4096
        for k in range(8):
            runner.forget(f"cam{k}")
        assert tracemalloc.get_traced_memory()[0] - empty < 0.1 * held[-1]
    finally:
        tracemalloc.stop()
