"""How long the fuzzers look.

In a normal run each looks at the same few hundred inputs, so that it takes seconds and never surprises anybody.
``VAD_FUZZ_TIMES=100 python -m pytest tests/pipeline/readers/test_fuzz.py tests/test_urls_fuzz.py`` looks at a hundred
times as many, others each time; what it finds is printed with the ``@example`` that repeats it.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("VAD_FUZZ_TIMES", "1"))


def looks_at(inputs: int) -> settings:
    """So many inputs, times ``VAD_FUZZ_TIMES``."""
    return settings(
        max_examples=inputs * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
