"""What the network said of footage, kept on disk, so that a change of the scoring alone is measured in seconds."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import vad.model
from vad.model.making import AnyRunner
from vad.types import CellMap, Clip

LATENT = np.zeros((0, 0, 0), np.float32)
"""Nothing reads a cell map's latent, and it is two thirds of one."""


class KeptCells:
    """A runner that asks ``runner`` only for what ``folder`` does not hold yet.

    What is kept is found by all that the network has seen of the run so far, the weights, and the code of
    ``vad.model``: a change of any of them asks the network again.
    """

    def __init__(self, runner: AnyRunner, folder: Path) -> None:
        self.card, self.device = runner.card, runner.device
        self._runner, self._folder = runner, folder
        self._seen: dict[str, hashlib._Hash] = {}  # by camera and run
        self._waiting: dict[str, list[Clip]] = {}  # found so far, in case the network must go on from there
        self._code = _code_of_the_model() + runner.card.sha256
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        return [self._one(clip) for clip in clips]

    def forget(self, camera: str) -> None:
        """Drop a camera's state."""
        self._waiting.pop(camera, None)
        self._seen = {name: seen for name, seen in self._seen.items() if not name.startswith(f"{camera}/")}
        self._runner.forget(camera)

    def _one(self, clip: Clip) -> list[CellMap]:
        name = f"{clip.camera}/{clip.run}"
        if name not in self._seen:
            self.forget(clip.camera)
            self._seen[name] = hashlib.sha256(self._code.encode())
        seen = self._seen[name]
        for frame in clip.frames:
            seen.update(f"{frame.pts_s:.6f} {frame.geometry}".encode())
            seen.update(frame.luma.tobytes())
        path = self._folder / seen.hexdigest()[:2] / f"{seen.hexdigest()[:32]}.pickle"
        if path.exists():
            self._waiting.setdefault(clip.camera, []).append(clip)
            said = pickle.loads(path.read_bytes())
        else:
            for earlier in self._waiting.pop(clip.camera, []):
                self._runner([earlier])
            said = [(m.dt_s, m.flow, m.activity, m.surprise, m.luma) for m in self._runner([clip])[0]]
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(pickle.dumps(said))
            part.replace(path)
        return [
            CellMap(frame, dt_s, flow, activity, surprise, LATENT, luma)
            for frame, (dt_s, flow, activity, surprise, luma) in zip(clip.frames, said, strict=True)
        ]


def _code_of_the_model() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(vad.model.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
