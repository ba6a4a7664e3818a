"""What a process of readers may do: as little as the machine allows, since what strangers send is decoded there.

Its environment is what decoding needs of the engine's (``environment``). Once it has loaded all that it needs it gives
up the rest (``enter``): more memory than agreed, new privileges, and, where it reads cameras on the network, the files
of this machine. What cannot be had is told to the engine (``Sandbox.missing``), which says so.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

import vad
from vad.config import ReaderSettings
from vad.pipeline.readers import landlock

_KEPT = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LOCALDOMAIN", "LOGNAME", "NO_COLOR", "NO_PROXY", "PATH", "RES_OPTIONS", "TERM",
        "TMPDIR", "TZ", "TZDIR", "USER", "VIRTUAL_ENV", "XDG_CACHE_HOME", "no_proxy",
    }
)  # fmt: skip
_KEPT_BEGINNINGS = (
    "CUDA_", "GLIBC_", "KMP_", "LC_", "LD_", "MALLOC_", "MKL_", "NUMBA_", "NVIDIA_", "OMP_", "OPENBLAS_", "PYTHON",
    "PYTORCH_", "SSL_CERT_", "TORCH_",
)  # fmt: skip
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Threads that libraries start as they are loaded would be there before the sandbox, and outside it."""

_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/sys/devices/system/cpu", "/sys/bus/pci", "/sys/module")
_NAMES = ("hosts", "host.conf", "nsswitch.conf", "gai.conf", "services", "protocols", "localtime", "ld.so.cache")
_CERTIFICATES = ("ssl", "pki", "ca-certificates", "gnutls", "crypto-policies")
_PROCESS = ("self", "cpuinfo", "meminfo", "stat", "driver/nvidia")
_DEVICES = ("null", "zero", "random", "urandom", "nvidia-caps", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
RESOLVER = Path("/etc/resolv.conf")
"""Names the machine's name servers. A process in the sandbox does not see a file that takes its place."""


class Limits(msgspec.Struct, frozen=True):
    """What a process is to be held to. ``memory_bytes`` beyond what it begins with; 0: unlimited."""

    memory_bytes: int = 0
    has_files: bool = False  # it reads recordings and devices


class Sandbox(msgspec.Struct, frozen=True):
    """What a process is held to. ``begins_with_bytes`` of memory were resident as it entered.

    ``missing`` are sentences, each about a limit that was asked for and could not be had.
    """

    memory_bytes: int = 0
    begins_with_bytes: int = 0
    landlock: int = 0
    missing: tuple[str, ...] = ()


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a process of readers is given: no token, no password, nobody's address."""
    kept = {name: value for name, value in given.items() if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
    proxy = given.get("http_proxy", "")
    if proxy and "@" not in proxy:  # FFmpeg's own name for it; a password would be in it
        kept["http_proxy"] = proxy
    return kept | _ONE_THREAD


def command_of(module: str) -> tuple[str, ...]:
    """What runs ``main`` of a module of this package in a process."""
    root = str(Path(vad.__file__).parents[1])
    body = f"import sys; sys.path.append({root!r}); from {module} import main; main()"
    return sys.executable, "-P", "-c", body  # -P: nothing is imported from wherever the engine was started


def start(command: Sequence[str], *arguments: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process, and the engine's end of its control socket; the descriptor of the other end is the process's first
    argument. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [*command, str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(os.environ),
            )
        except OSError:
            ours.close()
            raise
    return process, ours


def enter(limits: Limits) -> Sandbox:
    """Hold this process to the limits, for good. Call it in the main thread, once everything is loaded."""
    missing: list[str] = []
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    memory_bytes = _bound_memory(limits.memory_bytes, missing)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a picture of somebody's rooms and a password
    try:
        landlock.give_up_privileges()
    except (OSError, AttributeError) as exc:
        missing.append(f"it may gain privileges ({exc})")
    found = 0 if limits.has_files else _give_up_files(missing)
    if found and threads > 1:
        missing.append(f"{threads - 1} threads that libraries started may still open files")
    return Sandbox(memory_bytes, _status("VmRSS"), found, tuple(missing))


def lines(settings: ReaderSettings) -> list[str]:
    """What somebody who checks a site file should know of this machine."""
    if settings.sandbox == "off" or landlock.version():
        return []
    will = "nothing is read" if settings.sandbox == "required" else "what decodes cameras may open the engine's files"
    return [f"readers.sandbox: this kernel, or container, has no Landlock: {will}"]


def resolver_file() -> tuple[int, int] | None:
    """Which file names the machine's name servers at present; None where there is none."""
    with suppress(OSError):
        found = RESOLVER.stat()
        return found.st_dev, found.st_ino
    return None


def _bound_memory(limit_bytes: int, missing: list[str]) -> int:
    """Bound what is private and writable (``RLIMIT_DATA``), which is what a stream makes a decoder take. All of the
    address space (``RLIMIT_AS``) holds much that takes no memory: a GPU's driver alone reserves more than there is."""
    if not limit_bytes:
        return 0
    taken = _status("VmData")
    if not taken:
        missing.append("its memory is not bounded (Linux only)")
        return 0
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (taken + limit_bytes, taken + limit_bytes))
    except (OSError, ValueError) as exc:
        missing.append(f"its memory is not bounded ({exc})")
        return 0
    return limit_bytes


def _give_up_files(missing: list[str]) -> int:
    """The version of Landlock that does it; 0 where nothing does."""
    if not (found := landlock.version()):
        missing.append("it may open the engine's files (this kernel, or container, has no Landlock)")
        return 0
    try:
        landlock.restrict(read=_readable(), devices=_usable())
    except OSError as exc:
        missing.append(f"it may open the engine's files ({exc.strerror})")
        return 0
    if found < 6:
        missing.append(f"it may send signals to other processes of its user (Landlock {found}; from 6 on not)")
    return found


def _readable() -> Iterator[Path]:
    """Python with its packages and libraries, and what names and certificates are looked up in."""
    package = Path(vad.__file__).parent
    yield package
    for entry in {sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path}:
        if entry and Path(entry) != package.parent:  # which, in a checkout, is a folder of the user's
            yield Path(entry)
    yield from map(Path, _SYSTEM)
    yield from (Path("/etc", name) for name in (*_NAMES, *_CERTIFICATES))
    yield from (Path("/proc", name) for name in _PROCESS)
    real = RESOLVER.resolve()
    yield real if real.parent == RESOLVER.parent else real.parent  # a folder of its own, where files take turns


def _usable() -> Iterator[Path]:
    yield from (Path("/dev", name) for name in _DEVICES)
    yield from Path("/dev").glob("nvidia[0-9]*")


def _status(name: str) -> int:
    """Bytes, of a line of ``/proc/self/status``; 0 where that is not to be had."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
