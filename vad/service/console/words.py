"""What the console says for the words of the wire: one table a kind, for pages and scripts alike."""

from __future__ import annotations

from vad.errors import StreamCode
from vad.types import DropReason, HealthIssue, Reason, Stage

STATES = {
    "connecting": "Connecting",
    "up": "Live",
    "stalled": "Stalled",
    "backoff": "No signal",
    "ended": "Ended",
    "stopped": "Stopped",
    "paused": "Paused",
}
ISSUES = {
    HealthIssue.FROZEN: "Picture frozen",
    HealthIssue.COVERED: "Covered",
    HealthIssue.DEFOCUSED: "Out of focus",
    HealthIssue.MOVED: "Camera moved",
    HealthIssue.LIGHT_JUMP: "Light changed",
}
CODES = {
    StreamCode.AUTH_FAILED: "login refused",
    StreamCode.NOT_FOUND: "nothing at this address",
    StreamCode.REFUSED: "connection refused",
    StreamCode.TIMEOUT: "no answer in time",
    StreamCode.CODEC_UNSUPPORTED: "codec not supported",
    StreamCode.NO_VIDEO: "no video in the stream",
    StreamCode.NO_VIDEO_PACKETS: "connected, but its video has stopped",
    StreamCode.ENDED: "the stream ended",
    StreamCode.FORMAT_CHANGED: "picture size or codec changed",
    StreamCode.PTS_JUMP: "media time jumped",
    StreamCode.BROKEN: "the stream broke",
    StreamCode.READER_DIED: "it crashes whatever reads it",
}
STAGES = {Stage.COLD: "Learning", Stage.WARMING: "Warming up", Stage.CALIBRATED: "Calibrated"}
STAGES_MEAN = {
    Stage.COLD: "only learning what is normal here; nothing is judged yet",
    Stage.WARMING: "judged, with little known of the camera yet",
    Stage.CALIBRATED: "judged by what the camera has shown",
}
REASONS = {
    Reason.SPEED: "Speed",
    Reason.DIRECTION: "Direction",
    Reason.SIZE: "Size",
    Reason.PACE: "Pace",
    Reason.MOVEMENT: "Movement",
    Reason.APPEARANCE: "Appearance",
    Reason.STATIC_CHANGE: "Came to rest",
    Reason.HOUR: "Time of day",
    Reason.ABSENCE: "Absence",
    Reason.FALL: "Fall",
    Reason.AGITATION: "Agitation",
    Reason.COMBINED: "Several at once",
}
REASONS_MEAN = {
    Reason.SPEED: "moves faster than anything normal at this depth of the picture",
    Reason.DIRECTION: "goes a way that nothing of its size goes here",
    Reason.SIZE: "larger than what normally passes here",
    Reason.PACE: "faster than what of its size passes here",
    Reason.MOVEMENT: "moves here as hardly anything has: its place, size, direction and speed together",
    Reason.APPEARANCE: "the network cannot predict what it sees, activity taken into account",
    Reason.STATIC_CHANGE: "something came to rest that was not there",
    Reason.HOUR: "something moves, or nothing, at a time of day at which that hardly happens",
    Reason.ABSENCE: "what always moves here has slowed down or turned round",
    Reason.FALL: "somebody came down where they stood",
    Reason.AGITATION: "parts of somebody move violently against one another",
    Reason.COMBINED: "several of the others are unusual within seconds; they are listed, too",
}
DROPS = {
    DropReason.ANALYSIS_RATE: "above the analysis rate",
    DropReason.OVERLOAD: "overload",
    DropReason.OVERLOAD_RATE: "rate lowered under overload",
    DropReason.RUN_ENDED: "run ended",
    DropReason.SHUTDOWN: "shutdown",
}
VERDICTS = {"true": "True alarm", "false": "False alarm", "expected": "Expected"}
CLOSED = {
    "calm": "calm again",
    "run_ended": "the stream ended or broke",
    "shutdown": "the engine stopped",
    "too_long": "it lasted too long",
    "camera_health": "the picture could not be judged any more",
    "disarmed": "the camera was disarmed",
}

TABLES: dict[str, dict[str, str]] = {
    "states": STATES,
    "issues": {str(k): v for k, v in ISSUES.items()},
    "codes": {str(k): v for k, v in CODES.items()},
    "stages": {str(k): v for k, v in STAGES.items()},
    "stages_mean": {str(k): v for k, v in STAGES_MEAN.items()},
    "reasons": {str(k): v for k, v in REASONS.items()},
    "reasons_mean": {str(k): v for k, v in REASONS_MEAN.items()},
    "drops": {str(k): v for k, v in DROPS.items()},
    "verdicts": VERDICTS,
    "closed": CLOSED,
}
"""What a page carries for its scripts. A word that no table knows is shown as it is."""


def word(kind: str, value: str) -> str:
    """``word("states", "up")`` is "Live"; a word of a newer engine is shown as it came, without underscores."""
    return TABLES[kind].get(value) or value.replace("_", " ")
