"""PromQL that more than one dashboard needs. ``selector`` is what stands between the braces."""

from __future__ import annotations

ENGINES = 'instance=~"$instance"'
CAMERAS = f'{ENGINES},camera="$camera"'
WINDOW = "[$__rate_interval]"


def quantile(share: float, histogram: str, selector: str, *, by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}_bucket{{{selector}}}{WINDOW})))"


def latency(share: float, selector: str) -> str:
    return quantile(share, "vad_end_to_end_latency_seconds", selector)


def rate(metric: str, selector: str, *, by: str = "") -> str:
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{{{selector}}}{WINDOW}))"


def all_of_it(metric: str, selector: str) -> str:
    """1 for each series of ``metric``: a share that is absent while it is whole."""
    return f"1 + 0 * {metric}{{{selector}}}"


def out_of_balance(selector: str) -> str:
    """Frames that the ledger cannot account for. One scrape reads all of it at the same instant."""
    return (
        f"sum(abs(vad_frames_received_total{{{selector}}} - vad_frames_scored_total{{{selector}}}"
        f" - vad_frames_in_flight{{{selector}}} - sum without (reason) (vad_frames_dropped_total{{{selector}}})))"
    )
