"""Metrics as text. Families with a line or more for every camera are written straight from what they read.

``prometheus_client`` makes an object of every line and takes 10 microseconds for it: a third of a second for a thousand
cameras, at each scrape. A ``Family`` keeps its lines from one scrape to the next, and writes those whose numbers have
changed. The ``Table`` that it gives is a family that every reader of a collector understands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Kind: TypeAlias = Literal["counter", "gauge"]
Members: TypeAlias = Iterable[tuple[str, float]]
"""Finite numbers, each under a value of the second label."""

T = TypeVar("T")
K = TypeVar("K")

_END = b"# EOF\n"
_NOTHING: Any = object()


class Family(Generic[T, K]):
    """A counter or gauge that tells something of each thing of a kind. ``name`` is without ``_total``.

    ``label`` is that of the things' names. ``read`` gives what the lines of a thing depend upon, never to be changed
    afterwards: without ``second`` its number, written as ``form`` says, or None for no line; else what ``members``
    makes numbers of, each under a value of the label ``second``. Values of labels are written as they are: camera ids
    and enumerations hold nothing that would have to be quoted.
    """

    def __init__(
        self,
        kind: Kind,
        name: str,
        text: str,
        *,
        label: str,
        read: Callable[[T], K],
        form: str = "",
        second: str = "",
        members: Callable[[K], Members] | None = None,
    ) -> None:
        self.kind, self.name, self.text = kind, name, text
        self.line_name = f"{name}_total" if kind == "counter" else name
        self._label, self._read, self._form = label, read, form
        self._second, self._members = second, members
        self._last: tuple[list[str], list[K], list[str], str] = ([], [], [], "")  # names, read, their lines, all lines

    def lines(self, things: Mapping[str, T]) -> str:
        """Each with its end. Any thread may ask, several at once too."""
        read = self._read
        names, keys = list(things), [read(thing) for thing in things.values()]
        names_before, keys_before, written, whole = self._last  # at once: another thread may put its own there
        if names == names_before and keys == keys_before:
            return whole
        if names != names_before:  # every one of them anew: nothing equals this
            keys_before, written = [_NOTHING] * len(names), [""] * len(names)
        rows = zip(names, keys, keys_before, written, strict=True)
        if self._members is None:
            form, start, middle = self._form, f'{self.line_name}{{{self._label}="', '"} '
            written = [
                same if key == old else "" if key is None else f"{start}{name}{middle}{key:{form}}\n"
                for name, key, old, same in rows
            ]
        else:
            written = [same if key == old else self._write(name, key) for name, key, old, same in rows]
        whole = "".join(written)
        self._last = names, keys, written, whole
        return whole

    def samples(self, things: Mapping[str, T]) -> list[Sample]:
        """As ``prometheus_client`` wants them, an object for each line."""
        found = []
        for name, thing in things.items():
            for member, number in self._numbers(self._read(thing)):
                labels = {self._label: name} | ({self._second: str(member)} if self._second else {})
                found.append(Sample(self.line_name, labels, float(format(number, self._form))))
        return found

    def _numbers(self, key: K) -> Members:
        if self._members is not None:
            return self._members(key)
        return [] if key is None else [("", key)]  # type: ignore[list-item]  # without members it is the number

    def _write(self, name: str, key: K) -> str:
        start = f'{self.line_name}{{{self._label}="{name}",{self._second}="'
        return "".join([f'{start}{member}"}} {number}\n' for member, number in self._numbers(key)])


class Table(Metric, Generic[T, K]):
    """What a family says of all things at one instant."""

    def __init__(self, family: Family[T, K], things: Mapping[str, T]) -> None:
        super().__init__(family.name, family.text, family.kind)
        self.line_name = family.line_name
        self._family, self._things = family, things

    @property
    def samples(self) -> list[Sample]:
        return self._family.samples(self._things)

    @samples.setter
    def samples(self, _: list[Sample]) -> None:
        """Metric's constructor sets an empty list."""

    def lines(self) -> str:
        """Each with its end."""
        return self._family.lines(self._things)


def encode(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics or Prometheus's classic format, as ``accept`` asks."""
    encoder, content_type = choose_encoder(accept)
    is_open = content_type.startswith("application/openmetrics-text")
    ordinary: list[Metric] = []
    parts: list[str] = []
    for metric in registry.collect():
        if not isinstance(metric, Table):
            ordinary.append(metric)
            continue
        name = metric.name if is_open else metric.line_name
        parts += (f"# HELP {name} {metric.documentation}\n# TYPE {name} {metric.type}\n", metric.lines())
    tables = "".join(parts).encode()
    page = encoder(_Collected(ordinary))
    return (page.removesuffix(_END) + tables + _END if is_open else page + tables), content_type


class _Collected(Collector):
    """What has been collected already, for an encoder that asks a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
