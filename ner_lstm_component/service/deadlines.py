"""Deadlines for clients: a connection that stalls does not hold a thread for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Deadlines:
    """Shuts down connections whose clients take too long to send or to receive.

    A socket's own timeout would not do: it starts anew with every byte. Shutting a connection
    down wakes the thread that waits for it.

    :param seconds: how long a client may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        # A connection, when it is cut off, and which directions of it.
        self._watched: dict[int, tuple[socket.socket, float, int]] = {}
        self._thread: threading.Thread | None = None

    def watch(self, connection: socket.socket, how: int) -> None:
        """Start a connection's time anew; ``how`` is what is shut down at its end."""
        end = time.monotonic() + self.seconds
        with self._lock:
            self._watched[id(connection)] = connection, end, how
            # Threads do not survive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, daemon=True)
                self._thread.start()

    def forget(self, connection: socket.socket) -> bool:
        """Stop a connection's time.

        :return: whether it was still running; else the connection has been shut down.
        """
        with self._lock:
            return self._watched.pop(id(connection), None) is not None

    def _look(self) -> None:
        while True:
            time.sleep(min(0.5, self.seconds / 4))
            now = time.monotonic()
            with self._lock:
                for key, (connection, end, how) in list(self._watched.items()):
                    if end < now:
                        del self._watched[key]
                        # Not the method of a TLS socket, which would go on in plain text.
                        with contextlib.suppress(OSError):
                            socket.socket.shutdown(connection, how)
