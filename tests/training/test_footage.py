"""Real footage as material: what is known of a made-up clip comes out of the survey and of the teacher's labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.video.clips import VideoFile, write_video
from vad.training.footage import FRAMES, SAMPLES, SCALES, STEPS, Footage, from_footage, split, survey
from vad.training.material import Material
from vad.training.provenance import UNKNOWN_LICENCE, Provenance, read_provenance
from vad.video.dataset import ClipSource

SPEED = 3  # source px a frame, to the right


def passing(index: int) -> NDArray[np.uint8]:
    """A textured card passes to the right, again and again, over a calm textured ground; (240, 320)."""
    random = np.random.default_rng(5)
    ground = np.kron(random.integers(90, 130, (30, 40), dtype=np.uint8), np.ones((8, 8), np.uint8))
    card = np.kron(random.integers(0, 255, (20, 12), dtype=np.uint8), np.ones((4, 4), np.uint8))
    left = (index * SPEED) % (320 - 48)
    ground[90 : 90 + 80, left : left + 48] = card
    return ground


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    path = tmp_path_factory.mktemp("footage") / "card.mp4"
    write_video(path, width=320, height=240, fps=10, frames=85, luma=passing)
    return ClipSource("card", path)


@pytest.fixture(scope="module")
def surveyed(clip: ClipSource) -> Footage:
    return survey([clip], input_width=160)[0]


def test_a_survey_measures_the_clip_and_keeps_few_pictures_of_it(surveyed: Footage) -> None:
    assert len(surveyed) == 85
    assert surveyed.fps == pytest.approx(10.0, abs=0.2)
    assert surveyed.width == 160
    assert SAMPLES <= len(surveyed.samples) <= 2 * SAMPLES
    assert surveyed.samples[0].shape == (240, 320)


def test_the_background_shows_nothing_that_passes(surveyed: Footage) -> None:
    random = np.random.default_rng(5)
    ground = np.kron(random.integers(90, 130, (30, 40), dtype=np.uint8), np.ones((8, 8), np.uint8))
    stretched = (ground.astype(float) - 16) * 255 / 219  # encoded in limited range
    assert np.abs(surveyed.background - stretched).mean() < 4.0


def test_pictures_are_those_of_their_numbers(surveyed: Footage) -> None:
    pictures = surveyed.part(10, 60).pictures({0, 7, 30})
    assert sorted(pictures) == [0, 7, 30]
    for number, picture in pictures.items():
        bright = np.abs(picture.astype(float) - surveyed.background)[90:170] > 40
        left = np.flatnonzero(bright.any(axis=0))[0]
        assert left == pytest.approx((number + 10) * SPEED % (320 - 48), abs=6)


def test_labels_follow_what_moved(surveyed: Footage) -> None:
    material = Material.joined(list(from_footage([surveyed], count=10, seed=1)))
    sure = (material.moving > 200) & (material.trust > 200)
    assert sure.sum() > 100
    x, y = (material.flow[:, :, axis].astype(float)[sure] for axis in (0, 1))
    slowest, fastest = SPEED / 2 * SCALES[0] * STEPS[0], SPEED / 2 * SCALES[1] * STEPS[-1]
    inside = (x > 0.7 * slowest) & (x < 1.3 * fastest) & (np.abs(y) < 0.25 * x)
    assert inside.mean() > 0.9


def test_the_same_seed_draws_the_same_material(surveyed: Footage) -> None:
    first, again, other = (next(from_footage([surveyed], count=1, seed=seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.luma, again.luma)
    assert np.array_equal(first.flow, again.flow)
    assert not np.array_equal(first.luma, other.luma)


@pytest.mark.parametrize(
    ("lengths", "learnt", "measured"),
    [
        ([200, 200, 200, 200, 200], [200, 200, 200, 200, 100], [100]),
        ([150, 150, 10], [150, 120], [30]),
        ([40], [24], [FRAMES]),
        ([300, 20, 20], [300, 20], [20]),  # the other 14 of 34 would be no window
    ],
)
def test_the_last_frames_are_for_measuring_and_no_part_is_too_short_for_it(
    surveyed: Footage, lengths: list[int], learnt: list[int], measured: list[int]
) -> None:
    parts = [dataclasses.replace(surveyed, first=0, stop=length) for length in lengths]
    learn, measure = split(parts, share=0.1)
    assert [len(part) for part in learn] == learnt
    assert [len(part) for part in measure] == measured


def test_clips_of_one_camera_share_their_background(video_file: VideoFile, surveyed: Footage) -> None:
    """In the second clip the card stands: only the first can tell what is behind it."""
    standing = video_file("standing.mp4", width=320, height=240, fps=10, frames=30, luma=lambda index: passing(20))
    alone = survey([ClipSource("standing", standing)], input_width=160)[0]
    shared = survey([surveyed.clip, ClipSource("standing", standing)], input_width=160)[1]
    assert np.abs(alone.background - surveyed.background).mean() > 1.0
    assert np.abs(shared.background - surveyed.background).mean() < 0.5


def test_provenance_is_read_from_the_papers_of_a_data_set(tmp_path: Path) -> None:
    assert read_provenance(tmp_path) == Provenance(tmp_path.name, UNKNOWN_LICENCE, "")
    (tmp_path / "README.md").write_text("# Streets\n\n- **Licence:** CC BY 4.0\nCitation: Somebody 2010\nTerms: none\n")
    found = read_provenance(tmp_path)
    assert (found.title, found.licence, found.citation) == ("Streets", "CC BY 4.0", "Somebody 2010")


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("- a.mp4:\n  example.org/videos @ 57978890, licence CC BY 4.0 (file included). Others are not.", "CC BY 4.0"),
        ("Its license is Apache-2.0, see LICENSE (Apache-2.0).", "Apache-2.0"),
        ("- a.mp4: licence CC BY 4.0\n- b.mp4: licence unknown", UNKNOWN_LICENCE),
        ("- a.mp4: licence CC BY 4.0\n- b.mp4: licence CC BY-SA 4.0", UNKNOWN_LICENCE),
        ("This set has no licence that we know of.", UNKNOWN_LICENCE),
        ("See the license for details.", UNKNOWN_LICENCE),
    ],
)
def test_a_licence_that_is_named_within_a_line_is_found(tmp_path: Path, text: str, licence: str) -> None:
    (tmp_path / "PROVENANCE.md").write_text(f"# Streams\n{text}\n")
    assert read_provenance(tmp_path).licence == licence
