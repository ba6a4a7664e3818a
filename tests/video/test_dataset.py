"""The dataset layout: what is a clip, what labels and masks may say, and what is refused with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.video.clips import VideoFile
from vad.errors import DatasetError
from vad.video.boxes import Box
from vad.video.dataset import Dataset
from vad.video.labels import intervals_of

Build = Callable[..., Path]


def picture(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((32, 48), value, np.uint8))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A dataset with the given clips, each a folder of so many frames."""

    def make(*, train: dict[str, int] | None = None, test: dict[str, int] | None = None, labels: object = None) -> Path:
        root = tmp_path / "set"
        root.mkdir(exist_ok=True)
        for split, clips in (("train", train), ("test", test)):
            for name, frames in (clips or {}).items():
                (root / split / name).mkdir(parents=True)
                for index in range(frames):
                    picture(root / split / name / f"{index}.png")
        if labels is not None:
            (root / "labels.json").write_text(labels if isinstance(labels, str) else json.dumps(labels))
        return root

    return make


def test_clips_are_videos_and_folders_of_frames_named_by_their_stems(build: Build, video_file: VideoFile) -> None:
    root = build(train={"2": 1, "10": 1})
    video_file("walk.one.mp4", frames=5).rename(root / "train" / "walk.one.mp4")
    for other in (".hidden.mp4", "notes.txt", "walk.mp4.sha256"):
        (root / "train" / other).write_text("x")
    (root / "train" / ".cache").mkdir()
    dataset = Dataset.open(root)
    assert [clip.name for clip in dataset.train] == ["2", "10", "walk.one"]
    assert dataset.test == ()
    assert dataset.train[2].measure() == (5, 25.0)


def test_a_folder_of_frames_is_played_at_the_rate_given(build: Build) -> None:
    root = build(train={"a": 3})
    picture(root / "train" / "a" / "._0.png")  # what macOS leaves behind is no frame
    assert Dataset.open(root).train[0].measure() == (3, 10.0)
    assert Dataset.open(root, folder_fps=25.0).train[0].measure() == (3, 25.0)


