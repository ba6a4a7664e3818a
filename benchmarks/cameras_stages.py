"""What ``benchmarks.cameras_engine`` knows of the engine's stages; also the body of its processes of readers.

Imports nothing that a reader does not: what such a process takes is measured.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOLD_S = 0.5
"""How often a process of readers tells what its stages took."""


class Stages:
    """CPU seconds by stage: what the wrapped calls take of their thread's time, and what else each thread does."""

    def __init__(self) -> None:
        self.called_s: Counter[str] = Counter()
        self._threads_s: dict[tuple[str, int], float] = {}

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Replace ``owner.name`` by the same, timed."""
        call: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(call)
        def timed(*arguments: Any, **options: Any) -> Any:
            began_s = time.thread_time()
            try:
                return call(*arguments, **options)
            finally:
                self.called_s[stage] += time.thread_time() - began_s

        setattr(owner, name, timed)

    def seconds(self, process_s: float) -> dict[str, float]:
        """decode, pool, motion, network, score and the rest, which together are ``process_s``."""
        for thread in threading.enumerate():
            spent = Path(f"/proc/self/task/{thread.native_id}/schedstat")
            if spent.exists():
                self._threads_s[thread.name, thread.native_id or 0] = int(spent.read_text().split()[0]) / 1e9
        score_s = sum(s for (name, _), s in self._threads_s.items() if name == "vad-scoring")
        called = {stage: self.called_s[stage] for stage in ("decode", "pool", "motion", "network")}
        return {**called, "score": score_s, "rest": process_s - sum(called.values()) - score_s}


def watched_readers() -> Stages:
    """What readers do, timed where it is called."""
    from vad.video import decoding, reader

    stages = Stages()
    stages.watch(decoding.Decoder, "decode", "decode")
    stages.watch(reader, "luma_of", "pool")
    return stages


def be_a_reader_process(folder: str) -> None:
    """In place of the body of the engine's processes of readers: the same, and tells what its stages take."""
    from vad.pipeline.readers.worker import main as read

    stages = watched_readers()

    def tell() -> None:
        while True:
            time.sleep(TOLD_S)
            told = Path(folder) / str(os.getpid())
            told.with_suffix(".new").write_text(json.dumps(stages.called_s))
            told.with_suffix(".new").rename(told.with_suffix(".json"))

    threading.Thread(target=tell, daemon=True).start()
    read()


def told_by_readers(folder: Path) -> Counter[str]:
    """Seconds by stage, of all processes of readers."""
    return sum((Counter(json.loads(told.read_text())) for told in folder.glob("*.json")), Counter())
