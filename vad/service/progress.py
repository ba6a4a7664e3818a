"""How far a long command has come: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 15.0


class ProgressDisplay:
    """Use as a context; ``update`` as often as you like. Another ``phase`` is another bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.fields[said]}", markup=False),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._task: TaskID | None = None
        self._phase = ""
        self._phase_s = self._line_s = 0.0  # monotonic: when it began, when a line was last printed
        self._phase_done = 0.0

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, phase: str, done: float, total: float | None, said: str = "") -> None:
        """``done`` of ``total`` (None: nobody knows); ``said`` stands beside the bar."""
        if phase != self._phase:
            self._begin(phase, done, total)
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, said=said)
        elif time.monotonic() - self._line_s >= LINE_EVERY_S:
            self._print(done, total, said)

    def phase_s(self) -> float:
        """Seconds since the phase began."""
        return time.monotonic() - self._phase_s

    def _begin(self, phase: str, done: float, total: float | None) -> None:
        self._phase, self._phase_done = phase, done
        self._phase_s = self._line_s = time.monotonic()
        if self._bars is not None:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task = self._bars.add_task(phase, total=total, said="")

    def _print(self, done: float, total: float | None, said: str) -> None:
        self._line_s = time.monotonic()
        parts = [self._phase, f"{done:.0f}" if total is None else f"{done:.0f} of {total:.0f}"]
        gained = done - self._phase_done
        if total is not None and gained > 0:
            left_s = self.phase_s() / gained * (total - done)
            parts.append(f"{left_s / 60:.0f} min left" if left_s >= 90 else f"{left_s:.0f} s left")
        self._console.print("  ".join([*parts, said]).rstrip(), highlight=False, markup=False, soft_wrap=True)
