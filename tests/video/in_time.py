"""Many stub cameras read at a time, each in a time that does not depend on whether FFmpeg ever returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.video.reading import Outcome, read


def in_time(url: str, *, within_s: float, reading: Callable[..., Outcome] = read, **settings: Any) -> Outcome | None:
    """As ``read``; None where it has not returned by then. Its thread ends once the camera is stopped."""
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(reading(url, **settings)), daemon=True)
    thread.start()
    thread.join(within_s)
    return outcomes[0] if outcomes else None
