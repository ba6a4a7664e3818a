"""Real footage of fixed cameras as material: surveyed once, then labelled by the flow teacher where windows are drawn.

Only what is needed is kept in memory, however long the clips are: some samples of each (for its background and for
textures to cut), and the frames of one labelled stretch at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vad.config import CameraConfig
from vad.errors import DatasetError, StreamCode, StreamError
from vad.training.material import FRAMES, HEIGHT, WIDTH, Material, of_sequence, place, teach, window
from vad.types import Frame
from vad.video.dataset import ClipSource
from vad.video.reader import CONTINUABLE, Reader
from vad.video.spec import ReadEnv, ReadSpec

Picture = NDArray[np.uint8]

MOST_CLIPS = 100
"""Of more clips, so many, evenly chosen."""

SAMPLES = 30
"""At least so many pictures of a clip are kept, evenly over its length, or all it has; at most twice as many."""

SAME_CAMERA_LEVELS = 8.0
"""Grey levels by which the backgrounds of two clips differ at most, on average, when one camera made both."""

ANALYSIS_FPS = 10.0
"""About the rate at which an engine looks: of faster footage so many frames a second are taken."""

STEPS, STEP_SHARES = (1, 2, 3), (0.5, 0.25, 0.25)
"""Analysed frames from one frame of a sequence to the next, and how often: people walk, and with 3 they run."""

SCALES = (0.85, 1.3)
"""Widths of the pictures over the width that an engine would use."""

WINDOWS = 5
"""Windows of each labelled stretch: labelling costs far more than cutting another window out of it."""

FASTEST_FPS = 60.0
"""The most that a reader gives: all frames of any camera."""


@dataclass(frozen=True, slots=True)
class Footage:
    """Frames ``first`` to ``stop`` of a clip. Pictures are (h, w), at about twice the model's scale."""

    clip: ClipSource
    first: int
    stop: int
    fps: float
    input_width: int  # px, of the model's card
    width: int  # px, of the picture in the engine
    samples: list[Picture]  # evenly from the whole clip
    background: NDArray[np.float32]

    def __len__(self) -> int:
        return self.stop - self.first

    def part(self, first: int, stop: int) -> Footage:
        """Frames ``first`` to ``stop`` of these."""
        return dataclasses.replace(self, first=self.first + first, stop=min(self.first + stop, self.stop))

    def pictures(self, numbers: Set[int]) -> dict[int, Picture]:
        """The frames with these numbers, counted from ``first``, in one pass over the clip."""
        kept: dict[int, Picture] = {}
        for number, frame in enumerate(_frames(self.clip, self.input_width), start=-self.first):
            if number in numbers:
                kept[number] = visible(frame)
                if len(kept) == len(numbers):
                    break
        return kept


