"""What the engine and the process that renders evidence say to each other: see ``vad.pipeline.readers.messages``.

The engine says what is to be rendered, one job at a time; the process answers each. Only the engine's words hold
pickles.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from vad.video.clip import Clip

NICENESS = 10
"""Evidence may come a little later, the next frame's score may not."""
MOST_JOB_BYTES = (1 << 32) - 1
MOST_BESIDE_BYTES = 1 << 26
"""Of an answer, beyond twice the packets that it was made of: what is encoded anew may take more than it did."""


class ClipJob(msgspec.Struct, array_like=True, tag=True):
    """Make a clip. ``excerpt`` is a pickled (Excerpt, masks)."""

    number: int
    excerpt: bytes


class PictureJob(msgspec.Struct, array_like=True, tag=True):
    """Show the picture at a time. ``excerpt`` is a pickled (Excerpt, masks)."""

    number: int
    excerpt: bytes
    at_s: float
    most_width: int


Job: TypeAlias = ClipJob | PictureJob


class Ready(msgspec.Struct, array_like=True, tag=True):
    """The first thing said, before any job is read: what of its sandbox could not be had."""

    missing: tuple[str, ...]


class Nothing(msgspec.Struct, array_like=True, tag=True):
    """There is nothing to be seen there."""

    number: int


class Failed(msgspec.Struct, array_like=True, tag=True):
    """It cannot be made."""

    number: int
    why: Annotated[str, msgspec.Meta(max_length=1000)]


class MadeClip(msgspec.Struct, array_like=True, tag=True):
    """The answer to ``ClipJob``."""

    number: int
    data: bytes
    start_s: float
    duration_s: float
    width: int
    height: int
    codec: str
    reencoded: bool

    @classmethod
    def of(cls, number: int, clip: Clip) -> MadeClip:
        return cls(number, *(getattr(clip, name) for name in cls.__struct_fields__[1:]))

    @property
    def clip(self) -> Clip:
        return Clip(*(getattr(self, name) for name in self.__struct_fields__[1:]))


class MadePicture(msgspec.Struct, array_like=True, tag=True):
    """The answer to ``PictureJob``: (height, width, 3) BGR."""

    number: int
    height: int
    width: int
    pixels: bytes


Answer: TypeAlias = Nothing | Failed | MadeClip | MadePicture
Told: TypeAlias = Ready | Answer
