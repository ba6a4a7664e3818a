"""Where cameras are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from vad.config.section import Section

MOST = 256
Processes = Annotated[int, Field(ge=0, le=MOST)]


class ReaderSettings(Section):
    """Cameras may be read and decoded in processes of their own: Python runs one thread of a process at a time."""

    processes: Literal["auto"] | Processes = Field(
        default="auto",
        description="0 = all in the engine's own; auto = one or more for cameras on the network, by cameras and cores",
    )

    @field_validator("processes", mode="before")
    @classmethod
    def _one_of_both(cls, value: object) -> object:
        """One clear fault, where a union of types would have one for each of them."""
        text = str(value)
        if text != "auto" and not (text.isdecimal() and int(text) <= MOST):
            raise ValueError(
                f"should be auto or a whole number of processes; got {value!r}; allowed: auto, 0 to {MOST}"
            )
        return value
