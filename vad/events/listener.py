"""A listening socket that can be told to take nobody for a while, although ZeroMQ would.

ZeroMQ accepts whoever connects until the process has no descriptor left, also for its cameras and its journal. Linux
lets a socket drop what arrives by a filter program; on the listening one that is new connections alone, and it counts
them. Elsewhere nothing is dropped.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys

_SO_ATTACH_FILTER, _SO_DETACH_FILTER, _SO_MEMINFO = 26, 27, 55
_DROPS = 8  # place of the count among the words of SO_MEMINFO
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # the program "return 0": keep no byte of it


class Listener:
    """Holds a listening socket by a descriptor of its own; ``close`` lets go of it and does not stop the listening."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError when the descriptor is not (or no longer) that of a listening socket."""
        self._socket = socket.socket(fileno=os.dup(descriptor))
        if not self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._socket.close()
            raise OSError(errno.EINVAL, "not a listening socket")
        self.is_paused = False
        self._drops_counted = 0

    @property
    def port(self) -> int:
        """0 where it is none of TCP's."""
        name = self._socket.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    def pause(self) -> None:
        """New connections go unanswered, as if nobody were there; those that are open stay."""
        if self.is_paused or not sys.platform.startswith("linux"):
            return
        program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
        fprog = struct.pack("HxxxxxxQ" if sys.maxsize > 2**32 else "HxxI", 1, ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
        self.is_paused = True

    def resume(self) -> None:
        if self.is_paused:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            self.is_paused = False

    def new_drops(self) -> int:
        """Attempts to connect that were dropped since this was last asked; a client tries several times."""
        if not sys.platform.startswith("linux"):
            return 0
        drops: int = struct.unpack("9I", self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))[_DROPS]
        fresh = (drops - self._drops_counted) % 2**32
        self._drops_counted = drops
        return fresh

    def close(self) -> None:
        self._socket.close()
