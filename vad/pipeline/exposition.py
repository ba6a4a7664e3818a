"""Metrics as text. Families with a line or more for every camera are written straight from what they read.

``prometheus_client`` makes an object of every line and takes 10 microseconds for it: a third of a second for a thousand
cameras, at each scrape. A ``Table`` is a family that every reader of a collector understands, and that ``encode``
writes in a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Row = tuple[str | float, ...]
"""The values of the labels, and a finite number."""

_END = b"# EOF\n"


class Table(Metric):
    """A counter or gauge with one label or two.

    ``name`` is without ``_total``. Values of labels are written as they are: camera ids and enumerations hold nothing
    that would have to be quoted.
    """

    def __init__(
        self, kind: Literal["counter", "gauge"], name: str, text: str, labels: Sequence[str], rows: Sequence[Row]
    ) -> None:
        super().__init__(name, text, kind)
        self.line_name = f"{name}_total" if kind == "counter" else name
        self._labels, self._rows = labels, rows

    @property
    def samples(self) -> list[Sample]:
        """As ``prometheus_client`` wants them, one object a row."""
        rows = ((dict(zip(self._labels, map(str, values), strict=True)), number) for *values, number in self._rows)
        return [Sample(self.line_name, labels, float(number)) for labels, number in rows]

    @samples.setter
    def samples(self, _: list[Sample]) -> None:
        """Metric's constructor sets an empty list."""

    def lines(self) -> list[str]:
        """One for each row, without its end."""
        start = f'{self.line_name}{{{self._labels[0]}="'
        if len(self._labels) == 1:
            return [f'{start}{value}"}} {number}' for value, number in self._rows]
        middle = f'",{self._labels[1]}="'
        return [f'{start}{one}{middle}{two}"}} {number}' for one, two, number in self._rows]


def encode(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics or Prometheus's classic format, as ``accept`` asks."""
    encoder, content_type = choose_encoder(accept)
    is_open = content_type.startswith("application/openmetrics-text")
    ordinary: list[Metric] = []
    lines: list[str] = []
    for metric in registry.collect():
        if not isinstance(metric, Table):
            ordinary.append(metric)
            continue
        name = metric.name if is_open else metric.line_name
        lines += (f"# HELP {name} {metric.documentation}", f"# TYPE {name} {metric.type}")
        lines += metric.lines()
    tables = "\n".join([*lines, ""]).encode()
    page = encoder(_Collected(ordinary))
    return (page.removesuffix(_END) + tables + _END if is_open else page + tables), content_type


class _Collected(Collector):
    """What has been collected already, for an encoder that asks a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
