"""What a mask hides stays hidden however the picture is turned or stretched: in luma, live picture and clip."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.video.clips import VideoFile, pictures, write_video
from tests.video.reading import Outcome, read
from tests.video.relabelling import filtered, rotated
from tests.video.taping import pictures_of
from vad.config import Polygon
from vad.pipeline.snapshot import snapshot_of
from vad.video.clip import make_clip, picture_at
from vad.video.recording import pictures_at
from vad.video.samples import Samples
from vad.video.tape import Tape
from vad.video.view import Orientation

WIDTH, HEIGHT = 320, 192  # as seen, before it is turned to be coded
ACROSS, DOWN = 0.4, 0.5
MASK = Polygon(points=[(0.0, 0.0), (ACROSS, 0.0), (ACROSS, DOWN), (0.0, DOWN)])
SECRET, BLACK = 235, 30


def seen(index: int, *, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(height, width) texture below 150; bright is only what lies under the mask, well inside it."""
    picture = next(pictures(1, width=width, height=height, seed=index)) // 2 + 30
    picture[8 : int(DOWN * height) - 8, 8 : int(ACROSS * width) - 8] = SECRET
    return picture


def coded_for(orientation: Orientation) -> Callable[[int], NDArray[np.uint8]]:
    """Pictures that are like ``seen`` once they are turned so."""

    def coded(index: int) -> NDArray[np.uint8]:
        picture = seen(index)
        picture = np.fliplr(picture) if orientation.mirrored else picture
        return np.ascontiguousarray(np.rot90(picture, orientation.rotation // 90))

    return coded


def coded_file(video_file: VideoFile, name: str, orientation: Orientation) -> Path:
    luma = coded_for(orientation)
    height, width = luma(0).shape
    return video_file(name, width=width, height=height, frames=30, luma=luma)


def taped(path: Path, **settings: object) -> tuple[Outcome, Tape]:
    tape = Tape(run=0, seconds=60.0, max_bytes=1 << 24, samples=Samples())
    return read(path, analysis_fps=60, tape=tape, masks=[MASK], **settings), tape  # type: ignore[arg-type]


def hides(picture: NDArray[np.uint8], shape: tuple[int, int]) -> bool:
    """Is what lies under the mask black, nothing bright to be seen, and the rest there?"""
    assert picture.shape[:2] == shape
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    height, width = shape
    rest = grey[:, int(ACROSS * width) + 20 :]
    is_black = grey[: int(DOWN * height), : int(ACROSS * width)].max() <= BLACK
    return bool(is_black and grey.max() < 200 and rest.mean() > 50)


def decoded_jpeg(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def check(outcome: Outcome, tape: Tape, *, width: int = WIDTH, height: int = HEIGHT) -> None:
    """All that anybody sees of it."""
    assert outcome.frames
    for frame in outcome.frames:
        assert (frame.geometry.source_width, frame.geometry.source_height) == (width, height)
        rows, columns = frame.geometry.valid_height, frame.geometry.valid_width
        assert not frame.luma[: int(DOWN * rows), : int(ACROSS * columns)].any()
        assert frame.luma.max() < 200
        assert frame.luma[:, int(ACROSS * columns) + 5 :].mean() > 50
    looked = tape.look(most_width=None)
    assert looked is not None
    assert looked[0].shape[:2] == (height, width)
    shot = snapshot_of(*looked, masks=(), score=None, heat=False, boxes=False, quality=90)
    assert hides(decoded_jpeg(shot), (height, width))
    excerpt = tape.excerpt(0.0, 9.0)
    assert excerpt is not None
    clip = make_clip(excerpt, masks=())
    assert clip is not None
    assert (clip.width, clip.height) == (width, height)
    shown = pictures_of(io.BytesIO(clip.data))
    assert len(shown) == len(outcome.frames)
    assert all(hides(picture, (height, width)) for picture in shown)
    with av.open(io.BytesIO(clip.data)) as container:  # it is upright in itself
        assert next(container.decode(video=0)).rotation == 0
    still = picture_at(excerpt, 0.5, masks=(), most_width=10_000)
    assert still is not None
    assert hides(still, (height, width))
    assert tape.samples is not None
    usual = tape.samples.usual(outcome.frames[0].geometry, run=9, before_s=0.0, masks=())
    assert usual is not None
    assert hides(usual, (height, width))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_of_a_picture_that_the_file_says_to_turn(video_file: VideoFile, rotation: int) -> None:
    check(*taped(rotated(coded_file(video_file, "a.mp4", Orientation(rotation)), rotation)))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_of_a_camera_that_the_settings_turn(video_file: VideoFile, rotation: int) -> None:
    check(*taped(coded_file(video_file, "a.mp4", Orientation(rotation)), rotate=rotation))


def test_the_settings_turn_what_the_file_has_turned_already(video_file: VideoFile) -> None:
    path = rotated(coded_file(video_file, "a.mp4", Orientation(270)), 90)
    check(*taped(path, rotate=180))
    grey = pictures_at(str(path), at_s=[0.5], width=WIDTH, rotate=180)[0]
    assert grey is not None
    assert grey.shape[:2] == (HEIGHT, WIDTH)
    assert grey[20:60, 20:100].min() > 200


@pytest.mark.parametrize("aspect", ["2/1", "1/2"])
@pytest.mark.parametrize("rotate", [0, 90])
def test_of_pixels_that_are_not_square(video_file: VideoFile, tmp_path: Path, aspect: str, rotate: int) -> None:
    across, down = map(int, aspect.split("/"))

    def coded(index: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(np.rot90(seen(index), rotate // 90)[::down, ::across])

    height, width = coded(0).shape
    plain = video_file("plain.mp4", width=width, height=height, frames=30, luma=coded)
    path = filtered(plain, tmp_path / "squeezed.mp4", f"h264_metadata=sample_aspect_ratio={aspect}")
    check(*taped(path, rotate=rotate))


# turned otherwise in the middle of a stream

CHANGES = [
    Orientation(90),
    Orientation(),
    Orientation(180),
    Orientation(270),
    Orientation(0, True),
    Orientation(90, True),
]


def said_in_band(folder: Path, orientation: Orientation, *, begin: int = 0) -> Path:
    """A second of H.264 from frame ``begin`` on whose key frame says how it is to be turned, if it is to be."""
    luma = coded_for(orientation)
    height, width = luma(0).shape
    plain, said = folder / f"{begin}.ts", folder / f"{begin}_said.ts"
    write_video(plain, frames=25, width=width, height=height, luma=luma, pts=lambda index: begin + index)
    if orientation == Orientation():
        return plain
    # FFmpeg counts counter-clockwise, and mirrors first
    angle = orientation.rotation if orientation.mirrored else -orientation.rotation % 360
    what = f"rotate={angle}" + (":flip=horizontal" if orientation.mirrored else "")
    return filtered(plain, said, f"h264_metadata=display_orientation=insert:{what}")


def test_when_what_the_stream_says_changes_under_way(tmp_path: Path) -> None:
    path = tmp_path / "all.ts"
    parts = [said_in_band(tmp_path, change, begin=25 * number) for number, change in enumerate(CHANGES)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    reader = None
    for run, orientation in enumerate(CHANGES):
        tape = Tape(run=run, seconds=60.0, max_bytes=1 << 24, samples=Samples())
        outcome = read(path, analysis_fps=60, run=run, tape=tape, masks=[MASK], continues=reader)
        assert outcome.code == ("ended" if run == len(CHANGES) - 1 else "format_changed")
        assert len(outcome.frames) == 25
        assert outcome.reader.info.orientation == orientation
        check(outcome, tape)
        reader = outcome.reader


@pytest.mark.parametrize("then", [Orientation(270), Orientation()])
def test_of_an_excerpt_what_is_to_be_turned_otherwise_is_left_out(tmp_path: Path, then: Orientation) -> None:
    """A tape may end with what belongs to the next run."""
    excerpts = []
    for begin, orientation in ((0, Orientation(90)), (25, then)):
        excerpt = taped(said_in_band(tmp_path, orientation, begin=begin))[1].excerpt(0.0, 9.0)
        assert excerpt is not None
        excerpts.append(excerpt)
    one, other = excerpts
    both = replace(
        one,
        packets=one.packets + other.packets,
        times_s=one.times_s + tuple(1.0 + at_s for at_s in other.times_s),
        keys=one.keys + other.keys,
    )
    clip = make_clip(both, masks=())
    assert clip is not None
    shown = pictures_of(io.BytesIO(clip.data))
    assert len(shown) == len(one.packets)
    assert all(hides(picture, (HEIGHT, WIDTH)) for picture in shown)


@pytest.mark.parametrize("rotation", [90, 180])
def test_a_decoder_that_takes_over_goes_on_as_the_container_says(video_file: VideoFile, rotation: int) -> None:
    """The loop filter is turned off by another decoder, which knows nothing of the container."""
    luma = coded_for(Orientation(rotation))
    height, width = luma(0).shape
    options = {"x264-params": "bframes=0:threads=1:keyint=5:min-keyint=5:scenecut=0:open-gop=0"}
    plain = video_file("a.mp4", width=width, height=height, frames=40, key_every=5, luma=luma, options=options)
    tape = Tape(run=0, seconds=60.0, max_bytes=1 << 24, samples=Samples())
    asked = iter([False] * 3)
    outcome = read(
        rotated(plain, rotation), analysis_fps=60, tape=tape, masks=[MASK], is_behind=lambda: next(asked, True)
    )
    assert outcome.code == "ended"
    assert outcome.reader.counts.unfiltered_frames > 0
    check(outcome, tape)
