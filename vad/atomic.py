"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from vad.errors import VadError

PROBE_BYTES = 1 << 16


def write_atomically(path: Path, data: bytes) -> None:
    """The old file or the new one, never half of one, whatever happens meanwhile. Raises VadError."""
    try:
        replace_file(path, data)
    except OSError as exc:
        raise VadError(f"{path}: cannot be written: {exc.strerror}") from None


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """``write_atomically`` for those who have an error of their own to raise: OSError comes as it is."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def check_writable(path: Path) -> None:
    """Find out before long work whether its result can be written: the folder is there, writable and not full.

    Raises VadError.
    """
    if path.is_dir():
        raise VadError(f"{path}: is a folder; allowed: a file's name")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
    except OSError as exc:
        raise VadError(f"{path}: cannot be written there: {exc.strerror}") from None
