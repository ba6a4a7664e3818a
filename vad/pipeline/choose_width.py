"""At which width a camera's picture is analysed: where a live one begins, and what suits a recording.

A live camera begins narrow and is reopened when people turn out too small (``Cameras.widen``). Of a recording the first
minute is looked at before anything is judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vad.config import MODEL_WIDTHS, PANORAMA_WIDTHS, CameraConfig, ModelWidth
from vad.errors import StreamError
from vad.model.making import AnyRunner
from vad.pipeline.window import ClipWindow
from vad.scoring.objects.layer import ObjectLayer
from vad.scoring.person_height import LEAST_PEOPLE_OF_A_RECORDING, PersonHeights
from vad.types import Clip, Frame, Geometry, pool_for
from vad.video.reader import Reader
from vad.video.source import SourceKind, resolve
from vad.video.spec import ReadEnv, ReadSpec

NAME = "width"
"""The camera under which the runner sees what is looked at."""

LOOK_S = 60.0
"""How much footage is looked at, at most."""

CLIP_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at: one recording, from its beginning ``until_s``."""

    camera: CameraConfig  # with its URL
    until_s: float = LOOK_S


@dataclass(frozen=True, slots=True)
class Choice:
    """The width chosen, and why."""

    width: int
    people: int
    person_px: float | None  # a quarter of them are lower, at the width looked at; None: too few were seen


class Watcher:
    """Sees people in pictures that follow one another, through the network and an object layer."""

    def __init__(self, runner: AnyRunner) -> None:
        self._runner = runner
        self._people = PersonHeights()
        self._objects: ObjectLayer | None = None
        self._geometry: Geometry | None = None

    def see(self, clip: Clip) -> None:
        """The next frames. Other recordings come as other runs."""
        if clip.geometry != self._geometry:
            self._geometry, self._objects = clip.geometry, ObjectLayer(*clip.geometry.cells)
            self._people.end_run()
        for cells in self._runner([clip])[0]:
            assert self._objects is not None
            self._people.step(self._objects.step(cells).tracks, clip.geometry, dt_s=cells.dt_s)

    def decide(self, *, least_people: int) -> Choice:
        """After the last picture. At least the weights' own width."""
        self._runner.forget(NAME)
        self._people.finish(least_people=least_people)
        own, geometry = self._runner.card.input_width, self._geometry
        if geometry is None:
            return Choice(own, 0, None)
        wanted = self._people.wanted_width(geometry)
        width = wanted if wanted is not None and is_wider(geometry, wanted, than=own) else own
        return Choice(width, self._people.people, self._people.height_px(geometry))


def choose_width(looks: Sequence[Look], *, runner: AnyRunner) -> Choice:
    """The width at which the people in the first minute of this footage are large enough; if too few are seen the
    weights' own, and of a panorama the least for such.

    Footage that can be read only once is not looked at. What cannot be read to its end is looked at as far as it can:
    whoever judges it says what is wrong with it.
    """
    watcher, left_s = Watcher(runner), LOOK_S
    for run, look in enumerate(looks):
        seen_s = 0.0
        if left_s <= 0.0 or not _may_be_read_twice(look.camera):
            continue
        for clip in _clips(look, run=run, model_width=runner.card.input_width, most_s=left_s):
            watcher.see(clip)
            seen_s = clip.frames[-1].pts_s
        left_s -= seen_s
    return watcher.decide(least_people=LEAST_PEOPLE_OF_A_RECORDING)


def width_for(setting: ModelWidth, looks: Sequence[Look], *, runner: AnyRunner) -> int:
    """The width at which footage is judged: the one that is set, or chosen by looking at it."""
    return choose_width(looks, runner=runner).width if setting == "auto" else setting


def begin_width(setting: ModelWidth, *, learnt: Geometry | None, own: int) -> int:
    """Where a camera begins: at the width that is set, that of what it has ``learnt``, or the weights' ``own``."""
    if setting != "auto":
        return setting
    return own if learnt is None else width_of(learnt, own=own)


def width_of(geometry: Geometry, *, own: int) -> int:
    """The width that gives this geometry."""
    size = geometry.source_width, geometry.source_height
    widths = (own, *MODEL_WIDTHS, *PANORAMA_WIDTHS)
    fits = (width for width in widths if pool_for(*size, model_width=width) == geometry.pool)
    return next(fits, geometry.valid_width)


def is_wider(geometry: Geometry, width: int, *, than: int) -> bool:
    """Does that width show more of the source than the other?"""
    size = geometry.source_width, geometry.source_height
    return pool_for(*size, model_width=width) < pool_for(*size, model_width=than)


def _may_be_read_twice(camera: CameraConfig) -> bool:
    source = resolve(camera)
    return source.kind is SourceKind.FOLDER or (
        source.kind is SourceKind.FILE and os.path.isfile(source.target.removeprefix("file:"))
    )


def _clips(look: Look, *, run: int, model_width: int, most_s: float) -> Iterator[Clip]:
    """The footage as the network takes it, until ``most_s`` or what is looked at is over."""
    until_s = min(look.until_s, most_s)
    window = ClipWindow(CLIP_LENGTH)
    for frame in _frames(look.camera, run=run, model_width=model_width):
        if frame.pts_s >= until_s:
            break
        if (clip := window.push(frame)) is not None:
            yield clip
    if (clip := window.flush()) is not None:
        yield clip


def _frames(camera: CameraConfig, *, run: int, model_width: int) -> Iterator[Frame]:
    settings = {**camera.model_dump(), "realtime": False, "loop": False}
    config = CameraConfig.model_validate(settings)
    reader = Reader(ReadSpec(NAME, config, model_width), run=run, env=ReadEnv())
    try:
        with reader:
            yield from (item for item in reader if isinstance(item, Frame))
    except StreamError:
        return  # its end, or what its judge will find too
    finally:
        reader.close()
