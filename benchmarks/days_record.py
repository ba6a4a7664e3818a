"""What is kept of a simulated camera's life: its score frame by frame in a few bytes each, and its incidents.

A record is one ``.npz`` file, written whole or not at all, that says what made it: no figure is taken over from other
weights, another detector or other worlds without being asked for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.days_count import Incident, PlantedEvent
from vad.atomic import write_atomically
from vad.types import FrameScore, HealthIssue, Reason, Stage

ROOT = Path(__file__).resolve().parents[1]
DETECTOR = (
    "vad/types.py",
    "vad/config",
    "vad/model",
    "vad/scoring",
    "vad/pipeline/judge.py",
    "benchmarks/days_raise.py",
)
WORLDS = ("vad/video/worlds", "vad/video/synthetic")
STAGES, ISSUES, CUES = tuple(Stage), tuple(HealthIssue), tuple(Reason)
NONE = 255
"""Of a frame's issue or leading cue: there is none."""
MOST_CONDITIONS = 32


@dataclass(frozen=True, slots=True)
class Job:
    """One camera's life: which world, how long, from when on. Everything in a record follows from it and the code."""

    world: str
    seed: int
    days: float  # that the world is opened for
    start: int  # index of the first frame
    frames: int
    width: int  # px
    height: int
    fps: float
    weights: str
    budgets: tuple[float, ...]  # false alarms a day, the first the one that is learnt under

    @property
    def name(self) -> str:
        return f"{self.world}-{self.seed}-{self.start}-{self.frames}"

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


@dataclass(frozen=True, slots=True)
class Version:
    """What made a record. ``commit`` ends in a plus where files had changes; it names, the hashes decide."""

    commit: str
    detector: str  # hash of the files that score
    worlds: str  # hash of the files that render
    weights: str  # sha256 of the safetensors file

    def is_same(self, other: Version) -> bool:
        return dataclasses.replace(self, commit="") == dataclasses.replace(other, commit="")


def version(weights_sha256: str) -> Version:
    """Of the code as it lies here now."""
    return Version(_commit(), _hash(DETECTOR), _hash(WORLDS), weights_sha256)


def _commit() -> str:
    try:
        command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _hash(places: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Recording:
    """A record in the making: ``take`` each frame's score in order."""

    def __init__(self, frames: int, *, fps: float) -> None:
        self.count = 0
        self.conditions: list[str] = []  # bit k of a frame's conditions is the k-th
        self.score = np.zeros(frames, np.float16)
        self.threshold = np.zeros(frames, np.float16)
        self.leading = np.full(frames, NONE, np.uint8)  # place in CUES of the strongest cue
        self.stage = np.zeros(frames, np.uint8)  # place in STAGES
        self.issue = np.full(frames, NONE, np.uint8)  # place in ISSUES
        self.condition_bits = np.zeros(frames, np.uint32)
        self.cue_peaks = np.zeros((int(frames / fps) + 1, len(CUES)), np.float16)  # (S, K) of each second
        self._fps = fps

    def take(self, score: FrameScore, conditions: frozenset[str]) -> None:
        k = self.count
        self.count += 1
        self.score[k], self.threshold[k] = score.score, score.threshold
        self.stage[k] = STAGES.index(score.stage)
        self.condition_bits[k] = self._bits(conditions)
        if score.health is not None:
            self.issue[k] = ISSUES.index(score.health)
        if score.evidence:
            values = [score.evidence.get(cue, 0.0) for cue in CUES]
            self.leading[k] = values.index(max(values))
            second = self.cue_peaks[int(k / self._fps)]
            np.maximum(second, values, out=second, casting="same_kind")

    def _bits(self, conditions: frozenset[str]) -> int:
        for condition in sorted(conditions.difference(self.conditions)):
            if len(self.conditions) == MOST_CONDITIONS:
                raise ValueError(f"condition {condition!r} is number {MOST_CONDITIONS + 1}; allowed: {MOST_CONDITIONS}")
            self.conditions.append(condition)
        return sum(1 << self.conditions.index(condition) for condition in conditions)

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = ("score", "threshold", "leading", "stage", "issue", "condition_bits", "cue_peaks")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Record:
    """A camera's whole life. Arrays are one value a frame as in ``Recording``; times are the world's own seconds."""

    job: Job
    version: Version
    begins_s: float  # the world's second 0 as seconds after midnight
    started_s: float  # of the first frame
    planted: tuple[PlantedEvent, ...]  # those that the frames show
    incidents: Mapping[float, tuple[Incident, ...]]  # by budget
    conditions: tuple[str, ...]
    cpu_s: Mapping[str, float]  # CPU time by stage
    arrays: Mapping[str, NDArray[Any]]

    @property
    def title(self) -> str:
        return f"{self.job.world} {self.job.seed}"

    def clock(self, at_s: float) -> str:
        """A time of the world as its calendar day, from 1 on, and the time of day."""
        second = int(self.begins_s + at_s)
        return f"day {second // 86400 + 1} {second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"

    def frame_at(self, at_s: float) -> int:
        """Place of the frame of that time, within what was recorded."""
        return min(max(0, round((at_s - self.started_s) * self.job.fps)), self.job.frames - 1)

    def conditions_in(self, first_s: float, last_s: float) -> frozenset[str]:
        """Every condition that held at some frame of [first_s, last_s]."""
        span = self.arrays["condition_bits"][self.frame_at(first_s) : self.frame_at(last_s) + 1]
        bits = int(np.bitwise_or.reduce(span))
        return frozenset(name for k, name in enumerate(self.conditions) if bits >> k & 1)

    @property
    def is_judged(self) -> NDArray[np.bool_]:
        """(F,) neither cold nor unhealthy."""
        return (self.arrays["stage"] != STAGES.index(Stage.COLD)) & (self.arrays["issue"] == NONE)


def save(path: Path, record: Record) -> None:
    """Raises VadError when it cannot be written."""
    meta = {
        "job": dataclasses.asdict(record.job),
        "version": dataclasses.asdict(record.version),
        "begins_s": record.begins_s,
        "started_s": record.started_s,
        "planted": [dataclasses.asdict(event) for event in record.planted],
        "incidents": [[budget, [dataclasses.asdict(one) for one in ones]] for budget, ones in record.incidents.items()],
        "conditions": record.conditions,
        "cpu_s": dict(record.cpu_s),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, meta=np.array(json.dumps(meta)), **record.arrays)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> Record | None:
    """None where there is no such file, or none that can be read: it is made anew then."""
    try:
        with np.load(path) as file:
            meta = json.loads(str(file["meta"]))
            arrays = {name: file[name] for name in file.files if name != "meta"}
        return Record(
            job=Job(**meta["job"] | {"budgets": tuple(meta["job"]["budgets"])}),
            version=Version(**meta["version"]),
            begins_s=meta["begins_s"],
            started_s=meta["started_s"],
            planted=tuple(PlantedEvent(**event) for event in meta["planted"]),
            incidents={budget: tuple(map(_incident, ones)) for budget, ones in meta["incidents"]},
            conditions=tuple(meta["conditions"]),
            cpu_s=meta["cpu_s"],
            arrays=arrays,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _incident(values: Mapping[str, Any]) -> Incident:
    tuples = {"reasons": tuple(values["reasons"]), "regions": tuple(map(tuple, values["regions"]))}
    return Incident(**{**values, **tuples})
