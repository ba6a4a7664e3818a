"""What a caller may say: parameters with their bounds, and the bodies of cameras and verdicts.

The bounds of a camera's settings are those of the site file; what names a file of this machine is left out of them
(``password_file``, ``calibration``): an API that reads any file for its caller is no wall.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from vad.config import CameraConfig, CameraId, Rotation
from vad.events.verdicts import MAX_NOTE_CHARS, Word

CAMERA_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}$"
EVENT_PATTERN = r"^[0-9a-f\-]{8,36}-[0-9]{1,10}$"
WORD_PATTERN = r"^[a-z0-9_.]{1,128}$"
NO_CONTROLS = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"
EXAMPLE_INCIDENT = "0d9f1c52-5c0e-4d8b-9a37-2f4f7b7c9e11"
LATEST_S = 253_402_300_799.0  # the year 9999

NOT_OVER_HTTP = frozenset({"password_file", "calibration"})
OF_OPERATORS = frozenset({"masks", "zones", "false_alarms_per_day"})
"""Settings that an operator may change; the others say what is watched, and are an admin's."""

CameraPath = Annotated[
    str, Path(pattern=CAMERA_PATTERN, description="the camera's id", openapi_examples={"one": {"value": "entrance"}})
]
EventPath = Annotated[
    str,
    Path(
        pattern=ID_PATTERN,
        description="an event's id, or an incident's",
        openapi_examples={"incident": {"value": EXAMPLE_INCIDENT}},
    ),
]
CameraQuery = Annotated[str | None, Query(pattern=CAMERA_PATTERN, description="of this camera alone")]
ReasonQuery = Annotated[str | None, Query(pattern=r"^[a-z0-9_]{1,64}$", description="with this reason alone")]
TypeQuery = Annotated[str | None, Query(pattern=WORD_PATTERN, description="of this type alone")]
SinceQuery = Annotated[float | None, Query(ge=0.0, le=LATEST_S, description="not before, seconds since 1970 UTC")]
UntilQuery = Annotated[float | None, Query(ge=0.0, le=LATEST_S, description="before, seconds since 1970 UTC")]
CursorQuery = Annotated[
    str | None, Query(pattern=EVENT_PATTERN, description="`next` of the page before; means nothing by itself")
]
WidthQuery = Annotated[int, Query(ge=16, le=3840, description="at most, pixels")]
HeatQuery = Annotated[bool, Query(description="draw where the score comes from")]
BoxesQuery = Annotated[bool, Query(description="draw the regions of the last score")]


Fraction = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class VerdictBody(Body):
    """What an incident was."""

    model_config = ConfigDict(json_schema_extra={"example": {"verdict": "false", "note": "the neighbour's cat"}})

    verdict: Word = Field(description="true: worth looking at; false: a false alarm; expected: unusual, but known")
    note: str = Field(default="", max_length=MAX_NOTE_CHARS, pattern=NO_CONTROLS)


class Corners(Body):
    """A polygon in fractions of the picture, origin top left; its corners enclose an area."""

    points: Annotated[
        list[tuple[Fraction, Fraction]],
        Field(min_length=3, max_length=64),
    ]
    name: str = Field(default="", max_length=64, pattern=NO_CONTROLS)


def _no_truth(value: Any) -> Any:
    """Python takes false for 0."""
    if isinstance(value, bool):
        raise ValueError(f"got {str(value).lower()}; allowed: a number")
    return value


_TYPES: dict[str, Any] = {
    "url": Annotated[str, Field(min_length=1, max_length=2048)],
    "username": Annotated[str, Field(max_length=256)] | None,
    "password": Annotated[str, Field(max_length=256)] | None,
    "masks": Annotated[list[Corners], Field(max_length=64)],
    "zones": Annotated[list[Corners], Field(max_length=64)],
    "rotate": Annotated[Rotation, BeforeValidator(_no_truth)],
}


def _absent(schema: dict[str, Any]) -> None:
    """What is left out stays as it is: there is no default to tell."""
    schema.pop("default", None)


def _setting(name: str) -> tuple[Any, Any]:
    field = CameraConfig.model_fields[name]
    strictly = Field(strict=True) if field.annotation in (bool, int, float) else Field()
    kind = _TYPES.get(name) or Annotated[field.annotation, strictly, *field.metadata]
    return kind, Field(default=None, description=field.description, json_schema_extra=_absent)


_SETTINGS: dict[str, Any] = {name: _setting(name) for name in CameraConfig.model_fields if name not in NOT_OVER_HTTP}

CameraPatch: type[BaseModel] = create_model(
    "CameraPatch",
    __base__=Body,
    __doc__="Settings to change; those left out stay as they are.",
    **_SETTINGS,
)
NewCamera: type[BaseModel] = create_model(
    "NewCamera",
    __base__=Body,
    __doc__="A camera to watch; what is left out is as the site file's `defaults` have it.",
    **{
        **_SETTINGS,
        "id": (Annotated[CameraId, Field(pattern=CAMERA_PATTERN)], ...),
        "url": (_TYPES["url"], Field(description=CameraConfig.model_fields["url"].description)),
    },
)
CameraPatch.model_config["json_schema_extra"] = {
    "example": {
        "false_alarms_per_day": 1,
        "masks": [{"name": "neighbour", "points": [[0, 0], [0.2, 0], [0.2, 0.3], [0, 0.3]]}],
    }
}
NewCamera.model_config["json_schema_extra"] = {
    "example": {"id": "gate", "url": "rtsp://192.0.2.12/stream", "username": "viewer", "password": "correct horse"}
}

Order = Literal["desc", "asc"]
