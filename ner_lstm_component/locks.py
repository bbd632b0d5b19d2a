"""Locks that keep two processes from writing to one folder."""

from __future__ import annotations

from typing import IO

try:
    import fcntl
except ImportError:  # on Windows, where nothing keeps them from it
    fcntl = None  # type: ignore[assignment]


def try_lock(file: IO[str]) -> bool:
    """Lock an open file until it is closed, and return whether no other process had locked it.

    The operating system releases the lock however the process ends.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
