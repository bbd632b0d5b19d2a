"""What a listening socket hears."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Sequence

_SO_ATTACH_FILTER = 26  # of Linux' asm-generic/socket.h
# A classic BPF program on a segment of TCP: (operation, jump if true, jump if false, operand).
# It passes all but those that begin a connection.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then drop the segment
    (0x06, 0, 0, 0xFFFFFFFF),  # else keep all of it
)


def ignore_new_connections(listeners: Sequence[socket.socket]) -> bool:
    """Have the kernel ignore who begins to connect, for all processes that listen here.

    Without it, the kernel completes connections until the very moment that the last process
    closes the listener, and resets those that nobody has accepted: their clients, who may have
    sent a request, believe that they were connected. Who is ignored tries again after a second
    and is refused, or reaches the next server. Connections that the kernel has begun or holds
    ready are not touched.

    :param listeners: listening sockets of TCP.
    :return: whether it is so; it is not on other systems than Linux.
    """
    if sys.platform != "linux":
        return False
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN))
    program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(code))
    try:
        for listener in listeners:
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True
