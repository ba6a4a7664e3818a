"""What a camera says of its tracks: the session description of its answer to DESCRIBE.

Cameras write it in their own way, so every line that makes no sense is passed over.
Source: RFC 8866 (SDP), RFC 2326 appendix C, RFC 6184 and RFC 7798 (H.264 and HEVC).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MOST_TRACKS = 64
MOST_FORMATS = 32

_MEDIA = re.compile(r"m=(\S+)\s+\d+\S*\s+\S+\s*(.*)$")
_ENCODING = re.compile(r"a=rtpmap:(\d{1,3})\s+([^/\s]+)(?:/(\d{1,9}))?")
_PARAMETERS = re.compile(r"a=fmtp:(\d{1,3})\s+(.*)$")
_STATIC = {26: "JPEG", 31: "H261", 32: "MPV", 33: "MP2T", 34: "H263"}
"""Payload types that mean the same everywhere (RFC 3551 section 6)."""
VIDEO_CLOCK_HZ = 90_000


@dataclass(slots=True)
class Format:
    """One payload type of a track."""

    payload_type: int
    encoding: str  # in upper case
    clock_hz: int = VIDEO_CLOCK_HZ
    parameters: dict[str, str] = field(default_factory=dict)  # names in lower case


@dataclass(slots=True)
class Track:
    """``control`` is a URL, whole or relative; empty where the session's own is meant."""

    media: str  # "video", "audio", ...
    formats: list[Format] = field(default_factory=list)
    control: str = ""
    fps: float | None = None

    def format(self, payload_type: int) -> Format | None:
        return next((known for known in self.formats if known.payload_type == payload_type), None)

    def __str__(self) -> str:
        listed = ", ".join(f"{known.encoding} as payload type {known.payload_type}" for known in self.formats)
        return f"{self.media} ({listed or 'no format'})"


@dataclass(slots=True)
class Description:
    """``control`` is what the session as a whole is played by; empty where it does not say."""

    control: str = ""
    tracks: list[Track] = field(default_factory=list)


def read(text: str) -> Description:
    """Nothing is refused: what is not understood is not there."""
    description = Description()
    track: Track | None = None
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("m="):
            if len(description.tracks) >= MOST_TRACKS:
                break
            track = _track(line)
            description.tracks.append(track)
        elif line.startswith("a=control:"):
            control = line.removeprefix("a=control:").strip()
            if track is None:
                description.control = control
            else:
                track.control = control
        elif track is not None:
            _take_attribute(track, line)
    return description


def _track(line: str) -> Track:
    found = _MEDIA.match(line)
    if found is None:
        return Track("unknown")
    types = [int(word) for word in found[2].split()[:MOST_FORMATS] if word.isascii() and word.isdecimal()]
    formats = [Format(number, _STATIC.get(number, f"type {number}")) for number in types if number < 128]
    return Track(found[1].lower(), formats)


def _take_attribute(track: Track, line: str) -> None:
    if found := _ENCODING.match(line):
        known = track.format(int(found[1]))
        if known is not None:
            known.encoding, known.clock_hz = found[2].upper(), int(found[3] or 0) or VIDEO_CLOCK_HZ
    elif found := _PARAMETERS.match(line):
        known = track.format(int(found[1]))
        if known is not None:
            pairs = [pair.strip().partition("=") for pair in found[2].split(";")]
            known.parameters |= {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
    elif line.startswith(("a=framerate:", "a=x-framerate:")):
        track.fps = _rate(line.partition(":")[2])


def _rate(text: str) -> float | None:
    try:
        fps = float(text)
    except ValueError:
        return None
    return fps if 0.01 <= fps <= 1000.0 else None
