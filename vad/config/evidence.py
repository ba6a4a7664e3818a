"""What is kept of each incident, and how much of it."""

from __future__ import annotations

from pydantic import Field

from vad.config.section import Section


class EvidenceSettings(Section):
    """A small clip around each incident's peak, in ``<storage.dir>/evidence``; masks are burnt in before it is kept."""

    enabled: bool = Field(default=True, description="keep evidence of new incidents")
    before_s: float = Field(default=5.0, ge=0.0, le=30.0, description="a clip begins that long before the peak")
    after_s: float = Field(default=5.0, ge=0.0, le=30.0, description="... and lasts at least that long after it")
    keep_days: float = Field(default=30.0, gt=0.0, le=36_500.0, description="older evidence is deleted")
    keep_mib: int = Field(default=10_240, ge=1, le=1_073_741_824, description="of all evidence; then the oldest goes")
    ring_mib: int = Field(default=16, ge=1, le=1024, description="of each camera's latest video kept in memory")
