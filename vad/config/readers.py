"""Where cameras are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vad.config.section import Section

Processes = Annotated[int, Field(ge=0, le=256)]


class ReaderSettings(Section):
    """Cameras may be read and decoded in processes of their own: Python runs one thread of a process at a time."""

    processes: Literal["auto"] | Processes = Field(
        default="auto", description="0 = all in the engine's own; auto = by the number of cameras and cores"
    )