def survey(
    clips: Sequence[ClipSource], *, input_width: int, tell: Callable[[int, int], None] = lambda done, total: None
) -> list[Footage]:
    """Look through the clips once. ``input_width`` is the model's, as in its card; ``tell`` hears (done, of all).

    Raises StreamError, and DatasetError for a clip without frames or too small to learn from.
    """
    chosen = [clips[k * len(clips) // MOST_CLIPS] for k in range(MOST_CLIPS)] if len(clips) > MOST_CLIPS else clips
    surveyed = []
    for done, clip in enumerate(chosen):
        tell(done, len(chosen))
        surveyed.append(_surveyed(clip, input_width))
    return [dataclasses.replace(footage, background=_shared(footage, surveyed)) for footage in surveyed]


def _surveyed(clip: ClipSource, input_width: int) -> Footage:
    samples: list[Picture] = []
    stride, count, length_s = 1, 0, 0.0
    frame: Frame | None = None
    for frame in _frames(clip, input_width):
        if count % stride == 0:
            samples.append(visible(frame))
        if len(samples) > 2 * SAMPLES:
            samples, stride = samples[::2], 2 * stride
        count, length_s = count + 1, frame.pts_s
    if frame is None:
        raise DatasetError(f"{clip.path}: this clip holds no frame that decodes")
    source = frame.geometry
    grid = source.pooled_for(input_width)
    if grid.valid_width < WIDTH or grid.valid_height < HEIGHT:
        raise DatasetError(
            f"{clip.path}: a picture of {source.source_width}x{source.source_height} is {grid.valid_width}x"
            f"{grid.valid_height} to the model; allowed: at least {WIDTH}x{HEIGHT}"
        )
    fps = (count - 1) / length_s if length_s > 0.0 else ANALYSIS_FPS
    background = np.median(samples, axis=0).astype(np.float32)
    return Footage(clip, 0, count, fps, input_width, grid.valid_width, samples, background)


def _shared(footage: Footage, others: Sequence[Footage]) -> NDArray[np.float32]:
    """The median over all clips of the same camera: in a clip of ten seconds whoever stands is background."""
    same = [
        other
        for other in others
        if other.background.shape == footage.background.shape
        and np.abs(other.background - footage.background).mean() < SAME_CAMERA_LEVELS
    ]
    each = max(1, 2 * SAMPLES // len(same))
    samples = [picture for other in same for picture in other.samples[:: max(1, len(other.samples) // each)]]
    median: NDArray[np.float32] = np.median(samples, axis=0).astype(np.float32)
    return median


def split(footage: Sequence[Footage], *, share: float) -> tuple[list[Footage], list[Footage]]:
    """(to learn from, to measure on): the last ``share`` of all frames is for measuring, or what a window needs.

    Clips too short for a window are passed over. Raises DatasetError when too little is left.
    """
    usable = [part for part in footage if len(part) >= FRAMES]
    total = sum(len(part) for part in usable)
    if total < 2 * FRAMES:
        raise DatasetError(
            f"{total} frames in the train clips that have {FRAMES} at least ({len(usable)} of {len(footage)} clips); "
            f"allowed: at least {2 * FRAMES}"
        )
    left = max(FRAMES, round(share * total))
    learn, measure = [], []
    for part in reversed(usable):
        taken = min(len(part), left) if left >= FRAMES else 0
        left -= taken
        border = len(part) - taken
        learn += [part.part(0, border)] if border else []
        measure += [part.part(border, len(part))] if taken else []
    return learn[::-1], measure[::-1]


def textures(footage: Sequence[Footage]) -> list[Picture]:
    """A few pictures of each, to cut textures from."""
    return [picture for part in footage for picture in part.samples[::8]]


def from_footage(footage: Sequence[Footage], *, count: int, seed: int) -> Iterator[Material]:
    """``count`` windows at several rates and scales, from each clip by its length; short clips are passed over.

    Flow is trusted where going there and back again ends where it began. Raises DatasetError without a clip of
    FRAMES frames.
    """
    usable = [part for part in footage if len(part) >= FRAMES]
    if not usable:
        longest = max((len(part) for part in footage), default=0)
        raise DatasetError(f"the longest of {len(footage)} clips has {longest} frames; allowed: at least {FRAMES}")
    random = np.random.default_rng(seed)
    shares = np.array([len(part) for part in usable]) / sum(len(part) for part in usable)
    owners = np.sort(random.choice(len(usable), size=-(-count // WINDOWS), p=shares))
    done = 0
    for k, part in enumerate(usable):
        stretches = [_stretch(part, random) for _ in range(int((owners == k).sum()))]
        pictures = part.pictures({number for stretch in stretches for number in stretch}) if stretches else {}
        for stretch in stretches:
            frames = [pictures[number] for number in stretch]
            labelled, trusted = teach(frames, background=part.background, width=_width(part, random))
            for _ in range(min(WINDOWS, count - done)):
                where = place(labelled.moving & trusted, random)
                yield of_sequence(window(labelled, where), trusted[:, where[0], where[1]])
                done += 1


def _stretch(part: Footage, random: np.random.Generator) -> range:
    """FRAMES frames from anywhere in the part, as they would be analysed, or every second or third of those."""
    step = max(1, round(part.fps / ANALYSIS_FPS)) * int(random.choice(STEPS, p=STEP_SHARES))
    step = min(step, len(part) // FRAMES)
    start = int(random.integers(0, len(part) - FRAMES * step + 1))
    return range(start, start + FRAMES * step, step)


def _width(part: Footage, random: np.random.Generator) -> int:
    """About as wide as in the engine, and high enough for a window."""
    height, width = part.background.shape
    low, high = SCALES
    least: int = max(WIDTH, -(-HEIGHT * width // height))
    return max(least, round(part.width * random.uniform(low, high)))


def analysed(clip: ClipSource, *, analysis_fps: float, model_width: int) -> Iterator[Frame]:
    """The frames of a clip as an engine would look at them. Raises StreamError."""
    config = CameraConfig(url=clip.url, analysis_fps=analysis_fps, realtime=False)
    reader = Reader(ReadSpec(clip.name, config, model_width), run=1, env=ReadEnv())
    try:
        with reader:
            yield from (item for item in reader if isinstance(item, Frame))
    except StreamError as error:
        if error.code not in {StreamCode.ENDED, *CONTINUABLE}:
            raise
    finally:
        reader.close()


def visible(frame: Frame) -> Picture:
    """Without the padding."""
    return frame.luma[: frame.geometry.valid_height, : frame.geometry.valid_width]


def _frames(clip: ClipSource, input_width: int) -> Iterator[Frame]:
    """Every frame of a clip, pooled as the engine does, to about twice the model's size. Raises StreamError."""
    return analysed(clip, analysis_fps=FASTEST_FPS, model_width=2 * input_width)
