"""The network, and what makes incidents of its output."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from vad.config.section import Section


class ModelSettings(Section):
    """The network and where it runs."""

    weights: str = Field(default="base", description="a bundled name (base) or a path to a .safetensors file")
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$", description="auto, cpu, cuda or cuda:N"
    )
    clip_length: int = Field(default=4, ge=1, le=64, description="frames handed over at a time, per camera")
    waiting_clips: int = Field(default=6, ge=1, le=256, description="clips that may wait, per camera, before one drops")
    max_batch: int = Field(default=32, ge=1, le=512, description="cameras that share one call of the network")
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of torch; the loops for a CPU take one")
    skip_still: bool = Field(
        default=True, description="on a CPU, look only at what changed, and at the rest now and then"
    )


class ScoringSettings(Section):
    """Calibration, threshold and incidents. Times are media seconds."""

    warming_after_s: float = Field(default=20.0, ge=1.0, le=86400.0, description="learning only, before that")
    calibrated_after_s: float = Field(default=180.0, ge=2.0, le=604800.0, description="normal footage seen by then")
    smoothing_s: float = Field(default=0.2, ge=0.0, le=10.0, description="time constant of the causal smoothing")
    left_behind_s: float = Field(
        default=10.0, ge=0.5, le=3600.0, description="what came to rest must stay that long before it is unusual"
    )
    open_after_s: float = Field(default=0.3, ge=0.0, le=60.0, description="anomalous that long before it opens")
    close_after_s: float = Field(default=2.0, ge=0.1, le=600.0, description="calm that long before it closes")
    hysteresis: float = Field(default=0.7, gt=0.0, le=1.0, description="calm = below this share of the threshold")
    update_every_s: float = Field(default=5.0, ge=0.5, le=600.0, description="at most one update event in that time")
    longest_incident_s: float = Field(default=600.0, ge=5.0, le=86400.0, description="closed after that, in any case")

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        if self.calibrated_after_s < self.warming_after_s:
            raise ValueError(
                f"calibrated_after_s {self.calibrated_after_s} is below warming_after_s {self.warming_after_s}; "
                "allowed: at least warming_after_s"
            )
        return self
