"""What ``vad run`` does with signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.pipeline.sites import make_site
from vad.pipeline.engine import Engine
from vad.service.daemon import _signals


def test_the_first_signal_never_cuts_a_drain_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    engine = Engine(make_site(tmp_path, {"cam": {"url": "none.mp4"}}))
    engine.request_stop()  # as when every source has ended
    with _signals(engine):
        os.kill(os.getpid(), signal.SIGTERM)
        assert exits == []
        os.kill(os.getpid(), signal.SIGINT)
    assert exits == [128 + signal.SIGINT]
