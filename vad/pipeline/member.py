"""One camera of a running engine: its parts together, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vad.config import CameraConfig
from vad.pipeline.history import Preview
from vad.pipeline.ledger import Account
from vad.pipeline.scoring import Watch
from vad.pipeline.status import CameraStatus
from vad.pipeline.stream import CameraStream
from vad.types import Stage

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Member:
    """One camera as it is now."""

    config: CameraConfig
    stream: CameraStream
    watch: Watch
    is_paused: bool
    is_armed: bool

    def status(self, account: Account) -> CameraStatus:
        stream, watch = self.stream.status, self.watch
        scorer, score, opened, judged_s = watch.judge.scorer, watch.last_score, watch.opened, watch.judged_s
        allowed = self.config.false_alarms_per_day * judged_s / DAY_S
        return CameraStatus(
            state=stream.state,
            code=stream.code,
            detail=stream.detail,
            run=stream.run,
            fps=stream.fps,
            frames=account,
            corrupt_packets=stream.corrupt_packets,
            abandoned_readers=stream.abandoned_readers,
            reconnects=dict(stream.reconnects),
            errors=dict(stream.errors),
            stage=score.stage if score else Stage.COLD,
            score=score.score if score else 0.0,
            threshold=score.threshold if score else math.inf,
            health=score.health if score else None,
            incidents_opened=opened,
            false_alarms_per_day=self.config.false_alarms_per_day,
            budget_ratio=opened / allowed if allowed > 0.0 else None,
            incidents_open=max(0, opened - watch.closed),
            judged_s=judged_s,
            decoder=stream.decoder,
            frames_spared=stream.frames_spared,
            is_armed=self.is_armed,
            is_paused=self.is_paused,
            last_score_wall_s=score.frame.wall_s if score else None,
            analysis_ratio=self.stream.analysis_ratio,
            frames_unfiltered=stream.frames_unfiltered,
            analysed_width=score.frame.geometry.valid_width if score else None,
            allowed_per_day=scorer.allowed_per_day,
            promised_after_s=scorer.promised_after_s,
            outlier_stamps=stream.outlier_stamps,
            clock_fault=stream.clock_fault,
            clock_skew_s=stream.clock_skew_s,
            clock_ratio=stream.clock_ratio,
            reader_deaths=stream.reader_deaths,
        )

    def preview(self, false_alarms_per_day: float, *, seconds: float) -> Preview:
        """What another budget would have raised: it moves the threshold by the logarithm of its share."""
        last = self.watch.last_score
        if last is None:
            return Preview(0.0, math.inf, [])
        threshold = last.threshold + math.log10(self.config.false_alarms_per_day) - math.log10(false_alarms_per_day)
        return self.watch.history.preview(threshold, seconds=seconds)