def test_labels_per_frame_and_intervals_say_the_same(build: Build) -> None:
    root = build(test={"a": 6, "b": 6, "c": 6}, labels={"a": [0, 1, 1, 0, 0, 1], "b": [[5, 6], [1, 3]], "c": []})
    dataset = Dataset.open(root)
    flags = dataset.labels("a", frames=6)
    assert flags.dtype == np.bool_
    assert flags.tolist() == dataset.labels("b", frames=6).tolist() == [False, True, True, False, False, True]
    assert intervals_of(flags) == [(1, 3), (5, 6)]
    assert not dataset.labels("c", frames=6).any()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([0, 1, 0], "clip 'a': labels of 3 frames; expected 6"),
        ([0, 1, 2, 0, 0, 0], "frame 2: got 2; allowed: one 0 or 1"),
        ([0, 1, 0.5, 0, 0, 0], "frame 2: got 0.5"),
        ([0, [1, 2], 0, 0, 0, 0], r"frame 1: got \[1, 2\]"),
        ([[0, 2], [1, 4]], r"intervals \[0, 2\] and \[1, 4\] overlap"),
        ([[4, 7]], r"interval \[4, 7\]; allowed: 0 <= first < last_exclusive <= 6"),
        ([[-1, 2]], r"interval \[-1, 2\]"),
        ([[3, 3]], r"interval \[3, 3\]"),
        ([[1, 2, 3]], r"got \[1, 2, 3\]"),
        ([[1, "2"]], r'got \[1, "2"\]'),
        ([[1, 2], 0], "got 0; allowed"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_clip_got_and_allowed(build: Build, entry: object, words: str) -> None:
    dataset = Dataset.open(build(test={"a": 6}, labels={"a": entry}))
    with pytest.raises(DatasetError, match=words):
        dataset.labels("a", frames=6)


def test_touching_intervals_are_fine(build: Build) -> None:
    assert Dataset.open(build(test={"a": 6}, labels={"a": [[0, 2], [2, 4]]})).labels("a", frames=6).sum() == 4


def test_a_clip_without_labels_is_named(build: Build) -> None:
    dataset = Dataset.open(build(test={"a": 1, "b": 1}, labels={"a": [0]}))
    with pytest.raises(DatasetError, match="clip 'b': has no labels"):
        dataset.labels("b", frames=1)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"a": [0], "z": [0]}, "is about z, not in test/; there: a"),
        ("{", "line 1, column 2: is not JSON"),
        ([0, 1], "holds a list; allowed: an object"),
        ({"a": 1}, "clip 'a': got int; allowed"),
        ('{"a": [0], "a": [1]}', "a: listed twice"),
    ],
)
def test_a_labels_file_that_is_wrong_is_refused_at_once(build: Build, labels: object, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        Dataset.open(build(test={"a": 1}, labels=labels))


def test_labels_that_are_no_text_are_refused(build: Build) -> None:
    root = build(test={"a": 1})
    (root / "labels.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="is not UTF-8"):
        Dataset.open(root)


def test_a_dataset_without_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    with pytest.raises(DatasetError, match="no clip in it; allowed: video files or folders of frames"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        Dataset.open(tmp_path / "nowhere")


def test_a_clip_without_frames_is_named(build: Build) -> None:
    root = build(train={"a": 1})
    empty = root / "test" / "05"
    empty.mkdir(parents=True)
    with pytest.raises(DatasetError, match="test/05: this clip holds no frame"):
        Dataset.open(root)
    empty.rmdir()
    (root / "test" / "06.mp4").touch()
    with pytest.raises(DatasetError, match=r"test/06\.mp4: this clip holds no frame"):
        Dataset.open(root)


def test_a_clip_whose_frames_do_not_decode_is_named(build: Build) -> None:
    root = build(train={"a": 1})
    (root / "train" / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="train/a: this clip holds no frame that decodes"):
        Dataset.open(root).train[0].measure()


def test_two_clips_of_one_name_are_refused(build: Build, video_file: VideoFile) -> None:
    root = build(test={"01": 1})
    video_file("01.mp4", frames=2).rename(root / "test" / "01.mp4")
    with pytest.raises(DatasetError, match=r"01 and 01\.mp4 are both clip '01'"):
        Dataset.open(root)


def test_masks_from_pictures_and_from_packed_bits_are_the_same(build: Build, tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((3, 5, 7)) > 0.6  # 35 pixels: the last byte is not full
    root = build(test={"a": 3, "b": 1})
    for index, mask in enumerate(masks):
        path = root / "masks" / "a" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask.astype(np.uint8))  # 0 and 1: what is not black counts
    from_pictures = Dataset.open(root).masks("a", frames=3)
    np.savez(root / "test_masks_packbits_5x7.npz", a=np.packbits(masks.reshape(3, -1), axis=1))
    with pytest.raises(DatasetError, match=r"test_masks_packbits_5x7\.npz and masks/; allowed: one"):
        Dataset.open(root)
    (root / "masks").rename(tmp_path / "away")
    dataset = Dataset.open(root)
    assert np.array_equal(from_pictures, masks)
    assert np.array_equal(dataset.masks("a", frames=3), masks)
    assert dataset.masks("b", frames=1) is None
    with pytest.raises(DatasetError, match=r"clip 'a': uint8 \(3, 5\); expected uint8 \(4, 5\)"):
        dataset.masks("a", frames=4)


def test_masks_that_do_not_fit_are_refused(build: Build) -> None:
    root = build(test={"a": 2})
    picture(root / "masks" / "a" / "0.png")
    with pytest.raises(DatasetError, match="masks/a: 1 masks; expected 2"):
        Dataset.open(root).masks("a", frames=2)
    (root / "masks" / "a" / "1.png").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"1\.png: is no picture"):
        Dataset.open(root).masks("a", frames=2)
    cv2.imwrite(str(root / "masks" / "a" / "1.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(DatasetError, match="masks of sizes"):
        Dataset.open(root).masks("a", frames=2)
    picture(root / "masks" / "z" / "0.png")
    with pytest.raises(DatasetError, match="is about z, not in test/"):
        Dataset.open(root)


def test_an_archive_of_masks_cut_short_is_refused(build: Build) -> None:
    root = build(test={"a": 2})
    (root / "test_masks_packbits_4x4.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(DatasetError, match="is no archive of masks, or is cut short"):
        Dataset.open(root)


def test_real_labels_and_masks_agree(shared_data: Path) -> None:
    folder = shared_data / "ped2"
    if not folder.is_dir():
        pytest.skip(f"no Ped2 at {folder}")
    dataset = Dataset.open(folder)
    assert len(dataset.train) == 16
    for clip in dataset.test:
        frames, fps = clip.measure()
        masks = dataset.masks(clip.name, frames=frames)
        assert fps == 10.0
        assert masks is not None
        assert np.array_equal(masks.any(axis=(1, 2)), dataset.labels(clip.name, frames=frames))


def test_boxes_are_given_per_frame(build: Build) -> None:
    root = build(test={"a": 3, "b": 1})
    (root / "boxes.json").write_text(json.dumps({"a": [[2, 7, 0.1, 0.2, 0.3, 0.4], [0, 7, 0, 0, 1, 1]]}))
    dataset = Dataset.open(root)
    boxes = dataset.boxes("a", frames=3)
    assert boxes == [[Box(0, 7, 0.0, 0.0, 1.0, 1.0)], [], [Box(2, 7, 0.1, 0.2, 0.3, 0.4)]]
    assert dataset.boxes("b", frames=1) is None
    picture(root / "masks" / "a" / "0.png")
    with pytest.raises(DatasetError, match=r"both pixel masks and boxes\.json"):
        Dataset.open(root)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ([3, 1, 0, 0, 1, 1], "frame 3; allowed: 0 to 2"),
        ([1, 1, 0.5, 0, 0.5, 1], r"got \[0.5, 0, 0.5, 1\]; allowed: 0 <= x0 < x1 <= 1"),
        ([1, 1, 0, 0, 20, 30], "allowed: 0 <= x0 < x1 <= 1"),
        ([1, 0, 0, 1, 1], r"got \[1, 0, 0, 1, 1\]; allowed: \[frame, track"),
        ([1, "a", 0, 0, 1, 1], "allowed: .frame, track"),
        ([0, 1, 0, 0, 1, 1], "track 1 twice in frame 0"),
    ],
)
def test_boxes_that_do_not_fit_are_refused(build: Build, item: object, words: str) -> None:
    root = build(test={"a": 3})
    (root / "boxes.json").write_text(json.dumps({"a": [[0, 1, 0, 0, 1, 1], item]}))
    with pytest.raises(DatasetError, match=words):
        Dataset.open(root).boxes("a", frames=3)
