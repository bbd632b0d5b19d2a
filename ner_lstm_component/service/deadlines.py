"""Deadlines for clients, so that stalled connections do not block threads forever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Deadlines:
    """A thread that shuts down the connections of slow clients, which wakes the waiting threads.

    A socket's own timeout starts again with every byte. The connection is None if the server reads
    bodies before it calls the application.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        # Connections by id, each with its deadline and the directions to shut down.
        self._watched: dict[int, tuple[socket.socket, float, int]] = {}
        self._thread: threading.Thread | None = None

    def watch(self, connection: socket.socket | None, how: int) -> None:
        """Start or restart a connection's deadline; ``how`` is passed to ``socket.shutdown()``."""
        if connection is None:
            return
        deadline = time.monotonic() + self.seconds
        with self._lock:
            self._watched[id(connection)] = connection, deadline, how
            # Threads do not survive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._enforce, daemon=True)
                self._thread.start()

    def forget(self, connection: socket.socket | None) -> bool:
        """Cancel a connection's deadline, and return whether it was met."""
        with self._lock:
            return self._watched.pop(id(connection), None) is not None or connection is None

    def _enforce(self) -> None:
        while True:
            time.sleep(min(0.5, self.seconds / 4))
            now = time.monotonic()
            with self._lock:
                for key, (connection, deadline, how) in list(self._watched.items()):
                    if deadline < now:
                        del self._watched[key]
                        # A TLS socket's own method would continue in plain text.
                        with contextlib.suppress(OSError):
                            socket.socket.shutdown(connection, how)
