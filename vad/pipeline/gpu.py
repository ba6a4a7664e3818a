"""What Prometheus sees of the GPU that the network runs on; nothing where it runs on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import structlog
import torch
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)


class GpuCollector(Collector):
    """Memory of ``device`` as the driver and as torch see it; how busy it is where nvidia-ml-py is installed.

    Yields nothing for a device that is no GPU, and no memory of one that has failed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_gpu = device.type == "cuda"
        self._busy = _utilisation_reader(device) if self._is_gpu else None

    def describe(self) -> Iterable[Metric]:
        """Nothing to name up front."""
        return []

    def collect(self) -> Iterator[Metric]:
        if not self._is_gpu:
            return
        yield from self._memory()
        if self._busy is not None and (share := self._busy()) is not None:
            yield self._gauge("vad_gpu_utilization_ratio", "Share of the last moments in which the GPU worked.", share)

    def _memory(self) -> Iterator[Metric]:
        try:
            free, size = torch.cuda.mem_get_info(self._device)
            reserved = torch.cuda.memory_reserved(self._device)
        except RuntimeError:  # a device that has failed answers nothing more; the engine says so and ends
            return
        yield self._gauge("vad_gpu_memory_used_bytes", "In use on the GPU, by whomever.", size - free)
        yield self._gauge("vad_gpu_memory_size_bytes", "What the GPU has.", size)
        yield self._gauge(
            "vad_gpu_memory_reserved_bytes",
            "Held by this process's network: weights, states of the cameras, room to compute.",
            reserved,
        )

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["device"])
        family.add_metric([str(self._device)], value)
        return family


def _utilisation_reader(device: torch.device) -> Any:
    """``() -> 0..1 or None`` for this GPU; None where the driver's library or its binding is missing."""
    try:
        import pynvml  # the extra `gpu`
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except pynvml.NVMLError as exc:
        log.warning("gpu.utilization_unknown", detail=str(exc))
        return None

    def read() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100.0
        except pynvml.NVMLError:
            return None  # this scrape goes without it

    return read
