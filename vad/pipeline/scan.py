"""Recorded footage through the live engine's stages, as fast as the machine can, nothing dropped.

Decoding runs in a stream thread of its own; the network and the scoring run in the caller's thread, so that a slow
consumer simply slows the decoder down.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from vad.clock import Clock, SystemClock
from vad.config import CameraConfig, ModelSettings, ScoringSettings, redact_url
from vad.errors import CalibrationError, StreamCode, VadError
from vad.log import use_standard_logging
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.pipeline.choose_width import Look, begin_width, width_for
from vad.pipeline.judge import Judge
from vad.pipeline.ledger import Account, Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.stream import CameraStream
from vad.scoring.warming import warm_kernels
from vad.types import CameraEvent, FrameScore
from vad.video.luma import warm_luma

SCAN_CLIP_LENGTH = 16
"""Longer clips than live: latency does not matter here, and the scores are the same for any length."""
POLL_S = 0.2


class Scan:
    """One pass over one recording: iterate to get a FrameScore per analysed frame, with the events raised at it.

    ``judge`` carries what is known from one recording to the next (``scoring`` is not used then); ``first_run`` must be
    above the runs that it has seen, so that its transient state begins afresh.

    Without one, ``camera.calibration`` is what is known, if it is set; CalibrationError when it is of no use.

    ``model_width`` is the width at which the picture is analysed. By default it is what ``camera.model_width`` says:
    for ``auto`` that of what is known, else the one that suits the people in the recording's first minute. The
    attribute holds it once the iteration has begun.

    After the iteration ``frames`` is the ledger's account and ``duration_s`` the media time covered.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        camera: CameraConfig | None = None,
        model: ModelSettings | None = None,
        scoring: ScoringSettings | None = None,
        name: str = "scan",
        clock: Clock | None = None,
        runner: AnyRunner | None = None,
        judge: Judge | None = None,
        first_run: int = 1,
        model_width: int | None = None,
    ) -> None:
        use_standard_logging()
        model = model or ModelSettings()
        settings = (camera or CameraConfig(url=str(source))).model_dump()
        self.config = CameraConfig.model_validate({**settings, "url": str(source), "realtime": False, "loop": False})
        self.name = name
        self.duration_s = 0.0
        self._begun = False
        self._runner = runner or make_runner(
            load_weights(model.weights),
            device=model.device,
            threads=model.threads,
            max_batch=1,
            skip_still=model.skip_still,
        )
        self._clock = clock or SystemClock()
        self._ledger = Ledger()
        self._clips = ClipMailbox()
        self._notices: list[CameraEvent] = []
        self._judge = judge or self._new_judge(scoring or ScoringSettings())
        self.model_width = model_width
        self._stream = CameraStream(
            name,
            config=self.config,
            model_width=self._runner.card.input_width,
            clip_length=SCAN_CLIP_LENGTH,
            clips=self._clips,
            ledger=self._ledger,
            notify=self._notices.append,
            clock=self._clock,
            retry=False,
            network_device=str(self._runner.device),
        )
        self._stream.status.run = first_run - 1  # it counts up as each run begins

    def _new_judge(self, settings: ScoringSettings) -> Judge:
        judge = Judge.create(self.name, config=self.config, settings=settings)
        if self.config.calibration is not None:
            sha256 = self._runner.card.sha256
            judge.begin_with(self.config.calibration, config=self.config, settings=settings, sha256=sha256)
        return judge

    @property
    def frames(self) -> Account:
        return self._ledger.account(self.name)

    def __iter__(self) -> Iterator[FrameScore]:
        """Once. Raises StreamError when the recording cannot be opened or breaks off, after what could be scored."""
        if self._begun:
            raise VadError(
                f"this scan of {redact_url(self.config.url)} is over; allowed: one iteration of each vad.scan()"
            )
        self._begun = True
        warm_luma()
        warm_kernels()
        self.model_width = self.model_width or self._chosen_width()
        self._stream.start(model_width=self.model_width)
        try:
            yield from self._with_last_closing(self._scores())
        finally:
            self._stream.stop()
            self._clips.close()
            self._stream.join(deadline_s=self._clock.monotonic_s() + self.config.read_timeout_s)
            self._runner.forget(self.name)
        if self._stream.failure is not None and self._stream.failure.code is not StreamCode.ENDED:
            raise self._stream.failure

    def _chosen_width(self) -> int:
        setting, learnt = self.config.model_width, self._judge.scorer.geometry
        if learnt is None:
            return width_for(setting, [Look(self.config)], runner=self._runner)
        return begin_width(setting, learnt=learnt, own=self._runner.card.input_width)

    def _scores(self) -> Iterator[FrameScore]:
        while (clips := self._clips.take(1, timeout_s=POLL_S)) or self._stream.is_alive or self._clips.has_any:
            for cell_maps in self._runner(clips or []):
                for cell_map in cell_maps:
                    if self.config.calibration is not None and (misfit := self._judge.misfit(cell_map)):
                        raise CalibrationError(misfit)
                    score, _ = self._judge.step(cell_map)
                    self._ledger.scored(self.name)
                    self.duration_s += cell_map.dt_s
                    yield score

    def _with_last_closing(self, scores: Iterator[FrameScore]) -> Iterator[FrameScore]:
        """Each score is held back by one, so that the last can carry the closing of open incidents."""
        last: FrameScore | None = None
        for score in scores:
            if last is not None:
                yield last
            last = score
        if last is not None:
            yield dataclasses.replace(last, events=last.events + tuple(self._judge.incidents.close("run_ended")))


def scan(source: str | Path, *, camera: CameraConfig | None = None, scoring: ScoringSettings | None = None) -> Scan:
    """Scores of a recording: ``for score in vad.scan("walk.mp4"): print(score.pts_s, score.score, score.events)``.

    ``camera`` gives analysis rate, budget, width, masks and zones; its URL is replaced by ``source``.
    """
    return Scan(source, camera=camera, scoring=scoring)
