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
        description="of each kind, for cameras on the network and for other sources; 0 = all in the engine's own; "
        "auto = one or more for cameras on the network, by cameras and cores",
    )

    memory_mib: int = Field(
        default=2048,
        ge=256,
        le=1_048_576,
        description="how much more memory than it begins with one of these processes may take",
    )
    sandbox: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="processes for cameras on the network give up the files of this machine where its kernel can do "
        "that (auto), or nothing is read (required); off: they may open what the engine may",
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
